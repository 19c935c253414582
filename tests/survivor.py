"""A process that forks workers which run a small study and are killed by SIGKILL; run by test_survival.py.

    python survivor.py FOLDER SEED kills     until the study is complete: kills at a file operation, and at an instant
    python survivor.py FOLDER SEED share     two workers at once, one of which is killed
    python survivor.py FOLDER SEED alone     one worker that nobody kills

Forked, since importing the package takes longer than all the rest; nothing of JAX has run before. What it prints, as
JSON: how many workers were killed by what, and how often each unit was saved.
"""

import importlib
import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

from store_cases import Disk, Killed, make

from sde_sgd.study._units import units
from sde_sgd.study.store import _files, _folder

ROWS, COLUMNS = 8, 7
# what a store imports when it first needs it
LATE = ("numcodecs.vlen", "xarray", "zarr")


class Suicide(Disk):
    """The module `os`, of a process that kills itself at a change to the disk, or just before a unit's `status`."""

    def __init__(self, at, before_status):
        super().__init__(None)
        self.number, self.before_status = at, before_status

    def _counting(self, name):
        call = super()._counting(name)

        def counted(*arguments):
            status = name == "replace" and Path(arguments[1]).parent.name == "status"
            if status and self.before_status:
                self.before_status -= 1
                if not self.before_status:
                    os.kill(os.getpid(), signal.SIGKILL)
            if self.count + 1 == self.number:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments)

        return counted


def work(folder, log, fatal=None):
    """What a runner does: claim a unit, compute it, save it, until all are finished."""
    _files.os = fatal or os
    study, store = make(folder, rows=ROWS, columns_in_row=COLUMNS)
    while missing := _missing(study, store):
        for unit in missing:
            if not store.claim(unit.key):
                continue
            data = [study.run_cell(cell, None) for cell in unit.cells]
            store.save_unit(unit, data, {"wall_seconds": random.random()})
            store.release(unit.key)
            with open(log, "a") as file:
                file.write(f"{unit.key}\n")
        # another may be at what is missing still
        time.sleep(0.01)
    store.dataset()


def _missing(study, store):
    done = store.finished()
    return [unit for unit in units(study) if unit.key not in done]


def forked(*arguments):
    """A child that does `work`."""
    child = os.fork()
    if child:
        return child
    try:
        work(*arguments)
    except Killed:
        pass
    finally:
        # no handlers of the parent
        os._exit(0 if sys.exc_info()[0] is None else 1)


def main(folder, seed, what):
    """The workers, one after the other or two at a time."""
    warnings.simplefilter("ignore", RuntimeWarning)
    for name in LATE:
        importlib.import_module(name)
    # JAX's threads do not outlive a fork
    _folder.device = lambda: "none"
    choose, log = random.Random(seed), f"{folder}.log"
    killed = {"operation": 0, "status": 0, "instant": 0}
    if what == "share":
        first = forked(folder, log)
        second = forked(folder, log)
        while not (Path(log).exists() and len(Path(log).read_text().split()) >= 10):
            time.sleep(0.005)
        os.kill(first, signal.SIGKILL)
        killed["instant"] += os.waitpid(first, 0)[1] == signal.SIGKILL
        assert os.waitpid(second, 0)[1] == 0
    while what != "share":
        kind = choose.choice(["operation", "operation", "status", "instant"]) if what == "kills" else None
        fatal = None
        if kind == "operation":
            fatal = Suicide(choose.randint(1, 100), 0)
        elif kind == "status":
            fatal = Suicide(None, choose.randint(1, 3))
        child = forked(folder, log, fatal)
        if kind == "instant":
            time.sleep(choose.uniform(0.0, 0.15))
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        if status == 0:
            break
        assert status == signal.SIGKILL, status
        killed[kind] += 1
    print(json.dumps(killed))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
