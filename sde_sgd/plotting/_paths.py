"""Trajectories: over a landscape's contours in two dimensions, over time in one."""

from typing import Any

import numpy as np

from ._axes import array_of, says
from ._style import SEQUENCE
from ._surface import BEHIND, axes_for, bounds_in_view, contours, dim_of, filled, grid_axes, levels_of, losses_on, plane

_ROOM = 0.15
_SHAPES = "of shape (n_times, trajectories, dim), or a list of arrays of shape (n, dim)"
_THIN, _THICK = 0.8, 1.6
_ALPHA = 0.55


def paths(
    paths: Any,
    landscape: Any = None,
    ax: Any = None,
    *,
    times: Any = None,
    bounds: Any = None,
    values: Any = None,
    thick: Any = None,
    levels: Any = 24,
) -> Any:
    """Trajectories as lines: θ₁ against θ₀, over contours where a landscape is given; in one dimension θ over time.

    paths: (n_times, trajectories, dim), as `simulate(..., save_every=)` returns them; or a list of arrays (n, dim) of
        any lengths, or of objects with such `states`, as `passage.branches(...).branches` are. dim is 1 or 2.
    landscape: behind them; in one dimension its losses are shades along θ.
    ax: matplotlib axes to draw on; by default those of a new figure, `ax.figure`.
    times: (n_times,) SDE times of the points, in one dimension; by default those of objects with `times`, else the
        number of the point is drawn. Each path has as many points as there are times.
    bounds: what is in view, as in `landscape`; by default all that the paths visit.
    values: (trajectories,) numbers that colours follow; by default those are of the paths' order.
    thick: (trajectories,) which are drawn thicker, above the others, which fade.
    levels: as in `landscape`.
    A path that stops being finite is drawn up to there, and marked with a cross. Returns the axes.
    Raises ValueError for arrays that do not fit together, or a dim other than 1 and 2.

    Example: `ss.plotting.paths(ss.simulate(chain, start, steps=512, save_every=4, trajectories=8), chain_landscape)`.
    """
    lines = _lines(paths)
    dim = lines[0].shape[1]
    if landscape is not None:
        dim_of(landscape, dim, "paths")
    along, clock = _times(paths, lines, times) if dim == 1 else ([], "")
    colors = _colors(values, len(lines))
    strong = _flags(thick, len(lines))
    seen = np.concatenate([line[np.all(np.isfinite(line), axis=1)] for line in lines])
    ax = axes_for(ax, dim)
    if not len(seen):
        says(ax, f"none of {len(lines):,} paths is finite")
        return ax
    ends = _around(bounds, seen, dim)
    if landscape is not None:
        _behind(ax, landscape, ends, levels, along)
    for number in np.argsort(strong, kind="stable"):
        line = lines[number]
        points = np.column_stack([along[number], line]) if dim == 1 else line
        style = {"color": colors[number], "linewidth": _THICK if strong[number] and thick is not None else _THIN}
        alpha = 0.35 if thick is not None and not strong[number] else 0.9
        finite = np.all(np.isfinite(points), axis=1)
        stop = len(points) if finite.all() else int(np.argmin(finite))
        ax.plot(*points[:stop].T, alpha=alpha, **style)
        if 0 < stop < len(points):
            ax.plot(*points[stop - 1], "x", color=colors[number], markersize=7)
    if dim == 1:
        ax.set(xlabel=clock, ylabel="θ", ylim=ends[0])
        ax.set_xlim(*_extent(along))
    else:
        plane(ax, *ends)
    return ax


def _lines(paths: Any) -> list[np.ndarray]:
    """Each path, (n, dim)."""
    array = None if isinstance(paths, list | tuple) else array_of(paths)
    if array is not None and array.ndim == 3:
        lines: list[Any] = list(array.transpose(1, 0, 2))
    else:
        lines = [array_of(getattr(path, "states", path)) for path in _each(paths)]
    shapes = [getattr(line, "shape", None) for line in lines]
    if not lines or not all(shape and len(shape) == 2 and shape[1] == lines[0].shape[1] for shape in shapes):
        told = ", ".join(str(shape) for shape in shapes[:4]) or "none"
        raise ValueError(f"paths must be {_SHAPES}, got {told}")
    if lines[0].shape[1] not in (1, 2):
        raise ValueError(f"paths must have dim 1 or 2 to be drawn, got {lines[0].shape[1]}: choose two components")
    return [np.asarray(line, np.float64) for line in lines]


def _each(paths: Any) -> Any:
    """The paths one by one; a branch, which is a tuple, is one."""
    return paths if isinstance(paths, list | tuple) and not hasattr(paths, "states") else [paths]


def _times(paths: Any, lines: list[np.ndarray], times: Any) -> tuple[list[np.ndarray], str]:
    """Of each path, when its points are, and what that is called."""
    if times is None:
        if all(hasattr(path, "times") for path in _each(paths)):
            return [np.asarray(path.times, np.float64) for path in _each(paths)], "SDE time t"
        return [np.arange(len(line)) for line in lines], "number of the point"
    array = array_of(times)
    if array is None or any(array.shape != (len(line),) for line in lines):
        found = repr(times) if array is None else f"shape {array.shape}"
        raise ValueError(f"times must be of shape ({len(lines[0])},), a time for each point of a path, got {found}")
    return [np.asarray(array, np.float64)] * len(lines), "SDE time t"


def _colors(values: Any, number: int) -> np.ndarray:
    array = np.arange(number) if values is None else array_of(values)
    if array is None or array.shape != (number,):
        raise ValueError(f"values must be numbers of shape ({number},), one for each path, got {values!r}")
    extent = float(np.ptp(array)) or 1.0
    return SEQUENCE(0.05 + 0.9 * (array - array.min()) / extent)


def _flags(thick: Any, number: int) -> np.ndarray:
    array = np.ones(number, bool) if thick is None else array_of(thick)
    if array is None or array.shape != (number,):
        raise ValueError(f"thick must be of shape ({number},), one for each path, got {thick!r}")
    return array.astype(bool)


def _around(bounds: Any, seen: np.ndarray, dim: int) -> list[tuple[float, float]]:
    if bounds is not None:
        return bounds_in_view(bounds, dim, [])
    low, high = seen.min(axis=0), seen.max(axis=0)
    room = _ROOM * float((high - low).max()) or 0.5
    return [(float(a - room), float(b + room)) for a, b in zip(low, high, strict=True)]


def _extent(along: list[np.ndarray]) -> tuple[float, float]:
    first, last = min(float(each[0]) for each in along), max(float(each[-1]) for each in along)
    return first, last if last > first else first + 1.0


def _behind(ax: Any, landscape: Any, ends: list[tuple[float, float]], levels: Any, along: list[np.ndarray]) -> None:
    axes = grid_axes(ends)
    losses = losses_on(landscape, axes)
    steps = levels_of(losses, levels)
    if len(axes) == 2:
        contours(ax, axes, losses, steps, BEHIND, _ALPHA)
        return
    # the same losses all along time
    time = np.array(_extent(along))
    filled(ax, [time, axes[0]], np.tile(losses, (2, 1)), steps, BEHIND, _ALPHA)
