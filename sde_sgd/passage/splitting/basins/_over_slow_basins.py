"""What is asked of a rare passage over several slow basins: the jumps between them are measured one by one."""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from ....results import Status, Verdict
from ....statistics import Estimate
from ..._execution import Execution
from ..._method import Answer
from ..._question import Question
from .._asking import COARSE, Asking
from ._jump_sample import JumpProcessSample
from ._looking import look_around
from ._network import FIRST, Network, NotFollowed, Part, cores_of
from ._surroundings import Surroundings, Unexplored

# mean time in a basin, in those that the motion inside takes to settle, below which it has no rate of its own
_APART = 20.0
_ROUNDS = 3
# most basins between which jumps are looked for where no saddle leads, and what one that was not seen may change
_FEW, _NEGLIGIBLE = 3, 0.03
# what is said of a rate is left out where even so many times as much of it would hardly change the answer
_DOUBTED = 100.0
# of the trajectories from the start, so many that came to the target first tell how often that is
_TELLING = 10
# of expected rates: the least, below the largest, that is told apart from none; a step in one that tells what it
# matters; and the least that one counts for, since they are not known
_LEAST_LOG_RATE, _NUDGE, _LEAST_WEIGHT = -600.0, 1.01, 0.1


class Seen(NamedTuple):
    """What lies around the way. answer: by the jumps between slow basins, or None where no other basin is slow.

    told: what was explored, in words. findings: what is to be said against an answer by one settled law. exchange: SDE
        time in which minima of the first basin exchange trajectories.
    """

    answer: Answer | None
    told: str
    findings: tuple[tuple[Status, str], ...] = ()
    exchange: float = 0.0


def over_slow_basins(
    question: Question,
    run: Execution,
    asking: Asking,
    part: Part,
    scores: tuple[Any, ...],
    around: Surroundings | None = None,
) -> Seen:
    """The answer to a question without a horizon where several basins on the way are slow to leave.

    scores: of splitting towards the target, and `avoid` where there is one.
    around: what lies around the way; where that is not known yet it is explored first.
    """
    found = around or look_around(question, run)
    if isinstance(found, Unexplored):
        return Seen(None, f"not explored, watched only: {found.reason}")
    if len(found.basins) == 1:
        return Seen(None, found.told, found.findings, found.exchange)
    try:
        network = Network(question, run, part, scores, found, (*cores_of(found, question.chain), *question.ends))
        return Seen(_by_jumps(network, asking), found.told)
    except NotFollowed as error:
        finding = Status.INCOMPLETE, f"{len(found.basins)} slow basins are not followed one by one: {error}"
        return Seen(None, found.told, (finding, *found.findings), found.exchange)


