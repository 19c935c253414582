"""Axes given or made, and what pictures on them share: labels, bands, colours, words where there is nothing to draw."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from ._style import SEQUENCE

BLUE, RED, GREY = "#1f5fa8", "#c1440e", "#6b7280"
# how minibatch SGD and its SDE are called and drawn where they stand side by side
PROCESSES = {"sgd": ("minibatch SGD", RED, "o"), "sde": ("SDE, per-example noise", BLUE, "s")}
# theory beside what was measured
THEORY: dict[str, Any] = {"color": "black", "linewidth": 1.2, "linestyle": (0, (5, 2))}
# a logarithmic axis is taken for positive numbers that differ by this factor
_DECADE = 10.0


def shown(figsize: tuple[float, float], layout: Any = None) -> Any:
    """A new figure among pyplot's, which `plt.show()` and notebooks show; pyplot is loaded with the first.

    Studies draw many figures into files, and take a `Figure` of its own, which goes when nobody holds it.
    """
    from matplotlib import pyplot

    return pyplot.figure(figsize=figsize, layout=layout)


def axes_of(ax: Any, size: tuple[float, float] = (6.4, 4.2), layout: Any = "constrained", new: Any = shown) -> Any:
    """The axes that were given, or those of a new figure, which `new` makes; ValueError for what is none.

    layout: "compressed" where both scales are equal, so that bars and labels keep to the axes.
    """
    if ax is None:
        return new(figsize=size, layout=layout).subplots()
    if not isinstance(ax, Axes):
        raise ValueError(f"ax must be matplotlib axes, such as plt.gca(), got {ax!r}")
    return ax


def panels_of(ax: Any, names: Sequence[str], made: Callable[[], Any]) -> Any:
    """As many axes as there are names, (n,): those that were given, or `made()` where none were; else ValueError."""
    if ax is None:
        return made()
    given = np.array(ax, dtype=object).ravel()
    if len(given) != len(names) or not all(isinstance(each, Axes) for each in given):
        raise ValueError(f"ax must be {len(names)} matplotlib axes, for {', '.join(names)}, got {ax!r}")
    return given


def label(variable: xr.DataArray) -> str:
    """What a variable is, in its own words, with its unit where it has one."""
    words, units = str(variable.attrs.get("long_name", variable.name)), str(variable.attrs.get("units", "1"))
    return words if units in ("1", "name", "") else f"{words} ({units})"


def bounds_of(dataset: xr.Dataset, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value, lower and upper bound of an estimate in a dataset."""
    value, low, high = (np.asarray(dataset[name + end].values, np.float64) for end in ("", "_low", "_high"))
    return value, low, high


def bars_of(value: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Lengths of an estimate's bars below and above its value, (2, …): 0 to an end that is not finite."""
    with np.errstate(invalid="ignore"):
        ends = np.stack([value - low, high - value])
    return np.where(np.isfinite(ends), np.maximum(ends, 0), 0)


def band(ax: Any, x: np.ndarray, bounds: Sequence[np.ndarray], color: Any, name: str, **style: Any) -> None:
    """A line with its interval as a band. bounds: value, low and high along x."""
    value, low, high = bounds
    ax.fill_between(x, low, high, color=color, alpha=0.25, linewidth=0)
    ax.plot(x, value, **({"color": color, "linewidth": 1.7, "label": name} | style))


def says(ax: Any, words: str) -> None:
    """Words in the middle of the axes, which make way for nothing: why there is little, or nothing, to be seen."""
    patch = {"facecolor": "white", "edgecolor": GREY, "boxstyle": "round,pad=0.5"}
    ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center", color="black", bbox=patch, zorder=10)


def status_of(dataset: xr.Dataset) -> str:
    """The status of the result that a dataset is of, without the reasons."""
    return str(dataset.attrs.get("status", "")).partition(":")[0]


def spans_decades(values: Any) -> bool:
    """Whether finite numbers are all positive and differ by a factor of 10 or more."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    return bool(known.size and known.min() > 0 and known.max() >= _DECADE * known.min())


def array_of(value: Any) -> np.ndarray | None:
    """`value` as an array of real numbers, or None where it is none. The package's checks of arguments load JAX."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return None
    return array if array.dtype.kind in "biuf" else None


def floor_of(survival: Any) -> float:
    """Lower end of a logarithmic axis of these probabilities, at most 0.5.

    Curves that have lost all their trajectories would otherwise stretch it without end.
    """
    known = np.asarray(survival, np.float64)
    known = known[np.isfinite(known) & (known > 0)]
    return float(np.clip(0.6 * known.min(initial=1.0), 1e-4, 0.5))


def positive(values: np.ndarray) -> np.ndarray:
    """The values, NaN where a logarithmic axis has no place for them."""
    return np.where(values > 0, values, np.nan)


def named(given: Any, name: str) -> dict[str, Any]:
    """What is to be drawn beside the numbers by its name in the legend; `name` is that of what was given alone."""
    if given is None:
        return {}
    return {str(key): each for key, each in given.items()} if isinstance(given, Mapping) else {name: given}


def colors_of(number: int) -> np.ndarray:
    """So many colours that are told apart, (number, 4)."""
    return SEQUENCE(np.linspace(0.05, 0.85, max(number, 1)))
