"""Which basin a state is in: regions, or minima by one of several rules."""

import abc
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32

from .._errors import positive_number
from ..chains import AbstractChain
from ..engine import Compiled, as_leaves, shard_apply
from ..landscapes import AbstractLandscape, CriticalPoint, check_minima
from ..regions import AbstractRegion
from ._quench import Quench, quench_to

RULES = ("quench", "nearest", "level")


class AbstractBasins(eqx.Module):
    """K disjoint sets of states."""

    @property
    @abc.abstractmethod
    def count(self) -> int:
        """K."""

    @abc.abstractmethod
    def label(self, states: Float[Array, "dim n"]) -> Int32[Array, " n"]:
        """The number of the basin that each state is in, K for none, K + 1 for two at once."""


class Regions(AbstractBasins):
    """Sets given by level functions."""

    regions: tuple[AbstractRegion, ...]

    @property
    def count(self) -> int:
        return len(self.regions)

    def label(self, states):
        inside = jnp.stack([jax.vmap(region.contains, 1)(states) for region in self.regions])
        several = jnp.sum(inside, axis=0, dtype=jnp.int32) > 1
        first = jnp.where(jnp.any(inside, axis=0), jnp.argmax(inside, axis=0), self.count)
        return jnp.where(several, self.count + 1, first).astype(jnp.int32)


class Nearest(AbstractBasins):
    """A state belongs to the minimum that is nearest."""

    locations: Float[Array | np.ndarray, "K dim"]

    @property
    def count(self) -> int:
        return self.locations.shape[0]

    def label(self, states):
        locations = jnp.asarray(self.locations, states.dtype)
        return jnp.argmin(jnp.sum((states[None] - locations[:, :, None]) ** 2, axis=1), axis=0).astype(jnp.int32)


class Level(AbstractBasins):
    """As nearest, where the loss is less than `height` above that minimum; else elsewhere."""

    landscape: AbstractLandscape
    nearest: Nearest
    losses: Float[Array | np.ndarray, " K"]
    height: Any

    @property
    def count(self) -> int:
        return self.nearest.count

    def label(self, states):
        near = self.nearest.label(states)
        above = jax.vmap(self.landscape.loss, 1)(states) - jnp.asarray(self.losses, states.dtype)[near]
        return jnp.where(above < self.height, near, self.count).astype(jnp.int32)


class Flow(AbstractBasins):
    """A state belongs to the minimum that its gradient flow reaches."""

    quench: Quench

    @property
    def count(self) -> int:
        return self.quench.traps.shape[0]

    def label(self, states):
        return self.quench(states)[0]


def labels(basins: AbstractBasins, states: Float[Array, "dim n"]) -> Int32[Array, " n"]:
    """As `label`, and K + 2 for a state that is not finite."""
    finite = jnp.all(jnp.isfinite(states), axis=0)
    return jnp.where(finite, basins.label(states), basins.count + 2)


def _spread_labels(shared, states):
    basins, mesh = shared
    return shard_apply(mesh, labels, basins, states)


LABELS = Compiled(_spread_labels)
"""Labels of states on the devices; shared: (basins, mesh)."""
ENDS = Compiled(lambda quench, states: quench(states))
"""Labels of states on one device and where their flow ends."""


class Named(eqx.Module):
    """Basins and what a person calls them."""

    basins: AbstractBasins
    names: tuple[str, ...] = eqx.field(static=True)


def named_basins(chain: AbstractChain, regions: Any, minima: Any, rule: Any, height: Any) -> Named:
    """The basins that a call describes; ValueError where it does not describe any."""
    if (regions is None) == (minima is None):
        raise ValueError("give either regions or minima, got " + ("neither" if regions is None else "both"))
    if minima is None:
        if rule is not None or height is not None:
            raise ValueError("basins and height choose a rule for minima, got them with regions")
        return _regions(chain, regions)
    rule = "quench" if rule is None else rule
    if rule not in RULES:
        raise ValueError(f"basins must be 'quench', 'nearest' or 'level', got {rule!r}")
    if (rule == "level") != (height is not None):
        raise ValueError(f"height is the level above a minimum, for basins='level' only, got {height!r} and {rule!r}")
    landscape = chain.landscape
    if landscape is None:
        raise ValueError("minima need a chain with a landscape, got one without; give regions")
    points = check_minima("minima", landscape, minima)
    names = tuple(minima) if isinstance(minima, Mapping) else tuple(at(point.location) for point in points)
    return Named(as_leaves(_by_rule(landscape, points, rule, height)), names)


def _by_rule(landscape: AbstractLandscape, points: list[CriticalPoint], rule: str, height: Any) -> AbstractBasins:
    if rule == "quench":
        return Flow(quench_to(landscape, points))
    nearest = Nearest(np.stack([point.location for point in points]))
    if rule == "nearest":
        return nearest
    positive_number("height", height)
    return Level(landscape, nearest, np.array([point.loss for point in points]), height)


def _regions(chain: AbstractChain, regions: Any) -> Named:
    if not isinstance(regions, Mapping) or not regions:
        raise ValueError(
            f"regions must be names with a region each, such as {{'left': HalfSpace(...)}}, got {regions!r}"
        )
    for name, region in regions.items():
        if not isinstance(region, AbstractRegion):
            raise ValueError(
                f"regions[{name!r}] must be a region, such as regions.Ball(center, radius), got {region!r}"
            )
        region.check(chain.dim)
    return Named(as_leaves(Regions(tuple(regions.values()))), tuple(str(name) for name in regions))


def refuse_overlap(named: Named, state: Float[np.ndarray, " dim"]) -> None:
    """Raise ValueError that names the two regions that hold this state."""
    assert isinstance(named.basins, Regions)
    pairs = zip(named.names, named.basins.regions, strict=True)
    both = [name for name, region in pairs if bool(region.contains(jnp.asarray(state)))]
    raise ValueError(f"regions must not overlap, got {' and '.join(map(repr, both))} that both hold {at(state)}")


def at(point: np.ndarray) -> str:
    return np.array2string(np.asarray(point), precision=4, suppress_small=True, separator=", ", threshold=6)
