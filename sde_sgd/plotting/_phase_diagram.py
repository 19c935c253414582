"""Phase diagram: escape probability over learning rate × batch size, on logarithmic axes."""

import itertools
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.patches import Patch, Polygon, Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from .._precision import HATCHED, MARKS, beyond_stability, quality
from ._axes import label
from ._figure import Figure
from ._style import SEQUENCE, arrangement, is_dark, logarithmic, require

# least distance of two numbers beside each other, and above each other (inches)
_APART = 0.62, 0.2
# least size of a cell (inches)
_CELL = 0.55, 0.36
# against the direction of the lines of constant γ/M
_HATCHED: dict[str, Any] = {"hatch": "\\\\\\\\", "linewidth": 0.0}
_BEYOND: dict[str, Any] = {"facecolor": "#c2410c", "edgecolor": "white", "linewidth": 0.6}


def phase_diagram(dataset: xr.Dataset) -> Figure:
    """Probability to leave by the horizon over learning rate × batch size, with lines of constant γ/M.

    dataset: of an escape study. Both axes are logarithmic, one panel for each start; every cell carries its number
    where there is room, every line its γ/M (some lines, where there would be too many to read). A cell that was not
    run stays grey; one that is not precise is hatched (its interval is wider than its value, or its status has a
    finding); where γ > 2/λ_max, so that gradient descent is unstable at the start, a corner of the cell is marked, if
    the dataset has `largest_curvature`.
    Raises ValueError for any other dataset.
    """
    require(dataset, "phase_diagram", "an escape study", "start", "learning_rate", "batch_size")
    starts = [str(name) for name in dataset.start.values]
    rates, batches = dataset.learning_rate.values, dataset.batch_size.values
    norm = logarithmic(dataset["probability"].values, top=1.0)
    size = np.array([max(4.1, _CELL[0] * len(rates)), max(4.1, _CELL[1] * len(batches))])
    figure, panels = _panels(len(starts), size)
    state, beyond = quality(dataset, "probability"), beyond_stability(dataset)
    mesh: Any = None
    marks: set[str] = set()
    for panel, start in zip(panels, starts, strict=True):
        values = dataset["probability"].sel(start=start).transpose("learning_rate", "batch_size").values
        panel.set_facecolor("#d5d5d5")
        mesh = panel.pcolormesh(
            _edges(rates), _edges(batches), values.T, norm=norm, cmap=SEQUENCE, edgecolor="face", linewidth=0.2
        )
        panel.set_xscale("log")
        panel.set_yscale("log")
        _numbers(panel, rates, batches, values, norm, size)
        hatched = state.sel(start=start).transpose("learning_rate", "batch_size").isin(HATCHED).values
        unstable = np.zeros(len(rates), bool) if beyond is None else beyond.sel(start=start).values
        _hatch(panel, rates, batches, hatched, values, norm)
        _mark_corners(panel, rates, batches, unstable)
        marks |= {name for name, found in (("imprecise", hatched), ("beyond", unstable)) if found.any()}
        _constant_ratio(panel, rates, batches, size)
        turned = len(rates) > 6
        for axis, ticks, apart in (
            (panel.xaxis, rates, _APART[turned] / size[0]),
            (panel.yaxis, batches, _APART[1] / size[1]),
        ):
            axis.set_major_locator(FixedLocator(_spread(ticks, apart)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
            axis.set_minor_locator(NullLocator())
            axis.set_minor_formatter(NullFormatter())
        if turned:
            panel.tick_params(axis="x", labelrotation=45, labelsize=8)
        panel.set_title(f"start: {start}", pad=14)
        panel.set_xlabel(label(dataset.learning_rate))
        if panel.get_subplotspec().is_first_col():
            panel.set_ylabel(label(dataset.batch_size))
    bar = figure.colorbar(mesh, ax=list(panels), pad=0.02)
    bar.set_label(f"P(exit by t = {dataset.attrs['horizon']:g})")
    figure.suptitle("dashed: constant γ/M, its value at the line's end", fontsize=9)
    _marks_legend(figure, marks)
    return figure


def _panels(count: int, size: np.ndarray) -> tuple[Figure, list[Any]]:
    """A panel of about `size` (inches) for each start."""
    rows, columns = arrangement(count)
    width, height = (size + np.array([1.1, 0.9])) * [columns, rows] + np.array([1.4, 0.3])
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = list(figure.subplots(rows, columns, sharey=True, squeeze=False).ravel())
    for panel in panels[count:]:
        panel.remove()
    return figure, panels[:count]


def _numbers(panel: Any, rates: np.ndarray, batches: np.ndarray, values: np.ndarray, norm: Any, size: Any) -> None:
    """The number of each cell, as large as the narrowest cell allows; none where it would be too small to read."""
    x, y = (np.diff(np.log(_edges(centers))) for centers in (rates, batches))
    across, up = 72 * size * np.array([x.min() / x.sum(), y.min() / y.sum()])
    texts = {place: f"{values[place]:.2g}" for place in np.ndindex(values.shape) if np.isfinite(values[place])}
    # a digit is some 0.62 of its size wide
    fitting = min(9.0, 0.9 * across / (0.62 * max(map(len, texts.values()), default=1)), 0.6 * up)
    if fitting < 4.5:
        return
    for (i, j), text in texts.items():
        place = float(norm(values[i, j]))
        # a patch of the cell's own colour keeps lines off the number
        patch = {"facecolor": SEQUENCE(place), "edgecolor": "none", "boxstyle": "round,pad=0.15"}
        ink = "white" if is_dark(place) else "black"
        panel.text(rates[i], batches[j], text, ha="center", va="center", color=ink, size=fitting, bbox=patch, zorder=4)


def _hatch(panel: Any, rates: np.ndarray, batches: np.ndarray, hatched: np.ndarray, values: Any, norm: Any) -> None:
    x, y = _edges(rates).tolist(), _edges(batches).tolist()
    for i, j in zip(*np.nonzero(hatched), strict=True):
        on_dark = np.isfinite(values[i, j]) and is_dark(float(norm(values[i, j])))
        spot, extent = (x[i], y[j]), (x[i + 1] - x[i], y[j + 1] - y[j])
        style = {"facecolor": "none", "edgecolor": "#ffffffa0" if on_dark else "#00000080"}
        panel.add_patch(Rectangle(spot, *extent, label="_hatched", zorder=2, **style, **_HATCHED))


def _mark_corners(panel: Any, rates: np.ndarray, batches: np.ndarray, unstable: np.ndarray) -> None:
    x, y = _edges(rates), _edges(batches)
    for i, j in itertools.product(np.nonzero(unstable)[0], range(len(batches))):
        # along logarithmic axes
        left, below = x[i + 1] * (x[i] / x[i + 1]) ** 0.3, y[j + 1] * (y[j] / y[j + 1]) ** 0.3
        corner = [(left, y[j + 1]), (x[i + 1], y[j + 1]), (x[i + 1], below)]
        panel.add_patch(Polygon(corner, label="_beyond", zorder=3, **_BEYOND))


def _marks_legend(figure: Figure, marks: set[str]) -> None:
    """What the marks mean, of those that there are."""
    filled: dict[str, Any] = {"facecolor": SEQUENCE(0.45), "edgecolor": "white"}
    styles = {"imprecise": filled | _HATCHED, "beyond": _BEYOND}
    handles = [Patch(label=MARKS[name], **style) for name, style in styles.items() if name in marks]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=1, fontsize=9, frameon=False)


def _spread(ticks: np.ndarray, apart: float) -> list[float]:
    """Those of the increasing values that lie at least `apart` from each other, a share of their logarithmic axis."""
    edges = _edges(ticks)
    kept: list[float] = []
    for tick in ticks:
        if not kept or np.log(tick / kept[-1]) >= apart * np.log(edges[-1] / edges[0]):
            kept.append(float(tick))
    return kept


def _edges(centers: np.ndarray) -> np.ndarray:
    """Borders of cells around `centers` on a log axis."""
    logs = np.log(np.asarray(centers, float))
    if len(logs) == 1:
        return np.exp(logs[0] + np.array([-0.35, 0.35]))
    middle = (logs[:-1] + logs[1:]) / 2
    ends = [logs[0] - (middle[0] - logs[0])], [logs[-1] + (logs[-1] - middle[-1])]
    return np.exp(np.concatenate([ends[0], middle, ends[1]]))


def _constant_ratio(panel: Any, rates: np.ndarray, batches: np.ndarray, size: np.ndarray) -> None:
    """Lines of constant γ/M, each with its number where it leaves the diagram; those too near to the last are left out.

    On logarithmic axes such a line has slope 1: where it leaves is a matter of log(γ/M) alone.
    """
    x = np.array([_edges(rates)[0], _edges(rates)[-1]])
    y = _edges(batches)
    height, width = np.log(y[-1] / y[0]), np.log(x[1] / x[0])
    last = -np.inf
    for ratio in sorted({float(f"{rate / batch:.9g}") for rate in rates for batch in batches}):
        above = y[-1] * ratio < x[1]
        # from the upper left corner along the upper side, then down the right side
        along = np.log(y[-1] * ratio / x[0]) / width if above else 1 + np.log(y[-1] * ratio / x[1]) / height
        if along < last + (_APART[0] / size[0] if above else _APART[1] / size[1]):
            continue
        last = along
        panel.plot(x, x / ratio, color="white", linewidth=1.0, linestyle="--", alpha=0.8, label=f"γ/M = {ratio:.3g}")
        if above:
            _margin_number(panel, ratio, (y[-1] * ratio, y[-1]), (0, 3), "center", "bottom")
        else:
            _margin_number(panel, ratio, (x[1], x[1] / ratio), (3, 0), "left", "center")
    panel.set_xlim(x)
    panel.set_ylim(y[0], y[-1])


def _margin_number(panel: Any, ratio: float, place: Any, offset: Any, across: Any, up: Any) -> None:
    style = {"ha": across, "va": up, "fontsize": 7, "color": "#555555"}
    panel.annotate(f"{ratio:.3g}", place, offset, textcoords="offset points", annotation_clip=False, **style)
