"""Phase diagram of the HTML report: a grid of cells for each start, and the data of their survival curves."""

import itertools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.colors import to_hex

from ..._precision import HATCHED, IMPRECISE, MARKS, MISSING, UNKNOWN, quality, stability_limit
from ...plotting._axes import floor_of
from ...plotting._style import SEQUENCE, is_dark, logarithmic
from ._html_parts import Markup, data_script, element, join, scrolling
from ._text_table import number_text

if TYPE_CHECKING:
    import xarray as xr

_ACROSS, _UP = "learning_rate", "batch_size"
# estimates and theory that are said of a cell, where the dataset has them: with intervals, and single numbers
_ESTIMATES = {"probability": "P to leave by the horizon", "mean_exit_time": "mean SDE time to leave"}
_NUMBERS = {
    "exit_exact": "P, exact solver",
    "exit_linearised": "P, linearised",
    "mean_exit_time_exact": "time, exact solver",
    "mean_exit_time_eyring_kramers": "time, Eyring–Kramers",
    "temperature": "temperature T",
    "trajectories": "trajectories",
    "diverged": "diverged",
}
_CURVES = {"exact": "exit_exact", "linear": "exit_linearised"}


def has_phase_diagram(dataset: "xr.Dataset") -> bool:
    """Whether the dataset has survival over time, learning rate and batch size."""
    needed = {_ACROSS, _UP, "time"}
    has_axes = needed <= set(dataset.dims) and dataset.sizes["time"] > 0
    return has_axes and {"survival", "probability"} <= set(dataset.data_vars)


def phase_section(dataset: "xr.Dataset") -> Markup:
    """Cells coloured by probability, or by mean time; a click, a tap or the focus shows a cell's survival curve.

    dataset: of an escape study, for which `has_phase_diagram` holds. Cells that are not precise are hatched, those
    beyond γ = 2/λ_max have a marked corner.
    """
    panels = _panels(dataset)
    shades = {"p": _Shades(dataset["probability"].values, top=1.0)}
    if "mean_exit_time" in dataset:
        shades["m"] = _Shades(dataset["mean_exit_time"].values, turned=True)
    cells: list[dict[str, Any]] = []
    grids = [_grid(panel, number, shades, cells) for number, panel in enumerate(panels)]
    data = {
        "times": _short(dataset["time"].values),
        "confidence": f"{float(dataset.attrs['confidence']):.4g}",
        "floors": [floor_of(panel.data["survival"].values) for panel in panels],
        "cells": cells,
        "first": _telling(cells),
    }
    chart = element("div", id="chart", class_="chart")
    shown = element("div", element("p", id="cell-title", aria_live="polite"), chart, _line_kinds(), class_="shown")
    return element(
        "div",
        element("p", "Choose a cell to see its survival curve: by click, tap, or the keyboard's arrows."),
        _choice(shades),
        element(
            "div",
            element("div", *grids, class_="grids"),
            shown,
            element("div", id="cell-facts", class_="facts"),
            class_="phase",
        ),
        _legend(dataset, shades),
        data_script("phase-data", data),
        id="phase",
        data_by="p",
    )


class _Panel(NamedTuple):
    """One grid: what it is called, its data over learning rate and batch size, and 2/λ_max (NaN where unknown)."""

    title: str
    data: "xr.Dataset"
    limit: float


def _panels(dataset: "xr.Dataset") -> list[_Panel]:
    """A panel for each place along the axes of the sweep that are neither learning rate nor batch size."""
    limits = stability_limit(dataset)
    others = [str(dim) for dim in dataset["probability"].dims if dim not in (_ACROSS, _UP)]
    panels = []
    for places in itertools.product(*(range(dataset.sizes[dim]) for dim in others)):
        place = dict(zip(others, places, strict=True))
        data = dataset.isel(place)
        words = [f"{dim}: {data[dim].item() if dim in data.coords else index}" for dim, index in place.items()]
        limit = math.nan
        if limits is not None:
            limit = float(limits.isel({dim: index for dim, index in place.items() if dim in limits.dims}))
        panels.append(_Panel(", ".join(words) or "all cells", data, limit))
    return panels


