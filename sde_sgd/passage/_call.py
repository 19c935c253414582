"""First passage: the public calls, their checks, and the choice of a method."""

import inspect
from collections.abc import Sequence
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Bool, Float

from .._errors import choose, concrete, fraction, positive, positive_integer
from ..chains import AbstractChain
from ..engine import MAX_STEPS, Compiled, check_first_step, resolve_ids, seed_key, start_states, steps_until
from ..regions import AbstractRegion
from ..scores import automatic
from ._direct import direct, direct_until, lingers, tells_rare
from ._monitor import monitor_for
from ._problem import Problem
from ._result import AbstractFirstPassage
from ._score import score_of
from ._split import split, split_until

Monitoring = Literal["discrete", "continuous"]
Method = Literal["auto", "direct", "splitting"]


def escape(
    chain: AbstractChain, start: Any, region: AbstractRegion, horizon: float | None = None, **options
) -> AbstractFirstPassage:
    """First exit from `region`: `first_passage` to its complement, with all of that call's options.

    Raises ValueError if `start` is not inside `region`.
    """
    _check_chain(chain)
    _check_region("region", region, chain.dim)
    return _passage(chain, start, ~region, None, horizon, inside=region, **_known(options))


def first_passage(
    chain: AbstractChain,
    start: Any,
    target: AbstractRegion,
    avoid: AbstractRegion | None = None,
    horizon: float | None = None,
    **options: Any,
) -> AbstractFirstPassage:
    """When and whether trajectories reach `target`, before `avoid` where one is given.

    chain: any chain; the passage is that of the chain unless `monitoring="continuous"`.
    start: (dim,) for all trajectories, or (trajectories, dim); outside both sets.
    target, avoid: regions. A trajectory stops at the first of them.
    horizon: SDE time of the watch, rounded down to whole steps; None watches until all have stopped.

    Options:
    trajectories: how many; ids 0, 1, 2, … choose their noise.
    rtol: in place of `trajectories`, run until the probability's interval has this relative half-width, by inverse
        binomial sampling (the number of passages is fixed in advance, so the interval stays exact).
    max_trajectories: budget of `rtol`, 2²⁴ by default; the result says when it was spent.
    max_steps: budget of a run without horizon, per trajectory, 10⁷ by default; trajectories still running then are
        undecided, and the result says so.
    seed: 0 … 2⁶⁴ − 1.
    confidence: coverage of the intervals, 0.95 by default.
    monitoring: "discrete", the passage of the chain itself, or "continuous", the passage of the diffusion, which also
        sees crossings between two steps (needs EulerMaruyama with gaussian increments).
    method: "direct"; "splitting", for passages however rare; or "auto", the default: splitting where fewer than one
        trajectory in 200 arrives and direct simulation would see fewer than 20 passages, or for a mean time where it
        would take more than some 10⁹ path-steps. A pilot with random numbers of its own tells, so that the choice
        biases neither answer; below 1024 trajectories there is no choice and no pilot. Splitting starts `trajectories`
        in all, in independent repetitions, or with `rtol=` as many repetitions as it takes; `max_trajectories` then
        bounds the trajectories started over all levels. Where its steps are coarse it takes them in parts.
        With neither horizon nor `avoid` it answers for the mean time, by the rate at which excursions from where
        settled trajectories usually are reach the target (`RecycledFirstPassage`); `rtol` is then that of the rate, and
        `max_steps` the budget of an excursion. With `avoid` and no horizon trajectories are followed to their end;
        where a pilot sees that both sets are rare from the start, the result says so, "undecided", at once.
    score: for splitting, a number that grows on the way to the target: a function of θ, or of θ and t; by default the
        target's level function, negated; "auto" for `scores.automatic`, which follows a way that bends, in one and two
        dimensions every way. Any score gives the right answer on average, a good one gives it soon, and a way along
        which it does not grow may go unseen. `result` says "uneven" where few repetitions hold most of it.
    repetitions: for splitting with `trajectories`, how many repetitions share them, 32 by default.
    trajectory_ids: run just these ids, to replay them.
    chunk: most trajectories in one compiled call; by default what is fast and fits memory.
    devices: those to run on, by default all local ones. Neither changes a bit of the result.

    Raises ValueError on a wrong shape, a start inside a set or with a loss or gradient that is not finite, a horizon
    below one step.
    Returns a FirstPassage, from splitting a SplitFirstPassage, or for a mean time a RecycledFirstPassage; `method` and
        `result` say what was done.
    """
    return _passage(chain, start, target, avoid, horizon, **_known(options))


