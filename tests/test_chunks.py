"""Chunks on worker threads: all are run, a failure or Ctrl-C in one ends the others and is raised."""

import threading

import jax
import pytest

from sde_sgd.engine._devices import mesh_of, run_chunks, workers

ALONE = mesh_of(jax.devices()[:1])


def test_every_chunk_is_run_once_and_the_settings_of_the_caller_hold():
    seen, lock = [], threading.Lock()

    def work(number, halted):
        with lock:
            seen.append((number, jax.numpy.zeros(0).dtype))

    with jax.enable_x64(True):
        run_chunks(work, 40, workers(ALONE))
    assert sorted(number for number, _ in seen) == list(range(40))
    assert {str(dtype) for _, dtype in seen} == {"float64"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["caller", "worker"])
def test_a_failure_ends_the_others(error, where):
    """The others wait for `halted`, as a run does between blocks: without it this would hang."""
    caller, both = threading.get_ident(), threading.Barrier(2, timeout=30)
    ended = []

    def work(number, halted):
        both.wait()
        if (threading.get_ident() == caller) == (where == "caller"):
            raise error("stop")
        assert halted.wait(30)
        ended.append(number)

    with pytest.raises(error):
        run_chunks(work, 40, 2)
    assert len(ended) == 1


def test_one_worker_for_several_devices():
    assert workers(mesh_of(jax.devices())) == 1 or len(jax.devices()) == 1
    assert workers(ALONE) >= 1
