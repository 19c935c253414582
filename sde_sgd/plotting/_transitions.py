"""The network of minima: discs as large as the shares, arrows with the rates; over a curve, contours, or by itself."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ._style import BLUE, RED, axes_of, bounds_of, require, status_of
from ._surface import bounds_in_view, contours, curve, dim_of, grid_axes, levels_of, losses_on

# an arrow's distance from the line between two minima, and from the minima, as parts of the extent and of their distance
_SIDE, _GAP = 0.022, 0.2
# area of a disc in points², of the whole share, and of the least that is still seen
_WHOLE, _LEAST = 2_600.0, 40.0


class _Jump(NamedTuple):
    """An arrow: from `tail` to `tip`, its words at `words`, and whether the rate was seen or is only bounded."""

    tail: np.ndarray
    tip: np.ndarray
    words: np.ndarray
    is_seen: bool


def transitions(dataset: xr.Dataset, ax: Any = None, *, landscape: Any = None) -> Any:
    """Minima as discs whose area is their share of the time in the end, and the rates of the jumps on arrows.

    dataset: `Transitions.to_dataset()`. Rates are per SDE time, shares have their intervals in brackets. A jump that was
        never seen is a dotted arrow with the upper bound of its rate.
    ax: matplotlib axes to draw on; by default those of a new figure, `ax.figure`.
    landscape: drawn behind, contours in two dimensions and the curve in one. Beyond two dimensions minima are on a
        circle, in the order of their numbers, and distances mean nothing.
    Returns the axes. Raises ValueError for another dataset, axes that are none, or a landscape of another dim.

    Example: `ss.transitions(chain, minima).plot(landscape=wells)`.
    """
    require(dataset, "transitions", "transitions between minima", "minimum", "component", "from", "to")
    dim = dataset.sizes["component"]
    if landscape is not None and dim > 2:
        raise ValueError(
            f"landscape must have 1 or 2 dimensions to be drawn behind minima, got dim = {dim}; leave it out"
        )
    if landscape is not None and dim_of(landscape) != dim:
        raise ValueError(f"landscape must have the dim = {dim} of the minima, got dim = {landscape.dim}")
    ax = axes_of(ax, (6.4, 4.4) if dim == 1 else (6.8, 6.2))
    places, extent = _places(ax, dataset, landscape, dim)
    rates = bounds_of(dataset.transpose("from", "to", ...), "rate")
    level = _Levels(places, extent) if dim == 1 else None
    for i, j in zip(*np.nonzero(rates[2] > 0), strict=True):
        jump = level.jump(i, j, rates[0][i, j] > 0) if level else _aside(places, i, j, extent, rates[0][i, j] > 0)
        _arrow(ax, jump, f"{rates[0][i, j]:.2g}" if jump.is_seen else f"< {rates[2][i, j]:.2g}")
    _discs(ax, dataset, places, extent, below=dim == 1)
    gap = tuple(float(each) for each in bounds_of(dataset, "relaxation_time"))
    ax.set_title(
        "rates per SDE time; relaxation time {:.4g} [{:.4g}, {:.4g}], {}".format(*gap, status_of(dataset)), fontsize=10
    )
    return ax


def _places(ax: Any, dataset: xr.Dataset, landscape: Any, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Where minima go in the panel, (K, 2), and the panel's extent, (2,); draws what is behind them."""
    spots = np.asarray(dataset.location.transpose("minimum", "component").values, np.float64)
    if dim > 2:
        angles = np.pi / 2 - 2 * np.pi * np.arange(len(spots)) / len(spots)
        ax.set(xlim=(-1.6, 1.6), ylim=(-1.5, 1.5))
        ax.set_aspect("equal")
        ax.set_axis_off()
        return np.column_stack([np.cos(angles), np.sin(angles)]), np.array([3.2, 3.0])
    ends = bounds_in_view(None, dim, list(spots))
    axes = grid_axes(ends)
    losses = None if landscape is None else losses_on(landscape, axes)
    if dim == 2:
        if losses is not None:
            contours(ax, axes, losses, levels_of(losses), "Greys_r", 0.5)
        ax.set(xlim=ends[0], ylim=ends[1], xlabel="θ₀", ylabel="θ₁")
        ax.set_aspect("equal")
        return spots, np.array([high - low for low, high in ends])
    if losses is None:
        ax.set(xlim=ends[0], ylim=(-0.6, 1.0), xlabel="θ")
        ax.set_yticks([])
        return np.column_stack([spots[:, 0], np.zeros(len(spots))]), np.array([ends[0][1] - ends[0][0], 1.6])
    levels = levels_of(losses)
    curve(ax, axes[0], losses, levels)
    low, high = ax.get_ylim()
    # below the curve is room for the words of the discs, above it for the arrows
    ax.set_ylim(low - 0.25 * (high - low), high + 0.15 * (high - low))
    return np.column_stack([spots[:, 0], np.interp(spots[:, 0], axes[0], losses)]), np.array(
        [ends[0][1] - ends[0][0], 1.4 * (high - low)]
    )