class _Shades:
    """Colours on a logarithmic scale, as the figures have it. turned: the largest value has the first colour."""

    def __init__(self, values: np.ndarray, top: float | None = None, turned: bool = False):
        self.norm, self.turned = logarithmic(values, top), turned

    def style(self, name: str, value: float) -> str:
        """Of a cell: its colour as the CSS variable `name`, and that of its letters."""
        if math.isnan(value):
            return f"--{name}:var(--missing);--{name}-ink:var(--ink)"
        place = float(self.norm(value))
        place = 1 - place if self.turned else place
        return f"--{name}:{_colour(place)};--{name}-ink:{'#fff' if is_dark(place) else '#000'}"

    def scale(self) -> Markup:
        """The scale with the values at its ends."""
        stops = np.linspace(1, 0, 9) if self.turned else np.linspace(0, 1, 9)
        colours = ",".join(map(_colour, stops))
        bar = element("span", class_="bar", style=f"background:linear-gradient(to right,{colours})")
        return join([number_text(self.norm.vmin, 2), " ", bar, " ", number_text(self.norm.vmax, 2)])


def _colour(place: float) -> str:
    return to_hex(SEQUENCE(float(place)))


def _grid(panel: _Panel, number: int, shades: dict[str, _Shades], cells: list[dict[str, Any]]) -> Markup:
    """The cells of one panel as a table, the largest batch size on top; their data is appended to `cells`."""
    rates, batches = panel.data[_ACROSS].values, panel.data[_UP].values
    state = quality(panel.data, "probability").transpose(_ACROSS, _UP).values
    lines = []
    for j in reversed(range(len(batches))):
        entries = []
        for i in range(len(rates)):
            if state[i, j] == MISSING:
                entries.append(element("td", "·", class_="missing", title="not run"))
                continue
            cell = _Cell(panel, panel.data.isel({_ACROSS: i, _UP: j}), str(state[i, j]))
            entries.append(element("td", cell.button(len(cells), shades)))
            cells.append(cell.as_data(number))
        lines.append(element("tr", element("th", f"{batches[j]:g}", scope="row"), *entries))
    foot = [element("th", f"{rate:g}", scope="col") for rate in rates]
    corner = element("td", "M ↑  γ →", class_="corner")
    table = element(
        "table", element("tbody", *lines, element("tr", corner, *foot)), class_="cells", style=f"--columns:{len(rates)}"
    )
    limit = "" if math.isnan(panel.limit) else f"2/λ_max = {number_text(panel.limit, 3)} at this start"
    title = element("h3", panel.title)
    return element("div", title, element("p", limit, class_="quiet") if limit else None, scrolling(table, panel.title))


