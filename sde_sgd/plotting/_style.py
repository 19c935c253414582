"""What figures share: colours, how panels are arranged, and the check that a dataset is what a figure draws."""

import math
from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.colors import LogNorm

SEQUENCE = matplotlib.colormaps["viridis"]


def logarithmic(values: Any, top: float | None = None) -> LogNorm:
    """A scale of colours from the least positive value, at most half of `top`, to `top`, or the largest.

    One value alone is not the darkest of all.
    """
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known) & (known > 0)]
    high = float(top or (known.max() if known.size else 1.0))
    return LogNorm(min(float(known.min()), 0.5 * high) if known.size else 1e-3 * high, high, clip=True)


def is_dark(place: float) -> bool:
    """Whether letters on the colour at a place of SEQUENCE, 0 … 1, are white."""
    return place <= 0.6


def arrangement(panels: int) -> tuple[int, int]:
    """Rows and columns of as many panels: one row for up to three, at most three in a row."""
    columns = panels if panels <= 3 else min(math.ceil(math.sqrt(panels)), 3)
    return math.ceil(panels / columns), columns


def require(dataset: xr.Dataset, figure: str, of: str, *dims: str) -> None:
    """Raise ValueError unless the dataset has these dimensions."""
    missing = [name for name in dims if name not in dataset.dims]
    if missing:
        has = ", ".join(map(str, dataset.dims)) or "none"
        raise ValueError(f"{figure} draws the dataset of {of}; this one lacks the dimension '{missing[0]}': {has}")
