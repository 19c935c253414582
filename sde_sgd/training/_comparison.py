"""What a comparison of chains found: means over networks, distances with p-values, theory, and it all in a sentence."""

from typing import TYPE_CHECKING, Any

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, Int

from ..results import AbstractResult, Provenance, Status, Verdict
from ..statistics import Estimate, add_estimate, student_mean

if TYPE_CHECKING:
    import xarray as xr


class Comparison(AbstractResult):
    """Chains beside the first of them; arrays have the dimensions chains (or others, all but the first), looks.

    names: of the chains. times: SDE times of the looks. steps: of each chain at each look. measures: their names, with
    their units and words. values: each measure of every network, NaN where one diverged. has_diverged: whether θ or a
    measure of a network is no finite number.
    distances: from the first chain; of kinds, which are θ (energy distance), each measure (Kolmogorov–Smirnov) and the
    share that diverged (difference). p_value: of all looks and kinds of a chain, adjusted for the number of chains;
    what is below 1 − confidence differs. p_look: of one look and kind, adjusted for all others of that chain.
    p_pointwise: as if it were the only one. smallest_shift: of the first measure at the last look, in its units, that
    would have been seen with probability 80 %; NaN where no shift would.
    theory: mean loss by the linearised process of the first chain at each look; or None, and without_theory says why.
    confidence: of intervals, and 1 minus the error budget. provenance: how it came about. Source: as of `compare`.
    """

    names: tuple[str, ...] = eqx.field(static=True)
    times: Float[np.ndarray, " looks"]
    steps: Int[np.ndarray, "chains looks"]
    measures: tuple[str, ...] = eqx.field(static=True)
    units: tuple[str, ...] = eqx.field(static=True)
    words: tuple[str, ...] = eqx.field(static=True)
    values: Float[np.ndarray, "measures chains looks networks"]
    has_diverged: Bool[np.ndarray, "chains looks networks"]
    distances: Float[np.ndarray, "others looks kinds"]
    p_look: Float[np.ndarray, "others looks kinds"]
    p_pointwise: Float[np.ndarray, "others looks kinds"]
    p_value: Float[np.ndarray, " others"]
    smallest_shift: Float[np.ndarray, " others"]
    theory: Float[np.ndarray, " looks"] | None
    without_theory: str = eqx.field(static=True)
    confidence: float = eqx.field(static=True)
    provenance: Provenance

    @property
    def networks(self) -> int:
        """How many of each chain."""
        return self.values.shape[3]

    @property
    def diverged(self) -> Int[np.ndarray, "chains looks"]:
        """How many networks of each chain were not finite at each look."""
        return self.has_diverged.sum(axis=2)

    @property
    def differs(self) -> dict[str, bool]:
        """Whether each of the other chains, by name, was told from the first within the error budget."""
        told = self.p_value <= 1 - self.confidence
        return dict(zip(self.names[1:], told.tolist(), strict=True))

    @property
    def verdict(self) -> Verdict:
        """Complete, or how many networks of which chains diverged."""
        found = Verdict()
        for name, count in zip(self.names, self.diverged[:, -1], strict=True):
            if count:
                words = f"{count} of {self.networks} networks of {name} stopped being finite"
                found = found.also(Status.DIVERGED, words)
        return found

    def mean(self, measure: str) -> Estimate:
        """Mean over the networks that stayed finite, with Student's interval at each look, shape (chains, looks).

        measure: one of `measures`; ValueError for others.
        """
        if measure not in self.measures:
            raise ValueError(f"measure must be of {', '.join(self.measures)}, got {measure!r}")
        values = self.values[self.measures.index(measure)]
        return student_mean(np.where(self.has_diverged, np.nan, values), self.confidence)

    @property
    def sentence(self) -> str:
        """What was found of each chain, in words made from the numbers."""
        return "; ".join(self._said(place) for place in range(len(self.names) - 1)) + "."

    def to_dataset(self) -> "xr.Dataset":
        """All of it over `chain` and `time`; over `other`, `time` and `statistic` for the distances and p-values."""
        import xarray as xr

        seconds = {"units": "SDE time", "long_name": "SDE time t = γ · iterations"}
        data = xr.Dataset(
            coords={
                "chain": ("chain", list(self.names), {"long_name": "chain"}),
                "other": ("other", list(self.names[1:]), {"long_name": f"chain, against {self.names[0]}"}),
                "time": ("time", self.times, seconds),
                "statistic": ("statistic", ["theta", *self.measures, "diverged"], {"long_name": "what is compared"}),
            }
        )
        for name, units, words in zip(self.measures, self.units, self.words, strict=True):
            add_estimate(data, name, ("chain", "time"), self.mean(name), units, f"mean of {words}")
        per_look, per_test = ("chain", "time"), ("other", "time", "statistic")
        data["steps"] = (per_look, self.steps, {"units": "1", "long_name": "steps taken"})
        data["diverged"] = (per_look, self.diverged, {"units": "1", "long_name": "networks that are not finite"})
        if self.theory is not None:
            words = {"units": "loss", "long_name": "mean loss of the linearised process"}
            data["loss_theory"] = ("time", self.theory, words)
        words = "distance of laws: of θ energy distance, in √θ; of measures Kolmogorov–Smirnov's; of shares diverged"
        data["law_distance"] = (per_test, self.distances, {"units": "1", "long_name": words})
        words = {"p_look": "p-value, one budget for all looks", "p_pointwise": "p-value of one look alone"}
        for name, long_name in words.items():
            data[name] = (per_test, getattr(self, name), {"units": "1", "long_name": long_name})
        data["p_value"] = ("other", self.p_value, {"units": "1", "long_name": "p-value, one budget for all"})
        words = f"shift of the {self.words[0]} that would be seen with probability 80 %"
        data["smallest_shift"] = ("other", self.smallest_shift, {"units": self.units[0], "long_name": words})
        data.attrs = {
            "status": self.result, "provenance": str(self.provenance), "sentence": self.sentence,
            "confidence": self.confidence, "networks": self.networks, "measures": ",".join(self.measures),
            "without_theory": self.without_theory,
        }  # fmt: skip
        return data

    def plot(self, ax: Any = None) -> Any:
        """A panel for each measure with means and bands of the chains, and p-values below: see `plotting.comparison`.

        ax: one for each of `measures` and one for the p-values, (n,). Returns them.

        Example: `compared.plot()[0].figure.savefig("compared.png")`.
        """
        from ..plotting._comparison import comparison_on

        return comparison_on(ax, self.to_dataset())

    def _said(self, place: int) -> str:
        name, first, p_value = self.names[place + 1], self.names[0], float(self.p_value[place])
        if not self.differs[name]:
            return f"{name}: no difference from {first} seen (p = {p_value:.2g}){self._would_be_seen(place)}"
        parts = [*self._apart(place), *self._lost(place)]
        if not parts:
            at = self.times[self._told(place)[:, 0]]
            parts = ["the law of θ differs from that of " + first + (f" at t = {at[-1]:g}" if len(at) else "")]
        return f"{name}: {', '.join(parts)} (p = {p_value:.2g})"

    def _told(self, place: int) -> Bool[np.ndarray, "looks kinds"]:
        """Where a chain is told from the first, by the budget of all its looks."""
        return self.p_look[place] <= 1 - self.confidence

    def _apart(self, place: int) -> list[str]:
        """The measure that tells a chain from the first most clearly, at the last look where it does."""
        told = self._told(place)[:, 1:-1]
        if not told.any():
            return []
        clear = np.where(told.any(axis=0), self.p_look[place][:, 1:-1].min(axis=0), np.inf)
        best = int(np.argmin(clear))
        look = int(np.flatnonzero(told[:, best])[-1])
        mean = self.mean(self.measures[best])
        one, other = mean[0, look], mean[place + 1, look]
        what, at = self.measures[best].replace("_", " "), f"at t = {self.times[look]:g}"
        change = float(other) - float(one)
        if not abs(change) > np.hypot(one.high - one.value, other.high - other.value):
            return [f"the law of the {what} differs from that of {self.names[0]} {at}"]
        by = _percent(change / float(one)) if float(one) else f"{abs(change):.2g}"
        return [f"mean {what} {by} {'higher' if change > 0 else 'lower'} than {self.names[0]} {at}"]

    def _lost(self, place: int) -> list[str]:
        """How many diverged, where that tells a chain from the first."""
        told = np.flatnonzero(self._told(place)[:, -1])
        if not len(told):
            return []
        one, other = self.diverged[[0, place + 1], told[-1]]
        return [f"{other} of {self.networks} networks diverged against {one} of {self.names[0]}"]

    def _would_be_seen(self, place: int) -> str:
        shift, mean = float(self.smallest_shift[place]), float(self.mean(self.measures[0]).value[0, -1])
        if not np.isfinite(shift):
            return ""
        share = f" ({_percent(shift / mean)})" if mean else ""
        what = self.measures[0].replace("_", " ")
        return f"; a {what} shifted by {shift:.2g}{share} would have been seen with probability 80 %"

    def _answers(self) -> list[tuple[str, str]]:
        name = self.measures[0]
        lines = [
            (f"{name} of {chain}", f"{estimate} at t = {self.times[-1]:g}")
            for chain, estimate in zip(self.names, self.mean(name)[:, -1], strict=True)
        ]
        theory = f"{self.theory[-1]:.4g}" if self.theory is not None else f"none: {self.without_theory}"
        count = f"{self.networks} of each of {len(self.names)} chains, {len(self.times)} looks"
        lost = ", ".join(map(str, self.diverged[:, -1]))
        return [("networks", count), ("diverged", lost), *lines, ("theory", theory), ("found", self.sentence)]


def _percent(share: float) -> str:
    """The size of a share with two digits, without an exponent."""
    return f"{float(f'{100 * abs(share):.2g}'):g} %"
