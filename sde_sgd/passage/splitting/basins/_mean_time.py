"""The mean time of a rare passage: that of a settled law, or where slow basins lie on the way, of the jumps between."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from ...._errors import show
from ...._jumps import core_sets
from ...._numerics import bound
from ...._progress import stage
from ....engine import StopCode, start_states, tuned
from ....landscapes import find_minima
from ....landscapes._affordable import affordable_climbs
from ....random import Stream
from ....regions import AbstractRegion
from ....results import Status, Verdict
from ....scores import choose
from ....statistics import Estimate
from ..._execution import Execution
from ..._method import Answer
from ..._monitor import monitor_for
from ..._question import Question
from .._asking import Asking
from .._steady_state import SteadyStateSample
from ._jump_sample import JumpProcessSample
from ._one_of import OneOf
from ._surroundings import MOST_COMPONENTS, Surroundings, Unexplored, surroundings

# trajectories that tell the temperature, steps after which it is looked at, and when it counts as known
_WALKERS, _SHORTEST, _LONGEST, _STEADY = 512, 64, 2**13, 0.2
# trajectories from the start that tell which basin they come to first, and how long they may take
_FIRST, _FIRST_STEPS = 1_024, 2**17
# mean time in a basin, in those that the motion inside takes to settle, below which it has no rate of its own
_APART = 20.0
_ROUNDS = 3
_MOST_BASINS = 8
# most basins between which jumps are looked for where no saddle leads, and what one that was not seen may change
_FEW, _NEGLIGIBLE = 3, 0.03
# a compiler that recomputes what it fuses takes long over the levels of many sets
_STEPS_FUSED = 1

Part = Callable[[Question, Execution, Asking, Any], Answer]
"""The rate of settled trajectories, by splitting with the score that comes last."""


def mean_time(question: Question, run: Execution, asking: Asking, part: Part, score: Any) -> Answer:
    """The mean time of a rare passage; score: of splitting towards the target.

    What lies around the way is explored first. Where no other basin is slow to leave, the law settles and the rate of
    those that have settled is the answer; else the jumps between the slow ones are measured one by one.
    """
    around = _look_around(question, run)
    if isinstance(around, Surroundings) and len(around.basins) > 1:
        try:
            cores = _cores(around)
        except ValueError as error:
            finding = Status.INCOMPLETE, f"{len(around.basins)} slow basins are not followed one by one: {error}"
            around = around._replace(findings=(finding, *around.findings))
        else:
            return _between_basins(question, run, asking, part, score, around, cores)
    found = part(question, run, asking, score)
    if not isinstance(found.evidence, SteadyStateSample):
        return found
    if isinstance(around, Unexplored):
        told, findings = f"not explored, watched only: {around.reason}", ()
    else:
        told, findings = around.told, around.findings
    evidence = dataclasses.replace(found.evidence, told=told)
    verdict = Verdict((*found.verdict.findings, *findings), found.verdict.fine)
    return found._replace(evidence=evidence, verdict=verdict)


def _look_around(question: Question, run: Execution) -> Surroundings | Unexplored:
    landscape = question.chain.landscape
    if landscape is None:
        return Unexplored("the chain has no landscape")
    if landscape.dim > MOST_COMPONENTS:
        return Unexplored(f"there are {landscape.dim} components, more than the {MOST_COMPONENTS} that are hopeful")
    if len(question.starts) > 1:
        return Unexplored("there is more than one start")
    try:
        climbs = affordable_climbs(landscape, np.asarray(question.starts[0, : landscape.dim], np.float64))
    except ValueError as error:
        return Unexplored(str(error))
    temperature = _temperature(question, run)
    if isinstance(temperature, Unexplored):
        return temperature
    return surroundings(question, temperature, climbs, run.seed)


def _temperature(question: Question, run: Execution) -> float | Unexplored:
    """That of the stationary law where there is one, else 2/dim times the mean loss above the start's minimum."""
    chain = question.chain
    known = getattr(getattr(chain, "diffusion", None), "gibbs_temperature", None)
    if known is not None:
        return float(known)
    landscape = chain.landscape
    assert landscape is not None
    try:
        floor = find_minima(landscape, np.asarray(question.starts[0, : chain.dim], np.float64))[0].loss
    except ValueError as error:
        return Unexplored(str(error))
    losses, steps, last = bound(_losses, landscape), _SHORTEST, math.nan
    watched = run.derived(Stream.SURROUNDINGS)
    run.ledger.start(_WALKERS)
    states, clocks, ids = watched.states(_WALKERS), np.zeros(_WALKERS, np.int64), np.arange(_WALKERS)
    while True:
        ends = watched.go_on(watched.monitor, states, ids, clocks, np.full(_WALKERS, steps) - clocks)
        on = ends.code == StopCode.RUNNING
        if not np.any(on):
            return Unexplored("no trajectory was left to tell how warm the motion is")
        states, clocks, ids = ends.state[on], (clocks + ends.step)[on], ids[on] + _WALKERS
        excess = float(np.mean(np.asarray(losses(jnp.asarray(watched.theta(states))), np.float64))) - floor
        if abs(excess - last) <= _STEADY * excess or 2 * steps > min(_LONGEST, run.steps):
            return 2 * excess / chain.dim if excess > 0 else Unexplored("the motion stays at its minimum")
        last, steps = excess, 2 * steps
        if len(states) < _WALKERS:
            fill = np.arange(_WALKERS) % len(states)
            states, clocks, ids = states[fill], clocks[fill], np.arange(_WALKERS) + int(ids.max()) + 1


