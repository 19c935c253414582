"""Whether measured numbers support a claim: intervals against the region in which the claim has them; verdicts."""

import enum
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._precision import FINE
from ..statistics import Estimate
from ._cells import Cells

# places that a sentence names, of more it says how many
_NAMED = 3


class Answer(enum.Enum):
    """What the numbers say of a claim; the value is what a person reads."""

    SUPPORTED = "supported"
    """Every interval lies where the claim has it."""
    NOT_SUPPORTED = "not supported"
    """One lies wholly elsewhere."""
    UNDECIDED = "undecided at this precision"
    """Neither: an interval reaches across, there is no number, or a cell is not complete."""

    def __str__(self) -> str:
        return self.value


class Finding(NamedTuple):
    """Numbers that a claim speaks of, and where it has them.

    claim: what they must show, a sentence without a full stop. quantity: what the numbers are.
    cells: the numbers (n,) with their intervals; what a cell that is not complete says decides nothing.
    low, high: ends of the region, in the unit of the numbers; −inf or inf where it has no end.
    by: who says what is predicted beside them.
    """

    claim: str
    quantity: str
    cells: Cells
    low: float
    high: float
    by: str = ""


class Verdict(NamedTuple):
    """What the numbers say. answer: of the three. because: the rest of the sentence that begins with it."""

    answer: Answer
    because: str

    def __str__(self) -> str:
        return f"{self.answer}, because {self.because}"


def judge(finding: Finding) -> Verdict:
    """The verdict on one finding.

    Supported where every interval lies inside the region, ends included. Not supported where one lies wholly outside.
    Undecided otherwise: an interval reaches across an end, there is no number, or its cell is not complete.
    With intervals at 1 − α each and n numbers a true claim is called not supported with a probability of at most nα,
    and a false one supported with at most α. Source: Berger, Technometrics 24, 295 (1982); Bonferroni's inequality.
    """
    cells, region = finding.cells, _region_words(finding.low, finding.high)
    values = cells.estimates
    if not len(values):
        return Verdict(Answer.UNDECIDED, f"there is no number of {finding.quantity}")
    known = np.isfinite(values.value) & ~np.isnan(values.low) & ~np.isnan(values.high)
    sound = known & np.array([name in FINE for name in cells.status])
    outside = sound & ((values.high < finding.low) | (values.low > finding.high))
    inside = sound & (values.low >= finding.low) & (values.high <= finding.high)
    if outside.any():
        return Verdict(Answer.NOT_SUPPORTED, _said(finding, outside, f"not {region}"))
    if inside.all():
        return Verdict(Answer.SUPPORTED, _said(finding, inside, region))
    if not known.all():
        return Verdict(Answer.UNDECIDED, f"there is no number of {finding.quantity} at {_places(cells, ~known)}")
    if not sound.all():
        said = cells.status[int(np.flatnonzero(~sound)[0])]
        return Verdict(Answer.UNDECIDED, f"what is at {_places(cells, ~sound)} ended as '{said}'")
    return Verdict(Answer.UNDECIDED, _said(finding, ~inside, f"{region} or not", "may be"))


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on a claim of several findings: supported where all are, not supported where one is not.

    verdicts: on each of them, the one that says most first; with none it is undecided. Source: as of `judge`.
    """
    for answer in (Answer.NOT_SUPPORTED, Answer.UNDECIDED):
        found = [verdict.because for verdict in verdicts if verdict.answer is answer]
        if found:
            return Verdict(answer, "; ".join(found))
    if not verdicts:
        return Verdict(Answer.UNDECIDED, "nothing was measured")
    more = f"{_all(len(verdicts))} statements hold; " if len(verdicts) > 1 else ""
    return Verdict(Answer.SUPPORTED, more + verdicts[0].because)


def ratio_of(first: Estimate, second: Any) -> Estimate:
    """first/second, with the interval that holds it whenever both hold theirs (twice the chance to miss of one).

    second: an Estimate, or numbers without error. Both positive; what is not has no number. Shapes alike.
    """
    if not isinstance(second, Estimate):
        second = Estimate(second, second, second, first.confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, low, high = first.value / second.value, first.low / second.high, first.high / second.low
    good = (first.low >= 0) & (second.value > 0)
    high = np.where(second.low > 0, high, np.inf)
    value, low, high = (np.where(good, each, np.nan) for each in (value, low, high))
    return Estimate(value, low, high, first.confidence)


def slope_of(x: Any, logs: Estimate) -> Estimate:
    """Slope of the least-squares line through independent estimates, each weighted by its interval, as one Estimate.

    x: (n,), n ≥ 2. logs: (n,), with intervals that are nearly normal; their confidence is that of the slope's.
    Valid where the line is straight over the range of x.
    """
    x = np.asarray(x, float)
    width = (logs.high - logs.low) / 2
    if len(x) < 2 or not np.all(np.isfinite(width)) or not np.all(width > 0):
        return Estimate(np.nan, np.nan, np.nan, logs.confidence)
    weight = width**-2
    centre = x - np.average(x, weights=weight)
    spread = np.sum(weight * centre**2)
    slope, half = np.sum(weight * centre * logs.value) / spread, spread**-0.5
    return Estimate(slope, slope - half, slope + half, logs.confidence)


def log_of(estimate: Estimate) -> Estimate:
    """Natural logarithm of positive estimates; NaN where the lower bound is not above 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value, low, high = (np.log(each) for each in (estimate.value, estimate.low, estimate.high))
    good = np.isfinite(low)
    return Estimate(*(np.where(good, each, np.nan) for each in (value, low, high)), estimate.confidence)


def in_a_list(estimate: Estimate) -> Estimate:
    """A single estimate as an array of one."""
    return Estimate(
        *(np.atleast_1d(each) for each in (estimate.value, estimate.low, estimate.high)), estimate.confidence
    )


def _said(finding: Finding, chosen: np.ndarray, region: str, verb: str = "") -> str:
    """Of how many numbers it is said, and the numbers with where they are, of many the smallest and the largest."""
    cells, places, count = finding.cells, np.flatnonzero(chosen), len(finding.cells.where)
    whole = "the number" if count == 1 else f"{_all(count)} numbers"
    which = whole if len(places) == count else f"{len(places)} of {count} numbers"
    verb = verb or ("is" if count == 1 or len(places) == 1 else "are")
    values = cells.estimates.value[places]
    shown, between = places, "; "
    if len(places) > _NAMED:
        shown, between = [places[int(np.argmin(values))], places[int(np.argmax(values))]], " … "
    numbers = between.join(f"{cells.estimates[place]} at {cells.where[place]}" for place in shown)
    return f"of {finding.quantity} {which} {verb} {region}: {numbers}"


def _all(count: int) -> str:
    return "both" if count == 2 else f"all {count}"


def _places(cells: Cells, chosen: np.ndarray) -> str:
    places = np.flatnonzero(chosen)
    named = [cells.where[place] for place in places[:_NAMED]]
    return "; ".join([*named, *([f"{len(places) - _NAMED} more"] if len(places) > _NAMED else [])])


def _region_words(low: float, high: float) -> str:
    if np.isinf(high):
        return f"above {low:.4g}"
    return f"below {high:.4g}" if low <= 0 else f"between {low:.4g} and {high:.4g}"
