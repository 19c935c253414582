"""Basins of θ: sets given by level functions, or by a rule to which of some minima θ belongs.

A rule is one class with one line in `BASINS`.
"""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32

from .._errors import nearest, positive_number
from ..chains import AbstractChain
from ..engine import LANES, Compiled
from ..landscapes import AbstractLandscape, CriticalPoint, check_minima
from ..regions import AbstractRegion
from ._quench import Quench, quench_to
from ._unassigned_minima import UnassignedMinima, at, cluster_ends


class AbstractBasins(eqx.Module):
    """K disjoint sets of θ.

    A rule for minima is made without them, such as `NearestBasins()`; a call gives it its minima by `of_minima`.
    """

    looks: ClassVar[int] = 1_024
    """Looks at a trajectory that a time average takes by default; fewer where a label is dear."""

    @property
    @abc.abstractmethod
    def count(self) -> int:
        """K."""

    @abc.abstractmethod
    def label(self, thetas: Float[Array, "dim n"]) -> Int32[Array, " n"]:
        """The number of the basin that each θ is in, K for none, K + 1 for two at once; thetas: (dim, n)."""

    def of_minima(self, landscape: AbstractLandscape, minima: list[CriticalPoint]) -> "AbstractBasins":
        """The basins of these minima of `landscape` by this rule; ValueError where it is none for minima."""
        raise ValueError(f"basins must be a rule for minima where minima are given, got {type(self).__name__}")

    def unassigned_minima(self, thetas: Float[np.ndarray, "n dim"], chosen: Bool[np.ndarray, " n"]) -> UnassignedMinima:
        """Where the flow of the chosen `thetas` ends, which are in no basin; nothing for basins that know no flow."""
        return cluster_ends(np.zeros((0, thetas.shape[1])), 0.0, len(thetas))

    def refuse_overlap(self, theta: Float[np.ndarray, " dim"]) -> None:
        """Raise ValueError about this θ, which is in two basins."""
        raise ValueError(f"basins must not overlap, got two that both hold {at(theta)}")


class RegionBasins(AbstractBasins):
    """Sets given by level functions, with a name each; they must not overlap.

    regions: a mapping from names to regions. Raises ValueError unless it is one.
    """

    regions: tuple[AbstractRegion, ...]
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, regions: Mapping[str, AbstractRegion]):
        if not isinstance(regions, Mapping) or not regions:
            raise ValueError(
                f"regions must be names with a region each, such as {{'left': HalfSpace(...)}}, got {regions!r}"
            )
        for name, region in regions.items():
            if not isinstance(region, AbstractRegion):
                raise ValueError(
                    f"regions[{name!r}] must be a region, such as regions.Ball(center, radius), got {region!r}"
                )
        self.regions, self.names = tuple(regions.values()), tuple(map(str, regions))

    @property
    def count(self) -> int:
        return len(self.regions)

    def label(self, thetas):
        inside = jnp.stack([jax.vmap(region.contains, 1)(thetas) for region in self.regions])
        several = jnp.sum(inside, axis=0, dtype=jnp.int32) > 1
        first = jnp.where(jnp.any(inside, axis=0), jnp.argmax(inside, axis=0), self.count)
        return jnp.where(several, self.count + 1, first).astype(jnp.int32)

    def refuse_overlap(self, theta):
        pairs = zip(self.names, self.regions, strict=True)
        both = [repr(name) for name, region in pairs if bool(region.contains(jnp.asarray(theta)))]
        raise ValueError(f"regions must not overlap, got {' and '.join(both)} that both hold {at(theta)}")


class NearestBasins(AbstractBasins):
    """θ belongs to the minimum that is nearest, by definition.

    locations: (K, dim) of the minima; a call fills them in.
    """

    locations: Float[Array | np.ndarray, "K dim"] | None = None

    @property
    def count(self) -> int:
        return len(_given(self.locations))

    def label(self, thetas):
        locations = jnp.asarray(_given(self.locations), thetas.dtype)
        return jnp.argmin(jnp.sum((thetas[None] - locations[:, :, None]) ** 2, axis=1), axis=0).astype(jnp.int32)

    def of_minima(self, landscape, minima):
        return NearestBasins(np.stack([minimum.location for minimum in minima]))


class SublevelBasins(AbstractBasins):
    """By definition θ belongs to the nearest minimum, where the loss is less than `height` above that; else to none.

    height: > 0, in units of the loss; ValueError for others. landscape, nearest, losses: a call fills them in.
    """

    height: Any
    landscape: AbstractLandscape | None = None
    nearest: NearestBasins | None = None
    losses: Float[Array | np.ndarray, " K"] | None = None

    def __check_init__(self):
        positive_number("height", self.height)

    @property
    def count(self) -> int:
        return _given(self.nearest).count

    def label(self, thetas):
        near = _given(self.nearest).label(thetas)
        above = jax.vmap(_given(self.landscape).loss, 1)(thetas) - jnp.asarray(self.losses, thetas.dtype)[near]
        return jnp.where(above < self.height, near, self.count).astype(jnp.int32)

    def of_minima(self, landscape, minima):
        losses = np.array([minimum.loss for minimum in minima])
        return SublevelBasins(self.height, landscape, NearestBasins().of_minima(landscape, minima), losses)


