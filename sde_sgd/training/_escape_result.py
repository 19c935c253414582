"""Escape times from a trained minimum: SGD, its SDE and the linearised theory over γ and M, and what they say."""

from typing import TYPE_CHECKING, Any

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from .._quantities import WORDS
from ..landscapes import Polished
from ..results import AbstractResult, Provenance, Status, Verdict
from ..statistics import Estimate, add_estimate
from . import _escape_laws

if TYPE_CHECKING:
    import xarray as xr

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
    told: what single passages say against themselves, such as that they are uneven, each a status and words.
    Source: as of `escape_from`.
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
    told: tuple[tuple[Status, str], ...] = eqx.field(static=True)
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
        lines = [_escape_laws.slope(self.inverse_ratio, self.mean_time[place]) for place in range(len(self.processes))]
        parts = (np.array([getattr(line, part) for line in lines]) for part in ("value", "low", "high"))
        return Estimate(*parts, self.confidence)

    def against(self, process: str, other: str = "sgd") -> Estimate:
        """Mean time of one process over that of another in each cell, shape (rates, sizes), without unit.

        Intervals of all cells together have the confidence of the result (Bonferroni), on a logarithmic scale.
        process, other: names of `processes`; ValueError for those that were not run.
        """
        for name in (process, other):
            if name not in self.processes:
                raise ValueError(f"process must be one that was run, {', '.join(self.processes)}, got {name!r}")
        return _escape_laws.over(*(self.mean_time[self.processes.index(name)] for name in (process, other)))

    @property
    def confidence(self) -> float:
        """Coverage of the intervals."""
        return self.mean_time.confidence

    @property
    def sentence(self) -> str:
        """What the numbers say: slopes of log time, and whether the SDE and the theory have SGD's times."""
        others = [name for name in self.processes if name != "sgd"] if "sgd" in self.processes else []
        slopes = dict(zip(self.processes, self.slopes, strict=True))
        return _escape_laws.sentence(slopes, {name: self.against(name) for name in others}, self.limit)

    @property
    def verdict(self) -> Verdict:
        """Complete, or what is to be said: θ* is no minimum, trajectories diverged, what passages say against
        themselves, cells without a bound above.
        """
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
        for status, reason in self.told:
            found = found.also(status, reason)
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

    def _answers(self) -> list[tuple[str, str]]:
        cells = f"{self.inverse_ratio.size}, M/γ from {self.inverse_ratio.min():.4g} to {self.inverse_ratio.max():.4g}"
        return [
            ("from", str(self.polished)),
            ("set", f"loss below {self.polished.loss + self.height:.6g}, {self.height:.4g} higher"),
            ("cells", f"{cells}; {self.trajectories:,} trajectories of each process in each"),
            *((f"slope, {name}", str(slope)) for name, slope in zip(self.processes, self.slopes, strict=True)),
            ("says", self.sentence),
        ]
