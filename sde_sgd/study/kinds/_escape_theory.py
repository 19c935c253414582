"""What theory and the exact solver say beside a cell of an escape study."""

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

import sde_sgd as ss

from ._dynamics import Surface, Theories, solver

if TYPE_CHECKING:
    import xarray as xr

    from .._build import Start
    from ._escape import EscapeStudy


def theory(study: "EscapeStudy", surface: Surface, start: "Start", ratio: float) -> "xr.Dataset":
    """Theory and exact solver for one start and one γ/M; NaN and a note where a method does not apply.

    study: of one cell. ratio: γ/M, SDE time per iteration and example.
    """
    theories, times = Theories(), study.times()
    by_time = {"time": len(times)}

    def diffusion():
        study.refuse_other_chains()
        return ss.LangevinSGD(surface.landscape, surface.noise, ratio, 1.0)

    def region():
        if start.avoid is not None:
            raise ValueError("it is not computed beside a set to avoid")
        return start.region

    def kramers():
        if start.saddle is None:
            raise ValueError("no saddle was given")
        region()
        return ss.theory.eyring_kramers(diffusion(), start.point, start.saddle, to="saddle")

    exact = functools.cache(lambda: solver(diffusion(), study.reference))
    words, time = "probability to leave by each time", "mean exit time"
    theories.add("temperature", "temperature", "loss", "temperature γβ/(2M)", lambda: diffusion().temperature)
    theories.add(
        "exit_linearised",
        "linearised theory",
        "1",
        f"{words}, linearised theory",
        lambda: _linearised(diffusion(), region(), start.point, times),
        by_time,
    )
    theories.add(
        "exit_exact",
        "exact solver",
        "1",
        f"{words}, exact solver of the SDE",
        lambda: exact().escape_probability(region(), start.point, times),
        by_time,
    )
    theories.add("mean_exit_time_eyring_kramers", "Eyring–Kramers", "SDE time", f"{time}, Eyring–Kramers", kramers)
    theories.add(
        "mean_exit_time_exact",
        "exact solver",
        "SDE time",
        f"{time}, exact solver of the SDE",
        lambda: exact().mean_exit_time(region(), start=start.point),
    )
    words = "largest eigenvalue of ∇²L at the start"
    theories.add("largest_curvature", words, "loss/θ²", words, lambda: _largest_curvature(surface.landscape, start))
    return theories.dataset()


def _largest_curvature(landscape: Any, start: "Start") -> float:
    """λ_max, which says up to which learning rate 2/λ_max gradient descent is stable there."""
    try:
        return float(np.asarray(ss.landscapes.sharpness(landscape, start.point, 1)).item())
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def _linearised(diffusion: Any, region: Any, point: np.ndarray, times: np.ndarray) -> Any:
    if not isinstance(region, ss.regions.HalfSpace):
        raise ValueError("the linearised exit is computed for a HalfSpace")
    normal = np.asarray(region.normal, np.float64)
    length = np.linalg.norm(normal)
    distance = float((float(region.offset) - normal @ point) / length)
    return ss.theory.exit_probability(diffusion, point, (np.inf, distance), times, direction=normal / length)
