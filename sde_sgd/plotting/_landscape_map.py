"""Map of an explored landscape: its contours, minima, saddles and ways, or beyond two dimensions the ways' plane."""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from ._axes import GREY, RED, axes_of, says, shown, status_of
from ._figure import Figure
from ._style import SEQUENCE, require
from ._surface import contours

# losses are shown up to the highest saddle and by so much of the range below it further
_ABOVE = 0.35
# width of a line in points: of a way without a share, and of one with all passages beside what each has at least
_WIDTH, _WIDEST, _THINNEST = 1.8, 6.0, 0.6
# minima that carry their number
_NUMBERED = 30


def landscape_map(dataset: xr.Dataset) -> Figure:
    """Minima (numbered; 0 is the one below the start), first-order saddles (crosses) and the ways over them.

    dataset: of an exploration (`Exploration.to_dataset()`). In one dimension they are on the loss, in two over its
        contours; beyond, they are projected on the plane in which the ways extend furthest, whose axes say how much of
        the ways' extent they carry. Dashed ways lead to no minimum. A variable `share` over `saddle`, shares of the
        passages in 0 … 1, makes each way as wide as its share.
    Raises ValueError for any other dataset.
    """
    return map_on(None, dataset, Figure).figure


def map_on(ax: Any, dataset: xr.Dataset, new: Any = shown) -> Any:
    """The same on axes that were given, with the legend in them, or on those of a figure made by `new`; the axes."""
    require(dataset, "landscape_map", "an exploration", "minimum", "saddle", "component")
    panel = axes_of(ax, (6.6, 5.2 if dataset.sizes["component"] > 1 else 4.2), new=new)
    _draw(panel, dataset)
    is_labelled = bool(panel.get_legend_handles_labels()[1])
    if is_labelled and ax is None:
        panel.figure.legend(loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    elif is_labelled:
        panel.legend(fontsize=8)
    return panel


def _draw(panel: Any, dataset: xr.Dataset) -> None:
    """All but the legend."""
    if not dataset.sizes["minimum"]:
        says(panel, "no minimum was found")
        return
    dim, place = dataset.sizes["component"], _place(dataset)
    if dim == 2:
        _contours(panel, dataset)
    elif dim == 1 and "loss" in dataset:
        panel.plot(dataset.x, dataset.loss, color="#374151", lw=1.2)
    _ways(panel, dataset, place)
    saddles, minima = place(dataset.saddle_location.values), place(dataset.minimum_location.values)
    panel.plot(*saddles.T, "x", color="black", markersize=7, markeredgewidth=1.6, label="saddle", zorder=4)
    style: dict[str, Any] = {"markersize": 12, "markeredgecolor": "black", "markerfacecolor": "white", "zorder": 5}
    panel.plot(*minima.T, "o", label="minimum", **style)
    for number, spot in enumerate(minima[:_NUMBERED]):
        panel.annotate(f"{number}", spot, ha="center", va="center", fontsize=8, zorder=6)
    _frame(panel, dataset, place)
    _labels(panel, dataset, dim)
    panel.set_title(_title(dataset), fontsize=10)


def _place(dataset: xr.Dataset) -> Any:
    """Where points (n, dim) go in the panel, (n, 2)."""
    dim = dataset.sizes["component"]
    if dim == 1:
        x, loss = (dataset[name].values if "loss" in dataset else np.zeros(1) for name in ("x", "loss"))
        return lambda points: np.column_stack([points[:, 0], np.interp(points[:, 0], x, loss)])
    if dim == 2:
        return lambda points: points
    center, axes, _ = _plane(dataset)
    return lambda points: (points - center) @ axes


def _frame(panel: Any, dataset: xr.Dataset, place: Any) -> None:
    """Limits around all that is joined: a way to nowhere may go far."""
    spots = place(_joined(dataset))
    low, high = spots.min(axis=0), spots.max(axis=0)
    margin = _ABOVE * np.maximum(high - low, 1e-3 * float((high - low).max()) or 1e-3)
    if dataset.sizes["component"] == 1:
        panel.set_ylim(low[1] - margin[1], max(_top(dataset), high[1] + margin[1] / 9))
    if "loss" in dataset:
        panel.set_xlim(dataset.x.min(), dataset.x.max())
        if "y" in dataset:
            panel.set_ylim(dataset.y.min(), dataset.y.max())
    else:
        panel.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))


