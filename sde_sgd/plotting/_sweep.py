"""Numbers of a study over one axis of its sweep: intervals as bars, a line for each other place, theory beside.

The axis is one of numbers; where none has two places, it is one of at least three words, side by side.
"""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ._axes import bars_of, bounds_of, colors_of, label
from ._figure import Figure

# most lines, and most entries of the legend
_LINES, _LEGEND = 24, 10
_MARKS: tuple[dict[str, Any], ...] = (
    {"linestyle": (0, (5, 2)), "linewidth": 1.1},
    {"linestyle": "none", "marker": "o", "markerfacecolor": "white"},
)


def sweep_figure(dataset: xr.Dataset, variable: str, theory: Mapping[str, str], *, log: bool = False) -> Figure:
    """A variable with its interval against the longest axis that it has, a line for each place on the others.

    dataset: of a study. variable: with its bounds, `_low` and `_high`. theory: variables beside it, with what each is
    called; the first is dashed, the second has open circles. log: whether the vertical axis is logarithmic.
    Raises ValueError for a dataset without the variable.
    """
    if variable not in dataset:
        raise ValueError(f"sweep_figure draws a variable of the dataset, got '{variable}', which it lacks")
    values = dataset[variable]
    axis = _longest(values)
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    panel = figure.subplots()
    others = [str(name) for name in values.dims if name != axis]
    places = list(itertools.islice(itertools.product(*(range(values.sizes[name]) for name in others)), _LINES))
    lines = [dict(zip(others, place, strict=True)) for place in places]
    lines = [line for line in lines if np.any(np.nan_to_num(values.isel(line).values) > 0)]
    words = None if axis is None or dataset[axis].dtype.kind in "fiu" else [str(name) for name in dataset[axis].values]
    x = np.zeros(1) if axis is None else np.asarray(dataset[axis].values if words is None else range(len(words)), float)
    # between words there is no line
    marks = _MARKS if words is None else ({"linestyle": "none", "marker": "_", "markersize": 16}, _MARKS[1])
    for number, (line, color) in enumerate(zip(lines, colors_of(len(lines)), strict=False)):
        bounds = [np.atleast_1d(each) for each in bounds_of(dataset.isel(line), variable)]
        value, bars = bounds[0], bars_of(*bounds)
        known = np.isfinite(value) & (value > 0 if log else True)
        place_words = ", ".join(_place(dataset, name, place) for name, place in line.items())
        shown = place_words if number < _LEGEND else f"_{place_words}"
        style: dict[str, Any] = {"color": color, "marker": ".", "capsize": 3, "linewidth": 1.2}
        if words is not None:
            style["linestyle"] = "none"
        panel.errorbar(x[known], value[known], yerr=bars[:, known], label=shown or "simulated", **style)
        for name, mark in zip(theory, marks, strict=False):
            if name in dataset:
                own = {key: place for key, place in line.items() if key in dataset[name].dims}
                panel.plot(x, np.atleast_1d(dataset[name].isel(own).values), color=color, label=f"_{name}", **mark)
    for name, mark in zip(theory, marks, strict=False):
        if name in dataset and np.any(np.isfinite(dataset[name].values)):
            panel.plot([], [], color="black", label=theory[name], **mark)
    panel.set_xlabel("" if axis is None else label(dataset[axis]))
    panel.set_ylabel(label(values))
    if axis is None:
        panel.set_xticks([])
    elif words is not None:
        panel.set_xticks(x, words, rotation=20)
    elif np.all(x > 0) and x.max() > 5 * x.min():
        panel.set_xscale("log")
    if log and lines:
        panel.set_yscale("log")
    panel.grid(alpha=0.25, which="both", linewidth=0.5)
    panel.legend(fontsize=8, frameon=False)
    return figure


def _longest(values: xr.DataArray) -> str | None:
    """The numeric axis with most places, at least two; where there is none, that of words, at least three."""
    named = [str(name) for name in values.dims if name in values.coords and values.sizes[name] > 1]
    numeric = [name for name in named if values[name].dtype.kind in "fiu"]
    words = [name for name in named if values.sizes[name] > 2]
    return max(numeric or words, key=lambda name: values.sizes[name], default=None)


def _place(dataset: xr.Dataset, name: str, place: int) -> str:
    value = dataset[name].values[place] if name in dataset.coords else place
    return f"{name} {value}" if isinstance(value, str) else f"{name} = {float(value):g}"
