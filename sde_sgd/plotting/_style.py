"""What figures share: colours, and the check that a dataset is what a figure draws."""

import matplotlib
import xarray as xr

SEQUENCE = matplotlib.colormaps["viridis"]


def require(dataset: xr.Dataset, figure: str, of: str, *dims: str) -> None:
    """Raise ValueError unless the dataset has these dimensions."""
    missing = [name for name in dims if name not in dataset.dims]
    if missing:
        has = ", ".join(map(str, dataset.dims)) or "none"
        raise ValueError(f"{figure} draws the dataset of {of}; this one lacks the dimension '{missing[0]}': {has}")
