"""A density in one or two dimensions, with its interval, and the Gibbs law or an exact one beside it."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.lines import Line2D

from ._axes import BLUE, THEORY, array_of, axes_of, bounds_of, label, says, status_of
from ._style import SEQUENCE, logarithmic, require
from ._surface import losses_on

# points on an axis of a law that is drawn, and by how many ranges to either side more it is normalised over
_FINE, _BESIDE = {1: 400, 2: 120}, 1
_LEVELS = 10.0 ** np.arange(-12, 7)


def histogram(dataset: xr.Dataset, ax: Any = None, *, theory: Any = None) -> Any:
    """The density of one value as steps with its interval as a band; of two as colours on a logarithmic scale.

    dataset: `Histogram.to_dataset()`. Bins in which nothing was seen have no band, and stay grey.
    ax: matplotlib axes to draw on; by default those of a new figure, `ax.figure`. In two dimensions a bar of colours is
        drawn beside them.
    theory: a law to draw, as a dashed line, or in two dimensions as level lines at powers of ten: a diffusion with a
        temperature T whose θ was binned, of which it is Gibbs' density exp(−L/T) (Risken 1989), normalised over the
        range of the bins and as much again on every side; a `reference.FokkerPlanck`, its stationary density; an array
        of the bins' shape; or a function of values, (n,) or in two dimensions (n, 2), that returns densities (n,).
    Returns the axes. Raises ValueError for another dataset, for axes that are none, or another theory.

    Example: `found.plot(theory=ss.reference.FokkerPlanck(diffusion, (-3, 3, 600)))`.
    """
    require(dataset, "histogram", "a histogram", "first")
    axes = [name for name in ("first", "second") if name in dataset.dims]
    law = None if theory is None else _law(theory, dataset, axes)
    ax = axes_of(ax, (6.4, 4.2 if len(axes) == 1 else 5.0))
    (_curve if len(axes) == 1 else _plane)(ax, dataset, law)
    title = f"{int(dataset.attrs['trajectories']):,} trajectories from t = {dataset.attrs['burn_in']:.4g} to "
    ax.set_title(f"{title}{dataset.attrs['horizon']:.4g}, {status_of(dataset)}", fontsize=10)
    if not np.any(dataset["density"].values > 0):
        says(ax, "no value was seen in these bins")
    return ax


def _curve(ax: Any, dataset: xr.Dataset, law: Any) -> None:
    (edges,) = _edges(dataset, ["first"])
    value, low, high = bounds_of(dataset, "density")
    # where nothing was seen only the chance to come there at all is bounded, which is no density's size
    low, high = (np.where(value > 0, end, 0.0) for end in (low, high))
    confidence = f"simulated, {float(dataset.attrs['confidence']):.4g} confidence band"
    ax.stairs(high, edges, baseline=low, fill=True, color=BLUE, alpha=0.3, label="_band")
    ax.stairs(value, edges, baseline=None, color=BLUE, linewidth=1.5, label=confidence)
    if law is not None:
        (points,), density = law
        ax.plot(points, density, **THEORY | {"label": "theory"})
    ax.set(xlabel=_axis(dataset, "first"), ylabel=label(dataset["density"]))
    ax.set_ylim(bottom=0)
    ax.legend(fontsize=8, frameon=False)
    ax.grid(alpha=0.25, linewidth=0.5)


def _plane(ax: Any, dataset: xr.Dataset, law: Any) -> None:
    value = dataset["density"].transpose("first", "second").values
    norm: Any = logarithmic(value)
    ax.set_facecolor("#d5d5d5")
    colors = np.ma.masked_where(~(value > 0), value).T
    mesh = ax.pcolormesh(*_edges(dataset, ["first", "second"]), colors, norm=norm, cmap=SEQUENCE, rasterized=True)
    ax.figure.colorbar(mesh, ax=ax, pad=0.02).set_label(label(dataset["density"]))
    if law is not None:
        (x, y), density = law
        levels = _LEVELS[(norm.vmin < _LEVELS) & (norm.vmax > _LEVELS)]
        if levels.size and np.any(density > levels[0]):
            ax.contour(x, y, density.T, levels=levels, colors="black", linewidths=0.9, linestyles="dashed")
        style: dict[str, Any] = THEORY | {"label": "theory, at powers of ten"}
        ax.legend(handles=[Line2D([], [], **style)], fontsize=8, loc="upper right")
    ax.set(xlabel=_axis(dataset, "first"), ylabel=_axis(dataset, "second"))
    (left, *_, right), (low, *_, high) = _edges(dataset, ["first", "second"])
    ax.set_xlim(left, right)
    ax.set_ylim(low, high)


def _axis(dataset: xr.Dataset, name: str) -> str:
    """What is binned is the person's own function, or θ: its name is not known here."""
    return "value" if "second" not in dataset.dims else f"{name} value"