def _passage(
    chain: AbstractChain,
    start: Any,
    target: AbstractRegion,
    avoid: AbstractRegion | None,
    horizon: float | None,
    *,
    inside: AbstractRegion | None = None,
    trajectories: int | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    monitoring: Monitoring = "discrete",
    method: Method = "auto",
    rtol: float | None = None,
    max_trajectories: int = 2**24,
    max_steps: int = 10_000_000,
    trajectory_ids: Any = None,
    score: Any = None,
    repetitions: int | None = None,
    chunk: int | None = None,
    devices: Sequence[Any] | None = None,
) -> AbstractFirstPassage:
    if method not in ("auto", "direct", "splitting"):
        raise ValueError(f"method must be 'auto', 'direct' or 'splitting', got {method!r}")
    fraction("confidence", confidence)
    if rtol is None:
        ids = resolve_ids(trajectories, trajectory_ids)
    else:
        if trajectories is not None or trajectory_ids is not None:
            raise ValueError("give either rtol or a number of trajectories, got both")
        positive("rtol", rtol)
        positive_integer("max_trajectories", max_trajectories)
        # one start serves as many as it will take
        ids = range(1)
    problem = pose(
        chain, start, target, avoid, horizon, len(ids), inside=inside, seed=seed, confidence=confidence,
        monitoring=monitoring, max_steps=max_steps, score=score, chunk=chunk, devices=devices,
    )  # fmt: skip
    if method == "splitting" and trajectory_ids is not None:
        raise ValueError("method='splitting' has no single trajectories to replay, got trajectory_ids; use 'direct'")
    spent = 0
    chooses = method == "auto" and trajectory_ids is None
    if problem.open_ended and problem.avoids and (method == "splitting" or (chooses and rtol is not None)):
        lingering, spent = lingers(problem)
        if lingering is not None:
            return lingering
    if chooses:
        rare, pilot = tells_rare(problem, None if rtol is not None else len(ids))
        method, spent = "splitting" if rare else "direct", spent + pilot
    if method == "splitting":
        problem = with_score(problem, score, target, avoid, horizon)
        if rtol is not None:
            return split_until(problem, rtol, max_trajectories, spent)
        return split(problem, len(ids), repetitions, spent)
    if rtol is not None:
        return direct_until(problem, rtol, max_trajectories, spent)
    return direct(problem, ids, spent)


def pose(
    chain: AbstractChain,
    start: Any,
    target: AbstractRegion,
    avoid: AbstractRegion | None,
    horizon: float | None,
    trajectories: int,
    *,
    inside: AbstractRegion | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    monitoring: Monitoring = "discrete",
    max_steps: int = 10_000_000,
    score: Any = None,
    chunk: int | None = None,
    devices: Sequence[Any] | None = None,
) -> Problem:
    """The passage that a call asks for, its arguments checked. inside: the region to leave, where there is one."""
    _check_chain(chain)
    _check_region("target", target, chain.dim)
    if avoid is not None:
        _check_region("avoid", avoid, chain.dim)
    starts = start_states(start, chain, trajectories)
    # one start for all is a broadcast view
    starts = starts[:1] if starts.strides[0] == 0 else starts
    _check_start(starts, inside, target, avoid)
    check_first_step(chain, starts)
    time_step = float(np.asarray(chain.time_step))
    return Problem(
        chain,
        monitor_for(chain, target, avoid, monitoring),
        score_of(chain, target, None if _is_auto(score) else score),
        starts,
        _whole_steps(horizon, time_step, max_steps),
        open_ended=horizon is None,
        mean_time=horizon is None and avoid is None,
        avoids=avoid is not None,
        time_step=time_step,
        monitoring=monitoring,
        confidence=float(confidence),
        seed=int(seed),
        key=seed_key(seed),
        chunk=chunk,
        devices=devices,
    )


def with_score(
    problem: Problem, score: Any, target: AbstractRegion, avoid: AbstractRegion | None, horizon: float | None
) -> Problem:
    """The problem with the score "auto", where that is asked for: it takes a while, and only splitting needs it."""
    if not _is_auto(score):
        return problem
    chosen = automatic(problem.chain, problem.starts[0], target, avoid=avoid, horizon=horizon)
    return problem._replace(score=score_of(problem.chain, target, chosen))


def _is_auto(score: Any) -> bool:
    return isinstance(score, str) and score == "auto"


_OPTIONS = [
    name
    for name, parameter in inspect.signature(_passage).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY and name != "inside"
]


def _known(options: dict[str, Any]) -> dict[str, Any]:
    for name in options:
        if name not in _OPTIONS:
            raise ValueError(choose("option", name, _OPTIONS))
    return options


def _check_chain(chain) -> None:
    if not isinstance(chain, AbstractChain):
        raise ValueError(f"chain must be a chain, such as EulerMaruyama(diffusion, dt), got {chain!r}")


def _whole_steps(horizon, time_step: float, max_steps: int) -> int:
    if horizon is None:
        positive_integer("max_steps", max_steps)
        steps = max_steps
    else:
        value = concrete(horizon)
        if isinstance(horizon, bool) or value is None or value.ndim or not np.isfinite(value) or value <= 0:
            raise ValueError(f"horizon must be a positive number of SDE time, or None, got {horizon!r}")
        steps = steps_until(float(value), time_step)
        if steps < 1:
            raise ValueError(f"horizon must be at least one step dt = {time_step:.6g}, got {horizon!r}")
    if steps > MAX_STEPS:
        raise ValueError(f"horizon must be at most 2**32 steps of dt = {time_step:.6g}, got {steps} steps")
    return steps


def _check_region(name: str, region, dim: int) -> None:
    if not isinstance(region, AbstractRegion):
        raise ValueError(f"{name} must be a region, such as regions.Ball(center, radius), got {region!r}")
    region.check(dim)


def _check_start(starts, inside, target, avoid) -> None:
    rule = "outside target, got {} inside it" if inside is None else "inside region, got {} outside it"
    _forbid(target, starts, rule)
    if avoid is not None:
        _forbid(avoid, starts, "outside avoid, got {} inside it")


def _forbid(region: AbstractRegion, points: Float[np.ndarray, "n dim"], rule: str) -> None:
    found = np.flatnonzero(_contains(region, points))
    if found.size:
        raise ValueError("start must lie " + rule.format(points[found[0]]))


def _contains(region: AbstractRegion, points: Float[np.ndarray, "n dim"]) -> Bool[np.ndarray, " n"]:
    return np.asarray(_CONTAINS.prepare(region)(points))


_CONTAINS = Compiled(lambda region, points: jax.vmap(region.contains)(points))
