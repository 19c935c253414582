"""pyTAMS, the published package for adaptive multilevel splitting. Imported only where it is installed.

It runs each trajectory as a task of a process of its own and keeps account in an SQLite file. One worker: with more it
kills more trajectories a round, and a branch starts above the level of the one that it replaces, not above the highest.
"""

import atexit
import json
import math
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from pytams.fmodel import ForwardModelBaseClass
from pytams.tams import TAMS

from .._measure import Contender

_MEMORY = Path("/dev/shm")


class OrnsteinUhlenbeck(ForwardModelBaseClass):
    """x' = x − dt·x + √dt·ξ, scored by its height over the level."""

    def _init_model(self, m_id, params):
        self._generator = np.random.default_rng()
        self._level = params["model"]["level"]
        self._amplitude = math.sqrt(params["trajectory"]["step_size"])
        self._state = 0.0

    def _advance(self, step, time, dt, noise, need_end_state):
        self._state += noise - dt * self._state
        return dt

    def get_current_state(self):
        return self._state

    def set_current_state(self, state):
        self._state = state

    def score(self):
        return self._state / self._level

    def make_noise(self):
        return self._amplitude * self._generator.standard_normal()


def probability(level: float, dt: float, steps: int, size: int, rounds: int) -> float:
    """Its estimate, not the final one where it takes more rounds. The folder of the moment must be one to write to."""
    parameters = {
        "tams": {"ntrajectories": size, "nsplititer": rounds, "loglevel": "ERROR"},
        "runner": {"type": "asyncio", "nworker_init": 1, "nworker_iter": 1},
        "database": {"archive_discarded": False},
        "model": {"level": level},
        # half a step less, so that rounding cannot add one
        "trajectory": {"end_time": (steps - 0.5) * dt, "step_size": dt, "targetscore": 1.0},
    }
    Path("input.toml").write_text("".join(_section(name, values) for name, values in parameters.items()))
    return TAMS(OrnsteinUhlenbeck, a_args=["-i", "input.toml"]).compute_probability()


def _section(name: str, values: dict) -> str:
    """In TOML, where numbers, words and truth values read as in JSON."""
    return f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def contenders(level: float, dt: float, steps: int, size: int, rounds: int) -> list[Contender]:
    """The first `rounds` rounds of a population, after its start: `size + rounds` trajectories run by it.

    In a process of its own, for it forks; in a folder in memory where there is one, as it waits for the disk.
    """
    folder = tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None)
    pool = ProcessPoolExecutor(1, get_context("spawn"), os.chdir, (folder.name,))
    atexit.register(folder.cleanup)

    def run():
        pool.submit(probability, level, dt, steps, size, rounds).result()

    return [Contender("pytams", run, size + rounds, steps, "its first rounds")]
