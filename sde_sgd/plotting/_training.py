"""Training studies: sharpness and test loss against batch size, the trade-off of γ/M, double descent over width."""

from typing import Any

import numpy as np
import xarray as xr

from ._axes import bars_of, bounds_of, colors_of, label
from ._figure import Figure
from ._over_networks import log_axis, lost, ticks
from ._style import require

_LABELS = {
    "sharpness": "sharpness (loss/θ²)", "held_out_loss": "test loss", "train_loss": "training loss",
    "trace": "trace of the Hessian (loss/θ²)", "held_out_accuracy": "test accuracy",
}  # fmt: skip


def batch_figure(dataset: xr.Dataset) -> Figure:
    """Sharpness and test loss against batch size: a column for each reading of "equal", a line for each γ.

    dataset: of a training study. Means over networks with their intervals; networks that diverged are left out and
    counted below the points. Raises ValueError for any other dataset.
    """
    require(dataset, "batch_figure", "a training study", "reading", "learning_rate", "batch_size")
    data = _without(dataset, "width", "momentum")
    names = [name for name in ("sharpness", "trace", "held_out_loss") if name in data] or _measures(data)[:1]
    readings = [str(name) for name in data.reading.values]
    size = (4.6 * len(readings) + 1.2, 3.4 * len(names) + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(names), len(readings), squeeze=False, sharex=True, sharey="row")
    rates = data.learning_rate.values
    for row, name in enumerate(names):
        for column, reading in enumerate(readings):
            panel, part = panels[row, column], data.isel(reading=column)
            for number, (rate, color) in enumerate(zip(rates, colors_of(len(rates)), strict=True)):
                line = part.isel(learning_rate=number)
                style = {"color": color, "label": f"γ = {rate:g}"}
                # side by side, so that one does not hide the other
                x = line.batch_size.values * 1.03 ** (number - (len(rates) - 1) / 2)
                _interval_line(panel, x, line, name, style)
                lost(panel, x, line, color, number)
            ticks(panel, data.batch_size.values)
            panel.set_yscale("log")
            panel.grid(alpha=0.25, which="both", linewidth=0.5)
            if row == 0:
                panel.set_title(f"at equal {_bare(reading)}")
        panels[row, 0].set_ylabel(_LABELS.get(name, name))
    for panel in panels[-1]:
        panel.set_xlabel(label(data.batch_size))
    panels[0, -1].legend(title="learning rate", fontsize=8)
    figure.suptitle(_title(data), fontsize=9)
    return figure


def trade_off_figure(dataset: xr.Dataset) -> Figure:
    """Epochs taken, test loss, and γTr(V)/(4M(1 − μ)) beside the training loss, against γ/M: a row for each reading.

    dataset: of a training study. A colour for each batch size; means over networks with their intervals; diverged
    networks are counted below the points. γTr(V)/(4M(1 − μ)), (N−M)/(N−1) times that without replacement,
    is no estimate for reshuffled epochs, and the figure says so. Source: as of `excess_risk`.
    Raises ValueError for any other dataset.
    """
    require(dataset, "trade_off_figure", "a training study", "reading", "learning_rate", "batch_size")
    data = _with_derived(_without(dataset, "width", "momentum"))
    readings = [str(name) for name in data.reading.values]
    figure = Figure(figsize=(13.0, 3.6 * len(readings) + 0.6), layout="constrained")
    panels = figure.subplots(len(readings), 3, squeeze=False)
    sizes = data.batch_size.values
    for row, reading in enumerate(readings):
        part = data.isel(reading=row)
        to_a_loss = "to_a_loss" in part.coords and bool(part.to_a_loss)
        steps, test, floor = panels[row]
        for number, (size, color) in enumerate(zip(sizes, colors_of(len(sizes)), strict=True)):
            line = part.isel(batch_size=number)
            x = line.ratio.values
            style = {"color": color, "label": f"M = {size:g}"}
            is_known = to_a_loss or "held_out_accuracy" not in line
            _interval_line(steps, x, *((line, "epochs") if is_known else (_errors(line), "error")), style)
            _interval_line(test, x, line, "held_out_loss", style)
            _interval_line(floor, x, line, "noise_floor", style)
            _interval_line(floor, x, line, "train_loss", style | {"label": "_", "linestyle": ":", "marker": "s"})
            for panel in (steps, test, floor):
                lost(panel, x, line, color, number)
        for panel in (steps, test, floor):
            log_axis(panel, data.ratio.values)
            panel.set_yscale("log")
            panel.set_xlabel("γ/M (learning rate / batch size)")
            panel.grid(alpha=0.25, which="both", linewidth=0.5)
            panel.set_title(f"at equal {_bare(reading)}", fontsize=10)
        other = "test error" if "held_out_accuracy" in data else "epochs"
        steps.set_ylabel("epochs to the loss" if to_a_loss else other)
        test.set_ylabel("test loss")
        floor.set_ylabel("γTr(V)/(4M(1 − μ)) (—), training loss (···)")
        if "epoch" in data.attrs.get("sampling", "").lower():
            floor.set_title(f"at equal {_bare(reading)}; — no estimate for reshuffled epochs", fontsize=8)
    panels[0, 0].legend(title="batch size", fontsize=8)
    figure.suptitle(_title(data), fontsize=9)
    return figure


