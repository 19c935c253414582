"""What of the stationary law no trajectory of a time average was in: slow basins that exploration finds beside them."""

import hashlib
import math
from collections import deque
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from .._errors import show
from .._jumps import log_weight, slow_groups
from .._numerics import arrays_and_rest, of_points
from .._progress import stage
from ..chains import AbstractChain
from ..landscapes import AbstractLandscape, CriticalPoint, Exploration, explore, find_minima
from ..landscapes._affordable import MOST_COMPONENTS, affordable_climbs
from ..landscapes._far_out import far_out
from ..landscapes._known_points import UNBOUNDED

# temperatures up to which is explored, above the loss below which so many of the trajectories ended; and the chance
# below which that none of them ended in a basin is no accident
_MARGIN, _WITHIN, _CHANCE = 16.0, 0.9, 1e-3
# temperatures above that up to which those basins count that climbs see by the way
_FURTHER = 30.0
# of the stationary law; less does not count as missing
_SHARE = 1e-3
# ends that are looked at, and how far a minimum's second order may exceed the loss there, for it to tell of them: as
# often as that, and temperatures
_MOST_ENDS, _TIMES, _BEYOND = 4_096, 2.0, 5.0
# of a minimum, relative, for another to be its mirror image
_ALIKE = 1e-4
# widths of the law from a minimum at which mirror images are compared, and temperatures by which they may differ there
_WIDTHS, _NEARLY = 3.0, 0.25
# explorations that are kept, for the next call with this landscape: the cells of a study, say
_KEPT: deque[tuple[Any, Exploration]] = deque(maxlen=4)

Telling = Callable[[Any], Any]
"""What a time average keeps of θ at n points, an array with n rows."""


class Unvisited(NamedTuple):
    """told: what was explored, or why nothing was. missing: where of the law nothing was seen, or "". Both in words."""

    told: str
    missing: str = ""


class SlowBasins(NamedTuple):
    """groups: numbers of minima that make one basin each. shares: of the stationary law, by exp(−L/T)/√det ∇²L."""

    groups: list[frozenset[int]]
    shares: Float[np.ndarray, " G"]


def slow_basins(
    found: Exploration, height: float, temperature: float, time_step: float, without: Collection[int] = ()
) -> SlowBasins:
    """Of the minima that were found with a way up to `height`, in units of L above the first minimum.

    without: numbers of minima that are left out.
    """
    near = np.flatnonzero(found.passes - found.minima[0].loss <= height)
    reached = [number for number in near.tolist() if number not in without]
    edges = sorted(found.connections, key=lambda way: way.saddle.loss)
    edges = [way for way in edges if {way.first, way.second} <= set(reached)]
    groups = slow_groups(found.minima, reached, edges, temperature, time_step)
    weights = np.array([log_weight([found.minima[each] for each in group], temperature) for group in groups])
    return SlowBasins(groups, np.exp(weights - np.logaddexp.reduce(weights)) if groups else weights)


