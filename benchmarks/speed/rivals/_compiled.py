"""Hand-written C with OpenMP (`yardstick.c`): compiled when first asked for, called through ctypes."""

import ctypes
import functools
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from .._measure import Contender, Entry, Missing
from .._problems import DOUBLE_WELL

FAMILY = "hand-written C, OpenMP"
_SOURCE = Path(__file__).parent.parent / "yardstick.c"
_LANES = 128
_FLAGS = ("-std=c11", "-O3", "-march=native", "-ffast-math", "-fopenmp", "-shared", "-fPIC")


def yardstick(trajectories: int, steps: int, seed: int = 0) -> list[Entry]:
    """The double well from −1; with every vector width that the compiler may prefer."""
    # gcc prefers 256 bits even where 512 are faster
    widths = {"": (), "512-bit vectors": ("-mprefer-vector-width=512",)}
    if platform.machine().lower() not in ("x86_64", "amd64"):
        widths = {"": ()}
    if shutil.which("gcc") is None:
        return [Missing(FAMILY, "gcc is not installed")]
    return [_entry(trajectories, steps, seed, variant, flags) for variant, flags in widths.items()]


def _entry(trajectories: int, steps: int, seed: int, variant: str, flags: tuple[str, ...]) -> Entry:
    try:
        function = _compile(flags)
    except subprocess.CalledProcessError as error:
        return Missing(FAMILY, f"gcc failed: {error.stderr.strip().splitlines()[-1]}")
    if steps % 2:
        raise ValueError(f"steps must be even, got {steps}")
    padded = _LANES * -(-trajectories // _LANES)

    def run():
        states = np.empty(padded, np.float32)
        low, high = seed & 0xFFFFFFFF, seed >> 32
        function(low, high, -1.0, DOUBLE_WELL.dt, DOUBLE_WELL.amplitude, padded, steps, states)
        return states[:trajectories]

    return Contender(FAMILY, run, trajectories, steps, variant)


@functools.cache
def _compile(flags: tuple[str, ...]):
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "yardstick.so")
        command = ["gcc", *_FLAGS, *flags, "-o", str(library), str(_SOURCE), "-lm"]
        subprocess.run(command, check=True, capture_output=True, text=True)
        function = ctypes.CDLL(str(library)).double_well
    states = np.ctypeslib.ndpointer(np.float32, flags="C_CONTIGUOUS")
    function.argtypes = [ctypes.c_uint32] * 2 + [ctypes.c_float] * 3 + [ctypes.c_int64] * 2 + [states]
    function.restype = None
    return function
