"""What an exploration of a landscape found: minima, saddles with both their sides, ways, and what may be missing."""

import functools
from typing import TYPE_CHECKING, Any

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, Int

from .._errors import point as point_of
from .._errors import positive_integer, show
from .._numerics import contained, of_points
from ..results import AbstractResult, Provenance, Verdict
from ..statistics import Estimate
from ._base import AbstractLandscape
from ._critical_points import CriticalPoint
from ._saddle_graph import SaddleConnection
from ._ways import Leg, Way, lowest_ways

if TYPE_CHECKING:
    import xarray as xr

# points per axis of the losses that a dataset holds in one dimension and two, and the margin around what was found
_GRID, _MARGIN = {1: 401, 2: 161}, 0.25


class SaddleExit(eqx.Module):
    """A first-order saddle of which one side, at least, leads to no minimum.

    minimum: number of the one on its other side, −1 where both lead to none. saddle: of index 1.
    leads_to: what is there, in words: where "the loss descends without bound", say. location: (dim,) where the
        descent ended. path: (n, dim) from the minimum over the saddle to where it was followed.
    barrier: L(saddle) − L(minimum); NaN without one.
    """

    minimum: int = eqx.field(static=True)
    saddle: CriticalPoint
    leads_to: str = eqx.field(static=True)
    location: Float[np.ndarray, " dim"]
    path: Float[np.ndarray, "n dim"]
    barrier: float


class DegeneratePoint(eqx.Module):
    """A critical point whose Hessian has a zero eigenvalue, as at a monkey saddle: ways may lead over it.

    point: the critical point. minima: numbers of those that descents from around it end in, ascending.
    leads_to: what else they meet, in words, as of a `SaddleExit`. kind: what it is, in words.
    """

    point: CriticalPoint
    minima: tuple[int, ...] = eqx.field(static=True)
    leads_to: tuple[str, ...] = eqx.field(static=True)
    kind: str = eqx.field(static=True)