def _by_jumps(network: Network, asking: Asking) -> Answer:
    """The answer by the jump process between slow basins, and the sets where it ends."""
    ways, detours = _jumps(network.around.jumps, network.question.chain.dim)
    jumps = [*ways, *detours]
    network = network._replace(run=network.run._replace(watch_share=1 / len(jumps)))
    first = network.first()
    each = asking._replace(trajectories=asking.trajectories // len(jumps))
    asked = dict.fromkeys(detours, each.at_a_glance())
    asked |= {jump: each.of(share) for jump, share in _shares(network, first, ways).items()}
    found: dict[tuple[int, int], Answer] = {}
    due = jumps
    for again in range(_ROUNDS):
        for place, jump in enumerate(due):
            with network.run.ledger.part(1 / (len(due) - place)):
                found[jump] = network.rate(*jump, asked[jump], again)
        sample = _found(network, found, first, detours)
        if asking.rtol is None:
            break
        due = [jump for jump in detours if asked[jump].rtol is None and _is_lax(sample, found[jump], jump)]
        asked |= dict.fromkeys(due, each.of(np.inf))
        width = float(_asked(sample).relative_half_width)
        if math.isfinite(width) and width > asking.rtol:
            finer = 0.8 * asking.rtol / width
            worst = [jump for jump in _worst(sample, jumps) if jump not in due]
            asked |= {jump: asked[jump].of(finer) for jump in worst}
            due += worst
        if not due:
            break
    findings = [*_unseen_detours(sample, found, detours), *_straight(network, first, float(_asked(sample).value), each)]
    return Answer("splitting", sample, _verdict(network, sample, found, findings, asking))


def _shares(network: Network, first: np.ndarray, ways: list[tuple[int, int]]) -> dict[tuple[int, int], float]:
    """How much of the tolerance each rate may take, with the least work in all, by the rates that are expected.

    Where the answer's logarithm changes e_k times as much as that of rate k, which is known to r_k, its variance is
    Σ (e_k r_k)² and the work Σ r_k⁻²: least, for a given variance, where r_k² falls as |e_k|.
    """
    known, rates = network.around.log_rates, np.zeros((len(network.ends), len(network.ends)))
    below = np.maximum(known - known.max(), _LEAST_LOG_RATE)
    rates[: network.count] = np.where(network.around.jumps, np.exp(below), 0.0)
    expected = _sample(network, Estimate(rates, rates, rates, network.question.confidence), first, [])
    weights = {jump: max(abs(_elasticity(expected, jump)), _LEAST_WEIGHT) for jump in ways}
    total = sum(weights.values())
    return {jump: 1 / math.sqrt(weight * total) for jump, weight in weights.items()}


def _elasticity(sample: JumpProcessSample, jump: tuple[int, int]) -> float:
    """How much the answer's logarithm changes with that of one rate; 1 where it cannot be told."""

    def answer(factor: float) -> float:
        rates = sample.rates.value.copy()
        rates[jump] *= factor
        return float(_asked(dataclasses.replace(sample, rates=Estimate(rates, rates, rates, 0.95))).value)

    with np.errstate(all="ignore"):
        change = np.log(answer(_NUDGE) / answer(1 / _NUDGE)) / (2 * np.log(_NUDGE))
    return float(change) if np.isfinite(change) else 1.0


def _asked(sample: JumpProcessSample) -> Estimate:
    """What `rtol` is of: the mean time, or with a set to avoid the probability."""
    return sample.probability if sample.watch.avoids else sample.mean_exit_time


def _jumps(known: Bool[np.ndarray, "K L"], dim: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Jumps along ways that are known, and others that may happen beside them.

    Off the line trajectories also jump where no saddle leads, past the basin that the lowest way goes through: into the
    target or `avoid` from any basin, and among few basins between any two.
    """
    count, ways, detours = len(known), [], []
    for start, end in np.ndindex(*known.shape):
        if known[start, end]:
            ways.append((start, end))
        elif dim > 1 and start != end and (end >= count or count <= _FEW):
            detours.append((start, end))
    return ways, detours


def _unseen_detours(sample: JumpProcessSample, found, detours) -> list[tuple[Status, str]]:
    """What is to be said of detours of which only a bound is known: nothing where the answer would hardly change."""
    findings = []
    for place in detours:
        rate = found[place].evidence.exit_rate
        if rate.low > 0:
            continue
        at_most = _at_most(found[place])
        change = _change(sample, place, at_most)
        if not change < _NEGLIGIBLE:
            seen = "hardly" if rate.value > 0 else "never"
            words = f"a jump that was {seen} seen, at a rate of {at_most:.3g} at most,"
            findings.append((Status.INCOMPLETE, f"{words} may change the answer by {change:.0%}"))
    return findings


def _is_lax(sample: JumpProcessSample, answer: Answer, jump: tuple[int, int]) -> bool:
    """Whether a glance at a jump was too short: it may matter, and is not known well enough."""
    known = float(answer.evidence.exit_rate.relative_half_width) <= COARSE and not answer.verdict.findings
    return not known and _may_matter(sample, answer, jump)


def _may_matter(sample: JumpProcessSample, answer: Answer, jump: tuple[int, int]) -> bool:
    """Whether the whole would be another with as much of a jump as there may be."""
    return not _change(sample, jump, _at_most(answer)) < _NEGLIGIBLE


def _at_most(answer: Answer) -> float:
    """A rate that is not exceeded, also where few repetitions hold most of what was seen."""
    rate = answer.evidence.exit_rate
    return float(rate.high) * (_DOUBTED if rate.value > 0 and answer.verdict.findings else 1.0)


def _change(sample: JumpProcessSample, jump: tuple[int, int], rate: float) -> float:
    """By how much of itself the answer changes where that jump has another rate."""
    rates = sample.rates.value.copy()
    rates[jump] = rate
    other = dataclasses.replace(sample, rates=Estimate(rates, rates, rates, sample.rates.confidence))
    return abs(float(_asked(other).value) / float(_asked(sample).value) - 1)


def _straight(network: Network, first: np.ndarray, value: float, asking: Asking) -> list[tuple[Status, str]]:
    """What is to be said of ways from the start to the target past all basins, too rare for those that were watched.

    first: which core or set those came to first, as `Network.first` says. value: the probability that is answered.
    """
    if network.question.avoid is None or first[network.count] >= _TELLING:
        return []
    seen = network.straight(asking.of(np.inf))
    if seen is None or seen.value <= _NEGLIGIBLE * value:
        return []
    words = (
        f"from the start {float(seen.value):.3g} come to the target before they come to any basin, where "
        f"{int(first[network.count])} of {FIRST} that were watched did: ask from a basin, or by a horizon"
    )
    return [(Status.INCOMPLETE, words)]


def _found(network: Network, found: dict[tuple[int, int], Answer], first: np.ndarray, detours) -> JumpProcessSample:
    value, low, high = np.zeros((3, len(network.ends), len(network.ends)))
    for place, answer in found.items():
        rate = answer.evidence.exit_rate
        # one of which only a bound is known says nothing of its own, and leaves the others
        if rate.low > 0 or place not in detours:
            value[place], low[place], high[place] = rate.value, rate.low, rate.high
    rates = Estimate(value, low, high, network.question.confidence)
    return _sample(network, rates, first, [answer.evidence for answer in found.values()])


def _sample(network: Network, rates: Estimate, first: np.ndarray, every: list[Any]) -> JumpProcessSample:
    """every: the evidence for each of the rates."""
    return JumpProcessSample(
        watch=network.question.watch(),
        locations=np.array([basin.point.location for basin in network.around.basins]),
        cores=network.ends[: network.count],
        rates=rates,
        first=first,
        settled_by=max((each.settling_time or 0.0 for each in every), default=0.0),
        checked=min((each.checked_until or 0.0 for each in every), default=0.0),
        told=network.around.told,
        n_trajectories=sum(each.trajectories for each in every),
        n_diverged=sum(each.diverged for each in every),
    )


def _worst(sample: JumpProcessSample, jumps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The rates whose intervals make up most of that of the answer."""
    widths = {}
    for jump in jumps:
        rates = sample.rates
        low, high = rates.value.copy(), rates.value.copy()
        low[jump], high[jump] = rates.low[jump], rates.high[jump]
        alone = dataclasses.replace(sample, rates=Estimate(rates.value, low, high, rates.confidence))
        widths[jump] = float(np.log(_asked(alone).high / _asked(alone).low))
    return [jump for jump in jumps if widths[jump] > max(widths.values()) / 3]


def _verdict(network: Network, sample: JumpProcessSample, found, findings, asking: Asking) -> Verdict:
    for (start, end), answer in found.items():
        if sample.rates.high[start, end] == 0:
            continue
        way = f"from {network.name(start)} to {network.name(end)}"
        if _may_matter(sample, answer, (start, end)):
            findings += [(status, f"{way}: {reason}") for status, reason in answer.verdict.findings]
        rate, settling = float(answer.evidence.exit_rate.value), float(answer.evidence.settling_time or 0.0)
        if rate * settling * _APART > 1:
            words = (
                f"{way} it takes {1 / rate:.4g} on average, only {1 / (rate * settling):.3g} times the {settling:.4g} "
                "that the motion inside takes to settle, so that a rate depends on what counts as inside"
            )
            findings.append((Status.NOT_METASTABLE, words))
    findings += network.around.findings
    if int(sample.first.sum()) < FIRST:
        words = f"{FIRST - int(sample.first.sum())} of {FIRST} trajectories from the start came to no basin's core"
        findings.append((Status.UNDECIDED, words))
    width = float(_asked(sample).relative_half_width)
    if asking.rtol is not None and not width <= asking.rtol and not findings:
        findings.append((Status.BUDGET_SPENT, f"the rates gave {width:.3g} and not rtol = {asking.rtol}"))
    return Verdict(tuple(findings))
