"""Escape times from a trained minimum: SGD, its SDE and the linearised theory over γ and M, and what they say."""

from typing import TYPE_CHECKING, Any

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int
from scipy import special

from .._quantities import WORDS
from ..landscapes import Polished
from ..results import AbstractResult, Provenance, Status, Verdict
from ..statistics import Estimate, add_estimate, normal_width, student_width

if TYPE_CHECKING:
    import xarray as xr

PROCESSES = ("sgd", "sde", "linear")
_WORDS = {"sgd": "SGD", "sde": "its SDE", "linear": "linearised at the minimum"}
_WHY = {
    "saddle": "a saddle, which leave_saddles=True goes on from",
    "kink": "on a kink, where there is no Hessian",
    "unfinished": "no critical point",
}


class TrainedEscape(AbstractResult):
    """Mean times to leave {L < L(θ*) + height} from θ*; arrays have the dimensions processes, rates, sizes.

    polished: θ*, and which kind of point it is. height: in units of the loss. learning_rate, batch_size: γ and M.
    probability: to leave within `iterations`. mean_time: E τ in SDE time, γ for an iteration; see
    `FirstPassage.mean_exit_time`. diverged: how many trajectories stopped being finite.
    limit: slope of log E τ against M/γ that the linearised process tends to at low noise (`theory.exit_exponent`), NaN
    where θ* is no minimum. processes: those run; asked: those asked for. iterations, trajectories, provenance: how.
    """

    polished: Polished
    height: float
    learning_rate: Float[np.ndarray, " rates"]
    batch_size: Int[np.ndarray, " sizes"]
    probability: Estimate
    mean_time: Estimate
    diverged: Int[np.ndarray, "processes rates sizes"]
    limit: float
    processes: tuple[str, ...] = eqx.field(static=True)
    asked: tuple[str, ...] = eqx.field(static=True)
    iterations: int = eqx.field(static=True)
    trajectories: int = eqx.field(static=True)
    provenance: Provenance

    @property
    def inverse_ratio(self) -> Float[np.ndarray, "rates sizes"]:
        """M/γ of each cell, in examples per SDE time of an iteration."""
        return self.batch_size[None, :] / self.learning_rate[:, None]

    @property
    def slopes(self) -> Estimate:
        """d log E τ/d(M/γ) of each process, (processes,), by weighted least squares over all cells; in γ/M's unit.

        The interval takes the cells' own errors; where the cells scatter about the line by more than those, it is
        widened to that scatter with Student's quantile. NaN in [−∞, ∞] with fewer than two ratios.
        """
        lines = [
            _slope(self.inverse_ratio.ravel(), self.mean_time[place], self.confidence)
            for place in range(len(self.processes))
        ]
        return Estimate(*np.array(lines).reshape(-1, 3).T, self.confidence)

    def against(self, process: str, other: str = "sgd") -> Estimate:
        """Mean time of one process over that of another in each cell, shape (rates, sizes), without unit.

        Intervals of all cells together have the confidence of the result (Bonferroni), on a logarithmic scale.
        process, other: names of `processes`; ValueError for those that were not run.
        """
        for name in (process, other):
            if name not in self.processes:
                raise ValueError(f"process must be one that was run, {', '.join(self.processes)}, got {name!r}")
        one, two = (self.mean_time[self.processes.index(name)] for name in (process, other))
        (value, error), (base, base_error) = _logarithms(one), _logarithms(two)
        half = -special.ndtri((1 - self.confidence) / (2 * value.size)) * np.hypot(error, base_error)
        known = np.isfinite(half)
        with np.errstate(invalid="ignore"):
            middle = np.exp(value - base)
            low, high = (np.exp(value - base + side * half) for side in (-1, 1))
        return Estimate(
            np.where(known, middle, np.nan), np.where(known, low, 0), np.where(known, high, np.inf), self.confidence
        )

    @property
    def confidence(self) -> float:
        """Coverage of the intervals."""
        return self.mean_time.confidence

    @property
    def sentence(self) -> str:
        """What the numbers say: slopes of log time, and whether the SDE and the theory have SGD's times."""
        slopes = "; ".join(
            f"{_WORDS[name]} {slope:.3g}" for name, slope in zip(self.processes, self.slopes, strict=True)
        )
        said = [f"log of the mean time to leave grows per unit of M/γ by: {slopes}"]
        if np.isfinite(self.limit):
            said.append(f"at low noise the linearised one tends to {self.limit:.3g}")
        for name in self.processes:
            if name != "sgd" and "sgd" in self.processes:
                said.append(self._comparison(name))
        return "; ".join(said)

    @property
    def verdict(self) -> Verdict:
        """Complete, or what is to be said: θ* is no minimum, trajectories diverged, cells without a bound above."""
        found = Verdict()
        kind = self.polished.kind
        if not self.polished.is_minimum:
            what = _WHY.get(kind, "degenerate: along some direction the Hessian does not tell whether it is a minimum")
            found = found.also(Status.INCOMPLETE, f"training did not lead to a minimum; what was found is {what}")
        elif set(self.asked) - set(self.processes):
            many = f"the linearised process was left out for {len(self.polished.location):,} parameters, above 1,000"
            found = found.also(Status.INCOMPLETE, many)
        if self.diverged.any():
            whole = self.diverged.size * self.trajectories
            found = found.also(Status.DIVERGED, f"{self.diverged.sum()} of {whole} trajectories stopped being finite")
        open_ended = int(np.sum(~np.isfinite(self.mean_time.high)))
        if open_ended:
            reason = f"{open_ended} of {self.mean_time.value.size} mean times have no bound above; give more iterations"
            found = found.also(Status.BUDGET_SPENT, reason)
        return found

    def to_dataset(self) -> "xr.Dataset":
        """All numbers over `process`, `learning_rate` and `batch_size`, with intervals, units and long names."""
        import xarray as xr

        data = xr.Dataset(
            coords={
                "process": ("process", list(self.processes)),
                "learning_rate": ("learning_rate", self.learning_rate, WORDS["learning_rate"]),
                "batch_size": ("batch_size", self.batch_size, WORDS["batch_size"]),
            }
        )
        dims = ("process", "learning_rate", "batch_size")
        words = "of leaving the sublevel set"
        add_estimate(data, "probability", dims, self.probability, "1", f"probability {words} in the iterations watched")
        add_estimate(data, "mean_exit_time", dims, self.mean_time, "SDE time", f"mean time {words}")
        add_estimate(data, "slope", dims[:1], self.slopes, "γ/M", "slope of log mean time against M/γ")
        if "sgd" in self.processes:
            ratios = [self.against(name) for name in self.processes]
            parts = (np.stack([getattr(each, part) for each in ratios]) for part in ("value", "low", "high"))
            add_estimate(data, "ratio", dims, Estimate(*parts, self.confidence), "1", "mean time over that of SGD")
        data["diverged"] = (dims, self.diverged, {"units": "1", "long_name": "trajectories that stopped being finite"})
        data["inverse_ratio"] = (dims[1:], self.inverse_ratio, {"units": "M/γ", "long_name": "M/γ"})
        data.attrs = {
            "status": self.result, "sentence": self.sentence, "point": str(self.polished), "height": self.height,
            "limit": self.limit, "iterations": self.iterations, "trajectories": self.trajectories,
            "confidence": self.confidence, "provenance": str(self.provenance),
        }  # fmt: skip
        return data

    def plot(self, ax: Any = None) -> Any:
        """Mean times against M/γ with intervals and fitted lines, and over SGD's: see `plotting.escape_times`.

        ax: two, for the times and the ratios. Returns them, (2,).

        Example: `found.plot()[0].figure.savefig("times.png")`.
        """
        from ..plotting._escape_times import escape_times_on

        return escape_times_on(ax, self.to_dataset())

    def _comparison(self, name: str) -> str:
        ratio = self.against(name)
        known = np.isfinite(ratio.high)
        differ = int(np.sum(~ratio.contains(1.0)))
        if not known.any():
            return f"{_WORDS[name]}: times that cannot be compared with SGD's"
        values = ratio.value[known]
        agree = "agrees in all" if not differ else f"differs in {differ}"
        return (
            f"{_WORDS[name]}: {values.min():.3g} to {values.max():.3g} of SGD's times, {agree} of {known.sum()} cells"
        )

    def _answers(self) -> list[tuple[str, str]]:
        cells = f"{self.inverse_ratio.size}, M/γ from {self.inverse_ratio.min():.4g} to {self.inverse_ratio.max():.4g}"
        return [
            ("from", str(self.polished)),
            ("set", f"loss below {self.polished.loss + self.height:.6g}, {self.height:.4g} higher"),
            ("cells", f"{cells}; {self.trajectories:,} trajectories of each process in each"),
            *((f"slope, {name}", str(slope)) for name, slope in zip(self.processes, self.slopes, strict=True)),
            ("says", self.sentence),
        ]


