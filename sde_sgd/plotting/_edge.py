"""Edge of stability: sharpness times γ/2 over the steps of training, of each network and their mean."""

import numpy as np
import xarray as xr

from ._axes import bars_of, bounds_of, colors_of, label
from ._figure import Figure
from ._style import require


def edge_figure(dataset: xr.Dataset) -> Figure:
    """Sharpness over what gradient descent is stable at, 2(1 + μ)/γ, against steps: a colour for each γ, 1 is the edge.

    dataset: of a training study over steps, epochs or readings. Thin lines are single networks, bars the intervals of
    their mean. Source: as of `stability`. Raises ValueError for any other dataset.
    """
    from ..training import stability

    require(dataset, "edge_figure", "a training study", "reading", "learning_rate", "batch_size", "network")
    data = stability(dataset)
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    panel = figure.subplots()
    rates = data.learning_rate.values
    others = [str(name) for name in data.stability.dims if name not in _ALONG]
    data = data.isel(dict.fromkeys(others, 0))
    for number, (rate, color) in enumerate(zip(rates, colors_of(len(rates)), strict=True)):
        line = data.isel(learning_rate=number)
        along = [str(name) for name in line.stability.dims]
        line = line.stack(look=along).sortby("steps_taken")
        x = line.steps_taken.values
        each = line.stability_of_each.transpose("look", "network").values
        panel.plot(x, each, color=color, linewidth=0.5, alpha=0.4)
        bounds = [np.atleast_1d(bound) for bound in bounds_of(line, "stability")]
        style = {"color": color, "marker": ".", "capsize": 3, "linewidth": 1.2, "label": f"γ = {rate:g}"}
        panel.errorbar(x, bounds[0], yerr=bars_of(*bounds), **style)
    panel.axhline(1.0, color="black", linewidth=0.8, linestyle=(0, (5, 2)), label="edge of stability")
    panel.set_xscale("log")
    panel.set_xlabel("steps of gradient descent")
    panel.set_ylabel(label(data.stability))
    panel.grid(alpha=0.25, which="both", linewidth=0.5)
    panel.legend(fontsize=8, frameon=False)
    return figure


# dimensions that a line runs over, and that of the lines
_ALONG = ("steps", "epochs", "reading", "learning_rate")
