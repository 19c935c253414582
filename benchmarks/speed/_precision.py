"""Splitting beside its rivals: the time each needs to know a probability near 1e-9 to 10 %.

The precision is that of a 95 % interval of relative half-width 10 %, a standard error of 5 %. No contender meets it to
the dot, so the time of a run is scaled by (its standard error / 5 %)²: the variance of every one falls like one over
its time. Both times are reported.

The standard error is measured, from the spread of the independent repetitions within the runs. Variants of one family,
which differ in what they run at once and not in the method or the number of trajectories, are taken together, or the
luckiest would be the fastest. Every run has random numbers of its own, and who strays from the exact value by more than
six standard errors of all runs together is named as wrong.
"""

import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import sde_sgd as ss

from ..validation import splitting
from . import rivals
from ._measure import OURS, Contender, Entry, Missing, Target, Timing, label, measure
from ._report import missing_rows, print_missing, print_target, significant

# P = 1.026e-9; for tiny runs 6e-4
LEVEL, QUICK_LEVEL = 4.75, 3.0
STANDARD_ERROR = 0.05
_HALF_WIDTH, _QUICK_HALF_WIDTH = 0.1, 0.8
_TRAJECTORIES, _QUICK_TRAJECTORIES = 16_384, 1_024
# pytams takes a tenth of a second for a trajectory: a part of a run
_PYTAMS, _QUICK_PYTAMS = (16, 24), (2, 1)
_DIRECT, _QUICK_DIRECT = 65_536, 512
DIRECT = f"{OURS}, direct"
_SIGMAS = 6.0

TARGETS = (Target(rivals.NUMPY_SPLITTING, at_least=50), Target("pytams", at_least=50))


@dataclass
class Precision:
    """Estimates of the repetitions in every run of a family; none where a run does not come to an estimate."""

    truth: float
    runs: list[np.ndarray] = field(default_factory=list)

    @property
    def standard_error(self) -> float:
        """Of one run, relative to the exact value: root mean square of what the runs' spreads say."""
        return math.sqrt(np.mean([np.var(run, ddof=1) / len(run) for run in self.runs])) / self.truth

    @property
    def mean(self) -> float:
        return float(np.mean([run.mean() for run in self.runs])) / self.truth

    @property
    def strays(self) -> float:
        """Distance from the exact value, in standard errors of all runs."""
        return abs(self.mean - 1) / (self.standard_error / math.sqrt(len(self.runs)))

    def watched(self, contender: Contender) -> Contender:
        """The same contender, whose estimates are kept."""

        def run():
            estimates = contender.run()
            if estimates is not None:
                self.runs.append(estimates)

        return replace(contender, run=run)


def ours(level: float, rtol: float) -> Contender:
    seeds = iter(range(2**32))

    def run():
        found = splitting.run(level, next(seeds), rtol)
        assert isinstance(found.evidence, ss.passage.SplittingSample)
        return np.bincount(found.repetition, found.weights, found.repetitions)

    return Contender(OURS, run, 1, splitting.STEPS)


def direct(level: float, trajectories: int) -> Contender:
    """For the rate of its path-steps: hardly a trajectory arrives."""
    region = ss.regions.HalfSpace(np.array([1.0]), level)
    options = {"horizon": splitting.DT * splitting.STEPS, "trajectories": trajectories, "method": "direct"}

    def run():
        assert float(ss.escape(splitting.CHAIN, np.zeros(1, np.float32), region, **options).probability.value) <= 1

    return Contender(DIRECT, run, trajectories, splitting.STEPS)


def event(level: float) -> rivals.Event:
    """The same chain as a user of NumPy writes it."""
    keep = np.float32(1 - splitting.DT)

    def mean(x, out):
        np.multiply(x, keep, out=out)

    return rivals.Event(mean, math.sqrt(splitting.DT), 0.0, level, splitting.STEPS)


def run_precision(rounds: int, quick: bool) -> dict[str, Any]:
    level = QUICK_LEVEL if quick else LEVEL
    truth = splitting.exact(level)
    print(f"\nOrnstein–Uhlenbeck chain, P = {truth:.4g} to a standard error of {STANDARD_ERROR:.0%}", flush=True)
    load = os.getloadavg()[0]
    entries = _entries(level, quick)
    known = {entry.family: Precision(truth) for entry in entries}
    timings, missing = measure(
        [known[entry.family].watched(entry) if isinstance(entry, Contender) else entry for entry in entries], rounds
    )
    rows, wrong = _rows(timings, known, truth)
    result = {
        "name": "splitting",
        "text": f"Ornstein–Uhlenbeck chain to {level}, time to a standard error of {STANDARD_ERROR:.0%}",
        "exact": truth,
        "steps": splitting.STEPS,
        "rounds": rounds,
        "load": [significant(load), significant(os.getloadavg()[0])],
        "contenders": rows,
        "targets": [_target_row(rows, target, judge=not quick) for target in TARGETS],
        "missing": missing_rows(missing + wrong),
    }
    _print(result)
    return result