def _losses(landscape: Any, thetas: Any) -> Any:
    return jax.vmap(landscape.loss)(thetas)


class _Network(NamedTuple):
    """Basins with their cores, and what is measured between them. ends: the cores, and the target last."""

    question: Question
    run: Execution
    part: Part
    score: Any
    around: Surroundings
    ends: tuple[AbstractRegion, ...]

    @property
    def count(self) -> int:
        return len(self.ends) - 1

    def name(self, end: int) -> str:
        """A basin or the target, in words."""
        return "the target" if end == self.count else f"the basin of {show(self.around.basins[end].point.location)}"

    def only(self, *ends: int) -> AbstractRegion:
        """The union of these ends."""
        return OneOf(self.ends, np.isin(np.arange(self.count + 1), ends))

    def but(self, *ends: int) -> AbstractRegion:
        """The union of all others."""
        return OneOf(self.ends, ~np.isin(np.arange(self.count + 1), ends))

    def asked(self, start: Float[np.ndarray, " dim"] | None, target: AbstractRegion, avoid: AbstractRegion, stream):
        """The question of a jump, from a minimum or from the start itself, and its execution."""
        chain, question, starts = self.question.chain, self.question, self.question.starts
        if start is not None:
            starts = start_states(start.astype(starts.dtype), chain, 1)
        watch = monitor_for(chain, target, avoid, question.monitoring, starts[:, : chain.dim])
        run = functools.reduce(lambda run, number: run.derived(number), stream, self.run)
        return question._replace(starts=starts, target=target, avoid=avoid), run._replace(starts=starts, monitor=watch)

    def rate(self, start: int, end: int, asking: Asking, again: int) -> Answer:
        """The rate of jumps from one basin to another, or to the target."""
        stage(f"from {self.name(start)} to {self.name(end)}")
        number = (again * self.count + start) * (self.count + 1) + end
        asked, run = self.asked(
            self.around.basins[start].point.location, self.only(end), self.but(start, end), (Stream.BASINS, number)
        )
        score = self.score if end == self.count else self._score_towards_core(asked)
        with tuned(steps_fused=_STEPS_FUSED):
            return self.part(asked, run, asking, score)

    def _score_towards_core(self, asked: Question) -> Any:
        """On the line a core's own level function orders states as well as any other."""
        chain = asked.chain
        if chain.dim == 1:
            return "level"
        theta = asked.starts[0, : chain.dim]
        return choose(chain, theta, asked.target, avoid=asked.avoid, settled=True).score or "level"

    def first(self) -> Int[np.ndarray, " K_and_target"]:
        """How many trajectories from the start come to each basin's core, or the target, first."""
        stage("from the start")
        _, run = self.asked(None, self.but(self.count), self.only(self.count), (Stream.FIRST_BASIN,))
        theta = run.theta(run.starts)
        levels = np.array([float(core.level(jnp.asarray(theta[0]))) for core in self.ends[:-1]])
        if levels.min() < 0:
            return np.append(_FIRST * (levels == levels.min()), 0)
        run.ledger.start(_FIRST)
        ids, clocks = np.arange(_FIRST), np.zeros(_FIRST, np.int64)
        budgets = np.full(_FIRST, min(_FIRST_STEPS, run.steps))
        with tuned(steps_fused=_STEPS_FUSED):
            ends = run.go_on(run.monitor, run.states(_FIRST), ids, clocks, budgets)
        inside = jnp.asarray(run.theta(ends.state))[ends.code == StopCode.TARGET]
        nearest = np.argmin([np.asarray(bound(_levels, core)(inside)) for core in self.ends[:-1]], axis=0)
        there = int(np.sum(ends.code == StopCode.AVOID))
        return np.append(np.bincount(nearest, minlength=self.count), there)