class _Levels:
    """In one dimension arrows are level, above the minima: those to the right above those to the left."""

    def __init__(self, places: np.ndarray, extent: np.ndarray):
        self._places, self._extent = places, extent
        # the curve between the minima, its passes too, lies below
        self._base = float(places[:, 1].max()) + 0.62 * extent[1]

    def jump(self, i: int, j: int, is_seen: bool) -> _Jump:
        (first, _), (last, _) = self._places[i], self._places[j]
        height = self._base - 0.09 * self._extent[1] * (last < first) - 0.18 * self._extent[1] * self._between(i, j)
        inset = 0.12 * (last - first)
        tail, tip = np.array([first + inset, height]), np.array([last - inset, height])
        return _Jump(tail, tip, (tail + tip) / 2 + np.array([0.0, 0.03 * self._extent[1]]), is_seen)

    def _between(self, i: int, j: int) -> int:
        """How many minima lie between two: such jumps have levels of their own."""
        x = self._places[:, 0]
        low, high = sorted((x[i], x[j]))
        return int(np.sum((x > low) & (x < high)))


def _aside(places: np.ndarray, i: int, j: int, extent: np.ndarray, is_seen: bool) -> _Jump:
    """Beside the line between two minima, to the left of who goes along it, with its words further out."""
    start, end = places[i], places[j]
    along = (end - start) / np.linalg.norm(end - start)
    side = _SIDE * float(extent.max()) * np.array([-along[1], along[0]])
    gap = _GAP * (end - start)
    return _Jump(start + side + gap, end + side - gap, (start + end) / 2 + 2.6 * side, is_seen)


def _arrow(ax: Any, jump: _Jump, words: str) -> None:
    style = {"arrowstyle": "->", "color": RED, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
    style |= {} if jump.is_seen else {"linestyle": ":"}
    ax.annotate("", jump.tip, jump.tail, arrowprops=style, zorder=4)
    patch = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "boxstyle": "round,pad=0.12"}
    ax.text(*jump.words, words, color=RED, fontsize=8, ha="center", va="center", bbox=patch, zorder=5)


def _discs(ax: Any, dataset: xr.Dataset, places: np.ndarray, extent: np.ndarray, below: bool) -> None:
    shares = np.array(bounds_of(dataset, "stationary"))
    areas = _LEAST + _WHOLE * np.nan_to_num(shares[0])
    ax.scatter(*places.T, s=areas, color=BLUE, alpha=0.75, zorder=3)
    for name, place, area, (value, low, high) in zip(dataset.minimum.values, places, areas, shares.T, strict=True):
        words = f"{name}\n{value:.3g} [{low:.3g}, {high:.3g}]" if np.isfinite(value) else f"{name}\nshare not known"
        offset = (0.0, -(np.sqrt(area) / 2 + 4))
        patch = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "boxstyle": "round,pad=0.15"}
        style: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 8, "bbox": patch, "zorder": 6}
        ax.annotate(words, place, offset, textcoords="offset points", **style)
