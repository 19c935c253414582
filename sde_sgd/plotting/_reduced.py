"""What a reduction made of trajectories: over the times of the looks, or its law over trajectories."""

from typing import Any

import numpy as np

from ._axes import BLUE, array_of, axes_of, band, colors_of, says

_BINS = 40


def reduced(value: Any, times: Any, trajectories: int, ax: Any = None) -> Any:
    """The numbers that a reduction gave for each look, against SDE time; or, for each trajectory, their histogram.

    value: an array (n_looks, …) or an Estimate of such numbers, with its interval as a band, a line for each column; or
        (trajectories,). times: (n_looks,) SDE times of the looks. trajectories: how many there were.
    ax: matplotlib axes to draw on; by default those of a new figure, `ax.figure`.
    Returns the axes. Raises ValueError for axes that are none, and for a value of another shape, which is left to the
    person who wrote the reduction.

    Example: `ss.reduce(chain, start, reduction, times=np.linspace(0.5, 20, 40), trajectories=4_096).plot()`.
    """
    looks = np.asarray(times, np.float64)
    parts = [array_of(getattr(value, name, value)) for name in ("value", "low", "high")]
    array = parts[0]
    if array is None or array.shape[:1] not in ((len(looks),), (trajectories,)) or array.size == 0:
        found = type(value).__name__ if array is None else f"shape {array.shape}"
        raise ValueError(
            f"value must have a number for each of {len(looks)} looks or of {trajectories} trajectories to be drawn, "
            f"got {found}: draw `found.value` as it wants to be"
        )
    ax = axes_of(ax)
    if not np.any(np.isfinite(array)):
        says(ax, "no value is finite")
    if array.shape[:1] == (len(looks),):
        columns = [np.asarray(part, np.float64).reshape(len(looks), -1) for part in parts]
        for number, color in enumerate(colors_of(columns[0].shape[1])):
            band(ax, looks, [part[:, number] for part in columns], color, f"{number}")
        ax.set(xlabel="time (SDE time)", ylabel="value")
        if 1 < columns[0].shape[1] <= 12:
            ax.legend(fontsize=8, frameon=False)
    else:
        known = np.asarray(array, np.float64).reshape(-1)
        ax.hist(known[np.isfinite(known)], bins=_BINS, color=BLUE, alpha=0.7)
        ax.set(xlabel="value", ylabel="trajectories")
    ax.grid(alpha=0.25, linewidth=0.5)
    return ax
