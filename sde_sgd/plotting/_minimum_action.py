"""A minimum-action path over the landscape, or over the drift, and the action along it."""

from typing import Any

import numpy as np
import xarray as xr

from ._axes import panels_of, shown
from ._figure import Figure
from ._style import SEQUENCE, require
from ._surface import contours, plane

_INK = "#c1272d"
_LEVELS = 24
# losses are drawn up to this much above the highest on the path, over the range on it: walls would take all colours
_ABOVE = 0.6


def minimum_action_path(dataset: xr.Dataset) -> Figure:
    """The path over the landscape's level lines, or over the drift's stream lines, and the action along its length.

    dataset: of one path (`theory.minimum_action(...).to_dataset()`). In other dimensions than two only the action along
        the path is drawn, beside the loss where there is one.
    Raises ValueError for any other dataset.
    """
    return minimum_action_on(None, dataset, Figure)[0].figure


def minimum_action_on(ax: Any, dataset: xr.Dataset, new: Any = shown) -> Any:
    """The same on axes given, of the plane where there is one and of the action, or of a figure by `new`: (n,)."""
    require(dataset, "minimum_action_path", "a minimum-action path", "image", "component")
    in_the_plane = "landscape" in dataset or "drift" in dataset
    names = ["the plane", "the action"] if in_the_plane else ["the action"]
    panels = panels_of(ax, names, lambda: _made(new, dataset, len(names)))
    if in_the_plane:
        _plane(panels[0], dataset)
    _along(panels[-1], dataset)
    return panels


def _made(new: Any, dataset: xr.Dataset, number: int) -> Any:
    """Panels of a new figure, (number,)."""
    figure = new(figsize=_size(dataset) if number > 1 else (6.2, 4.7))
    # beside an axis with equal scales the layout leaves too little for its label
    figure.set_layout_engine("constrained", w_pad=0.15)
    return figure.subplots(1, number, squeeze=False)[0]


def _size(dataset: xr.Dataset) -> tuple[float, float]:
    """In inches, such that a plane with equal scales fills its half: where it is much too high its labels are cut."""
    sides = [float(np.ptp(dataset[axis].values)) for axis in ("x", "y")]
    return 11.4, float(np.clip(4.3 * sides[1] / sides[0] + 1.1, 3.2, 6.5))


def _plane(panel: Any, dataset: xr.Dataset) -> None:
    x, y = dataset.x.values, dataset.y.values
    if "landscape" in dataset:
        on_path = dataset.loss.values
        low = float(np.nanmin(dataset.landscape.values))
        top = on_path.max() + _ABOVE * (on_path.max() - on_path.min())
        levels = np.linspace(low, top, _LEVELS)
        shades = contours(panel, [x, y], dataset.landscape.values, levels, SEQUENCE)
        panel.figure.colorbar(shades, ax=panel, pad=0.02, label="loss L")
    else:
        drift = dataset.drift.values
        speed = np.linalg.norm(drift, axis=2)
        # one colour for all that is faster than most
        norm = {"vmin": 0.0, "vmax": float(np.nanquantile(speed, 0.9))}
        shades = panel.pcolormesh(x, y, speed.T, cmap=SEQUENCE, rasterized=True, shading="nearest", **norm)
        panel.streamplot(x, y, drift[:, :, 0].T, drift[:, :, 1].T, color="white", linewidth=0.6, arrowsize=0.8)
        panel.figure.colorbar(shades, ax=panel, pad=0.02, label="|b|, θ per SDE time", extend="max")
    path = dataset.path.values
    panel.plot(*path.T, color="white", linewidth=4.2, solid_capstyle="round", label="_halo")
    panel.plot(*path.T, color=_INK, linewidth=2.2, label="minimum-action path")
    panel.plot(*path[0], "o", color="white", markeredgecolor=_INK, markersize=7, label="start")
    panel.plot(*path[-1], "s", color="white", markeredgecolor=_INK, markersize=7, label="target")
    plane(panel, x, y)
    panel.legend(loc="upper right", fontsize=8)


def _along(panel: Any, dataset: xr.Dataset) -> None:
    arc, epsilon = dataset.arc.values, dataset.attrs["noise_scale"]
    panel.plot(arc, dataset.action.values, color=_INK, linewidth=2.0, label="action")
    panel.set_xlabel("length along the path (θ)")
    panel.set_ylabel("action up to here (σσᵀ)")
    panel.grid(alpha=0.25, linewidth=0.5)
    panel.set_ylim(bottom=0)
    total = dataset.attrs["action"]
    panel.set_title(f"V = {total:.4g}, exponent V/ε = {total / epsilon:.4g} at ε = {epsilon:.3g}", fontsize=10)
    lines = list(panel.get_lines())
    if np.all(np.isfinite(dataset.loss.values)):
        loss = panel.twinx()
        lines += loss.plot(arc, dataset.loss.values, color="#555555", linewidth=1.2, linestyle="--", label="loss L")
        loss.set_ylabel("loss L")
    panel.legend(handles=lines, loc="center right", fontsize=8)
