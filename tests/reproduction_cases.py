"""Datasets of the studies of the reproduction with numbers that are made: what theory predicts, or something else."""

import numpy as np
import xarray as xr

from sde_sgd.reproduction._claim import Size, changes_of, study_file
from sde_sgd.study import parse


def blank(name):
    """A dataset over the axes of a study at its quick size, with every cell complete."""
    study = parse(study_file(name).read_text("utf-8"), name, changes_of(name, Size.QUICK))
    dims = study.axes()
    data = xr.Dataset(coords=study.coordinates(), attrs={"confidence": study.confidence, "cells_finished": 1})
    return data.assign(status=(tuple(dims), np.full(tuple(dims.values()), "complete", object)))


def put(data, name, values, dims=None, width=0.01):
    """`data` with an estimate: values over the status's dimensions, and `dims` more; ± `width` of them."""
    dims = (*data["status"].dims, *(dims or ()))
    values = np.broadcast_to(np.asarray(values, float), tuple(data.sizes[dim] for dim in dims))
    half = width * np.abs(values)
    return data.assign(
        {name: (dims, values), f"{name}_low": (dims, values - half), f"{name}_high": (dims, values + half)}
    )
