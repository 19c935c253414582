"""What figures share: colours, how panels are arranged, and the check that a dataset is what a figure draws."""

import math

import matplotlib
import xarray as xr

SEQUENCE = matplotlib.colormaps["viridis"]


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
