"""The cheap study on other processes: its keys, its dataset, and what tests wait for."""

import os
import time
from pathlib import Path

import cheap_study

from sde_sgd.study import run

# of the study that `cheap_study.write` writes
KEYS = [f"{row:03d}-{place:03d}" for row in range(2) for place in range(4)]


def uninterrupted(folder):
    """The study, serial and uninterrupted."""
    return run(cheap_study.write(folder), folder / "out", progress=False).dataset


def same_numbers(one, other):
    """The bits of two datasets, whose attributes may name other folders."""
    return one.drop_attrs().identical(other.drop_attrs())


def environment():
    """Of a process that finds this folder's modules and the package."""
    here = Path(__file__).parent
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])}


def waited_for(around, key=""):
    """Cells that have begun, as soon as there is one with this key."""
    assert eventually(lambda: any(each.startswith(key) for each, _ in cheap_study.begun(around)))
    return cheap_study.begun(around)


def eventually(holds, seconds=60.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return False


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # a zombie is dead
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
