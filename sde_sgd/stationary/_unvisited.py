"""What of the stationary law no trajectory of a time average was in: slow basins that exploration finds beside them."""

import math
from collections import deque
from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from .._errors import show
from .._jumps import log_weight, slow_groups
from .._numerics import of_points
from .._progress import stage
from ..chains import AbstractChain
from ..landscapes import AbstractLandscape, Exploration, explore, find_minima
from ..landscapes._affordable import affordable_climbs
from ..landscapes._known_points import UNBOUNDED
from ..random import increments_of

# temperatures up to which is explored, above the loss below which so many of the trajectories ended; and the chance
# below which that none of them ended in a basin is no accident
_MARGIN, _WITHIN, _CHANCE = 16.0, 0.9, 1e-3
# of the stationary law; less does not count as missing
_SHARE = 1e-3
# explorations that are kept, for the next call with this landscape: the cells of a study, say
_KEPT: deque[tuple[AbstractLandscape, bytes, float, Exploration]] = deque(maxlen=4)


class Unvisited(NamedTuple):
    """told: what was explored, or why nothing was. missing: where of the law nothing was seen, or "". Both in words."""

    told: str
    missing: str = ""


class SlowBasins(NamedTuple):
    """groups: numbers of minima that make one basin each. shares: of the stationary law, by exp(−L/T)/√det ∇²L."""

    groups: list[frozenset[int]]
    shares: Float[np.ndarray, " G"]


def slow_basins(found: Exploration, height: float, temperature: float, time_step: float) -> SlowBasins:
    """Of the minima that were found with a way up to `height`, in units of L above the first minimum."""
    edges = sorted(found.connections, key=lambda way: way.saddle.loss)
    reached = np.flatnonzero(found.passes - found.minima[0].loss <= height)
    known = set(reached.tolist())
    edges = [way for way in edges if {way.first, way.second} <= known]
    groups = slow_groups(found.minima, reached, edges, temperature, time_step)
    weights = np.array([log_weight([found.minima[each] for each in group], temperature) for group in groups])
    return SlowBasins(groups, np.exp(weights - np.logaddexp.reduce(weights)))


def unvisited(chain: AbstractChain, start: Float[np.ndarray, " dim"], ends: Float[np.ndarray, "dim n"]) -> Unvisited:
    """Whether exploration finds a basin with much of the law in which none of so many trajectories ended.

    start: θ of the first at the start, from which is explored. ends: θ at the last look, some of which may not be
    finite. Only for chains whose law is known, exp(−L/T): others, and what cannot be explored, are told.
    """
    landscape, temperature = chain.landscape, getattr(getattr(chain, "diffusion", None), "gibbs_temperature", None)
    if landscape is None:
        return _watched("the chain has no landscape")
    if temperature is None or chain.changes_in_time or not increments_of(chain.noise_kind).standardised:
        return _watched("the noise has no temperature that tells the law")
    points = np.asarray(ends, np.float64).T
    points = points[np.all(np.isfinite(points), axis=1)]
    temperature = float(np.asarray(temperature))
    if not len(points) or not temperature > 0:
        return _watched("no trajectory is finite" if temperature > 0 else "there is no noise")
    stage("surroundings")
    try:
        found, height = _explored(landscape, np.asarray(start, np.float64), points, temperature)
    except ValueError as error:
        return _watched(str(error))
    basins = slow_basins(found, height, temperature, float(np.asarray(chain.time_step)))
    told = f"explored up to {height:.3g} above the minimum below the start"
    if found.searched_to < height:
        told += f", searched up to {found.searched_to:.3g}"
    told += f": {sum(map(len, basins.groups))} minima, {len(basins.groups)} basins slow to leave"
    return Unvisited(told, _way_out(found, height) or _missing(found, basins, points))


def _watched(why: str) -> Unvisited:
    return Unvisited(f"not explored, watched only: {why}")


def _explored(
    landscape: AbstractLandscape,
    start: Float[np.ndarray, " dim"],
    points: Float[np.ndarray, "n dim"],
    temperature: float,
) -> tuple[Exploration, float]:
    """An exploration, and up to which height it matters: one further up, of few possible ones, serves other calls too.

    What a call is told does not depend on which explorations were kept.
    """
    climbs = affordable_climbs(landscape, start)
    floor = find_minima(landscape, start)[0].loss
    losses = np.sort(of_points("loss", landscape, points))
    warm = float(losses[math.ceil(_WITHIN * len(losses)) - 1]) - floor
    if not math.isfinite(warm):
        raise ValueError("losses at which trajectories ended are not finite")
    needed = max(warm, 0.0) + _MARGIN * temperature
    height = 2 ** (math.ceil(2 * math.log2(needed)) / 2)
    for known, begun, up_to, found in _KEPT:
        if up_to == height and begun == start.tobytes() and bool(eqx.tree_equal(known, landscape)):
            return found, needed
    found = explore(landscape, start, height=height, max_searches=climbs, progress=False)
    _KEPT.append((landscape, start.tobytes(), height, found))
    return found, needed


def _way_out(found: Exploration, height: float) -> str:
    """Where the loss falls without bound, in words."""
    for way in found.exits:
        if way.saddle.loss - found.minima[0].loss <= height and UNBOUNDED in way.leads_to:
            return (
                f"over a saddle at {way.saddle.loss:.4g} {way.leads_to}: there is no law exp(−L/T), and these are "
                "averages before that way is taken"
            )
    return ""


def _missing(found: Exploration, basins: SlowBasins, points: Float[np.ndarray, "n dim"]) -> str:
    """Of the basins in which none of these points is, unless by chance, the one with the largest share, in words."""
    if len(basins.groups) == 1:
        return ""
    seen = set(_nearest(found, basins, points).tolist())
    for place in np.argsort(-basins.shares):
        group, share = basins.groups[place], float(basins.shares[place])
        log_chance = len(points) * math.log1p(-share) if share < 1 else -math.inf
        if share >= _SHARE and group.isdisjoint(seen) and log_chance < math.log(_CHANCE):
            number = min(group, key=lambda each: found.minima[each].loss)
            point = found.minima[number]
            return (
                f"no trajectory ended in the basin of {show(point.location)}, with loss {point.loss:.4g} and reached "
                f"over a saddle at {found.passes[number]:.4g}: by the weights exp(−L/T)/√det ∇²L it holds {share:.2g} "
                "of the law"
            )
    return ""


def _nearest(found: Exploration, basins: SlowBasins, points: Float[np.ndarray, "n dim"]) -> Int[np.ndarray, " n"]:
    """The minimum by whose second order each point is the likeliest."""
    numbers = sorted(set().union(*basins.groups))
    losses = []
    for number in numbers:
        point = found.minima[number]
        away = points - point.location
        losses.append(point.loss + np.einsum("ni,ij,nj->n", away, point.hessian, away, optimize=True) / 2)
    return np.array(numbers)[np.argmin(losses, axis=0)]