def _levels(core: Any, thetas: Any) -> Any:
    return jax.vmap(core.level)(thetas)


def _cores(around: Surroundings) -> tuple[AbstractRegion, ...]:
    """The core of each basin; ValueError where there are too many, or they overlap."""
    if len(around.basins) > _MOST_BASINS:
        raise ValueError(f"there are more than {_MOST_BASINS}")
    points = [basin.point for basin in around.basins]
    names = tuple(show(point.location) for point in points)
    return core_sets(points, around.barriers, None, names, towards=around.towards)


def _between_basins(
    question: Question, run: Execution, asking: Asking, part: Part, score: Any, around: Surroundings, cores: Any
) -> Answer:
    """The answer by the jump process between slow basins, with these cores, and the target."""
    ways, detours = _jumps(around.jumps, question.chain.dim)
    jumps = [*ways, *detours]
    run = run._replace(watch_share=1 / len(jumps))
    network = _Network(question, run, part, score, around, (*cores, question.target))
    first = network.first()
    each = asking.of(1 / math.sqrt(len(ways)))._replace(trajectories=asking.trajectories // len(jumps))
    asked = dict.fromkeys(ways, each) | dict.fromkeys(detours, each.of(np.inf))
    found: dict[tuple[int, int], Answer] = {}
    due = jumps
    for again in range(_ROUNDS):
        for place, jump in enumerate(due):
            with run.ledger.part(1 / (len(due) - place)):
                found[jump] = network.rate(*jump, asked[jump], again)
        sample = _sample(network, found, first, detours)
        width = float(sample.mean_exit_time.relative_half_width)
        if asking.rtol is None or not width > asking.rtol or not math.isfinite(width):
            break
        due = _worst(sample, jumps)
        finer = 0.8 * asking.rtol / width
        asked |= {jump: asked[jump].of(finer) for jump in due}
    findings = _unseen_detours(sample, found, detours)
    return Answer("splitting", sample, _verdict(network, sample, found, findings, asking))


def _jumps(known: Bool[np.ndarray, "K K_and_target"], dim: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Jumps along ways that are known, and others that may happen beside them.

    Off the line trajectories also jump where no saddle leads, past the basin that the lowest way goes through: into the
    target from any basin, and among few basins between any two.
    """
    count, ways, detours = len(known), [], []
    for start, end in np.ndindex(*known.shape):
        if known[start, end]:
            ways.append((start, end))
        elif dim > 1 and start != end and (end == count or count <= _FEW):
            detours.append((start, end))
    return ways, detours


def _unseen_detours(sample: JumpProcessSample, found, detours) -> list[tuple[Status, str]]:
    """What is to be said of detours that were never seen: nothing where the mean time would hardly be another."""
    value, findings = float(sample.mean_exit_time.value), []
    for place in detours:
        bound = found[place].evidence.exit_rate
        if bound.value > 0:
            continue
        rates = sample.rates.value.copy()
        rates[place] = bound.high
        at_most = dataclasses.replace(sample, rates=Estimate(rates, rates, rates, sample.rates.confidence))
        change = abs(float(at_most.mean_exit_time.value) / value - 1)
        if not change < _NEGLIGIBLE:
            words = f"a jump that was never seen, at a rate of {float(bound.high):.3g} at most,"
            findings.append((Status.INCOMPLETE, f"{words} may change the mean time by {change:.0%}"))
    return findings


def _sample(network: _Network, found: dict[tuple[int, int], Answer], first: np.ndarray, detours) -> JumpProcessSample:
    value, low, high = np.zeros((3, network.count + 1, network.count + 1))
    for place, answer in found.items():
        rate = answer.evidence.exit_rate
        if rate.value > 0 or place not in detours:
            value[place], low[place], high[place] = rate.value, rate.low, rate.high
    every = [answer.evidence for answer in found.values()]
    return JumpProcessSample(
        watch=network.question.watch(),
        locations=np.array([basin.point.location for basin in network.around.basins]),
        cores=network.ends[:-1],
        rates=Estimate(value, low, high, network.question.confidence),
        first=first,
        settled_by=max(each.settling_time or 0.0 for each in every),
        checked=min(each.checked_until or 0.0 for each in every),
        told=network.around.told,
        n_trajectories=sum(each.trajectories for each in every),
        n_diverged=sum(each.diverged for each in every),
    )


def _worst(sample: JumpProcessSample, jumps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The rates whose intervals make up most of that of the mean time."""
    widths = {}
    for jump in jumps:
        rates = sample.rates
        low, high = rates.value.copy(), rates.value.copy()
        low[jump], high[jump] = rates.low[jump], rates.high[jump]
        alone = dataclasses.replace(sample, rates=Estimate(rates.value, low, high, rates.confidence))
        widths[jump] = float(np.log(alone.mean_exit_time.high / alone.mean_exit_time.low))
    return [jump for jump in jumps if widths[jump] > max(widths.values()) / 3]


def _verdict(network: _Network, sample: JumpProcessSample, found, findings, asking: Asking) -> Verdict:
    for (start, end), answer in found.items():
        if sample.rates.high[start, end] == 0:
            continue
        way = f"from {network.name(start)} to {network.name(end)}"
        findings += [(status, f"{way}: {reason}") for status, reason in answer.verdict.findings]
        rate, settling = float(answer.evidence.exit_rate.value), float(answer.evidence.settling_time or 0.0)
        if rate * settling * _APART > 1:
            words = (
                f"{way} it takes {1 / rate:.4g} on average, only {1 / (rate * settling):.3g} times the {settling:.4g} "
                "that the motion inside takes to settle, so that a rate depends on what counts as inside"
            )
            findings.append((Status.NOT_METASTABLE, words))
    findings += network.around.findings
    if int(sample.first.sum()) < _FIRST:
        words = f"{_FIRST - int(sample.first.sum())} of {_FIRST} trajectories from the start came to no basin's core"
        findings.append((Status.UNDECIDED, words))
    width = float(sample.mean_exit_time.relative_half_width)
    if asking.rtol is not None and not width <= asking.rtol and not findings:
        findings.append((Status.BUDGET_SPENT, f"the rates gave {width:.3g} and not rtol = {asking.rtol}"))
    return Verdict(tuple(findings))
