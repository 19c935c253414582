"""From the words of a study file to landscapes, noise models, points and regions."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from .. import landscapes, noise, regions
from .._errors import choose
from ..landscapes import AbstractLandscape, EmpiricalRisk, polish
from ..noise import AbstractNoise
from ..regions import AbstractRegion
from . import _own_code
from ._errors import StudyError
from ._sections import LandscapeSpec, NoiseSpec, RegionSpec, StartSpec


class Start(NamedTuple):
    """A minimum to start in, the saddle that bounds its well if one is given, and the set to leave.

    avoid: what must not be entered before the region is left, where that is asked for.
    """

    name: str
    point: np.ndarray
    saddle: np.ndarray | None
    region: AbstractRegion
    avoid: AbstractRegion | None = None


def kinds(module: Any, base: type, without: tuple[str, ...] = ()) -> dict[str, type]:
    """The final classes of `base` that `module` offers by name."""
    classes = {name: value for name, value in vars(module).items() if isinstance(value, type)}
    return {
        name: value
        for name, value in classes.items()
        if issubclass(value, base) and not name.startswith(("Abstract", "_")) and name not in without
    }


# by room, what a study file does not offer: it needs a person's own Python code, or another model
OWN_CODE: dict[str, tuple[str, ...]] = {
    "landscapes": ("Landscape", "EmpiricalRisk"),
    "noise": ("FromFunction", *kinds(noise, noise.AbstractShapedNoise)),
}


def make(where: str, kind: str, parameters: dict[str, Any], allowed: dict[str, type]) -> Any:
    """An object of the class called `kind`. Raises StudyError for an unknown kind, key or an unfit value."""
    if kind not in allowed:
        raise StudyError(choose(f"kind of {where}", kind, allowed))
    known = inspect.signature(allowed[kind]).parameters
    for key in parameters:
        if key not in known:
            raise StudyError(choose(f"key in {where} of kind {kind}", key, known))
    needed = [name for name, parameter in known.items() if parameter.default is parameter.empty]
    missing = [name for name in needed if name not in parameters]
    if missing:
        raise StudyError(f"{where} of kind {kind} lacks its key '{missing[0]}'; it needs: {', '.join(needed)}")
    for key, value in parameters.items():
        # NumPy would make numbers of them
        if _holds_truth(value):
            raise StudyError(f"{where} of kind {kind}: {key} must be of numbers, got {value!r}")
    try:
        return allowed[kind](**{key: _value(key, value) for key, value in parameters.items()})
    except (ValueError, TypeError) as error:
        lists = [key for key, value in parameters.items() if isinstance(value, list)]
        hint = f" (a sweep is written {lists[0]} = {{each = [...]}})" if lists else ""
        raise StudyError(f"{where} of kind {kind}: {one_line(error)}{hint}") from None


def landscape(spec: LandscapeSpec, folder: Path) -> AbstractLandscape:
    """The study's landscape. folder: where a person's module is looked for first."""
    if spec.function is not None:
        function = import_named("landscape.function", spec.function, folder)
        parameters = (spec.model_extra or {}).get("parameters")
        if isinstance(parameters, dict):
            parameters = {key: floats(f"landscape.parameters.{key}", value) for key, value in parameters.items()}
        elif parameters is not None:
            parameters = floats("landscape.parameters", parameters)
        try:
            assert spec.dim is not None
            return landscapes.Landscape(fn=function, dim=spec.dim, parameters=parameters)
        except (ValueError, TypeError) as error:
            raise StudyError(f"landscape function {spec.function}: {one_line(error)}") from None
    if spec.is_risk:
        from . import _networks

        assert spec.data is not None and spec.network is not None
        found, hidden = _networks.examples(spec.data), spec.network.hidden or []
        return _networks.risk(spec.network, hidden, found, spec.loss, spec.penalty, folder, spec.seed)[0]
    return make("landscape", spec.kind, spec.parameters, kinds(landscapes, AbstractLandscape, OWN_CODE["landscapes"]))


def noise_model(spec: NoiseSpec) -> AbstractNoise:
    """The study's gradient noise; models that need a person's own Python code, or another model, are not offered."""
    made = make("noise", spec.kind, spec.parameters, kinds(noise, AbstractNoise, OWN_CODE["noise"]))
    return made if spec.reshaped == "full" else _RESHAPED[spec.reshaped](made)


_RESHAPED: dict[str, Callable[[AbstractNoise], AbstractNoise]] = {
    "isotropic": noise.IsotropicOf,
    "diagonal": noise.DiagonalOf,
    "hessian": noise.HessianOf,
    "leading": noise.LeadingOf,
    "leading hessian": lambda model: noise.LeadingOf(model, "hessian"),
}


def start(spec: StartSpec, surface: AbstractLandscape) -> Start:
    """One start with its region. Raises StudyError if a point does not fit the landscape."""
    point = point_of(f"point of start '{spec.name}'", spec.point, surface)
    saddle = None if spec.saddle is None else point_of(f"saddle of start '{spec.name}'", spec.saddle, surface)
    avoid = None
    if spec.target is not None:
        region: AbstractRegion = ~region_of(f"target of start '{spec.name}'", spec.target, surface, point)
        if spec.avoid is not None:
            avoid = region_of(f"avoid of start '{spec.name}'", spec.avoid, surface, point)
    elif spec.region is None:
        assert saddle is not None
        gap = saddle - point
        if not np.any(gap):
            raise StudyError(f"start '{spec.name}' must have its saddle apart from its point {point.tolist()}")
        normal = gap / np.linalg.norm(gap)
        region = regions.HalfSpace(jnp.asarray(normal), float(normal @ saddle))
    else:
        region = region_of(f"region of start '{spec.name}'", spec.region, surface, point)
    return Start(spec.name, point, saddle, region, avoid)


def region_of(where: str, spec: RegionSpec, surface: AbstractLandscape, point: Any = None) -> AbstractRegion:
    """The region that a study file describes; of a Sublevel, `above` and `multiple` are of the loss at `point`.

    Raises StudyError as `make` does.
    """
    parameters = spec.parameters
    if spec.kind == "Sublevel":
        if spec.above is not None or spec.multiple is not None:
            if point is None:
                raise StudyError(f"{where}: above and multiple are of the loss at a start, and there is none")
            here = float(surface.loss(jnp.asarray(point, float)))
            parameters["value"] = here + spec.above if spec.above is not None else here * (spec.multiple or 0.0)
        parameters = {"landscape": surface} | parameters
    return make(where, spec.kind, parameters, kinds(regions, AbstractRegion))


def code_of(spec: LandscapeSpec, folder: Path) -> str:
    """What decides numbers in a person's own loss or network, so that a changed one is a changed study."""
    return code_named(spec.function if spec.network is None else spec.network.function, folder)


