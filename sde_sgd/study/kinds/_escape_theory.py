"""What theory and the exact solver say beside a cell of an escape study."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

import sde_sgd as ss

from ._dynamics import Surface, solver

if TYPE_CHECKING:
    import xarray as xr

    from .._build import Start
    from ._escape import EscapeStudy


def theory(study: "EscapeStudy", surface: Surface, start: "Start", ratio: float) -> "xr.Dataset":
    """Theory and exact solver for one start and one γ/M; NaN and a note where a method does not apply.

    study: of one cell. ratio: γ/M, SDE time per iteration and example.
    """
    import xarray as xr

    from .._build import one_line

    times = study.times()
    data, notes = xr.Dataset(), []

    def attempt(variable: str, method: str, units: str, long_name: str, answer: Callable[[], Any]) -> None:
        dims = ("time",) if variable in ("exit_linearised", "exit_exact") else ()
        try:
            values = np.asarray(answer(), np.float64)
        except ValueError as error:
            notes.append(f"{method}: {one_line(error)}")
            values = np.full(times.shape if dims else (), np.nan)
        data[variable] = (dims, values, {"units": units, "long_name": long_name})

    def diffusion():
        if study.chain.kind != "EulerMaruyama":
            raise ValueError(f"there is none beside a chain of kind {study.chain.kind}")
        return ss.LangevinSGD(surface.landscape, surface.noise, ratio, 1.0)

    def region():
        if start.avoid is not None:
            raise ValueError("it is not computed beside a set to avoid")
        return start.region

    def kramers():
        if start.saddle is None:
            raise ValueError("no saddle was given")
        return ss.theory.eyring_kramers(diffusion(), start.point, start.saddle, to="saddle")

    exact = functools.cache(lambda: solver(diffusion(), study.reference))
    by_time = "probability to leave by each time"
    attempt("temperature", "temperature", "loss", "temperature γβ/(2M)", lambda: diffusion().temperature)
    attempt(
        "exit_linearised",
        "linearised theory",
        "1",
        f"{by_time}, linearised theory",
        lambda: _linearised(diffusion(), start, times),
    )
    attempt(
        "exit_exact",
        "exact solver",
        "1",
        f"{by_time}, exact solver of the SDE",
        lambda: exact().escape_probability(region(), start.point, times),
    )
    time = "mean exit time"
    attempt("mean_exit_time_eyring_kramers", "Eyring–Kramers", "SDE time", f"{time}, Eyring–Kramers", kramers)
    attempt(
        "mean_exit_time_exact",
        "exact solver",
        "SDE time",
        f"{time}, exact solver of the SDE",
        lambda: exact().mean_exit_time(region(), start=start.point),
    )
    curvature = "largest eigenvalue of ∇²L at the start"
    attempt("largest_curvature", curvature, "loss/θ²", curvature, lambda: _largest_curvature(surface.landscape, start))
    return data.assign_attrs(notes="\n".join(notes))


def _largest_curvature(landscape: Any, start: "Start") -> float:
    """λ_max, which says up to which learning rate 2/λ_max gradient descent is stable there."""
    try:
        return float(np.asarray(ss.landscapes.sharpness(landscape, start.point, 1)).item())
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def _linearised(diffusion: Any, start: "Start", times: np.ndarray) -> Any:
    if start.normal is None:
        raise ValueError("the linearised exit is computed for a HalfSpace")
    length = np.linalg.norm(start.normal)
    distance = float((start.offset - start.normal @ start.point) / length)
    return ss.theory.exit_probability(
        diffusion, start.point, (np.inf, distance), times, direction=start.normal / length
    )
