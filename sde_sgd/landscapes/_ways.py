"""Ways from one minimum to another, or into a region, over first-order saddles: the lowest ones, best first."""

import heapq
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Float

from .._errors import positive_integer
from ._critical_points import CriticalPoint
from ._string import evenly

# partial ways that are looked at
_MOST_PARTIAL = 20_000


class Way(eqx.Module):
    """A way over saddles, downhill from each by the gradient flow: by definition a minimum-energy path.

    minima: numbers of those that it passes, the first where it begins. saddles: those that it crosses, in order.
    points: (n, dim), in units of θ, from the first minimum to where it ends, each saddle among them.
    barrier: L(highest saddle) − L(first minimum), in units of L. leads_to: where it ends, if at no minimum: "the
    region", or what lies beyond its last saddle, as of a `SaddleExit`.
    """

    minima: tuple[int, ...] = eqx.field(static=True)
    saddles: tuple[CriticalPoint, ...]
    points: Float[np.ndarray, "n dim"]
    barrier: float
    leads_to: str = eqx.field(static=True, default="")

    @property
    def highest(self) -> CriticalPoint:
        """The highest saddle of the way."""
        return max(self.saddles, key=lambda saddle: saddle.loss)

    def path(self, images: int = 33) -> Float[np.ndarray, "images dim"]:
        """So many points evenly spaced along the way, at least 3: (images, dim); ValueError for fewer."""
        positive_integer("images", images)
        if images < 3:
            raise ValueError(f"images must be at least 3, got {images}")
        return evenly(self.points, images)


class Leg(NamedTuple):
    """From one minimum over one saddle to another, or to none (−1). path: (n, dim). inside: whether the way ends on it,
    at that point.
    """

    end: int
    saddle: CriticalPoint
    path: Float[np.ndarray, "n dim"]
    leads_to: str
    inside: bool


def lowest_ways(
    legs: Callable[[int], list[Leg]], start: int, loss: float, is_goal: Callable[[Leg], bool], most: int
) -> tuple[Way, ...]:
    """The lowest simple ways from `start`, whose loss is `loss`, to a leg that is a goal.

    A way is lower where its highest saddle is, and of two with the same one where the next highest is, or is missing.
    """
    order = itertools.count()
    queue: list[Any] = [((), next(order), (start,), ())]
    found: list[Way] = []
    for _ in range(_MOST_PARTIAL):
        if not queue or len(found) == most:
            break
        key, _, nodes, done = heapq.heappop(queue)
        if done and is_goal(done[-1]):
            found.append(_way(nodes, done, loss))
            continue
        if nodes[-1] < 0:
            continue
        for leg in legs(nodes[-1]):
            if leg.end in nodes:
                continue
            losses = tuple(sorted((*key, leg.saddle.loss), reverse=True))
            heapq.heappush(queue, (losses, next(order), (*nodes, leg.end), (*done, leg)))
    return tuple(found)


def _way(nodes: tuple[int, ...], legs: tuple[Leg, ...], loss: float) -> Way:
    points = np.concatenate([legs[0].path, *(leg.path[1:] for leg in legs[1:])])
    last = legs[-1]
    minima = nodes[:-1] if last.inside or last.end < 0 else nodes
    saddles = tuple(leg.saddle for leg in legs)
    height = max(saddle.loss for saddle in saddles)
    return Way(minima, saddles, points, height - loss, "the region" if last.inside else last.leads_to)