class _Cell(NamedTuple):
    """A cell of a panel that was run. state: of its probability, as `quality` calls it."""

    panel: _Panel
    data: "xr.Dataset"
    state: str

    @property
    def is_beyond(self) -> bool:
        return float(self.data[_ACROSS]) > self.panel.limit

    def remarks(self) -> list[str]:
        imprecise = {UNKNOWN: "no number", IMPRECISE: "not precise"}
        beyond = f"γ is beyond 2/λ_max = {number_text(self.panel.limit, 3)}"
        found = [imprecise[self.state]] if self.state in imprecise else []
        return [*found, beyond] if self.is_beyond else found

    def title(self) -> str:
        rate, batch = (float(self.data[name]) for name in (_ACROSS, _UP))
        return f"{self.panel.title}, γ = {rate:g}, M = {batch:g}"

    def button(self, number: int, shades: dict[str, _Shades]) -> Markup:
        values = {"p": self._value("probability"), "m": self._value("mean_exit_time")}
        texts = {"p": _brief(values["p"], 2), "m": _brief(values["m"], 2)}
        said = ", ".join([f"{self.title()}: P {texts['p']}", *self.remarks()])
        classes = ["imprecise"] * (self.state in HATCHED) + ["beyond"] * self.is_beyond
        style = ";".join(shade.style(name, values[name]) for name, shade in shades.items())
        spans = [element("span", texts[name], class_=f"by-{name}") for name in shades]
        return element(
            "button", *spans, type="button", class_=" ".join(classes) or None, style=style, data_cell=number,
            aria_label=said, aria_pressed="false", title=said,
        )  # fmt: skip

    def as_data(self, panel: int) -> dict[str, Any]:
        """What the page's script draws and says of the cell."""
        curves = {
            "value": self.data["survival"].values,
            **{end: self.data[f"survival_{end}"].values for end in ("low", "high") if f"survival_{end}" in self.data},
            **{name: 1 - self.data[left].values for name, left in _CURVES.items() if _is_known(self.data, left)},
        }
        words = {"panel": panel, "title": self.title(), "facts": self._facts()}
        return words | {name: _short(values) for name, values in curves.items()}

    def _facts(self) -> list[tuple[str, str]]:
        from ...statistics import in_one_format

        facts = [("note", remark) for remark in self.remarks()]
        if "status" in self.data:
            facts.append(("status", str(self.data["status"].item())))
        for name, words in _ESTIMATES.items():
            if name in self.data and f"{name}_low" in self.data:
                numbers = (float(self.data[name + end]) for end in ("", "_low", "_high"))
                facts.append((words, "{} [{}, {}]".format(*in_one_format(*numbers)).replace("nan", "–")))
        for name, words in _NUMBERS.items():
            if _is_known(self.data, name):
                # of what is known over time, what is known by the horizon
                numbers = self.data[name].values.ravel()
                facts.append((words, number_text(numbers[np.isfinite(numbers)][-1])))
        return facts

    def _value(self, name: str) -> float:
        return float(self.data[name]) if name in self.data else math.nan


def _brief(value: float, digits: int) -> str:
    """A number in as few characters as its digits allow."""
    text = number_text(value, digits)
    return f"{value:.{digits - 1}e}".replace("e-0", "e-").replace("e+0", "e") if "e" in text else text


def _is_known(data: "xr.Dataset", name: str) -> bool:
    return name in data and bool(np.isfinite(data[name].values).any())


def _short(values: np.ndarray) -> list[float]:
    """Numbers with five digits, as many as a curve on a screen shows."""
    return [float(f"{value:.5g}") for value in values.tolist()]


def _telling(cells: list[dict[str, Any]]) -> int:
    """The cell whose survival curve is shown first: the one that ends nearest to one half."""
    ends = [abs(cell["value"][-1] - 0.5) for cell in cells]
    return min(range(len(cells)), key=lambda number: (math.isnan(ends[number]), ends[number]), default=0)


def _choice(shades: dict[str, _Shades]) -> Markup | None:
    if len(shades) < 2:
        return None
    words = {"p": "probability to leave", "m": "mean time to leave"}
    options = [
        element("label", element("input", type="radio", name="by", value=name, checked=name == "p"), " ", words[name])
        for name in shades
    ]
    return element("fieldset", element("legend", "colour by"), *options)


def _line_kinds() -> Markup:
    kinds = {"simulated": "simulated", "exact": "exact solver", "linear": "linearised", "others": "the other cells"}
    return element("p", *(element("span", words, class_=f"line {name}") for name, words in kinds.items()))


def _legend(dataset: "xr.Dataset", shades: dict[str, _Shades]) -> Markup:
    horizon = dataset.attrs.get("horizon")
    by = {"p": "P to leave" + ("" if horizon is None else f" by t = {horizon:g}"), "m": "mean SDE time to leave"}
    scales = [element("span", f"{by[name]}: ", shade.scale(), class_=f"by-{name}") for name, shade in shades.items()]
    marks = MARKS | {"missing": "not run"}
    if stability_limit(dataset) is None:
        marks["beyond"] += " (λ_max is not known here)"
    swatches = [element("span", element("i", class_=f"swatch {name}"), words) for name, words in marks.items()]
    return element("p", *scales, *swatches, class_="legend")
