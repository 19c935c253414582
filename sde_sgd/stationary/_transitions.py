"""Transition rates between minima, and the Markov jump process (Markov state model) that they make."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from .._errors import numbers
from .._jumps import delta_method, from_log_odds, log_odds, spectral_gap, stationary_law, transition_matrix, unseen
from ..regions import AbstractRegion
from ..results import AbstractResult, Provenance, Status, Verdict
from ..statistics import Estimate, add_estimate

if TYPE_CHECKING:
    import xarray as xr

# mean exit time, in times that the motion in the basin takes to settle: below it the rates depend on what "in a
# basin" means by more than some 5 %
_APART = 20.0


class Transitions(AbstractResult):
    """Rates of the jumps between K minima, and what follows from them for any time.

    A trajectory counts as at minimum i from when it enters the core of i until it enters another core. Where exits are
    slow against the motion inside the basins (the status tells) this is a Markov jump process with the rates
    k_ij = P(core j is the first other one)/E(time until then), from minimum i.

    rates: (K, K) per SDE time, entry (i, j) from i to j; 0 with the interval [0, 0] on the diagonal and between minima
        that are not neighbours. Intervals as of the first passages that each was found by.
    names: of the minima. cores: the sets whose entrance completes a transition. locations: (K, dim) of the minima.
    exit_times: (K,) mean time until another core is entered. settling_times: (K,) time that the motion in the basin
        takes to settle: that of the slowest linear relaxation, 1/|λ|, at the minimum and at the saddles out of it; or
        where that is longer the one that splitting measured.
    methods: of each rate, "direct" or "splitting". findings: what each first passage had to say, with its status.
    diverged: trajectories that stopped being finite, over all first passages; each reads them both ways in the interval
        of its rate. time_step: SDE time of a step. provenance: how it came about.

    Quantities computed from the rates carry their uncertainty: each rate's interval, taken as that of an independent
    log-normal error, by the delta method (`tests/test_jump_process.py` measures the coverage). Where a rate has an
    upper bound only, they are NaN, with intervals that exclude nothing. Source: as of `transitions`.
    """

    names: tuple[str, ...]
    locations: Float[np.ndarray, "K dim"]
    cores: tuple[AbstractRegion, ...]
    rates: Estimate
    exit_times: Float[np.ndarray, " K"]
    settling_times: Float[np.ndarray, " K"]
    methods: dict[tuple[int, int], str]
    findings: tuple[tuple[Status, str], ...]
    diverged: int
    time_step: float
    provenance: Provenance

    @property
    def confidence(self) -> float:
        """Coverage that the intervals are made for."""
        return self.rates.confidence

    @property
    def stationary(self) -> Estimate:
        """Share of the time at each minimum in the end, (K,); interval on the scale of log-odds.

        Every share is as precise, relatively, as the rates are, however small it is.
        """
        return self._shares(stationary_law)

    @property
    def spectral_gap(self) -> Estimate:
        """Rate at which the slowest deviation from `stationary` dies out, per SDE time; interval on the log scale."""
        return delta_method(self.rates, lambda rates: np.log(spectral_gap(rates)), np.exp, (0.0, np.inf))

    @property
    def relaxation_time(self) -> Estimate:
        """1/`spectral_gap`, in SDE time."""
        gap = self.spectral_gap
        with np.errstate(divide="ignore"):
            return Estimate(1 / gap.value, 1 / gap.high, 1 / gap.low, gap.confidence)

    def occupancy(self, times: Any, start: int | Any = 0) -> Estimate:
        """P(at minimum j at t), shape (n_times, K); intervals on the scale of log-odds.

        times: (n_times,) SDE times from 0 on; valid where they are long against `settling_times`.
        start: number of the minimum that trajectories start at, or (K,) probabilities of each.
        Raises ValueError for times that are negative or not finite, or a start that is neither.
        """
        times = numbers("times", times)
        if times.ndim != 1 or not np.all(np.isfinite(times) & (times >= 0)):
            raise ValueError(f"times must be finite numbers of at least 0 of shape (n_times,), got {times}")
        first = _start(start, len(self.names))

        def at_times(rates):
            return np.array([first @ transition_matrix(rates, time) for time in times]).reshape(-1, len(first))

        return self._shares(at_times)

    @property
    def path_steps(self) -> int:
        """Cost, in chain steps over all trajectories."""
        return self.provenance.path_steps

    @property
    def verdict(self) -> Verdict:
        """Complete, or every reason not to rely on the numbers.

        Reasons: a basin whose mean exit time is less than 20 times its settling time, so that the two time scales on
        which the rates rest are not apart; a transition never seen; exits that lead to no neighbour; a first passage
        that was itself not complete, or saw trajectories diverge.
        """
        found = list(self.findings)
        for name, exit_time, settling in zip(self.names, self.exit_times, self.settling_times, strict=True):
            if exit_time < _APART * settling:
                words = (
                    f"the mean time to leave {name} is {exit_time:.4g}, only {exit_time / settling:.3g} times the "
                    f"{settling:.4g} that the motion inside takes to settle, so that a rate depends on what counts as "
                    "inside"
                )
                found.append((Status.NOT_METASTABLE, words))
        for i, j in zip(*np.nonzero(unseen(self.rates)), strict=True):
            words = f"from {self.names[i]} to {self.names[j]} no transition was seen: only a bound is known"
            found.append((Status.TARGET_NOT_REACHED, words))
        return Verdict(tuple(found))

    def to_dataset(self) -> "xr.Dataset":
        """Everything as an xarray Dataset with `units` and `long_name`; names without a jump have method ""."""
        import xarray as xr

        names = {
            axis: (axis, list(self.names), {"units": "name", "long_name": f"minimum {words}"})
            for axis, words in (("minimum", "itself"), ("from", "that is left"), ("to", "that is reached"))
        }
        data = xr.Dataset(coords=names)
        add_estimate(data, "rate", ("from", "to"), self.rates, "1 / SDE time", "rate of jumps")
        add_estimate(
            data, "stationary", ("minimum",), self.stationary, "1", "share of the time at the minimum in the end"
        )
        add_estimate(data, "spectral_gap", (), self.spectral_gap, "1 / SDE time", "rate of the slowest relaxation")
        add_estimate(data, "relaxation_time", (), self.relaxation_time, "SDE time", "time of the slowest relaxation")
        count = range(len(self.names))
        methods = [[self.methods.get((i, j), "") for j in count] for i in count]
        for name, dims, values, units, words in (
            ("location", ("minimum", "component"), self.locations, "θ", "location of the minimum"),
            ("exit_time", ("minimum",), self.exit_times, "SDE time", "mean time until another core is entered"),
            ("settling_time", ("minimum",), self.settling_times, "SDE time", "time that the basin takes to settle"),
            ("method", ("from", "to"), methods, "name", "how the rate was found"),
        ):
            data[name] = (dims, values, {"units": units, "long_name": words})
        names = ("confidence", "diverged", "time_step", "path_steps", "result")
        data.attrs = {name: getattr(self, name) for name in names}
        data.attrs |= {"seed": self.provenance.seed, "status": str(self.status)}
        return data

    def plot(self, ax: Any = None, *, landscape: Any = None) -> Any:
        """The network of minima: discs for the shares, arrows with the rates; see `plotting.transitions`.

        landscape: drawn behind them, its contours in two dimensions and its curve in one.

        Example: `found.plot(landscape=diffusion.landscape)`.
        """
        from ..plotting import transitions

        return transitions(self.to_dataset(), ax, landscape=landscape)

    def _answers(self) -> list[tuple[str, str]]:
        rows = [
            (f"{self.names[i]} to {self.names[j]}", f"{self.rates[i, j]} per SDE time, {self.methods.get((i, j), '')}")
            for i, j in zip(*np.nonzero(self.rates.high > 0), strict=True)
        ]
        shares = self.stationary
        rows += [(f"share of {name}", str(shares[place])) for place, name in enumerate(self.names)]
        return [*rows, ("relaxation time", f"{self.relaxation_time} in SDE time")]

    def _shares(self, fn) -> Estimate:
        return delta_method(self.rates, lambda rates: log_odds(fn(rates)), from_log_odds, (0.0, 1.0))


def _start(start: Any, count: int) -> Float[np.ndarray, " K"]:
    given = np.asarray(start)
    if given.shape == () and given.dtype.kind in "iu" and 0 <= given < count:
        return np.eye(count)[int(given)]
    valid = given.shape == (count,) and given.dtype.kind in "iuf"
    if not valid or not np.all(given >= 0) or not abs(given.sum() - 1) < 1e-6:
        raise ValueError(
            f"start must be a number from 0 to {count - 1} or probabilities of shape ({count},), got {start!r}"
        )
    return given / given.sum()