def _joined(dataset: xr.Dataset) -> Float[np.ndarray, "n dim"]:
    """Minima, saddles, and the points of the ways that join two minima."""
    paths = dataset.path.values[dataset.second.values >= 0].reshape(-1, dataset.sizes["component"])
    return np.concatenate([dataset.minimum_location.values, dataset.saddle_location.values, paths])


def _plane(
    dataset: xr.Dataset,
) -> tuple[Float[np.ndarray, " dim"], Float[np.ndarray, "dim 2"], Float[np.ndarray, " 2"]]:
    """Center and axes of the plane in which the ways extend furthest, and how much of their variance each carries."""
    points = _joined(dataset)
    center = points.mean(axis=0)
    _, sizes, rows = np.linalg.svd(points - center, full_matrices=True)
    variance = np.zeros(len(rows))
    variance[: len(sizes)] = sizes**2
    axes = rows[:2]
    # a decomposition leaves the sign open
    axes = axes * np.sign(axes[np.arange(2), np.argmax(np.abs(axes), axis=1)])[:, None]
    return center, axes.T, variance[:2] / max(float(variance.sum()), 1e-300)


def _top(dataset: xr.Dataset) -> float:
    losses = np.concatenate([dataset.minimum_loss.values, dataset.saddle_loss.values])
    extent = float(losses.max() - losses.min()) or float(np.nanmax(dataset.loss) - losses.min())
    return float(losses.max()) + _ABOVE * extent


def _contours(panel: Any, dataset: xr.Dataset) -> None:
    loss, top = dataset.loss.values, _top(dataset)
    levels = np.linspace(float(dataset.minimum_loss.min()), top, 22)
    shades = contours(panel, [dataset.x.values, dataset.y.values], loss.T, levels, SEQUENCE)
    panel.figure.colorbar(shades, ax=panel, pad=0.02).set_label("loss")


def _ways(panel: Any, dataset: xr.Dataset, place: Any) -> None:
    shares = dataset["share"].values if "share" in dataset else np.full(dataset.sizes["saddle"], np.nan)
    named: set[str] = set()
    for number in range(dataset.sizes["saddle"]):
        path = dataset.path.values[number]
        path = path[np.all(np.isfinite(path), axis=1)]
        if dataset.sizes["component"] == 1:
            # on the loss's own curve between its points too
            path = np.linspace(path[0], path[-1], 2_001)
        out = int(dataset.second[number]) < 0
        label = "way to no minimum" if out else "way down from a saddle"
        share = float(shares[number])
        width = _WIDTH if np.isnan(share) else _THINNEST + _WIDEST * share
        style = {"color": GREY if out else RED, "linestyle": "--" if out else "-", "linewidth": width, "zorder": 3}
        panel.plot(*place(path).T, label=f"_{label}" if label in named else label, **style)
        named.add(label)
        if not np.isnan(share):
            spot = place(dataset.saddle_location.values[number][None])[0]
            panel.annotate(f"{share:.0%}", spot, (6, 6), textcoords="offset points", fontsize=8, zorder=6)


def _labels(panel: Any, dataset: xr.Dataset, dim: int) -> None:
    if dim == 1:
        panel.set(xlabel="θ", ylabel="loss")
    elif dim > 2:
        first, second = _plane(dataset)[2]
        panel.set_xlabel(f"first direction of the ways ({first:.0%} of their extent, θ)")
        panel.set_ylabel(f"second direction ({second:.0%})")
        panel.set_aspect("equal")


def _title(dataset: xr.Dataset) -> str:
    minima, saddles = dataset.sizes["minimum"], dataset.sizes["saddle"]
    height = float(dataset.attrs["height"])
    below = "" if np.isinf(height) else f" up to {height:.4g} above minimum 0"
    return f"{minima} minima, {saddles} saddles{below}: {status_of(dataset)}"
