"""Edge of stability: sharpness against 2/γ, and what a training study shows of it."""

from typing import TYPE_CHECKING

import numpy as np

from .._quantities import SIGNS
from ..statistics import Estimate

if TYPE_CHECKING:
    import xarray as xr

# how far from the edge the mean may be and still be at it
NEAR = 0.02


def stability(dataset: "xr.Dataset") -> "xr.Dataset":
    """The dataset with `stability`, its bounds and `stability_of_each`: sharpness·γ/(2(1 + μ)), without unit.

    Gradient descent with momentum μ is stable at a minimum where that is below 1 (Cohen and others 2021,
    arXiv 2103.00065). dataset: of a training study with the measure sharpness, whose dimensions the variables have.
    `steps_taken` is the mean number of steps of its networks. Raises ValueError without that measure.
    """
    if "sharpness" not in dataset:
        raise ValueError("stability is of a training study with the measure sharpness, which this dataset lacks")
    limit = 2 * (1 + dataset["momentum"] if "momentum" in dataset else 1.0) / dataset["learning_rate"]
    words = {"units": "1", "long_name": f"sharpness times {'γ/(2(1 + μ))' if _has_momentum(dataset) else 'γ/2'}"}
    parts = {
        f"stability{end}": (dataset[f"sharpness{end}"] / limit).assign_attrs(words)
        for end in ("", "_low", "_high", "_of_each")
    }
    parts = {
        name: part.transpose(*dataset[name.replace("stability", "sharpness")].dims) for name, part in parts.items()
    }
    taken = dataset["steps_of_each"].mean("network").assign_attrs(units="steps", long_name="steps taken")
    return dataset.assign(parts | {"steps_taken": taken})


def of_edge(dataset: "xr.Dataset") -> list[str]:
    """For each line of a training study over steps, whether sharpness·γ/2 ends at the edge of stability.

    With momentum it is sharpness·γ/(2(1 + μ)), as `stability` has it, and the sentence says so.
    Supported where the interval at the most steps is within 2 % of 1, not supported where it is all beyond that, and
    undecided else.
    """
    data, name_of = stability(dataset), f"sharpness·{'γ/(2(1 + μ))' if _has_momentum(dataset) else 'γ/2'}"
    along = [str(name) for name in ("steps", "epochs", "reading") if name in data.stability.dims]
    lines = []
    for place in np.ndindex(*(data.sizes[name] for name in data.stability.dims if name not in along)):
        others = [str(name) for name in data.stability.dims if name not in along]
        part = data.isel(dict(zip(others, place, strict=True)))
        taken = part.steps_taken.values
        last = np.unravel_index(np.nanargmax(taken), taken.shape) if np.isfinite(taken).any() else (0,) * taken.ndim
        part = part.isel(dict(zip(map(str, part.steps_taken.dims), map(int, last), strict=True)))
        found = Estimate(*(part[f"stability{end}"].values for end in ("", "_low", "_high")), data.attrs["confidence"])
        where = ", ".join(
            f"{SIGNS.get(name, name)} = {data[name].values[number]:g}"
            for name, number in zip(others, place, strict=True) if name == "learning_rate" or data.sizes[name] > 1
        )  # fmt: skip
        lines.append(f"edge of stability, {where}, after {float(taken[last]):g} steps: {_judged(found, name_of)}")
    return lines


def _has_momentum(dataset: "xr.Dataset") -> bool:
    return "momentum" in dataset and bool(np.any(dataset["momentum"] > 0))


def _judged(found: Estimate, name: str) -> str:
    value, low, high = (float(each) for each in (found.value, found.low, found.high))
    said = f"{name} is {found}"
    if np.isnan(value) or np.isnan(low) or np.isnan(high):
        return "undecided: there is no number"
    if low > 1 + NEAR or high < 1 - NEAR:
        return f"not supported: {said}, more than {NEAR:.0%} {'above' if low > 1 else 'below'} 1"
    if low >= 1 - NEAR and high <= 1 + NEAR:
        return f"supported: {said}, within {NEAR:.0%} of 1"
    return f"undecided, because the interval reaches beyond {NEAR:.0%} of 1: {said}"
