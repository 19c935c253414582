"""What theory says beside a cell of an occupancy study: shares in the end, and at times by the rates of the jumps."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

# its rooms load when they are first used: `sde-sgd status` needs none of them
import sde_sgd as ss

from ._dynamics import Theories, solver
from ._minima import Minima

if TYPE_CHECKING:
    import xarray as xr

    from ._occupancy import OccupancyStudy

# temperatures at which rates are asked for, between which their logarithms are interpolated over 1/T
_TEMPERATURES = 24
# how far below its beginning a learning rate is followed: rates there are those of a well that nothing leaves
_LEAST = 0.02
# the parts of a study that decide rates at a constant learning rate
_OF_RATES = frozenset({"landscape", "minimum", "search", "noise", "sweep", "chain", "reference"})


def theory(one: "OccupancyStudy", shared: Minima, sets: dict[str, Any], start: np.ndarray) -> "xr.Dataset":
    """Stationary shares of the basins by Laplace's method and by the grid solver; and shares at the study's times.

    one: a study of one cell. sets: its regions or minima, as `ss.occupancy` takes them. start: θ, shape (dim,).
    """

    def gibbs():
        _need_minima(one)
        return shared.gibbs_weights(one)

    def exact():
        if not one.region:
            raise ValueError("it is for regions, and minima were given")
        law = solver(one.diffusion_of(shared.surface(one)), one.reference)
        return [law.stationary_probability(region) for region in sets["regions"].values()]

    theories, words = Theories(), "stationary probability to be in the basin"
    (basins,) = sets.values()
    dims = {"basin": len(basins)}
    theories.add("probability_gibbs", "Gibbs weights", "1", f"{words}, Laplace's method", gibbs, dims)
    theories.add("probability_exact", "exact solver", "1", f"{words}, exact solver of the SDE", exact, dims)
    if one.times is not None and not one.region:
        dims |= {"time": len(one.times)}
        words = "probability to be in the basin by the rate equation, rates by"
        for name, by, rates in (
            ("probability_kramers", "Eyring–Kramers", _kramers),
            ("probability_rates", "the exact solver", _measured),
        ):
            theories.add(
                name,
                f"rate equation, rates by {by}",
                "1",
                f"{words} {by}",
                lambda rates=rates: _at_times(one, shared, start, rates),
                dims,
            )
    return theories.dataset()


def _need_minima(one: "OccupancyStudy") -> None:
    if one.region:
        raise ValueError("it is for minima, and regions were given")


def _at_times(one: "OccupancyStudy", shared: Minima, start: np.ndarray, rates: Callable[..., Any]) -> np.ndarray:
    """Shares of the minima at the times, (minima, times), of a learning rate that may fall."""
    times = np.asarray(one.times)
    share = _share_of_rate(one, float(times[-1]))
    # rates per own time, in which the drift is −∇L, at temperatures that are so many times the first
    heats = np.ones(1) if one.schedule is None else np.geomspace(_LEAST, 1, _TEMPERATURES)

    def tabulated() -> np.ndarray:
        return np.stack([np.asarray(rates(_at_share(one, heat), shared)) for heat in heats])

    tables = shared.kept(f"{rates.__name__} {len(heats)}", one, tabulated, _OF_RATES)
    if not np.all(np.isfinite(tables[-1])):
        raise ValueError("there is no number for the rates at the beginning")
    # where it is so cold that a rate is below the rounding of others, it may be no number, or below 0: nothing jumps
    logs = _interpolated(heats, np.maximum(np.nan_to_num(tables, posinf=0.0), 0.0))

    def of_time(time: float) -> np.ndarray:
        now = float(share(time))
        return now * logs(now) if now >= heats[0] else np.zeros_like(tables[0])

    places = np.stack([each.location for each in shared.polished(one)])
    distances = np.linalg.norm(places - start, axis=1)
    if distances.min() > 1e-2:
        raise ValueError(f"it begins at one of the minima, and the start is {distances.min():.2g} from the nearest")
    begins = np.eye(len(places))[int(np.argmin(distances))]
    return ss.theory.rate_equation(of_time, begins, times).T


def _interpolated(heats: np.ndarray, tables: np.ndarray) -> Callable[[float], np.ndarray]:
    """Rates at a temperature: logarithms over 1/T, along which Arrhenius's law is a straight line."""
    if len(heats) == 1:
        return lambda heat: tables[0]
    from scipy.interpolate import PchipInterpolator

    with np.errstate(divide="ignore"):
        logs = np.maximum(np.log(tables), -700.0)
    line = PchipInterpolator(1 / heats[::-1], logs[::-1])

    def rates(heat: float) -> np.ndarray:
        return np.where(tables[-1] > 0, np.exp(line(1 / heat)), 0.0)

    return rates


def _share_of_rate(one: "OccupancyStudy", last: float) -> Callable[[Any], Any]:
    """The learning rate over that of the beginning, as a function of the SDE time up to the last one."""
    falling, rate = one.schedule, one.sweep.learning_rate
    if falling is None or rate is None:
        return np.ones_like
    from .. import _chains

    # one call for all times: between them the schedule is smooth
    known = np.concatenate([[0.0], np.geomspace(1e-3 * rate, last, 4_000)])
    values = np.asarray(_chains.schedule(falling, 1.0)(known / rate), np.float64)
    return lambda times: np.interp(times, known, values)


def _at_share(one: "OccupancyStudy", share: float) -> "OccupancyStudy":
    """The study at a constant learning rate, so many times that of the beginning."""
    sweep = one.sweep
    if sweep.learning_rate is not None:
        sweep = sweep.model_copy(update={"learning_rate": sweep.learning_rate * share})
    return one.model_copy(update={"schedule": None, "sweep": sweep})


def _kramers(one: "OccupancyStudy", shared: Minima) -> np.ndarray:
    diffusion = one.diffusion_of(shared.surface(one))
    return ss.theory.rate_matrix(diffusion, shared.polished(one), shared.saddles(one))


def _measured(one: "OccupancyStudy", shared: Minima) -> np.ndarray:
    """Of two minima on a line, from the slowest relaxation and the law in the end: two states then have both.

    The spectral gap is the sum of both rates, and the share of a side of the saddle that of the way there in the gap.
    """
    minima = [each.location for each in shared.polished(one)]
    if len(minima) != 2 or len(minima[0]) != 1:
        raise ValueError(f"it is for two minima on a line, got {len(minima)} in {len(minima[0])} dimensions")
    exact, (way,) = solver(one.diffusion_of(shared.surface(one)), one.reference), shared.saddles(one)
    side = float(np.sign(minima[1] - minima[0])[0])
    first = exact.stationary_probability(ss.regions.HalfSpace([side], side * float(way.saddle.location[0])))
    return exact.spectral_gap() * np.array([[0.0, 1 - first], [first, 0.0]])
