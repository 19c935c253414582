"""Rivals whose library may not be installed."""

import importlib

from .._measure import Entry, Missing


def _from(module: str, function: str, family: str, *arguments) -> list[Entry]:
    try:
        rival = importlib.import_module(f"._{module}", __package__)
    except ImportError as error:
        return [Missing(family, f"not installed ({error.name or module})")]
    return getattr(rival, function)(*arguments)


def numba_loops(trajectories: int, steps: int) -> list[Entry]:
    return _from("numba", "contenders", "numba", trajectories, steps)


def diffrax_solves(trajectories: int, steps: int) -> list[Entry]:
    return _from("diffrax", "solves", "diffrax, UnsafeBrownianPath", trajectories, steps)


def diffrax_tree(trajectories: int, steps: int) -> list[Entry]:
    return _from("diffrax", "tree", "diffrax, VirtualBrownianTree", trajectories, steps)


def cupy_kernel(trajectories: int, steps: int) -> list[Entry]:
    return _from("cupy", "contenders", "CuPy kernel, cuRAND Philox", trajectories, steps)


def cupy_threefry(trajectories: int, steps: int) -> list[Entry]:
    return _from("cupy", "with_threefry", "CuPy kernel, Threefry", trajectories, steps)


def pytams_rounds(level: float, dt: float, steps: int, size: int, rounds: int) -> list[Entry]:
    return _from("pytams", "contenders", "pytams", level, dt, steps, size, rounds)
