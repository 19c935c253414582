"""A study as a plain-text table."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr


def number(value: Any) -> str:
    """Four significant digits in at most nine characters; a dash for what is not known."""
    value = float(value)
    if np.isnan(value):
        return "–"
    if np.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    return f"{value:.4g}" if 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"


def interval(value: Any, low: Any, high: Any) -> str:
    """A value with its interval; a dash where the cell was not run."""
    return "–" if np.isnan(value) and np.isnan(low) else f"{number(value)} [{number(low)}, {number(high)}]"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Columns wide enough for their entries, two spaces apart, numbers to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(row):
        first = row[0].ljust(widths[0])
        return "  ".join([first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(header), rule, *(line(row) for row in rows)])


def escape_report(dataset: "xr.Dataset") -> str:
    """The table of an escape study: simulation with its interval, theory and exact solver side by side."""
    header = ["start", "γ", "M", "γ/M", "T", "P simulated", "P linearised", "P exact"]
    header += ["time simulated", "time Eyring–Kramers", "time exact"]
    attributes = dataset.attrs
    rows = []
    for start in dataset.start.values:
        for rate in dataset.learning_rate.values:
            for batch in dataset.batch_size.values:
                cell = dataset.sel(start=start, learning_rate=rate, batch_size=batch)
                read = {str(name): cell[name].values for name in cell.data_vars}
                row = [str(start), number(rate), f"{batch:g}", number(rate / batch), number(read["temperature"])]
                row += [interval(read["probability"], read["probability_low"], read["probability_high"])]
                row += [number(read["exit_linearised"][-1]), number(read["exit_exact"][-1])]
                row += [interval(read["mean_exit_time"], read["mean_exit_time_low"], read["mean_exit_time_high"])]
                row += [number(read["mean_exit_time_eyring_kramers"]), number(read["mean_exit_time_exact"])]
                rows.append(row)
    watched = {
        "continuous": "exit of the SDE, also between steps (continuous monitoring)",
        "discrete": "exit of the chain at its own steps (discrete monitoring)",
    }[attributes["monitoring"]]
    lines = [
        f"study {attributes['study']}: P = probability to leave by t = {attributes['horizon']:g}; "
        f"time = mean exit time; t = γ·iterations",
        f"chain: Euler–Maruyama, {attributes['step']}; {watched}; {_amounts(dataset)}; "
        f"{attributes['confidence']:.0%} intervals",
        "linearised theory and Eyring–Kramers (to the saddle) and the exact solver are of the SDE",
        "",
        table(header, rows),
        "",
        *_closing(dataset),
    ]
    return "\n".join(lines)


def digits_report(dataset: "xr.Dataset") -> str:
    """The table of a digits study: real minibatch SGD beside the SDE with per-example noise."""
    header = ["γ/M", "γ", "M", "P SGD", "P SDE", "iterations SGD", "iterations SDE"]
    rows = []
    for index in range(dataset.sizes["cell"]):
        cell = dataset.isel(cell=index)
        row = [number(cell.ratio), number(cell.learning_rate), f"{float(cell.batch_size):g}"]
        for name in ("probability", "mean_exit_iterations"):
            for process in dataset.process.values:
                entry = cell.sel(process=process)
                row.append(interval(*(float(entry[name + suffix]) for suffix in ("", "_low", "_high"))))
        rows.append(row)
    attributes = dataset.attrs
    lines = [
        f"study {attributes['study']}: P = probability to leave {{L < {attributes['threshold']:g}·L(θ*)}} within "
        f"{attributes['iterations']} iterations; iterations = mean exit time/γ",
        f"digits: {attributes['examples']} examples, {attributes['parameters']} parameters, "
        f"L(θ*) = {number(attributes['minimum_loss'])}; {_amounts(dataset)}; {attributes['confidence']:.0%} intervals",
        "SGD: minibatches drawn with replacement; SDE: Euler–Maruyama with dt = γ and the noise of every example",
        "",
        table(header, rows),
        "",
        *_closing(dataset),
    ]
    return "\n".join(lines)


def _amounts(dataset: "xr.Dataset") -> str:
    counts = dataset.trajectories.values
    counts = counts[np.isfinite(counts)]
    if not counts.size:
        return "no cell finished"
    low, high = int(counts.min()), int(counts.max())
    return f"{low} trajectories a cell" if low == high else f"{low} to {high} trajectories a cell"


def _closing(dataset: "xr.Dataset") -> list[str]:
    attributes = dataset.attrs
    lines = [f"diverged trajectories: {int(np.nansum(dataset.diverged.values))}"]
    if attributes["cells_finished"] < attributes["cells"]:
        lines.append(f"not finished: {attributes['cells_finished']} of {attributes['cells']} cells")
    if attributes["notes"]:
        lines += ["notes (a – in the table is what could not be had):"] + [
            f"  {note}" for note in attributes["notes"].splitlines()
        ]
    return lines