def _edges(dataset: xr.Dataset, axes: list[str]) -> list[np.ndarray]:
    """Ends of the bins of each axis, (number + 1,)."""
    ends = zip(dataset.attrs["low"], dataset.attrs["high"], axes, strict=True)
    return [np.linspace(low, high, dataset.sizes[name] + 1) for low, high, name in ends]


def _law(theory: Any, dataset: xr.Dataset, axes: list[str]) -> tuple[list[np.ndarray], np.ndarray]:
    """Points along each axis, and the density there."""
    if hasattr(theory, "stationary") and hasattr(theory, "grid"):
        if theory.grid.dim != len(axes):
            raise ValueError(f"theory must be a solver with the {len(axes)} axes of the bins, got {theory.grid.dim}")
        return list(theory.grid.centers), theory.stationary()
    edges, number = _edges(dataset, axes), _FINE[len(axes)]
    if hasattr(theory, "gibbs_temperature"):
        return _gibbs(theory, edges, number)
    if callable(theory):
        points = [np.linspace(ends[0], ends[-1], number + 1) for ends in edges]
        mesh = np.stack(np.meshgrid(*points, indexing="ij"), axis=-1).reshape(-1, len(axes))
        given = array_of(theory(mesh if len(axes) > 1 else mesh[:, 0]))
        if given is not None and given.shape == (len(mesh),):
            return points, given.reshape([number + 1] * len(axes))
        found = "no array" if given is None else f"shape {given.shape}"
        raise ValueError(f"theory must return a density for each value, of shape ({len(mesh)},), got {found}")
    array, shape = array_of(theory), dataset["density"].shape
    if array is None or array.shape != shape:
        raise ValueError(
            f"theory must be a diffusion with a temperature, a FokkerPlanck, an array of the bins' shape {shape}, or a "
            f"function of values, got {repr(theory) if array is None else f'shape {array.shape}'}"
        )
    return [(ends[1:] + ends[:-1]) / 2 for ends in edges], array


def _gibbs(diffusion: Any, edges: list[np.ndarray], number: int) -> tuple[list[np.ndarray], np.ndarray]:
    """exp(−L/T) over its sum over cells of the range of the bins and as much beside it."""
    # its rooms load JAX, which figures of stored results do without
    from ..theory._evaluate import temperature

    heat = temperature(diffusion)
    if diffusion.dim != len(edges):
        raise ValueError(f"theory must be a diffusion of the {len(edges)} components binned, got dim = {diffusion.dim}")
    wide = []
    for ends in edges:
        step = (ends[-1] - ends[0]) / number
        wide.append(ends[0] + step * (np.arange(-_BESIDE * number, (1 + _BESIDE) * number) + 0.5))
    losses = losses_on(diffusion.landscape, wide)
    weights = np.exp(-(losses - np.nanmin(losses)) / heat)
    density = weights / np.nansum(weights) / np.prod([points[1] - points[0] for points in wide])
    inside = slice(_BESIDE * number, (1 + _BESIDE) * number)
    return [points[inside] for points in wide], density[(inside,) * len(edges)]
