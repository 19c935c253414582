"""Units of a study on this process, other processes, executors made by hand, and Dask; and several runs at once."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import cheap_study
import pytest

from sde_sgd.study import StudyError, init, resume, run, status, worker
from sde_sgd.study._executors import work, workers
from sde_sgd.study._processes import Processes, _share
from sde_sgd.study._shard import shard_of


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The study, uninterrupted and serial."""
    folder = tmp_path_factory.mktemp("whole")
    return run(cheap_study.write(folder), folder / "out", progress=False).dataset


def first():
    pass


class TestSerial:
    def test_it_runs(self, whole):
        assert whole.value.shape == (2, 4)
