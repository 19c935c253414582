"""The survival curve of one first passage with its interval, or P(reached by t), and theory beside it."""

from typing import Any

import numpy as np
import xarray as xr

from ._axes import BLUE, THEORY, array_of, axes_of, band, bounds_of, label, named, positive, says, status_of
from ._style import require

# survival that falls below this is drawn on a logarithmic axis, and no axis goes further below what was drawn
_LOW, _BELOW = 0.1, 0.5
_DASHES: list[Any] = [(0, (5, 2)), ":", "-.", (0, (1, 3))]


def survival(dataset: xr.Dataset, ax: Any = None, *, theory: Any = None) -> Any:
    """P(target not reached by t) of one first passage, a line with its interval as a band; theory beside it, dashed.

    dataset: `FirstPassage.to_dataset()`. Where it has a variable `reached` that is drawn in its place, on a logarithmic
        axis: P(target reached by t), for passages so rare that survival is 1 to the eye.
    ax: matplotlib axes to draw on; by default those of a new figure, `ax.figure`.
    theory: a mean time τ in SDE time, drawn as exp(−t/τ); or a function of times (n,) that returns P(target not reached
        by t), (n,); or a mapping from names to these. It is asked for times above 0.
    The axis is logarithmic where the survival falls below a tenth. Returns the axes.
    Raises ValueError for another dataset, such as a study's (`survival_curves` draws those), for axes that are none, or
    a theory that is neither.

    Example: `found.plot(theory={"exact": lambda t: 1 - solver.escape_probability(region, start, t)})`.
    """
    require(dataset, "survival", "one first passage", "time")
    name = "reached" if "reached" in dataset else "survival"
    if name not in dataset or dataset[name].dims != ("time",):
        has = ", ".join(map(str, dataset.dims))
        raise ValueError(f"survival draws one first passage, survival_curves a study; this dataset is over {has}")
    times, bounds = np.asarray(dataset.time.values, np.float64), bounds_of(dataset, name)
    later = times[times > 0]
    curves = {of: _curve(of, each, later) for of, each in named(theory, "theory").items()}
    ax = axes_of(ax)
    drawn = [bounds[0], *(curve if name == "survival" else 1 - curve for curve in curves.values())]
    lowest = min((float(np.min(each[each > 0])) for each in drawn if np.any(each > 0)), default=1.0)
    if name == "reached" or lowest < _LOW:
        ax.set_yscale("log")
        # an interval that reaches 0 is drawn to the axis' end
        bounds = (positive(bounds[0]), *(np.where(end <= 0, _BELOW * lowest, end) for end in bounds[1:]))
    band(ax, times, bounds, BLUE, f"simulated, {float(dataset.attrs['confidence']):.4g} confidence band")
    for number, (of, curve) in enumerate(zip(curves, drawn[1:], strict=True)):
        ax.plot(later, positive(curve), label=of, **THEORY | {"linestyle": _DASHES[number % len(_DASHES)]})
    if ax.get_yscale() == "log":
        ax.set_ylim(bottom=_BELOW * lowest)
    ax.set(xlabel=label(dataset.time), ylabel=label(dataset[name]))
    ax.set_title(_title(dataset), fontsize=10)
    ax.grid(alpha=0.25, which="both", linewidth=0.5)
    ax.legend(fontsize=8, frameon=False, loc="lower left" if drawn[0][0] > 0 else "lower right")
    _say(ax, dataset)
    return ax


def _curve(name: str, theory: Any, times: np.ndarray) -> np.ndarray:
    """P(target not reached by t) by a theory at times above 0."""
    number = None if callable(theory) else array_of(theory)
    if number is not None and number.shape == () and number > 0:
        return np.exp(-times / float(number))
    given = np.asarray(theory(times), np.float64) if callable(theory) else np.zeros(0)
    if given.shape != times.shape:
        shape = f"a function that returns shape {given.shape} for times of shape {times.shape}"
        raise ValueError(
            "theory must be a mean time above 0, or a function of times (n,) that returns probabilities (n,), or a "
            f"mapping from names to these, got {shape if callable(theory) else repr(theory)} for {name!r}"
        )
    return given


def _title(dataset: xr.Dataset) -> str:
    mean, low, high = (float(each) for each in bounds_of(dataset, "mean_exit_time"))
    return f"mean time {mean:#.4g} [{low:#.4g}, {high:#.4g}], {status_of(dataset)}"


def _say(ax: Any, dataset: xr.Dataset) -> None:
    """In words where a curve has little to show: none is known, or none of the trajectories arrived."""
    trajectories, diverged = int(dataset.attrs["trajectories"]), int(dataset.attrs["diverged"])
    if np.isnan(float(dataset["probability"])):
        says(ax, f"not known: {diverged:,} of {trajectories:,} trajectories diverged")
    elif not np.any(np.isfinite(dataset["survival"].values)):
        says(ax, "between these bounds, not known nearer")
    elif float(dataset["probability"]) == 0:
        says(ax, f"none of {trajectories:,} trajectories was seen to reach the target")
