"""The one result of a first passage, whatever method found it: estimates with intervals, verdict and provenance."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._errors import numbers
from ..results import AbstractResult, Provenance, Status, Verdict
from ..statistics import Estimate, add_estimate
from ._evidence import AbstractEvidence

if TYPE_CHECKING:
    import xarray as xr


class FirstPassage(AbstractResult):
    """What was found of a first passage: how likely it is, how long it takes, and how far that can be trusted.

    evidence: what the method saw, such as a DirectSample, a SplittingSample or a SteadyStateSample. Its further names
        are attributes of the result too: `exit_times`, `outcome`, `count` of direct simulation; `levels`, `weights`,
        `repetitions` and others of splitting. A name that another method has raises an AttributeError that says which.
    verdict, provenance: what is to be said about the numbers, and how they came about.
    """

    evidence: AbstractEvidence
    verdict: Verdict
    provenance: Provenance

    @property
    def probability(self) -> Estimate:
        """P(target reached by the horizon, and before `avoid`).

        Undecided trajectories (diverged; still running where there is no horizon) are left out of the value and read
        both ways in the interval. Direct simulation has exact intervals; splitting those of the spread between
        repetitions, on a logarithmic scale with Student's quantile. Where splitting never reached the target the value
        is 0 and the upper bound that of a level on the way. With neither horizon nor `avoid`, splitting's answer is 1,
        as long as the target can be reached.
        """
        return self.evidence.probability

    def survival(self, times: Any) -> Estimate:
        """P(target not reached by each time), as an Estimate of the shape of `times`.

        times: SDE times from 0 to the horizon. Raises ValueError beyond it: nothing was observed there. For a mean time
        by splitting it is exp(−rate·t) at any time, valid where that is long against `settling_time`.
        """
        return self.evidence.survival(times)

    @property
    def exit_rate(self) -> Estimate:
        """Exits per unit of SDE time at risk, P(target reached)/E(time until the end)."""
        return self.evidence.exit_rate

    @property
    def mean_exit_time(self) -> Estimate:
        """E τ, the mean SDE time to reach the target.

        Without a horizon the mean itself, for a rare passage that from the settled law. With one, T: ∫₀ᵀ S dt + S(T)/λ,
        with the hazard λ of the second half taken to last from there on: right once the law has forgotten its start
        by T/2. That is taken for granted, and no status is about it: what is asked without a horizon is checked. With
        an `avoid` set, or too few passages to tell, the reciprocal of `exit_rate`, infinite without any.
        Of a chain that changes in time it is not known, NaN in [0, ∞], unless all were seen to arrive.
        """
        if self.evidence.watch.changes and self.evidence.censored:
            return Estimate(np.nan, 0.0, np.inf, self.confidence)
        return self.evidence.mean_exit_time

    @property
    def trajectories(self) -> int:
        """How many trajectories started from the start, pilots not counted."""
        return self.evidence.trajectories

    @property
    def censored(self) -> int:
        """How many of them were still running at the horizon; for splitting, of as many direct ones."""
        return self.evidence.censored

    @property
    def diverged(self) -> int:
        """How many trajectories stopped being finite."""
        return self.evidence.diverged

    @property
    def settling_time(self) -> float | None:
        """SDE time after which the law has forgotten the start, for a mean time by splitting; else None."""
        return self.evidence.settling_time

    @property
    def checked_until(self) -> float | None:
        """SDE time up to which it was watched whether the settled law changes again; None where it was not asked for.

        A basin that is found later than that, and a law that then changes, would not have been seen.
        """
        return self.evidence.checked_until

    @property
    def surroundings(self) -> str | None:
        """What was explored of the landscape around the way to the target, in words; None where that was not asked.

        Where there is no landscape to explore, trajectories alone tell, up to `checked_until`.
        """
        return self.evidence.surroundings

    @property
    def method(self) -> str:
        """What answered: "direct", "splitting", or a person's own method."""
        return self.provenance.method

    @property
    def path_steps(self) -> int:
        """Cost in chain steps over all trajectories, pilots included."""
        return self.provenance.path_steps

    @property
    def seed(self) -> int:
        """Of the random numbers."""
        return self.provenance.seed

    @property
    def horizon(self) -> float:
        """SDE time of the watch, a whole number of steps; without one, of the budget of steps."""
        return self.evidence.watch.horizon

    @property
    def open_ended(self) -> bool:
        """There was no horizon but a budget of steps: a trajectory still running is undecided, not staying."""
        return self.evidence.watch.open_ended

    @property
    def confidence(self) -> float:
        """Coverage of the intervals."""
        return self.evidence.watch.confidence

    @property
    def time_step(self) -> float:
        """SDE time of a step."""
        return self.evidence.watch.time_step

    @property
    def monitoring(self) -> str:
        """What was watched: "discrete", the chain itself, or "continuous", its path between steps too."""
        return self.evidence.watch.monitoring

    def to_dataset(self, times: Sequence[float] | None = None) -> "xr.Dataset":
        """Everything as an xarray Dataset with `units` and `long_name`; survival at SDE times, `times` or 65.

        Raises ValueError as `survival` does.
        """
        import xarray as xr

        grid = np.linspace(0, self.horizon, 65) if times is None else numbers("times", times)
        data = xr.Dataset(coords={"time": ("time", grid, {"units": "SDE time", "long_name": "time"})})
        add_estimate(data, "probability", (), self.probability, "1", "probability to reach the target by the horizon")
        add_estimate(data, "mean_exit_time", (), self.mean_exit_time, "SDE time", "mean time to reach the target")
        add_estimate(data, "exit_rate", (), self.exit_rate, "1 / SDE time", "exits per unit of time at risk")
        survival = "probability that the target is not reached"
        add_estimate(data, "survival", ("time",), self.survival(grid), "1", survival)
        for name, (dims, values, units, long_name) in self.evidence.details().items():
            data[name] = (dims, values, {"units": units, "long_name": long_name})
        names = ("horizon", "confidence", "seed", "method", "monitoring", "result", "path_steps", "time_step")
        names += ("diverged", "censored", "trajectories")
        data.attrs = {name: getattr(self, name) for name in names} | self.evidence.attributes()
        data.attrs |= {"status": str(self.status), "provenance": str(self.provenance)}
        return data

    def plot(self, ax: Any = None, *, times: Any = None, theory: Any = None, reached: bool = False) -> Any:
        """P(target not reached by t) with its interval as a band, and theory beside it: see `plotting.survival`.

        times: (n,) SDE times; by default 129 up to the horizon, or without one up to three mean times.
        theory: a mean time τ, drawn as exp(−t/τ), a function of times (n,) that returns P(target not reached by t),
            (n,), or a mapping from names to these.
        reached: draw P(target reached by t) in its place, on a logarithmic axis: for passages so rare that the survival
            is 1 to the eye.
        Raises ValueError as `survival` does for times beyond the horizon.

        Example: `found.plot(theory={"Eyring–Kramers": ss.theory.eyring_kramers(diffusion, minimum, saddle)})`.
        """
        from ..plotting import survival

        return survival(self._drawn(times, reached), ax, theory=theory)

    def _drawn(self, times: Any, reached: bool) -> "xr.Dataset":
        """The dataset at times that show the curve, with `reached` where that is asked for."""
        end, mean = self.horizon, 3 * float(self.mean_exit_time)
        if self.open_ended and np.isfinite(mean):
            # a mean time by splitting knows the law at any time
            end = mean if self.settling_time is not None else min(mean, end)
        data = self.to_dataset(np.linspace(0, end, 129).tolist() if times is None else times)
        if reached:
            by, survival = getattr(self.evidence, "reached", None), self.survival(data.time.values)
            found = by(data.time.values) if by else Estimate(1 - survival.value, 1 - survival.high, 1 - survival.low)
            add_estimate(data, "reached", ("time",), found, "1", "probability that the target is reached")
        return data

    def __getattr__(self, name: str) -> Any:
        # only names that are found nowhere else come here
        if name.startswith("_") or name == "evidence":
            raise AttributeError(name)
        if hasattr(type(self.evidence), name) or name in _fields(type(self.evidence)):
            return getattr(self.evidence, name)
        owners = [kind.found_by for kind in _kinds(AbstractEvidence) if hasattr(kind, name) or name in _fields(kind)]
        if owners:
            raise AttributeError(
                f"{name} is what {' and '.join(dict.fromkeys(owners))} has, and this first passage was found by "
                f"{self.evidence.found_by}"
            )
        raise AttributeError(f"a first passage has no attribute {name!r}")

    def _answers(self):
        watch = self.evidence.watch
        by = "ever" if watch.open_ended else f"by t = {watch.horizon:.6g}"
        before = ", before the avoided set" if watch.avoids else ""
        # it is of what was not watched, and nothing is asked of it
        assumed = "" if watch.open_ended or not self.evidence.censored else ", if exits go on as in the second half"
        rows = [
            ("probability", f"{self.probability}, to reach the target {by}{before}"),
            ("mean time", f"{self.mean_exit_time}{assumed}"),
            ("confidence", f"{watch.confidence:.3g}, {watch.monitoring} monitoring"),
            ("trajectories", f"{self.trajectories:,}" + (f", {self.diverged:,} diverged" if self.diverged else "")),
        ]
        rows += self.evidence.remarks()
        if self.settling_time is None:
            return rows
        rows.append(("settling time", f"{self.settling_time:.4g}, checked until {self.checked_until:.4g}"))
        return [*rows, ("surroundings", self.surroundings)] if self.surroundings else rows


def with_divergence(verdict: Verdict, evidence: AbstractEvidence) -> Verdict:
    """The verdict, with those that diverged first among its findings."""
    if not evidence.diverged:
        return verdict
    reason = (
        f"{evidence.diverged} trajectories stopped being finite; they are left out of the values, and the intervals "
        "hold for whatever became of them: take a smaller step"
    )
    return Verdict(((Status.DIVERGED, reason), *verdict.findings), verdict.fine)


def _kinds(base: type) -> Iterator[type]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


def _fields(kind: type) -> Any:
    return getattr(kind, "__dataclass_fields__", {})
