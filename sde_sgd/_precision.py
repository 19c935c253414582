"""Which numbers bear weight: intervals that are too wide, and cells of a dataset that are missing, NaN or not precise.

Tables, figures and the HTML report mark them alike.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

# statuses without findings; "finished" is of a cell whose kind says nothing more, "" of one that was not run
FINE = ("complete", "converged", "finished")

MISSING, UNKNOWN, IMPRECISE, PRECISE = "missing", "unknown", "imprecise", "precise"
# what is hatched, and what the marks of a phase diagram mean
HATCHED = (UNKNOWN, IMPRECISE)
MARKS = {
    "imprecise": "not precise: the interval is wider than its value, or the status has a finding",
    "beyond": "γ > 2/λ_max: gradient descent is unstable at the start",
}


def is_wide(value: Any, low: Any, high: Any) -> np.ndarray:
    """Whether high − low is above |value|, or has no end, so that not even the first digit is known.

    value, low, high: of any shape, broadcast together, in one unit; not so where the value and both bounds are NaN.
    """
    value, low, high = (np.asarray(each, float) for each in (value, low, high))
    width = high - low
    with np.errstate(invalid="ignore"):
        wide = ~np.isfinite(value) | ~np.isfinite(width) | (width > np.abs(value))
    return np.asarray(wide & ~(np.isnan(value) & np.isnan(low) & np.isnan(high)))


def quality(dataset: "xr.Dataset", name: str) -> "xr.DataArray":
    """Of each entry of the variable `name`: "missing", "unknown", "imprecise" or "precise", with its dimensions.

    missing: its cell was not run. unknown: it was, and the number is NaN.
    imprecise: its interval is wider than its value (`is_wide`), or the cell's status has a finding.
    """
    import xarray as xr

    value = dataset[name]
    low, high = (dataset.get(name + end, value) for end in ("_low", "_high"))
    status = dataset["status"] if "status" in dataset else xr.where(value.isnull(), "", FINE[0])
    wide = xr.apply_ufunc(is_wide, value, low, high)
    state = xr.where(wide | ~status.isin(FINE), IMPRECISE, PRECISE)
    state = xr.where(value.isnull(), UNKNOWN, state)
    return xr.where(status == "", MISSING, state).transpose(*value.dims, ...).drop_attrs()


def beyond_stability(dataset: "xr.Dataset") -> "xr.DataArray | None":
    """Whether γ > 2/λ_max, so that gradient descent is unstable at the start, over its starts and learning rates.

    None where the dataset has no `largest_curvature` (loss/θ²) or no `learning_rate` (SDE time per iteration).
    """
    limit = stability_limit(dataset)
    if limit is None:
        return None
    return (dataset["learning_rate"] > limit).transpose(*limit.dims, ...).drop_attrs()


def stability_limit(dataset: "xr.Dataset") -> "xr.DataArray | None":
    """2/λ_max at each start, an SDE time per iteration; infinite where nothing curves upward, NaN where unknown.

    A cell that was not run has the λ_max of those with its start. None where the dataset has no `largest_curvature`.
    """
    import xarray as xr

    if "largest_curvature" not in dataset or "learning_rate" not in dataset:
        return None
    curvature = dataset["largest_curvature"]
    # λ_max is the start's: it depends neither on γ nor on M
    curvature = curvature.max([name for name in ("learning_rate", "batch_size") if name in curvature.dims])
    return xr.where(curvature > 0, 2 / curvature.where(curvature > 0), xr.where(curvature.isnull(), np.nan, np.inf))
