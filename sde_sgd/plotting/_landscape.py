"""A landscape in one dimension as a curve, in two by its contours: minima, saddles and boundaries of regions on it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ._axes import RED, array_of, named
from ._style import SEQUENCE
from ._surface import axes_for, bounds_in_view, contours, curve, dim_of, grid_axes, levels_of, losses_on, on_grid

# minima are looked for from so many starts on an axis, this far from 0
_STARTS, _REACH = 5, 2.0
_BOUNDARY: list[Any] = ["#111827", "#9d174d", "#1d4ed8", "#15803d"]


def landscape(
    landscape: Any,
    ax: Any = None,
    *,
    bounds: Any = None,
    minima: Any = None,
    saddles: Any = None,
    regions: Any = None,
    levels: Any = 24,
) -> Any:
    """L(θ) as a curve in one dimension, and by filled contours with a bar of losses in two.

    landscape: an AbstractLandscape with dim 1 or 2.
    ax: matplotlib axes to draw on; by default those of a new figure, `ax.figure`.
    bounds: what is in view, in units of θ: (low, high), or in two dimensions a pair of these. By default it is what
        lies around the minima and saddles given; without any, around minima that descents from some points within 2 of
        0 end in, which are drawn.
    minima, saddles: CriticalPoints or arrays (dim,), (n, dim), or a mapping from names to them; discs and crosses.
    regions: a region, or a mapping from names to regions, whose boundaries are drawn.
    levels: how many; most are between the lowest loss in view and a little above the highest pass between wells, and
        the others ever further apart: a quartic's walls take few. Or the rising losses themselves, (n,).
    Returns the axes. Raises ValueError for a landscape of more dimensions, axes that are none, points or bounds of
    another shape, and where neither is given and no minimum is found.

    Example: `ss.plotting.landscape(wells, minima=ss.landscapes.find_minima(wells, starts), regions=left)`.
    """
    dim = dim_of(landscape)
    spots = {"minimum": _points("minima", minima, dim), "saddle": _points("saddles", saddles, dim)}
    if bounds is None and not any(spots.values()):
        spots["minimum"] = _looked_for(landscape, dim)
    ends = bounds_in_view(bounds, dim, [point for each in spots.values() for _, point in each])
    ax = axes_for(ax, dim)
    axes = grid_axes(ends)
    losses = losses_on(landscape, axes)
    known = [loss for each in spots.values() for loss in _losses(landscape, each)]
    steps = levels_of(losses, levels, known)
    if dim == 1:
        curve(ax, axes[0], losses, steps)
    else:
        shades = contours(ax, axes, losses, steps, SEQUENCE)
        ax.figure.colorbar(shades, ax=ax, pad=0.02, format="%.3g").set_label("loss")
    for number, (name, region) in enumerate(named(regions, "region").items()):
        _boundary(ax, axes, region, name, _BOUNDARY[number % len(_BOUNDARY)])
    _marked(ax, landscape, spots)
    if ax.get_legend_handles_labels()[1]:
        ax.legend(fontsize=8)
    return ax


def _points(name: str, given: Any, dim: int) -> list[tuple[str, np.ndarray]]:
    """Points (dim,) with their names, "" where they have none."""
    if isinstance(given, Mapping):
        pairs = [(str(key), each) for key, each in given.items()]
    else:
        is_one = hasattr(given, "location") or (np.shape(given) == (dim,) and not hasattr(given[0], "location"))
        several = [] if given is None else [given] if is_one or not np.iterable(given) else given
        pairs = [("", each) for each in several]
    found = []
    for key, each in pairs:
        array = array_of(getattr(each, "location", each))
        if array is None or array.shape != (dim,) or not np.all(np.isfinite(array)):
            what = repr(each) if array is None else f"{array} of shape {array.shape}"
            raise ValueError(f"{name} must be finite points of shape ({dim},), got {what}")
        found.append((key, np.asarray(array, np.float64)))
    return found


def _looked_for(landscape: Any, dim: int) -> list[tuple[str, np.ndarray]]:
    """Minima below some points around 0, those to which a descent leads."""
    from ..landscapes import find_minima

    line = np.linspace(-_REACH, _REACH, _STARTS)
    starts = np.stack(np.meshgrid(*[line] * dim), axis=-1).reshape(-1, dim)
    found: list[np.ndarray] = []
    for start in starts:
        try:
            (minimum,) = find_minima(landscape, start)
        except ValueError:
            continue
        if not any(np.linalg.norm(minimum.location - other) < 1e-4 for other in found):
            found.append(minimum.location)
    if not found:
        raise ValueError(f"bounds or minima must be given where no minimum is found from points within {_REACH:g} of 0")
    return [("", point) for point in found]


def _losses(landscape: Any, points: list[tuple[str, np.ndarray]]) -> list[float]:
    return [losses_on(landscape, list(point[:, None])).item() for _, point in points]


def _boundary(ax: Any, axes: list[np.ndarray], region: Any, name: str, color: Any) -> None:
    """Where the level of a region is 0: by linear interpolation between the points of the grid."""
    if not hasattr(region, "level"):
        raise ValueError(f"regions must be a region, or a mapping from names to regions, got {region!r}")
    level = on_grid(region.level, axes)
    if len(axes) > 1:
        if np.nanmin(level) < 0 < np.nanmax(level):
            ax.contour(*axes, level.T, levels=[0.0], colors=[color], linewidths=1.6)
    else:
        for place in np.flatnonzero(np.diff(np.sign(level))).tolist():
            share = level[place] / (level[place] - level[place + 1])
            ax.axvline(axes[0][place] + share * np.diff(axes[0])[place], color=color, linewidth=1.4)
        ax.fill_between(axes[0], 0, 1, where=level < 0, transform=ax.get_xaxis_transform(), color=color, alpha=0.07)
    ax.plot([], [], color=color, linewidth=1.6, label=name)


def _marked(ax: Any, landscape: Any, spots: Mapping[str, list[tuple[str, np.ndarray]]]) -> None:
    styles: dict[str, dict[str, Any]] = {
        "saddle": {"marker": "x", "color": RED, "markersize": 8, "markeredgewidth": 2.0},
        "minimum": {"marker": "o", "color": "white", "markersize": 8, "markeredgecolor": "black"},
    }
    for kind, style in styles.items():
        points = spots[kind]
        if not points:
            continue
        places = np.array([point for _, point in points])
        if places.shape[1] == 1:
            places = np.column_stack([places[:, 0], _losses(landscape, points)])
        ax.plot(*places.T, linestyle="none", label=kind, zorder=5, **style)
        for (name, _), place in zip(points, places, strict=True):
            if name:
                ax.annotate(name, place, (7, 7), textcoords="offset points", fontsize=9, zorder=6)