def _logarithms(estimate: Estimate) -> tuple[np.ndarray, np.ndarray]:
    """log of each, and its standard error by the interval; infinite where the interval has an end at 0 or infinity."""
    normal = normal_width(estimate.confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = (np.log(estimate.high) - np.log(estimate.low)) / (2 * normal)
        value = np.log(estimate.value)
    known = np.isfinite(error) & np.isfinite(value)
    return np.where(known, value, 0.0), np.where(known, error, np.inf)


def _slope(x: np.ndarray, times: Estimate, confidence: float) -> tuple[float, float, float]:
    """Slope of log time against x with its interval, of the cells whose times have one."""
    value, error = (each.ravel() for each in _logarithms(times))
    known = np.isfinite(error) & (error > 0)
    x, value, weight = x[known], value[known], 1 / error[known] ** 2
    if len(np.unique(x)) < 2:
        return np.nan, -np.inf, np.inf
    away = x - np.average(x, weights=weight)
    spread = float(weight @ away**2)
    slope = float((weight * away) @ value) / spread
    left = value - np.average(value, weights=weight) - slope * away
    normal: Any = normal_width(confidence)
    half = normal / np.sqrt(spread)
    if len(x) > 2:
        scatter = float(weight @ left**2) / (len(x) - 2)
        if scatter > 1:
            half = student_width(confidence, len(x) - 2) * np.sqrt(scatter / spread)
    return slope, slope - half, slope + half