def unvisited(
    chain: AbstractChain, start: Float[np.ndarray, " dim"], ends: Float[np.ndarray, "kept n"], telling: Telling
) -> Unvisited:
    """Whether exploration finds a basin with much of the law in which none of so many trajectories ended.

    start: θ of the first at the start, from which is explored. ends: θ at the last look, some of which may not be
    finite, where that `can_be_explored`. telling: what is averaged; a basin that is the mirror image of one that was
    seen adds nothing to it.
    Only for chains whose law is known, exp(−L/T): others, and what cannot be explored, are told.
    """
    landscape, temperature = chain.landscape, chain.gibbs_temperature
    if landscape is None:
        return _watched("the chain has no landscape")
    if temperature is None or chain.changes_in_time:
        return _watched("the noise has no temperature that tells the law")
    if not can_be_explored(chain):
        return _watched(f"there are {chain.dim} components, more than the {MOST_COMPONENTS} that are hopeful")
    points = np.asarray(ends, np.float64).T
    points = points[np.all(np.isfinite(points), axis=1)]
    points = points[:: -(-len(points) // _MOST_ENDS) or 1]
    if not len(points):
        return _watched("no trajectory is finite")
    stage("surroundings")
    looked = (landscape, np.asarray(start, np.float64), points, float(np.asarray(temperature)))
    try:
        around = _looked_around(*looked, chain, telling)
    # what is known of the trajectories is not lost to a look beside them
    except Exception as error:
        around = _watched(str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}")
    try:
        slow = _slow_far_out(*looked, telling)
    # as above, which has said why
    except Exception:
        slow = ""
    return around._replace(missing=around.missing or slow)


def can_be_explored(chain: AbstractChain) -> bool:
    """Whether θ is worth keeping for `unvisited`: where it has few enough components."""
    return chain.landscape is not None and chain.dim <= MOST_COMPONENTS


def _watched(why: str) -> Unvisited:
    return Unvisited(f"not explored, watched only: {why}")


def _looked_around(
    landscape: AbstractLandscape,
    start: Float[np.ndarray, " dim"],
    points: Float[np.ndarray, "n dim"],
    temperature: float,
    chain: AbstractChain,
    telling: Telling,
) -> Unvisited:
    time_step = float(np.asarray(chain.time_step))
    climbs = affordable_climbs(landscape, start)
    losses = of_points("loss", landscape, points)
    height = _height(landscape, start, losses, temperature)
    found = _explored(landscape, start, height, climbs)
    searched_to, reach = found.searched_to, height + _FURTHER * temperature
    if found.lowest_above - found.minima[0].loss < reach:
        found = _explored(landscape, start, reach, climbs)
    # steps of which one overshoots a minimum by more than it was away do not stay there, whatever its weight
    sharp = {number for number, point in enumerate(found.minima) if time_step * point.eigenvalues[-1] >= 2}
    basins = slow_basins(found, reach, temperature, time_step, sharp)
    told = f"explored up to {height:.3g} above the minimum below the start"
    if searched_to < height:
        told += f", searched up to {searched_to:.3g}"
    told += f": {sum(map(len, basins.groups))} minima, {len(basins.groups)} basins slow to leave"
    if sharp:
        told += f"; {len(sharp)} minima are too sharp for a step"
    missing = _way_out(found, height)
    if not missing and len(basins.groups) > 1:
        seen = _seen(found, basins, points, losses, temperature)
        missing = _missing(found, basins, seen, len(points), temperature, telling)
    return Unvisited(told, missing)


def _height(
    landscape: AbstractLandscape, start: Float[np.ndarray, " dim"], losses: Float[np.ndarray, " n"], temperature: float
) -> float:
    """Up to which height above the minimum below the start basins matter, by the losses where trajectories ended."""
    floor = find_minima(landscape, start)[0].loss
    warm = float(np.sort(losses)[math.ceil(_WITHIN * len(losses)) - 1]) - floor
    if not math.isfinite(warm):
        raise ValueError("losses at which trajectories ended are not finite")
    # what the components hold by themselves is of no barrier
    return max(warm - len(start) * temperature / 2, 0.0) + _MARGIN * temperature


def _explored(
    landscape: AbstractLandscape, start: Float[np.ndarray, " dim"], height: float, climbs: int
) -> Exploration:
    """An exploration up to that height or the next of few, so that it serves other calls too.

    What a call is told does not depend on which explorations were kept.
    """
    up_to = 2 ** (math.ceil(2 * math.log2(height)) / 2)
    key = (*_contents(landscape), start.tobytes(), up_to)
    for known, found in list(_KEPT):
        if known == key:
            return found
    found = explore(landscape, start, height=up_to, max_searches=climbs, progress=False)
    _KEPT.append((key, found))
    return found


def _contents(landscape: AbstractLandscape) -> tuple[Any, ...]:
    """What two landscapes have in common that are the same: their numbers as they are now, and all that is no array."""
    arrays, *rest = arrays_and_rest(landscape)
    numbers = hashlib.sha256()
    for array in map(np.asarray, arrays):
        numbers.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return numbers.hexdigest(), *rest


def _way_out(found: Exploration, height: float) -> str:
    """Where the loss falls without bound, in words."""
    for way in found.exits:
        if way.saddle.loss - found.minima[0].loss <= height and UNBOUNDED in way.leads_to:
            return (
                f"over a saddle at {way.saddle.loss:.4g} {way.leads_to}: there is no law exp(−L/T), and these are "
                "averages before that way is taken"
            )
    return ""


def _slow_far_out(
    landscape: AbstractLandscape,
    start: Float[np.ndarray, " dim"],
    points: Float[np.ndarray, "n dim"],
    temperature: float,
    telling: Telling,
) -> str:
    """Where the loss confines so little that averages settle as a power of time, and they tell of it, in words."""
    distance = float(np.quantile(np.linalg.norm(points - start, axis=1), _WITHIN))
    if distance == 0:
        return ""
    far = far_out(landscape, start, temperature, distance, -math.log(_SHARE) * temperature)
    if not len(far):
        return ""
    own, *others = np.asarray(telling(np.concatenate([start[None], far])))
    # a flat valley along which what is averaged does not change is of no matter
    if all(_alike(each, own) for each in others):
        return ""
    point = far[np.argmax(np.linalg.norm(far - start, axis=1))]
    return (
        f"as far as {show(point)} and further the loss rises no faster than a logarithm: averages over time come to "
        "those of the law, if there is one, only as a power of the time, and no window shows how far away they are"
    )


def _missing(
    found: Exploration, basins: SlowBasins, seen: set[int], ends: int, temperature: float, telling: Telling
) -> str:
    """Of the basins with no minimum `seen`, unless by chance, the one with the largest share, in words."""
    for place in np.argsort(-basins.shares):
        group, share = basins.groups[place], float(basins.shares[place])
        log_chance = ends * math.log1p(-share) if share < 1 else -math.inf
        if share < _SHARE or not group.isdisjoint(seen) or log_chance >= math.log(_CHANCE):
            continue
        number = min(group, key=lambda each: found.minima[each].loss)
        if not _has_an_image(found, number, sorted(seen), temperature, telling):
            point, top = found.minima[number], found.passes[number]
            over = f" and reached over a saddle at {top:.4g}" if top > point.loss else ""
            return (
                f"no trajectory ended in the basin of {show(point.location)}, with loss {point.loss:.4g}{over}: by the "
                f"weights exp(−L/T)/√det ∇²L it holds {share:.2g} of the law"
            )
    return ""


def _has_an_image(found: Exploration, number: int, seen: list[int], temperature: float, telling: Telling) -> bool:
    """Whether a minimum that was seen has the same loss and curvatures, and what is averaged is the same there.

    And so around it: by pairs of points on both sides along each eigenvector, three widths of the law away.
    """
    point, others = found.minima[number], [found.minima[each] for each in seen]
    others = [each for each in others if _alike(each.loss, point.loss) and _alike(each.eigenvalues, point.eigenvalues)]
    if not others:
        return False
    own, *theirs = (_around(found.landscape, each, temperature, telling) for each in (point, *others))
    return any(_alike(each.told, own.told) and _close(each.rises, own.rises, temperature) for each in theirs)


class _Around(NamedTuple):
    """What is averaged at a minimum; losses above it on both sides along each eigenvector, (dim, 2), rising."""

    told: Any
    rises: Float[np.ndarray, "dim 2"]


def _around(landscape: AbstractLandscape, point: CriticalPoint, temperature: float, telling: Telling) -> _Around:
    _, vectors = np.linalg.eigh(point.hessian)
    away = _WIDTHS * np.sqrt(temperature / point.eigenvalues)[:, None] * vectors.T
    sides = point.location + np.stack([away, -away], axis=1)
    rises = of_points("loss", landscape, sides.reshape(-1, len(away))).reshape(-1, 2) - point.loss
    return _Around(np.asarray(telling(point.location[None]))[0], np.sort(rises, axis=1))


def _close(ones: Any, others: Any, temperature: float) -> bool:
    return bool(np.all(np.abs(ones - others) <= _NEARLY * temperature))


def _alike(one: Any, other: Any) -> bool:
    return np.allclose(one, other, rtol=_ALIKE, atol=_ALIKE * max(1.0, float(np.max(np.abs(other)))))


def _seen(
    found: Exploration,
    basins: SlowBasins,
    points: Float[np.ndarray, "n dim"],
    losses: Float[np.ndarray, " n"],
    temperature: float,
) -> set[int]:
    """Minima by whose second order a point is likelier than by others', where that tells of the loss there at all."""
    numbers, levels = sorted(set().union(*basins.groups)), []
    for number in numbers:
        point = found.minima[number]
        away = points - point.location
        excess = np.einsum("ni,ij,nj->n", away, point.hessian, away, optimize=True) / 2
        tells = excess <= _TIMES * np.maximum(losses - point.loss, 0) + _BEYOND * temperature
        levels.append(np.where(tells, point.loss + excess, np.inf))
    known = np.isfinite(np.min(levels, axis=0))
    return set(np.array(numbers)[np.argmin(levels, axis=0)[known]].tolist())