def code_named(path: str | None, folder: Path) -> str:
    """What decides numbers in the module of "module:name", and in those beside it that it imports; "" without one."""
    return "" if path is None else _own_code.code_of(path.partition(":")[0], folder)


def one_line(error: BaseException) -> str:
    """An error's message on one line."""
    return " ".join(str(error).split())


def import_named(key: str, path: str, folder: Path) -> Any:
    """What a person's own module calls `name`, of a path "module:name". key: of the study file, for messages.

    folder: where the module is looked for first. Raises StudyError where there is none.
    """
    module_name, _, name = path.partition(":")
    try:
        module = _own_code.imported(module_name, folder)
    except ModuleNotFoundError as error:
        raise StudyError(f"{key} '{path}': there is no module '{error.name}' in {folder} or in Python's path") from None
    except StudyError as error:
        raise StudyError(f"{key} '{path}': {error}") from None
    except Exception as error:
        raise StudyError(f"{key} '{path}': its module fails to import: {one_line(error)}") from error
    functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    if name not in vars(module):
        raise StudyError(choose(f"function in module '{module_name}'", name, functions))
    return getattr(module, name)


def point_of(what: str, given: str | list[float], surface: AbstractLandscape) -> np.ndarray:
    """A point by its coordinates, or by the name that the landscape has for it. Raises StudyError for any other.

    what: it is, in words. Returns shape (dim,).
    """
    if given == "minimum" and isinstance(surface, EmpiricalRisk):
        return np.asarray(polish(surface, surface.initial).location, np.float64)
    if isinstance(given, str):
        # properties of the landscape that are points, such as `sharp_minimum`
        names = [name for name in dir(type(surface)) if isinstance(getattr(type(surface), name, None), property)]
        names += [name for name in vars(surface) if not name.startswith("_")]
        points = {name for name in names if _shape(surface, name) == (surface.dim,)}
        if given not in points:
            raise StudyError(f"{what}: {choose('point', given, points)}, or a list of {surface.dim} numbers")
        return np.asarray(getattr(surface, given), np.float64)
    point = np.asarray(given, np.float64)
    if point.shape != (surface.dim,):
        raise StudyError(f"{what} must have {surface.dim} numbers, the landscape's dim, got {len(given)}: {given}")
    if not np.all(np.isfinite(point)):
        raise StudyError(f"{what} must be finite, got {given}")
    floats(what, given)
    return point


def _shape(surface: AbstractLandscape, name: str) -> tuple[int, ...] | None:
    try:
        return np.shape(getattr(surface, name))
    except Exception:
        return None


def _holds_truth(value: Any) -> bool:
    return any(map(_holds_truth, value)) if isinstance(value, list) else isinstance(value, bool)


def _value(key: str, value: Any) -> Any:
    if isinstance(value, float):
        floats(key, value)
    return floats(key, value) if isinstance(value, list) else value


def floats(what: str, value: Any) -> Any:
    """`value` as an array of the floats that programs compute with.

    what: it is, in words. Raises StudyError for a finite number that is none of them, of which they would make 0 or ∞.
    """
    exact, kind = np.asarray(value, np.float64), jnp.finfo(jnp.result_type(float))
    size = np.abs(exact[np.isfinite(exact) & (exact != 0)])
    lost = size[(size > float(kind.max)) | (size < float(kind.tiny))]
    if lost.size:
        raise StudyError(
            f"{what} must be of numbers that {kind.dtype} holds, of size {float(kind.tiny):.2g} to "
            f"{float(kind.max):.2g}, got {lost[0]:g}"
        )
    return jnp.asarray(value, float)
