"""Laws over networks, with the numbers of each beside them: what figures and sentences on training are made of."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._quantities import TO_A_LOSS
from ..statistics import add_estimate, student_mean
from ._grid import NAMES
from ._measures import Measure, named
from ._stop import Loss

if TYPE_CHECKING:
    import xarray as xr


def law_over_networks(each: "xr.Dataset", *names: str, confidence: float = 0.95) -> "xr.Dataset":
    """Mean over the dimension `network` with Student's interval, quartiles, and how many networks stayed finite.

    each: what `Training.measure` returns. names: of its variables. confidence: of the intervals. Valid for networks
        that are independent and means that are nearly normal.
    A network without a number, one that diverged, is left out; so is a number that is not finite, and the attribute
    `left_out` says of how many networks, a line for each name. Raises ValueError for another confidence.
    """
    import xarray as xr

    law = xr.Dataset(coords={name: entry for name, entry in each.coords.items() if "network" not in entry.dims})
    finite = (~each.diverged).sum("network")
    law["networks"] = finite.assign_attrs(units="1", long_name="networks that stayed finite")
    law.attrs["left_out"] = "\n".join(filter(None, (_left_out(each, name) for name in names)))
    for name in names:
        values, words = each[name].transpose(..., "network"), each[name].attrs
        values = values.where(np.isfinite(values))
        found, dims = student_mean(values.values, confidence), tuple(map(str, values.dims[:-1]))
        add_estimate(law, name, dims, found, words["units"], f"mean of {words['long_name']}")
        # a cell without a network has no numbers, and that is no warning
        count = values.notnull().sum("network")
        values = values.where(count > 0, 0.0)
        for share in (0.25, 0.5, 0.75):
            quantile = values.quantile(share, "network").where(count > 0).drop_vars("quantile")
            quantile.attrs = {"units": words["units"], "long_name": f"quantile {share:g} of {words['long_name']}"}
            law[f"{name}_quantile_{share:g}"] = quantile
    return law


def _left_out(each: "xr.Dataset", name: str) -> str:
    """How many networks have a number that is not finite, though they are; empty where none has."""
    lost = int((~np.isfinite(each[name]) & ~each.diverged).sum())
    return f"{name} is not finite in {lost} of {each.diverged.size} networks, which its law leaves out" if lost else ""


def laws_and_networks(trained: Any, measures: Sequence[str | Measure], confidence: float) -> "xr.Dataset":
    """The law of the steps and of each measure, `…_of_each` network, and how many networks diverged or were late.

    trained: a Training. measures, confidence: as in `Training.law`. A measure that cannot be had of what training
    found, such as the curvature of a finite network whose Hessian is not finite, is NaN, and the attribute `unknown`
    says why, a line for each; and of how many networks a measure is no finite number.
    """
    import xarray as xr

    each, unknown = trained.measure(), []
    each["steps"] = each.steps.where(~each.diverged & ~each.late)
    each["steps"].attrs = {"units": "steps", "long_name": "steps taken"}
    names = ["steps"]
    for measure in measures:
        name, about = named(measure)
        try:
            each[name] = trained.measure(measure)[name]
            unknown += filter(None, [_left_out(each, name)])
        except (RuntimeError, ValueError) as error:
            each[name] = xr.full_like(each.steps, np.nan).assign_attrs(units=about.units, long_name=about.words)
            unknown.append(f"{name} is not known: {' '.join(str(error).split())}")
        names.append(name)
    data = law_over_networks(each, *names, confidence=confidence).drop_vars("networks")
    for name in names:
        words = each[name].attrs | {"long_name": f"{each[name].attrs['long_name']}, of each network"}
        data[f"{name}_of_each"] = each[name].astype(float).assign_attrs(words)
    data["excess_per_trace"] = _excess_per_trace(trained, each)
    whole = xr.full_like(data.steps, float(trained.networks))
    data["trajectories"] = whole.assign_attrs(units="networks", long_name="networks trained")
    counted = {
        "diverged": "networks that stopped being finite",
        "late": "networks that did not come to the loss that was to end them",
    }
    for name, words in counted.items():
        data[name] = each[name].sum("network").astype(float).assign_attrs(units="networks", long_name=words)
    data.attrs = {"unknown": "\n".join(unknown)}
    return data


def _excess_per_trace(trained: Any, each: "xr.Dataset") -> "xr.DataArray":
    """γc/(4(1 − μ)) of each cell, which makes of Tr V the excess loss around a minimum, to first order.

    c is 1/M with replacement, (N−M)/(M(N−1)) without; with momentum steps are 1/(1 − μ) times as long in the end.
    """
    import xarray as xr

    c = xr.DataArray(trained.variances, {"batch_size": trained.grid.batch_size}, "batch_size")
    c = c if "batch_size" in each.dims else c.squeeze("batch_size")
    found = each.learning_rate * c / (4 * (1 - each.momentum))
    words = "stationary excess loss over Tr V, of independent batches"
    return found.assign_attrs(units="θ² / loss", long_name=words)


def dataset_of(trained: Any, measures: Sequence[str | Measure], confidence: float) -> "xr.Dataset":
    """A training in the form of a study's dataset: what is equal, γ and M are dimensions, also where there is one.

    trained: a Training. measures, confidence: as in `Training.law`.
    """
    data = laws_and_networks(trained, measures, confidence)
    data = data.expand_dims([name for name in NAMES[:2] if name not in data.dims])
    data = data.expand_dims(reading=[trained.stop.label]).transpose("reading", *NAMES[:2], ...)
    data = data.assign_coords(to_a_loss=("reading", [isinstance(trained.stop, Loss)], TO_A_LOSS))
    ratio = data.learning_rate / data.batch_size
    data = data.assign_coords(ratio=ratio.assign_attrs(units="SDE time per iteration and example", long_name="γ/M"))
    data.attrs |= {
        "study": "training", "examples": trained.risk.examples, "confidence": confidence,
        "measures": ",".join(named(measure)[0] for measure in measures),
        "question": "batch" if data.sizes["batch_size"] > 1 else "ratio",
        "status": trained.result, "provenance": str(trained.provenance), "sampling": trained.sampling,
    }  # fmt: skip
    return data