def width_figure(dataset: xr.Dataset) -> Figure:
    """Double descent: test loss, with the training loss, and test error against width, a colour for each batch size.

    dataset: of a training study over widths. Means over networks with their intervals, and the published numbers that
    the study gives as dashed lines; diverged networks are counted below. Raises ValueError for any other dataset.
    """
    require(dataset, "width_figure", "a training study over widths", "width", "batch_size")
    data = _without(dataset, "learning_rate", "momentum").isel(reading=0)
    has_error = "held_out_accuracy" in data
    figure = Figure(figsize=(11.5 if has_error else 6.5, 4.8), layout="constrained")
    panels = figure.subplots(1, 2 if has_error else 1, squeeze=False)[0]
    sizes = data.batch_size.values
    for number, (size, color) in enumerate(zip(sizes, colors_of(len(sizes)), strict=True)):
        line = data.isel(batch_size=number)
        style = {"color": color, "label": f"M = {size:g}"}
        x = line.width.values * 1.01 ** (number - (len(sizes) - 1) / 2)
        _interval_line(panels[0], x, line, "held_out_loss", style)
        if "train_loss" in line:
            _interval_line(panels[0], x, line, "train_loss", style | {"label": "_", "linestyle": ":", "marker": "."})
        if has_error:
            _interval_line(panels[1], x, _errors(line), "error", style)
        for panel in panels:
            lost(panel, x, line, color, number)
    _published(panels[0], data, "held_out_loss", lambda value: value)
    if has_error:
        _published(panels[1], data, "held_out_accuracy", lambda value: 1 - value)
        panels[1].set_ylabel("test error")
    panels[0].set_yscale("log")
    panels[0].set_ylabel("test loss (—), training loss (···)")
    for panel in panels:
        ticks(panel, data.width.values)
        # published widths may lie beyond the study's own
        panel.set_xlim(right=max(panel.get_xlim()[1], *(1.1 * line.get_xdata().max() for line in panel.get_lines())))
        panel.set_xlabel("width of the hidden layers (units)")
        panel.grid(alpha=0.25, which="both", linewidth=0.5)
    # where there is room: the training losses fall through the first panel
    panels[-1].legend(fontsize=8)
    figure.suptitle(_title(data), fontsize=9)
    return figure


def _interval_line(panel: Any, x: np.ndarray, data: xr.Dataset, name: str, style: dict[str, Any]) -> None:
    """Means with intervals; nothing where all networks diverged, or where the study has not the measure."""
    if name not in data:
        return
    bounds = bounds_of(data, name)
    value, bars = bounds[0], bars_of(*bounds)
    known, order = np.isfinite(value), np.argsort(x)
    order = order[known[order]]
    # on a logarithmic axis a bar that reaches 0 ends a little above it
    bars[0] = np.minimum(bars[0], 0.9 * np.abs(value))
    panel.errorbar(
        x[order], value[order], yerr=bars[:, order],
        **{"marker": "o", "markersize": 4, "capsize": 2, "linewidth": 1.2} | style,
    )  # fmt: skip


def _published(panel: Any, data: xr.Dataset, name: str, of: Any) -> None:
    curve = data.attrs.get(f"reference_{name}")
    if curve:
        x, y = (np.asarray(part, float) for part in curve)
        style = {"color": "black", "linestyle": "--", "marker": "*", "linewidth": 1.0}
        panel.plot(x, of(y), label=data.attrs["reference_label"], **style)


def _with_derived(data: xr.Dataset) -> xr.Dataset:
    """Epochs and the noise's excess loss with intervals: both are a mean times a number that the cell has."""
    factors = {"epochs": ("steps", data.batch_size / data.attrs["examples"])}
    if "excess_per_trace" in data:
        factors["noise_floor"] = ("noise_trace", data["excess_per_trace"])
    for name, (of, factor) in factors.items():
        for end in ("", "_low", "_high") if of in data else ():
            data = data.assign({name + end: data[of + end] * factor})
    return data


def _errors(data: xr.Dataset) -> xr.Dataset:
    share = {end: data[f"held_out_accuracy{end}"] for end in ("", "_low", "_high")}
    return xr.Dataset({"error": 1 - share[""], "error_low": 1 - share["_high"], "error_high": 1 - share["_low"]})


def _without(dataset: xr.Dataset, *dims: str) -> xr.Dataset:
    """The dataset at the first place along what a figure does not show."""
    return dataset.isel({dim: 0 for dim in dims if dim in dataset.dims})


def _measures(data: xr.Dataset) -> list[str]:
    return data.attrs["measures"].split(",")


def _bare(reading: str) -> str:
    return reading.removeprefix("equal ")


def _title(data: xr.Dataset) -> str:
    attributes = data.attrs
    lost = int(np.nansum(data.diverged.values))
    whole = int(np.nansum(data.trajectories.values))
    return (
        f"{attributes['study']}: mean over networks, {float(attributes['confidence']):.0%} intervals\n"
        f"{lost} of {whole} networks diverged" + (" (×: how many, left out)" if lost else "")
    )
