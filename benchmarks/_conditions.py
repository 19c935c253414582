"""Where and with what something was measured: date, device, processor and versions."""

import datetime
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

_PACKAGES = ("sde-sgd", "jax", "jaxlib", "numpy", "numba", "diffrax", "pytams", "cupy-cuda12x", "cupy-cuda13x")


def conditions() -> dict[str, Any]:
    """What a record of times begins with."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "device": device(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "dtype": "float32",
        "versions": versions(),
    }


def device() -> str:
    return f"{jax.device_count()} × {jax.devices()[0].device_kind}"


def versions(packages: Sequence[str] = _PACKAGES) -> dict[str, str]:
    """Of Python, and of those of the packages that are installed."""
    installed = {distribution.name.lower() for distribution in importlib.metadata.distributions()}
    found = {name: importlib.metadata.version(name) for name in packages if name in installed}
    return {"python": platform.python_version(), **found}


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