class GradientFlowBasins(AbstractBasins):
    """θ belongs to the minimum that its gradient flow reaches: a basin of attraction, by definition.

    quench: how the flow is followed; a call fills it in.
    """

    # a look that follows the flow costs as much as hundreds of steps
    looks: ClassVar[int] = 256
    quench: Quench | None = None

    @property
    def count(self) -> int:
        return len(_given(self.quench).traps)

    def label(self, thetas):
        return _given(self.quench)(thetas)[0]

    def of_minima(self, landscape, minima):
        return GradientFlowBasins(quench_to(landscape, minima))

    def unassigned_minima(self, thetas, chosen):
        quench, points = _given(self.quench), thetas[chosen]
        if not len(points):
            return super().unassigned_minima(thetas, chosen)
        padded = np.resize(points, (LANES * -(-len(points) // LANES), thetas.shape[1]))
        ends = np.asarray(ENDS.prepare(quench)(padded.T)[1], np.float64).T[: len(points)]
        return cluster_ends(ends, 0.1 * float(np.min(quench.traps)), len(thetas))


def _given(value: Any) -> Any:
    if value is None:
        raise ValueError("basins must be given their minima before they are asked, by of_minima")
    return value


BASINS: dict[str, type[AbstractBasins]] = {
    "quench": GradientFlowBasins,
    "nearest": NearestBasins,
    "sublevel": SublevelBasins,
}
"""Rules for minima by their short names."""


def labels(basins: AbstractBasins, thetas: Float[Array, "dim n"]) -> Int32[Array, " n"]:
    """As `label`, and K + 2 where θ is not finite."""
    finite = jnp.all(jnp.isfinite(thetas), axis=0)
    return jnp.where(finite, basins.label(thetas), basins.count + 2)


ENDS = Compiled(lambda quench, thetas: quench(thetas))
"""Labels of θ on one device and where their flow ends."""


def describe_basins(
    chain: AbstractChain, regions: Any, minima: Any, basins: Any, height: Any
) -> tuple[AbstractBasins, tuple[str, ...]]:
    """The basins that a call describes, and their names; ValueError where it does not describe any."""
    if isinstance(basins, RegionBasins) and regions is None:
        regions, basins = basins, None
    if (regions is None) == (minima is None):
        raise ValueError("give either regions or minima, got " + ("neither" if regions is None else "both"))
    if minima is None:
        if basins is not None or height is not None:
            raise ValueError("basins and height choose a rule for minima, got them with regions")
        return _of_regions(chain, regions)
    rule = _rule(basins, height)
    landscape = chain.landscape
    if landscape is None:
        raise ValueError("minima need a chain with a landscape, got one without; give regions")
    points = check_minima("minima", landscape, minima)
    return rule.of_minima(landscape, points), names_of(minima, points)


def names_of(minima: Any, points: list[CriticalPoint]) -> tuple[str, ...]:
    """The names that a mapping gives to minima, else their locations."""
    return tuple(map(str, minima)) if isinstance(minima, Mapping) else tuple(at(point.location) for point in points)


def _of_regions(chain: AbstractChain, regions: Any) -> tuple[AbstractBasins, tuple[str, ...]]:
    made = regions if isinstance(regions, RegionBasins) else RegionBasins(regions)
    for region in made.regions:
        region.check(chain.dim)
    return made, made.names


def _rule(given: Any, height: Any) -> AbstractBasins:
    """A rule for minima by its name or as itself."""
    if isinstance(given, AbstractBasins):
        if height is not None:
            raise ValueError(
                f"height goes with the name of a rule, as SublevelBasins(height) has its own, got {height!r}"
            )
        return given
    name = "quench" if given is None else given
    if not isinstance(name, str) or name not in BASINS:
        names = " or ".join([", ".join(map(repr, list(BASINS)[:-1])), repr(list(BASINS)[-1])])
        raise ValueError(
            f"basins must be {names}, or an object such as SublevelBasins(height), got {given!r}"
            f"{nearest(given, BASINS)}"
        )
    wants = "height" in {field.name for field in dataclasses.fields(BASINS[name])}
    if wants != (height is not None):
        raise ValueError(f"height is the loss above a minimum, for basins='sublevel' only, got {height!r} and {name!r}")
    return BASINS[name](height) if wants else BASINS[name]()