def _entries(level: float, quick: bool) -> list[Entry]:
    pytams = _QUICK_PYTAMS if quick else _PYTAMS
    return [
        ours(level, _QUICK_HALF_WIDTH if quick else _HALF_WIDTH),
        *rivals.numpy_splitting(event(level), _QUICK_TRAJECTORIES if quick else _TRAJECTORIES),
        *rivals.pytams_rounds(level, splitting.DT, splitting.STEPS, *pytams),
        direct(level, _QUICK_DIRECT if quick else _DIRECT),
    ]


def _rows(
    timings: Sequence[Timing], known: dict[str, Precision], truth: float
) -> tuple[list[dict[str, Any]], list[Missing]]:
    rows, wrong = [], []
    for timing in timings:
        precision = known[timing.contender.family]
        if precision.runs and not precision.strays < _SIGMAS:
            text = f"wrong: {precision.mean:.3f} of the exact value, {precision.strays:.1f} standard errors off"
            wrong.append(Missing(label(timing.contender), text))
        else:
            rows.append(_row(timing, precision, truth))
    return rows, wrong


def _row(timing: Timing, precision: Precision, truth: float) -> dict[str, Any]:
    """A time is computed where no run came to an estimate: as many trajectories as it takes, at the rate measured."""
    contender = timing.contender
    if precision.runs:
        error, how = precision.standard_error, "measured"
        known = {"mean_over_exact": significant(precision.mean), "runs": len(precision.runs)}
    else:
        least, how = _least(contender, truth)
        # the standard error of these trajectories' share in so many, so that one formula serves all
        error, known = STANDARD_ERROR * math.sqrt(least / contender.trajectories), {"trajectories_needed": least}
    scaled = [value * (error / STANDARD_ERROR) ** 2 for value in timing.seconds]
    return {
        "family": contender.family,
        "variant": contender.variant,
        "how": how,
        "relative_standard_error": significant(error) if precision.runs else None,
        **known,
        "median_seconds": significant(timing.median),
        "median_seconds_to_precision": significant(statistics.median(scaled)),
        "seconds": [significant(value) for value in timing.seconds],
        "seconds_to_precision": [significant(value) for value in scaled],
    }


def _least(contender: Contender, truth: float) -> tuple[int, str]:
    """Trajectories that the precision takes, and on what grounds."""
    if contender.family == DIRECT:
        return math.ceil((1 - truth) / truth / STANDARD_ERROR**2), "computed: direct simulation at its measured rate"
    # killing one at a time with the best of all scores the variance is −ln p over the population, and each of it is
    # drawn anew −ln p times
    population = -math.log(truth) / STANDARD_ERROR**2
    return math.ceil(population * (1 - math.log(truth))), "computed: as if its score were the best possible"


def _target_row(rows: Sequence[dict[str, Any]], target: Target, *, judge: bool) -> dict[str, Any]:
    members = [row for row in rows if row["family"] == target.against]
    best = min(members, key=lambda row: row["median_seconds_to_precision"], default=None)
    own = next((row for row in rows if row["family"] == target.ours), None)
    value = None
    if best is not None and own is not None:
        value = float(np.median(np.divide(best["seconds_to_precision"], own["seconds_to_precision"])))
    against = target.against if best is None else best["family"] + (f", {best['variant']}" if best["variant"] else "")
    return {
        "ours": target.ours,
        "against": against,
        "kind": "speed",
        "ratio": None if value is None else significant(value),
        "at_least": target.at_least,
        "at_most": target.at_most,
        "met": target.met(value) if judge and value is not None else None,
    }


def _print(result: dict[str, Any]) -> None:
    for row in result["contenders"]:
        name = row["family"] + (f", {row['variant']}" if row["variant"] else "")
        error = row["relative_standard_error"]
        of = row["how"] if error is None else f"a run: {row['median_seconds']:.3g} s, ±{error:.1%}"
        print(f"  {name:76s} {row['median_seconds_to_precision']:10.4g} s   {of}")
    print_missing(result["missing"])
    for row in result["targets"]:
        print_target(row)
