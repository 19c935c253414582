"""Shares of the basins: over time as lines with bands, over a window as bars with intervals, theory beside them."""

from typing import Any

import numpy as np
import xarray as xr

from ._axes import (
    GREY,
    THEORY,
    array_of,
    axes_of,
    band,
    bars_of,
    bounds_of,
    colors_of,
    label,
    says,
    spans_decades,
    status_of,
)
from ._style import require


def occupancy(dataset: xr.Dataset, ax: Any = None, *, theory: Any = None) -> Any:
    """Probability to be in each basin against SDE time, a line with its band each; over a window of time, bars.

    dataset: `Occupancy.to_dataset()`. Those in no basin are grey, where there are any.
    ax: matplotlib axes to draw on; by default those of a new figure, `ax.figure`.
    theory: shares of the K basins in the end, (K,), such as `theory.gibbs_weights` gives; or, at times, a function of
        them, (n,), that returns shares (n, K) or an Estimate of them, such as `Transitions.occupancy`. Drawn dashed.
    The time axis is logarithmic where the times span a decade. Returns the axes.
    Raises ValueError for another dataset, for axes that are none, or a theory of another shape.

    Example: `found.plot(theory=ss.theory.gibbs_weights(diffusion, minima))`.
    """
    require(dataset, "occupancy", "an occupancy", "basin")
    at_times = "time" in dataset.dims
    law = None if theory is None else _law(theory, dataset)
    ax = axes_of(ax)
    (_over_time if at_times else _over_a_window)(ax, dataset, law)
    ax.set_ylabel(label(dataset["probability"]))
    ax.set_ylim(-0.02, 1.02)
    ax.set_title(f"{int(dataset.attrs['trajectories']):,} trajectories, {status_of(dataset)}", fontsize=10)
    ax.grid(alpha=0.25, linewidth=0.5)
    if not np.any(np.isfinite(dataset["probability"].values)):
        says(ax, f"not known: {int(dataset.attrs['diverged']):,} trajectories diverged")
    return ax


def _over_time(ax: Any, dataset: xr.Dataset, law: np.ndarray | None) -> None:
    times = dataset.time.values
    names = [str(name) for name in dataset.basin.values]
    for place, (name, color) in enumerate(zip(names, colors_of(len(names)), strict=True)):
        style = {"marker": "o", "markersize": 3} if len(times) <= 30 else {}
        band(ax, times, bounds_of(dataset.isel(basin=place), "probability"), color, name, **style)
        if law is not None:
            ax.plot(times, law[:, place], **THEORY | {"color": color, "label": f"{name}, theory"})
    none = bounds_of(dataset, "unassigned")
    if np.any(none[0] > 0):
        band(ax, times, none, GREY, "none of them", linestyle=":")
    if spans_decades(times):
        ax.set_xscale("log")
    ax.set_xlabel(label(dataset.time))
    ax.legend(fontsize=8, frameon=False)


def _over_a_window(ax: Any, dataset: xr.Dataset, law: np.ndarray | None) -> None:
    names = [str(name) for name in dataset.basin.values]
    bounds = np.array(bounds_of(dataset, "probability"))
    colors = list(colors_of(len(names)))
    none = np.array(bounds_of(dataset, "unassigned"))
    if none[0] > 0:
        names, colors, bounds = [*names, "none of them"], [*colors, GREY], np.column_stack([bounds, none])
    places = np.arange(len(names))
    ax.bar(places, bounds[0], width=0.6, color=colors, yerr=bars_of(*bounds), ecolor="black", capsize=3)
    if law is not None:
        for place, share in enumerate(law):
            ax.plot([place - 0.4, place + 0.4], [share, share], **THEORY | {"label": "_theory" if place else "theory"})
        ax.legend(fontsize=8, frameon=False)
    ax.set_xticks(places, names)
    ax.set_xlabel(f"basin, from t = {dataset.attrs['burn_in']:.4g} to {dataset.attrs['horizon']:.4g} (SDE time)")


def _law(theory: Any, dataset: xr.Dataset) -> np.ndarray:
    """Shares by the theory, (n_times, K) or over a window (K,)."""
    shape = dataset["probability"].shape
    given = theory(dataset.time.values) if callable(theory) and "time" in dataset.dims else theory
    array = array_of(getattr(given, "value", given))
    if array is not None and array.shape in (shape, shape[-1:]):
        return np.broadcast_to(array, shape)
    found = repr(theory) if array is None else f"shape {array.shape}"
    also = f", or a function of times that returns shape {shape}" if len(shape) > 1 else ""
    raise ValueError(f"theory must be the shares of the basins, of shape {shape[-1:]}{also}, got {found}")
