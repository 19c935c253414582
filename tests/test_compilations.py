"""One program for a whole sweep: how often a person's loss is traced, and what is compiled."""

import gc
import weakref
from collections import OrderedDict

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss
from sde_sgd.engine import Compiled, _simulate, _stopping
from sde_sgd.scores import choose


class Counted:
    """A loss that counts how often it is traced."""

    def __init__(self):
        self.traces = 0

    def __call__(self, x):
        self.traces += 1
        return jnp.sum((x**2 - 1) ** 2)


def chain_on(landscape, temperature, dt):
    return ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, temperature), dt)


@pytest.fixture(autouse=True)
def no_programs_yet(monkeypatch):
    """As in a new process: of a full set, one goes for each that comes, and the number of them would say nothing."""
    for compiled in (_simulate._BLOCK, _stopping._BLOCK):
        monkeypatch.setattr(compiled, "_programs", OrderedDict())


SWEEP = [(0.3, 0.01, 0.0), (0.4, 0.01, 0.0), (0.4, 0.02, 0.1), (0.5, 0.005, -0.1)]


@pytest.mark.parametrize("dim", [1, 2])
def test_a_sweep_of_simulations_is_one_program(dim):
    loss = Counted()
    landscape = ss.landscapes.Landscape(loss, dim)
    counts, states = [], []
    for seed, (temperature, dt, shift) in enumerate(SWEEP):
        start = np.full(dim, -1 + shift, np.float32)
        states.append(ss.simulate(chain_on(landscape, temperature, dt), start, 64, trajectories=70, seed=seed))
        counts.append(loss.traces)
    assert counts[0] > 0 and counts == counts[:1] * len(SWEEP)
    assert len(_simulate._BLOCK) == 1
    assert all(not np.array_equal(states[0], other) for other in states[1:])
    # any number of whole blocks, any number of trajectories that fills as many lanes
    ss.simulate(chain_on(landscape, 0.3, 0.01), np.zeros(dim, np.float32), 192, trajectories=100)
    assert loss.traces == counts[0]


@pytest.mark.long
@pytest.mark.parametrize(("dim", "monitoring"), [(1, "continuous"), (2, "discrete")])
def test_a_sweep_of_escapes_is_one_program(dim, monitoring):
    loss = Counted()
    landscape = ss.landscapes.Landscape(loss, dim)
    counts, exits = [], []
    for seed, (temperature, dt, offset) in enumerate(SWEEP):
        region = ss.regions.HalfSpace(np.eye(dim)[0], offset)
        options = {"trajectories": 70, "seed": seed, "monitoring": monitoring}
        passage = ss.escape(
            chain_on(landscape, temperature, dt), -np.ones(dim, np.float32), region, 64 * dt * (1 + seed), **options
        )
        counts.append(loss.traces)
        exits.append(passage.steps)
    assert counts[0] > 0 and counts == counts[:1] * len(SWEEP)
    assert len(_stopping._BLOCK) == 1
    assert all(not np.array_equal(exits[0], other) for other in exits[1:])


class CountedHalf(ss.regions.AbstractRegion):
    """θ₀ < edge, and how often that is traced."""

    edge: np.ndarray
    loss: Counted = eqx.field(static=True)

    def level(self, theta):
        self.loss.traces += 1
        return theta[0] - self.edge


def test_a_sweep_of_targets_on_the_line_is_looked_at_by_one_program():
    """Whether their distance orders states: compiled anew for each, it was 4 % of a splitting run."""
    counted = Counted()
    chain, counts = chain_on(ss.landscapes.Landscape(lambda x: x[0] ** 2, 1), 0.3, 0.01), []
    for edge in (1.0, 1.5):
        target = ~CountedHalf(np.array(edge), counted)
        assert choose(chain, np.zeros(1), target, horizon=1.0, plain=True).score is None
        counts.append(counted.traces)
    assert 0 < counts[0] == counts[1]


def test_integrate_traces_once_for_a_sweep():
    loss = Counted()
    landscape = ss.landscapes.Landscape(loss, 2)
    states, ids = -jnp.ones((8, 2)), np.arange(8)
    counts = []
    for seed, (temperature, dt, _) in enumerate(SWEEP):
        ss.integrate(chain_on(landscape, temperature, dt), states, 2 * seed, 4, seed, ids + seed)
        counts.append(loss.traces)
    assert counts[0] > 0 and counts == counts[:1] * len(SWEEP)
    # another dtype is another program
    with jax.enable_x64(True):
        ss.integrate(chain_on(landscape, 0.3, 0.01), jnp.ones((8, 2), jnp.float64), 0, 4, 0, ids)
    assert loss.traces > counts[0]


def test_a_thousand_new_functions_do_not_grow_the_store():
    """The programs used last are kept, those used longest ago are forgotten."""
    compiled = Compiled(lambda shared, x: shared[0](x), most=5)
    functions = [lambda x, k=k: x + k for k in range(1_000)]
    kept = compiled.prepare((functions[0],)).func
    for fn in functions:
        compiled.prepare((fn,))
        # the first is used all the time
        assert compiled.prepare((functions[0],)).func is kept
    assert compiled.prepare((functions[0],))(np.float32(1)) == 1
    assert len(compiled) == 5
    assert compiled.prepare((functions[999],))(np.float32(1)) == 1_000
    assert compiled.prepare((functions[0],)).func is kept
    for fn in functions[500:510]:
        compiled.prepare((fn,))
    assert compiled.prepare((functions[0],)).func is not kept


def test_a_forgotten_program_lets_go_of_its_function():
    compiled = Compiled(lambda shared, x: shared[0](x), most=2)

    class Function:
        def __init__(self, k):
            self.k = k

        def __call__(self, x):
            return x + self.k

    functions = [Function(k) for k in range(6)]
    seen = [weakref.ref(fn) for fn in functions]
    for k, fn in enumerate(functions):
        assert compiled.prepare((fn,))(np.float32(1)) == 1 + k
    del functions, fn
    gc.collect()
    assert [ref() is not None for ref in seen] == [False] * 4 + [True] * 2


def test_a_forgotten_program_is_no_longer_compiled():
    """Whether it had to make room or all are forgotten: its machine code would else stay in memory."""
    compiled = Compiled(lambda shared, x: shared[0](x), most=1)
    programs = []
    for fn in (jnp.sin, jnp.cos):
        programs.append(compiled.prepare((fn,)).func)
        compiled.prepare((fn,))(np.float32(1))
    assert [program.jitted._cache_size() for program in programs] == [0, 1]
    compiled.forget()
    assert len(compiled) == 0 and programs[1].jitted._cache_size() == 0
    assert compiled.prepare((jnp.cos,))(np.float32(0)) == 1
