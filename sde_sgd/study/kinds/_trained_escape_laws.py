"""What a trained escape shows: slopes of log time, processes against each other, one minimum against another."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...statistics import Estimate, add_estimate
from ...training import _escape_laws

if TYPE_CHECKING:
    import xarray as xr

# distance, over a minimum's length, from which on two are not one minimum rounded
_APART = 1e-6


def with_laws(part: "xr.Dataset", confidence: float) -> "xr.Dataset":
    """Slopes and ratios beside the times, as `plotting.escape_times` draws them.

    part: with the dimensions `start`, `process`, and those of learning and batch size. confidence: of its intervals.
    """
    part = part.transpose("start", "process", ...)
    names, cells = [str(name) for name in part["process"].values], _cells(part)
    inverse = 1 / part["ratio"].transpose(*cells)
    part["inverse_ratio"] = (cells, inverse.values, {"units": "M/γ", "long_name": "M/γ"})
    times, places = _times(part, confidence), list(np.ndindex(*part["mean_exit_time"].shape[:2]))
    lines = [_escape_laws.slope(inverse.values, times[place]) for place in places]
    add_estimate(part, "slope", ("start", "process"), _stacked(lines, part, ()), "γ/M", "slope of log time against M/γ")
    if "sgd" in names:
        ratios = [_escape_laws.over(times[place], times[place[0], names.index("sgd")]) for place in places]
        dims = ("start", "process", *cells)
        add_estimate(part, "ratio", dims, _stacked(ratios, part, cells), "1", "mean time over that of SGD")
    # of each minimum one number: that of any of its cells that were run
    for name in ("height", "limit"):
        known = part[name].max([dim for dim in part[name].dims if dim != "start"])
        part[name] = known.assign_attrs(part[name].attrs)
    return part


def said(part: "xr.Dataset", processes: Sequence[str], confidence: float) -> list[str]:
    """Sentences: of each minimum the slopes and what SGD's times are against the others'; minima against the first.

    part, confidence: as in `with_laws`.
    """
    same = [_same_minimum(part.isel(start=place)) for place in range(part.sizes["start"])]
    laws, lines = with_laws(part, confidence), []
    times, starts = _times(laws, confidence), [str(name) for name in part["start"].values]
    for at, start in enumerate(starts):
        here = laws.isel(start=at)
        if here["mean_exit_time"].notnull().any():
            slopes = dict(zip(processes, here["slope"].values, strict=True))
            others = [name for name in processes if name != "sgd"] if "sgd" in processes else []
            ratios = {name: _estimate(here.sel(process=name), "ratio", confidence) for name in others}
            lines.append(f"{start}: {_escape_laws.sentence(slopes, ratios, float(here['limit']))}")
            lines += same[at]
    for at, start in enumerate(starts[1:], start=1):
        for place, name in enumerate(processes):
            ratio = _escape_laws.over(times[at, place], times[0, place])
            if np.isfinite(ratio.high).any():
                words = _escape_laws.compared(ratio, f"{starts[0]}'s")
                lines.append(f"{start} against {starts[0]}, {_escape_laws.WORDS[name]}: {words}")
    return lines


def _cells(part: "xr.Dataset") -> tuple[str, ...]:
    return tuple(str(name) for name in part["mean_exit_time"].dims if name not in ("start", "process"))


def _times(part: "xr.Dataset", confidence: float) -> Estimate:
    return _estimate(part.transpose("start", "process", ...), "mean_exit_time", confidence)


def _estimate(part: "xr.Dataset", name: str, confidence: float) -> Estimate:
    value, low, high = (part[name + end].values for end in ("", "_low", "_high"))
    # a cell that was not run may have any time
    known = ~np.isnan(low)
    return Estimate(value, np.where(known, low, 0.0), np.where(known, high, np.inf), confidence)


def _stacked(estimates: list[Estimate], part: "xr.Dataset", cells: tuple[str, ...]) -> Estimate:
    shape = tuple(part.sizes[name] for name in ("start", "process", *cells))
    parts = (np.reshape([getattr(each, end) for each in estimates], shape) for end in ("value", "low", "high"))
    return Estimate(*parts, estimates[0].confidence)


def _same_minimum(here: "xr.Dataset") -> list[str]:
    """A sentence where the cells of a start were run from minima that are not the same."""
    points = here["minimum"].transpose(..., "parameter").values.reshape(-1, here.sizes["parameter"])
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return []
    apart = np.linalg.norm(points - points[0], axis=1).max() / max(float(np.linalg.norm(points[0])), 1e-300)
    if apart <= _APART:
        return []
    name = str(here["start"].values)
    return [
        f"{name}: the cells are of minima that differ by up to {apart:.2g} of their length: training did not come to "
        "one minimum in all processes, whose hardware rounds differently; compute them on machines of one kind"
    ]
