"""Which minima make one basin, as trajectories go to and fro between them fast, and how much time a basin holds."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..landscapes import CriticalPoint, SaddleConnection

# minima that exchange trajectories within so many steps are one basin: that the law settles by then is seen; and so are
# those that do within so many times that the slowest motion inside takes, as they have no rates
_FAST, _APART = 2**12, 50.0
# of a float
_LARGEST_LOG = 700.0


def slow_groups(
    minima: Sequence[CriticalPoint],
    reached: Iterable[Any],
    edges: Sequence[SaddleConnection],
    temperature: float,
    time_step: float,
) -> list[frozenset[int]]:
    """Minima that exchange trajectories fast, each group one basin; that of the first minimum first.

    minima: all of them. reached: numbers of those that count. edges: saddles between them, the lowest first.
    temperature: in units of L. time_step: SDE time of a step; within 4,096 of them it is fast.

    By ascending saddles, so that a shallow minimum between two deep ones joins that over the lower saddle, and the two
    stay apart. Times are those of Eyring and Kramers.
    """

    def soon(lows: list[CriticalPoint], log_time: float) -> bool:
        inside = max(1 / float(low.eigenvalues[0]) for low in lows)
        return log_time < math.log(max(_FAST * time_step, _APART * inside))

    return sorted(dict.fromkeys(_joined(minima, reached, edges, temperature, soon).values()), key=min)


def slowest_exchange(
    minima: Sequence[CriticalPoint],
    group: frozenset[int],
    edges: Sequence[SaddleConnection],
    temperature: float,
) -> float:
    """The longest time in which minima of a group exchange trajectories, by Eyring and Kramers; 0 of a lone one.

    minima, edges, temperature: as in `slow_groups`. Each time is that out of the shallower side, by ascending saddles.
    """
    longest = -math.inf

    def always(_: list[CriticalPoint], log_time: float) -> bool:
        nonlocal longest
        longest = max(longest, log_time)
        return True

    inside = [way for way in edges if {way.first, way.second} <= group]
    _joined(minima, group, inside, temperature, always)
    return math.exp(min(longest, _LARGEST_LOG))


def _joined(
    minima: Sequence[CriticalPoint],
    among: Iterable[Any],
    edges: Sequence[SaddleConnection],
    temperature: float,
    joins: Callable[[list[CriticalPoint], float], bool],
) -> dict[int, frozenset[int]]:
    """The group of each minimum, where two become one that `joins` says so of.

    joins: of the lowest points of both, and the logarithm of the time out of the shallower over the saddle between.
    """
    group = {int(each): frozenset([int(each)]) for each in among}
    for way in edges:
        one, other = group[way.first], group[way.second]
        if one == other:
            continue
        lows = [min((minima[each] for each in side), key=lambda point: point.loss) for side in (one, other)]
        if joins(lows, min(_log_exit_time(low, way.saddle, temperature) for low in lows)):
            for each in one | other:
                group[each] = one | other
    return group


def _log_exit_time(low: CriticalPoint, saddle: CriticalPoint, temperature: float) -> float:
    """log of 2π/|λ₋| √(|det H_s|/det H_m) exp((L_s − L_m)/T) (Eyring and Kramers)."""
    prefactor = math.log(2 * math.pi / -saddle.eigenvalues[0]) + (saddle.log_det - low.log_det) / 2
    return prefactor + (saddle.loss - low.loss) / temperature


def log_weight(points: list[CriticalPoint], temperature: float) -> float:
    """log of the sum of exp(−L/T)/√det H over minima, up to a constant."""
    return float(np.logaddexp.reduce([-point.loss / temperature - point.log_det / 2 for point in points]))
