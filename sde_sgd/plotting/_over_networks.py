"""What figures of trainings share: a logarithmic axis across all cells, and how many networks a cell lost."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator


def log_axis(panel: Any, values: np.ndarray) -> None:
    """Across all the values, those too at which every network diverged."""
    panel.set_xscale("log")
    margin = max((np.max(values) / np.min(values)) ** 0.07, 1.1)
    panel.set_xlim(np.min(values) / margin, np.max(values) * margin)


def ticks(panel: Any, values: np.ndarray) -> None:
    """A logarithmic axis with a tick at each of the values, and nowhere else."""
    log_axis(panel, values)
    panel.xaxis.set_major_locator(FixedLocator(list(values)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_locator(NullLocator())


def lost(panel: Any, x: np.ndarray, line: xr.Dataset, color: Any, number: int) -> None:
    """How many networks diverged, below the points that leave them out; and how many did not come to the loss."""
    for place, diverged, late in zip(x, line.diverged.values, line.late.values, strict=True):
        signs = [f"{sign}{count:g}" for sign, count in (("×", diverged), ("late ", late)) if count > 0]
        if signs:
            at = (place, 0.02 + 0.045 * number)
            style: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 7, "color": color}
            panel.annotate(", ".join(signs), at, xycoords=("data", "axes fraction"), **style)