class Exploration(AbstractResult):
    """Minima that can be reached from a start without passing above a height, and the saddles between them.

    landscape: that was explored.
    minima: numbered by the height of their lowest way; number 0 is the one below the start.
    passes: (K,) loss of the highest saddle on the lowest way from minimum 0 to each, in units of L; its own for
        minimum 0, infinite where no way was found (only minima below given states can be such).
    searched: (K,) whether searches from the minimum ended by the rule.
    connections: first-order saddles with a minimum on both sides: which two, and the barriers. Two minima may have
        several, and `first` is `second` where both sides lead down to one minimum.
    paths: of each connection, (images, dim): from its first minimum down the gradient flow's line over the saddle
        (in the middle) to its second.
    exits: first-order saddles that lead to no minimum on one side. degenerate: degenerate critical points.
    height: above minimum 0, in units of L, infinite if none was given; saddles above it are left out.
    searched_to: above minimum 0, in units of L: every minimum that is known to be reached below it was searched by the
        rule; infinite where all were.
    lowest_above: loss of the lowest saddle that was seen above the height; infinite where none was.
    finds: (saddles,) how often independent searches found each saddle, connections first, then exits.
    saddle_total, minimum_total: how many saddles and minima there are below the height, found ones among them, by
        capture and recapture (Chao 1984): a lower bound where some are harder to find than others. With fewer than all
        searched it holds for what is around the searched ones.
    searches: number of climbs that were made. rule: in words, when a minimum counts as searched.
    verdict, provenance: what is to be said about it, and how it came about.
    """

    landscape: AbstractLandscape
    minima: tuple[CriticalPoint, ...]
    passes: Float[np.ndarray, " K"]
    searched: Bool[np.ndarray, " K"]
    connections: tuple[SaddleConnection, ...]
    paths: tuple[Float[np.ndarray, "images dim"], ...]
    exits: tuple[SaddleExit, ...]
    degenerate: tuple[DegeneratePoint, ...]
    height: float
    searched_to: float
    lowest_above: float
    finds: Int[np.ndarray, " saddles"]
    saddle_total: Estimate
    minimum_total: Estimate
    searches: int = eqx.field(static=True)
    rule: str = eqx.field(static=True)
    verdict: Verdict
    provenance: Provenance

    def number_of(self, location: Any) -> int | None:
        """The number of the minimum at `location`, (dim,) or a CriticalPoint, to 1e-4 of 1 or its distance from 0.

        None where none was found there. Raises ValueError for another shape.
        """
        where = point_of("location", location, self.landscape.dim)
        for number, minimum in enumerate(self.minima):
            if np.linalg.norm(minimum.location - where) < 1e-4 * max(1.0, float(np.linalg.norm(where))):
                return number
        return None

    def ways(self, target: Any, *, most: int = 8) -> tuple[Way, ...]:
        """The lowest ways from minimum 0 to the target that pass no minimum twice, the lowest first; () if none.

        target: the number of a minimum; the location of one, (dim,), or a CriticalPoint; or a region, that is an object
            with `contains` of one point: then each ends where it first enters. A region that is entered on the way to
            no minimum, over a saddle of `exits`, is reached too; one that only leads uphill is not.
        most: how many at most. A way is lower where its highest saddle is; of two with the same one, where the next is.

        Raises ValueError for a target that is minimum 0, or holds it, or is no minimum that was found.
        """
        positive_integer("most", most)
        if not hasattr(target, "contains"):
            goal = self._number("target", target)
            return lowest_ways(self._legs(None), 0, self.minima[0].loss, lambda leg: leg.end == goal, most)
        if not self.minima:
            return ()
        if contained(target, self._first[None])[0]:
            raise ValueError(
                f"target must not hold the minimum below the start, got one that holds {show(self._first)}"
            )
        legs = self._legs(functools.partial(contained, target))
        return lowest_ways(legs, 0, self.minima[0].loss, lambda leg: leg.inside, most)

    @property
    def _first(self) -> Float[np.ndarray, " dim"]:
        return self.minima[0].location

    def _number(self, name: str, target: Any) -> int:
        if isinstance(target, int | np.integer) and not isinstance(target, bool):
            number = int(target)
            if not 0 < number < len(self.minima):
                raise ValueError(f"{name} must be a number from 1 to {len(self.minima) - 1}, got {number}")
            return number
        found = self.number_of(target)
        if not found:
            where = show(point_of(name, target, self.landscape.dim))
            what = "none at" if found is None else "the one below the start, at"
            raise ValueError(f"{name} must be another minimum that was found, or a region, got {what} {where}")
        return found

    def _legs(self, inside: Any) -> Any:
        """The legs out of each minimum; with `inside`, cut where they enter the region."""
        out: dict[int, list[Leg]] = {number: [] for number in range(len(self.minima))}

        def add(first: int, second: int, saddle: CriticalPoint, path: np.ndarray, leads_to: str) -> None:
            within = np.flatnonzero(inside(path)) if inside else np.zeros(0, int)
            path = path[: 1 + within[0]] if len(within) else path
            out[first].append(Leg(second, saddle, path, leads_to, bool(len(within))))

        for way, path in zip(self.connections, self.paths, strict=True):
            add(way.first, way.second, way.saddle, path, "")
            add(way.second, way.first, way.saddle, path[::-1], "")
        for number, way in enumerate(self.exits):
            if way.minimum >= 0:
                add(way.minimum, -1 - number, way.saddle, way.path, way.leads_to)
        return out.__getitem__

    def to_dataset(self) -> "xr.Dataset":
        """Minima, saddles and paths over the dimensions minimum, saddle, image and component.

        `first` and `second` are the minima of a saddle, −1 on a side that leads to none. In one and two dimensions the
        losses on a grid around all of it are there too: over `x`, or over `y` and `x`.
        """
        import xarray as xr

        dim, images = self.landscape.dim, max([len(path) for path in self._all_paths] or [1])
        padded = np.full((len(self._all_paths), images, dim), np.nan)
        for row, path in zip(padded, self._all_paths, strict=True):
            row[: len(path)] = path
        saddles = [*(way.saddle for way in self.connections), *(way.saddle for way in self.exits)]
        theta, loss = {"units": "θ"}, {"units": "loss"}
        data = xr.Dataset(
            {
                "minimum_location": (("minimum", "component"), _rows(self.minima, dim), theta),
                "minimum_loss": ("minimum", [point.loss for point in self.minima], loss),
                "passes": ("minimum", self.passes, loss | {"long_name": "highest saddle of the lowest way from 0"}),
                "saddle_location": (("saddle", "component"), _rows(saddles, dim), theta),
                "saddle_loss": ("saddle", [point.loss for point in saddles], loss),
                "first": ("saddle", [*(way.first for way in self.connections), *(way.minimum for way in self.exits)]),
                "second": ("saddle", [*(way.second for way in self.connections), *(-1 for _ in self.exits)]),
                "finds": ("saddle", self.finds, {"long_name": "independent searches that found it"}),
                "path": (("saddle", "image", "component"), padded, theta),
            },
            attrs={"height": self.height, "searched_to": self.searched_to, "status": self.result},
        )
        return data.assign(self._grid(data)) if dim in _GRID and self.minima else data

    @property
    def _all_paths(self) -> list[np.ndarray]:
        return [*self.paths, *(way.path for way in self.exits)]

    def _grid(self, data: "xr.Dataset") -> dict[str, Any]:
        points = np.concatenate([data.minimum_location.values, data.saddle_location.values, *self.paths])
        low, high = points.min(axis=0), points.max(axis=0)
        # a lone minimum has no extent of its own
        margin = _MARGIN * max(float((high - low).max()), 1e-3 * max(1.0, float(np.abs(high).max())))
        axes = [np.linspace(a - margin, b + margin, _GRID[len(low)]) for a, b in zip(low, high, strict=True)]
        mesh = np.stack(np.meshgrid(*axes, indexing="xy"), axis=-1)
        losses = of_points("loss", self.landscape, mesh.reshape(-1, len(low)))
        named = dict(zip(("x", "y"), (("x", axes[0]), ("y", axes[-1])), strict=True)) if len(axes) == 2 else {}
        named = named or {"x": ("x", axes[0])}
        dims = ("y", "x") if len(axes) == 2 else ("x",)
        return {**named, "loss": (dims, losses.reshape(mesh.shape[:-1]), {"units": "loss"})}

    def plot(self, ax: Any = None, *, shares: Any = None) -> Any:
        """Minima, saddles and ways on the losses, beyond two dimensions on a plane: see `plotting.landscape_map`.

        shares: (saddles,) of the passages, in 0 … 1, such as `passage.way_shares` gives: the ways are as wide.
        Raises ValueError for shares of another shape.

        Example: `ss.landscapes.explore(landscape, start).plot()`.
        """
        from ..plotting._landscape_map import map_on

        return map_on(ax, self._shared(shares))

    def _shared(self, shares: Any) -> "xr.Dataset":
        """The dataset, with shares of the passages where they are given."""
        data, given = self.to_dataset(), getattr(shares, "value", shares)
        if given is None:
            return data
        if np.shape(given) != (data.sizes["saddle"],):
            raise ValueError(f"shares must be of shape ({data.sizes['saddle']},), one for each saddle, got {shares!r}")
        return data.assign(share=("saddle", np.asarray(given, np.float64)))

    def _answers(self) -> list[tuple[str, str]]:
        rows = [("minima", f"{len(self.minima)}, of which {int(self.searched.sum())} were searched")]
        if self.minima:
            rows.append(("below the start", f"{show(self._first)}, loss {self.minima[0].loss:.6g}"))
        further = [
            f"{number} at {show(point.location)}, loss {point.loss:.6g}, over {top - self.minima[0].loss:.4g}"
            for number, (point, top) in enumerate(zip(self.minima, self.passes, strict=True))
        ][1:]
        rows += [("" if place else "further", text) for place, text in enumerate(further[:5])]
        if len(further) > 5:
            rows.append(("", f"and {len(further) - 5} more"))
        joined = sum(way.first != way.second for way in self.connections)
        loops = len(self.connections) - joined
        text = f"{joined} between two minima"
        text += f", {loops} back to the same" if loops else ""
        text += f", {len(self.exits)} to no minimum" if self.exits else ""
        rows.append(("saddles", text + (f"; {len(self.degenerate)} degenerate points" if self.degenerate else "")))
        total = (
            f"minima {self.minimum_total}, saddles {self.saddle_total}" if self.finds.sum() else "no climb found any"
        )
        rows.append(("in all, estimated", total))
        top = "no limit" if np.isinf(self.height) else f"{self.height:.6g} above the start's minimum"
        return [*rows, ("height", top), ("rule", self.rule)]


def _rows(points: Any, dim: int) -> Float[np.ndarray, "n dim"]:
    return np.array([point.location for point in points], np.float64).reshape(-1, dim)
