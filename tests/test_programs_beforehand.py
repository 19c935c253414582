"""Programs that later stages of splitting need are made beside the first one: the same ones, and the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss
from sde_sgd.engine import _devices, _population, beside
from sde_sgd.passage import _execution

LAND = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
LEFT = ss.regions.HalfSpace([1.0], 0.0)


def _answer(horizon):
    chain = ss.EulerMaruyama(ss.diffusions.Langevin(LAND, 0.12), dt=0.01)
    way = ss.passage.Splitting(score="level")
    found = ss.escape(chain, np.array([-1.0]), LEFT, horizon, trajectories=512, method=way, max_steps=100_000)
    return found.exit_rate if horizon is None else found.probability


@pytest.fixture
def programs():
    """The programs that work off queues, none at first."""
    _population._WORK_OFF.forget()
    yield _population._WORK_OFF
    _population._WORK_OFF.forget()


def _shapes(programs) -> list[int]:
    """For how many shapes each program was made."""
    return [len(program._ready) for program in programs._programs.values()]


@pytest.mark.parametrize("horizon, made", [(2.0, 2), (None, 4)])
def test_no_program_is_made_that_is_not_used(horizon, made, programs, monkeypatch):
    """A value that a stage gives with another dtype or shape would make two of one."""
    begun = []
    monkeypatch.setattr(_devices, "_cores", lambda: 2)
    monkeypatch.setattr(_execution, "beside", lambda work: begun.append(beside(work)))
    found = _answer(horizon)
    for each in begun:
        each.result()
    assert len(begun) == made - 1
    assert _shapes(programs) == [1] * made
    programs.forget()
    monkeypatch.setattr(_execution, "beside", lambda work: None)
    alone = _answer(horizon)
    assert _shapes(programs) == [1] * made
    assert (found.value, found.low, found.high) == (alone.value, alone.low, alone.high)


def test_what_fails_beside_is_not_told_there(monkeypatch):
    monkeypatch.setattr(_devices, "_cores", lambda: 2)

    def fails() -> None:
        raise ZeroDivisionError

    failed = beside(fails)
    assert failed is not None
    assert isinstance(failed.exception(), ZeroDivisionError)


def test_settings_hold_beside(monkeypatch):
    """Precision and tuning are those of the thread that asked."""
    monkeypatch.setattr(_devices, "_cores", lambda: 2)
    seen = []
    with jax.enable_x64(True), ss.engine.tuned(queue_width=64):
        begun = beside(lambda: seen.append((jnp.zeros(0).dtype, ss.engine.tuning_of().queue_width)))
    assert begun is not None
    begun.result()
    assert seen == [(jnp.float64, 64)]


def test_one_core_has_nothing_beside(monkeypatch):
    monkeypatch.setattr(_devices, "_cores", lambda: 1)
    assert beside(lambda: None) is None
