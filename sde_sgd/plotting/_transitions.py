"""The network of minima: discs as large as the shares, arrows with the rates; over a curve, contours, or by itself."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ._axes import BLUE, RED, bounds_of, status_of
from ._style import require
from ._surface import BEHIND, axes_for, bounds_in_view, contours, curve, dim_of, grid_axes, levels_of, losses_on, plane

# an arrow's distance from the line between two minima, as a part of the extent, and from them, of their distance
_SIDE, _GAP = 0.022, 0.2
# of the height of a curve's panel, where the lowest arrows are above the lowest minimum: the passes lie below
_CLEAR = 0.85
# cosine of the angle to a line beyond which words do not stand in its way
_FREE = 0.6
# area of a disc in points², of the whole share, and of the least that is still seen
_WHOLE, _LEAST = 2_600.0, 40.0


class _Jump(NamedTuple):
    """An arrow: from `tail` to `tip`, its words at `words`."""

    tail: np.ndarray
    tip: np.ndarray
    words: np.ndarray


def transitions(dataset: xr.Dataset, ax: Any = None, *, landscape: Any = None) -> Any:
    """Minima as discs whose area is their share of the time in the end, and the rates of the jumps on arrows.

    dataset: `Transitions.to_dataset()`. Rates are per SDE time, shares have their intervals in brackets. A jump that
        was never seen is a dotted arrow with the upper bound of its rate.
    ax: matplotlib axes to draw on; by default those of a new figure, `ax.figure`.
    landscape: drawn behind, contours in two dimensions and the curve in one. Beyond two dimensions minima are on a
        circle, in the order of their numbers, and distances mean nothing.
    Returns the axes. Raises ValueError for another dataset, axes that are none, or a landscape of another dim.

    Example: `ss.transitions(chain, minima).plot(landscape=wells)`.
    """
    require(dataset, "transitions", "transitions between minima", "minimum", "component", "from", "to")
    dim = dataset.sizes["component"]
    if landscape is not None and dim > 2:
        raise ValueError(f"landscape must be left out where minima have more than 2 components, got dim = {dim}")
    if landscape is not None:
        dim_of(landscape, dim, "minima")
    ax = axes_for(ax, dim, (6.8, 6.2))
    places, size = _places(ax, dataset, landscape, dim)
    rates = bounds_of(dataset.transpose("from", "to", ...), "rate")
    pairs = np.argwhere(rates[2] > 0).tolist()
    for i, j in pairs:
        jump = _above(ax, places, i, j, size) if dim == 1 else _aside(places, i, j, size)
        is_seen = bool(rates[0][i, j] > 0)
        _arrow(ax, jump, f"{rates[0][i, j]:.2g}" if is_seen else f"< {rates[2][i, j]:.2g}", is_seen)
    # on a line all arrows are above
    _discs(ax, dataset, places, [] if dim == 1 else pairs)
    gap = tuple(float(each) for each in bounds_of(dataset, "relaxation_time"))
    ax.set_title(
        "rates per SDE time; relaxation time {:.4g} [{:.4g}, {:.4g}], {}".format(*gap, status_of(dataset)), fontsize=10
    )
    return ax


def _places(ax: Any, dataset: xr.Dataset, landscape: Any, dim: int) -> tuple[np.ndarray, float]:
    """Where minima go in the panel, (K, 2), and a size to go by: of the panel, in one dimension its height.

    Draws what is behind them.
    """
    spots = np.asarray(dataset.location.transpose("minimum", "component").values, np.float64)
    if dim > 2:
        angles = np.pi / 2 - 2 * np.pi * np.arange(len(spots)) / len(spots)
        ax.set(xlim=(-1.6, 1.6), ylim=(-1.5, 1.5))
        ax.set_aspect("equal")
        ax.set_axis_off()
        return np.column_stack([np.cos(angles), np.sin(angles)]), 3.2
    ends = bounds_in_view(None, dim, list(spots))
    axes = grid_axes(ends)
    losses = None if landscape is None else losses_on(landscape, axes)
    if dim == 2:
        if losses is not None:
            contours(ax, axes, losses, levels_of(losses), BEHIND, 0.5)
        plane(ax, *ends)
        return spots, max(high - low for low, high in ends)
    heights = np.zeros(len(spots))
    if losses is None:
        ax.set(xlim=ends[0], ylim=(-0.6, 0.4), xlabel="θ")
        ax.set_yticks([])
    else:
        curve(ax, axes[0], losses, levels_of(losses))
        heights = np.interp(spots[:, 0], axes[0], losses)
    low, high = ax.get_ylim()
    # below the curve is room for the words of the discs, above it for the arrows, which go up to `high`
    ax.set_ylim(low - 0.25 * (high - low), high)
    return np.column_stack([spots[:, 0], heights]), high - low


def _above(ax: Any, places: np.ndarray, i: int, j: int, height: float) -> _Jump:
    """In one dimension arrows are level, above the curve: to the right, to the left, and higher over other minima."""
    x = places[:, 0]
    between = int(np.sum((x > min(x[i], x[j])) & (x < max(x[i], x[j]))))
    base = float(places[:, 1].min()) + _CLEAR * height
    level = base + height * (0.2 * between + (0.1 if x[j] > x[i] else 0.0))
    ax.set_ylim(top=max(ax.get_ylim()[1], level + 0.1 * height))
    inset = 0.12 * (x[j] - x[i])
    tail, tip = np.array([x[i] + inset, level]), np.array([x[j] - inset, level])
    return _Jump(tail, tip, (tail + tip) / 2 + np.array([0.0, 0.035 * height]))


def _aside(places: np.ndarray, i: int, j: int, size: float) -> _Jump:
    """Beside the line between two minima, to the left of who goes along it, with its words further out."""
    start, end = places[i], places[j]
    along = (end - start) / np.linalg.norm(end - start)
    side = _SIDE * size * np.array([-along[1], along[0]])
    gap = _GAP * (end - start)
    return _Jump(start + side + gap, end + side - gap, (start + end) / 2 + 2.6 * side)


def _arrow(ax: Any, jump: _Jump, words: str, is_seen: bool) -> None:
    style = {"arrowstyle": "->", "color": RED, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
    style |= {} if is_seen else {"linestyle": ":"}
    ax.annotate("", jump.tip, jump.tail, arrowprops=style, zorder=4)
    patch = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "boxstyle": "round,pad=0.12"}
    ax.text(*jump.words, words, color=RED, fontsize=8, ha="center", va="center", bbox=patch, zorder=7)


def _discs(ax: Any, dataset: xr.Dataset, places: np.ndarray, pairs: list[list[int]]) -> None:
    """Discs with their names and shares, which stand aside of the arrows."""
    shares = np.array(bounds_of(dataset, "stationary"))
    areas = _LEAST + _WHOLE * np.nan_to_num(shares[0])
    ax.scatter(*places.T, s=areas, color=BLUE, alpha=0.75, zorder=3)
    for number, (name, (value, low, high)) in enumerate(zip(dataset.minimum.values, shares.T, strict=True)):
        words = f"{name}\n{value:.3g} [{low:.3g}, {high:.3g}]" if np.isfinite(value) else f"{name}\nshare not known"
        across, up = _free_side(places, number, [pair for pair in pairs if number in pair])
        offset = (np.sqrt(areas[number]) / 2 + 4) * np.array([across, up])
        patch = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "boxstyle": "round,pad=0.15"}
        style: dict[str, Any] = {"fontsize": 8, "bbox": patch, "zorder": 6}
        style["ha"] = "left" if across > 0.1 else "right" if across < -0.1 else "center"
        style["va"] = "bottom" if up > 0.1 else "top" if up < -0.1 else "center"
        ax.annotate(words, places[number], offset, textcoords="offset points", **style)


def _free_side(places: np.ndarray, number: int, pairs: list[list[int]]) -> np.ndarray:
    """Where the words of a disc stand, as a direction: below, above, else askew, away from lines to other minima.

    Longer than 1 where every direction is near a line: then further out.
    """
    angles = -np.pi / 2 + np.pi / 4 * np.array([0, 4, 1, 7, 3, 5])
    sides = np.column_stack([np.cos(angles), np.sin(angles)])
    others = sorted({other for pair in pairs for other in pair} - {number})
    if not others:
        return sides[0]
    lines = places[others] - places[number]
    nearest = (sides @ (lines / np.linalg.norm(lines, axis=1, keepdims=True)).T).max(axis=1)
    free = np.flatnonzero(nearest < _FREE)
    return sides[free[0]] if free.size else 1.7 * sides[int(np.argmin(np.round(nearest, 2)))]
