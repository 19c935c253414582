"""Estimates in an xarray Dataset, the same way in every result of the room."""

import xarray as xr

from ..statistics import Estimate

_BOUNDS = {"": "", "_low": ", lower bound", "_high": ", upper bound"}


def put(data: xr.Dataset, name: str, dims: tuple[str, ...], estimate: Estimate, units: str, long_name: str) -> None:
    """Add an estimate's value and bounds, with `units` and `long_name`."""
    for (suffix, words), part in zip(_BOUNDS.items(), (estimate.value, estimate.low, estimate.high), strict=True):
        data[name + suffix] = (dims, part, {"units": units, "long_name": long_name + words})
