"""Saved paths as an xarray Dataset in the layout of Markov-chain samples: chain, draw, component."""

from typing import TYPE_CHECKING, Any

import numpy as np

from .._errors import concrete, positive_number

if TYPE_CHECKING:
    import xarray as xr


def to_samples(paths: Any, every: Any = None) -> "xr.Dataset":
    """Saved paths as the samples of a Markov chain: `theta` with the dimensions (chain, draw, component).

    paths: (saves, trajectories, dim), as `simulate(…, save_every=…)` returns them; leave out the first ones, as in
        `paths[20:]`, where the law was not yet stationary. A trajectory is a chain, a saved state one of its draws.
    every: SDE time between two saved states, which gives the draws their `time`, from 0 for the first one given.
    Returns a Dataset as arviz takes it; `list(samples.theta.values)` are arrays (draws, dim), as deeptime takes them.
    A trajectory that diverged keeps its NaN or infinity. Raises ValueError for another shape, or an `every` that is not
    a number above 0.
    """
    import xarray as xr

    array = concrete(paths)
    if array is None or array.ndim != 3 or 0 in array.shape:
        found = type(paths).__name__ if array is None else f"shape {array.shape}"
        raise ValueError(
            f"paths must have shape (saves, trajectories, dim), as of simulate(…, save_every=…), got {found}"
        )
    words = {"units": "θ", "long_name": "state"}
    coordinates = {
        name: (name, np.arange(size), {"units": "1", "long_name": meaning})
        for name, size, meaning in (
            ("chain", array.shape[1], "trajectory"),
            ("draw", array.shape[0], "saved state"),
            ("component", array.shape[2], "component of θ"),
        )
    }
    data = xr.Dataset({"theta": (("chain", "draw", "component"), np.swapaxes(array, 0, 1), words)}, coordinates)
    if every is not None:
        positive_number("every", every)
        times = np.arange(array.shape[0]) * float(np.asarray(every))
        data = data.assign_coords(time=("draw", times, {"units": "SDE time", "long_name": "time since the first draw"}))
    return data
