"""A process that forks workers which run a small study and are killed by SIGKILL; run by test_survival.py.

    python survivor.py FOLDER SEED kills     until the study is complete: kills at a file operation, and at an instant
    python survivor.py FOLDER SEED share     two workers at once, one of which is killed
    python survivor.py FOLDER SEED alone     one worker that nobody kills

With a further argument, `pilot`, the study has one, and the workers are those of the shell's command; where one by one
is killed some are so when the pilot is finished and the study not begun.

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

from cheap_study import CheapStudy
from store_cases import Disk, Killed, make

from sde_sgd.study import Store, init, worker
from sde_sgd.study._units import units
from sde_sgd.study.running import _task
from sde_sgd.study.store import _files, _folder

ROWS, COLUMNS = 8, 7
PILOTED = CheapStudy(kind="cheap", name="cheap", rows=4, length=7, budget=1.0)
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


def work_with_pilot(folder, log, fatal=None):
    """What `sde-sgd init` and `sde-sgd worker` do; `fatal` may be "between", to die at the study's first cell."""
    if fatal == "between":
        CheapStudy.run_cell = _dying_after_the_pilot(CheapStudy.run_cell)
    else:
        _files.os = fatal or os
    Store.save_unit = _logging(Store.save_unit, log)
    init(PILOTED, folder)
    worker(folder, (0, 1), progress=False)


def _dying_after_the_pilot(run_cell):
    def dying(self, cell, shared):
        if self.budget is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return run_cell(self, cell, shared)

    return dying


def _logging(save_unit, log):
    def logging(self, unit, data, account):
        save_unit(self, unit, data, account)
        with open(log, "a") as file:
            file.write(f"{self.folder.name}/{unit.key}\n")

    return logging


def _missing(study, store):
    done = store.finished()
    return [unit for unit in units(study) if unit.key not in done]


def forked(work, *arguments):
    """A child that does `work`, one of the two."""
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


def main(folder, seed, what, *pilot):
    """The workers, one after the other or two at a time."""
    warnings.simplefilter("ignore", RuntimeWarning)
    for name in LATE:
        importlib.import_module(name)
    # JAX's threads do not outlive a fork
    _folder.device = _task.device = lambda: "none"
    choose, log = random.Random(seed), f"{folder}.log"
    killed = {"operation": 0, "status": 0, "instant": 0, "between": 0}
    doing = work_with_pilot if pilot else work
    if what == "share":
        first = forked(doing, folder, log)
        second = forked(doing, folder, log)
        while not (Path(log).exists() and len(Path(log).read_text().split()) >= 10):
            time.sleep(0.005)
        os.kill(first, signal.SIGKILL)
        killed["instant"] += os.waitpid(first, 0)[1] == signal.SIGKILL
        assert os.waitpid(second, 0)[1] == 0
    while what != "share":
        kinds = ["operation", "operation", "status", "instant", *["between"] * len(pilot)]
        kind = choose.choice(kinds) if what == "kills" else None
        fatal = None
        if kind == "operation":
            fatal = Suicide(choose.randint(1, 100), 0)
        elif kind == "status":
            fatal = Suicide(None, choose.randint(1, 3))
        elif kind == "between":
            fatal = kind
        child = forked(doing, folder, log, fatal)
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
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
