"""Every kernel lowers for CUDA and for TPUs, from a CPU, as one custom call a block of steps."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractDevice, AbstractMesh
from kernel_cases import LOSSES, chain_of, start_of
from parameters import quick

import sde_sgd as ss
from sde_sgd.engine import ACCELERATOR, as_leaves, seed_key
from sde_sgd.engine._devices import mesh_of
from sde_sgd.engine._population import PopulationLoop, _work_off
from sde_sgd.engine.kernel import _choice, advance, watched
from sde_sgd.passage import Splitting
from sde_sgd.passage._monitor import BrownianBridge, Discrete
from sde_sgd.passage._question import execution_of, make_question
from sde_sgd.passage.splitting._climb import BEGINS, BackHome, LevelCrossing, Remembering, level_crossing
from sde_sgd.passage.splitting._levels import Levels, SuccessProbability
from sde_sgd.passage.splitting._levels_at_once import Rule, _pilot
from sde_sgd.passage.splitting._on_devices import OnDevices
from sde_sgd.passage.splitting._stages_at_once import _all_stages, _known

# deprecated since JAX 0.11, and what there is for GPUs before Hopper
pytestmark = pytest.mark.filterwarnings("ignore:The Pallas Triton backend is deprecated")

DEVICES = {
    "Hopper": ("gpu", "9.0", "cuda", ("NVIDIA H100 80GB HBM3", 132, "cuda")),
    "Ampere": ("gpu", "8.0", "cuda", ("NVIDIA A100-SXM4-80GB", 108, "cuda")),
    "TPU": ("tpu", "", "tpu", ("TPU v5 lite", 1, "tpu")),
}


def of(run, loop, width, chain, monitor):
    return OnDevices(as_leaves(chain), as_leaves(monitor), run.key, mesh_of(jax.devices()[:1]), loop, width)


def all_stages(run, score, loop, width):
    zero, one = np.zeros((), np.float32), np.zeros(width, np.float32)
    levels = Levels(np.array([0.1, 0.2]), [SuccessProbability(np.arange(3.0), np.ones(3))] * 2, 0.0, True, 0)
    devices = of(run, loop, width, run.chain, LevelCrossing(run.monitor, score, zero, zero))
    shared = devices, width // 8, (np.uint32(0), np.uint32(99), np.uint32(0)), _known(levels, 8, np.float32)
    numbers = np.arange(width, dtype=np.uint32), np.zeros((1, width), np.float32), one
    return _all_stages, shared, (*numbers, np.zeros((8, width), np.float32), np.zeros((8, 8), np.float32))


def all_levels(run, score, loop, width):
    zero = np.zeros((), np.float32)
    monitor = LevelCrossing(run.monitor, score, zero, zero, True)
    devices = of(run, loop, width, Remembering(run.chain, score, True, zero, zero), monitor)
    shared = devices, Rule((2, 5), (256, 10), 30, 1e-3), (np.uint32(99), np.uint32(0))
    return _pilot, shared, (np.zeros(31, np.float32), np.zeros((1, width), np.float32))


def all_excursions(run, score, loop, width):
    zero = np.zeros((), np.float32)
    chain = Remembering(run.chain, score, np.False_, zero, zero)
    monitor = level_crossing(BackHome.nowhere(run, score), score, np.float32(BEGINS), -np.float32(np.inf), np.True_)
    how = mesh_of(jax.devices()[:1]), loop.tuning, loop.route, True
    scalars = np.int32(9), np.int32(loop.block), np.uint32(0), np.uint32(width)
    queue = np.full(1, width, np.int32), np.zeros((2, width), np.float32), *[np.zeros(width, np.uint32)] * 4
    return _work_off, (as_leaves(chain), as_leaves(monitor), run.key, loop.block, how), (*scalars, *queue)


PROGRAMS = {"stages": (all_stages, 1), "levels": (all_levels, 2), "excursions": (all_excursions, 1)}
"""Of splitting, each with how many kernels it holds: a run, and for levels the run up to each again."""


def abroad(route, device):
    """The same kind of kernel, made as on a device that is not here."""
    mesh = AbstractMesh((1,), ("x",), abstract_device=AbstractDevice(*device))

    class Abroad(type(route)):
        def _call(self, *arguments):
            with jax.sharding.use_abstract_mesh(mesh):
                return super()._call(*arguments)

    return Abroad(route.lanes), mesh


def lowered(run, route, platform, device, shapes):
    """The program, as text, that `run` is made into for a device that is not here."""
    there, mesh = abroad(route, device)
    traced = jax.jit(functools.partial(run, there)).trace(*(jax.ShapeDtypeStruct(*shape) for shape in shapes))
    with jax.sharding.use_abstract_mesh(mesh):
        return traced.lower(lowering_platforms=(platform,)).as_text()


def program(name, where, monitoring=None, dtype=jnp.float32):
    """The text and the kind of the first kernel that lowers."""
    kind, capability, platform, device = DEVICES[where]
    chain, key = as_leaves(chain_of(name)), seed_key(3)
    region = ss.regions.HalfSpace(np.eye(chain.dim)[0], float(start_of(name)[0]) + 0.1)
    watch = {"discrete": Discrete(chain.dim, region, None), "continuous": BrownianBridge(chain, region, None)}
    monitor = as_leaves(watch.get(monitoring))

    def run(route, states, ids, stop, first, count, guard):
        if monitor is None:
            return advance(route, chain, states, key, ids, first, count, True, guard, ACCELERATOR)
        shared = (chain, monitor, key, first, first, guard)
        return watched(route, shared, stop, count, states, ACCELERATOR, ids)

    width, word = 2_048, jnp.uint32
    shapes = [
        ((chain.dim, width), dtype),
        ((width,), word),
        ((width,), jnp.int32),
        ((), word),
        ((), jnp.int32),
        ((), word),
    ]
    refusals = []
    for route in _choice._routes(kind, capability, ACCELERATOR.kernel_lanes):
        try:
            return route.name, lowered(run, route, platform, device, shapes)
        except Exception as error:
            refusals.append(f"{route.name}: {type(error).__name__}: {error}")
    raise AssertionError(refusals)


def assert_one_call(text):
    assert text.count("stablehlo.custom_call @") == 1
    # and nothing that would be a loop of its own beside it
    assert "stablehlo.while" not in text and "stablehlo.tanh" not in text


@pytest.mark.parametrize("where", ["Ampere", "TPU"])
@pytest.mark.parametrize("name", quick(["double well", "coupled 4", "data"], "double well"))
def test_a_block_is_one_call(name, where):
    kind, text = program(name, where)
    assert_one_call(text)
    assert kind == {"Ampere": "Triton", "TPU": "Mosaic TPU"}[where]


@pytest.mark.long
@pytest.mark.parametrize("where", ["Ampere", "TPU"])
@pytest.mark.parametrize("monitoring", [None, "discrete", "continuous"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_one_call(name, monitoring, where):
    assert_one_call(program(name, where, monitoring)[1])


@pytest.mark.parametrize("monitoring", quick([None, "discrete"], None))
def test_hopper_has_mosaic_where_jax_has_its_rules(monitoring):
    """Since JAX 0.11 or so; before, shifts have none there, and Triton's path is taken."""
    kind, text = program("double well", "Hopper", monitoring)
    assert_one_call(text)
    assert kind == (
        "Mosaic GPU" if jax.__version_info__ >= (0, 12) else "Triton" if jax.__version_info__ < (0, 11) else kind
    )


@pytest.mark.long
@pytest.mark.parametrize("where", ["Ampere", "TPU"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_branching_is_one_program_with_kernels_in_its_loops(name, where):
    """Of splitting: what asks no host between two runs lowers for devices that are not here, kernels within."""
    make, kernels = PROGRAMS[name]
    kind, capability, platform, device = DEVICES[where]
    chain, width = as_leaves(chain_of("double well")), 2_048
    question = make_question(chain, start_of("double well"), ss.regions.HalfSpace(-np.ones(1), -0.5), None, 4.0)
    run, score = execution_of(question, 0, None, None, None), Splitting("level").score_for(question)
    there, mesh = abroad(_choice._routes(kind, capability, ACCELERATOR.kernel_lanes)[-1], device)
    fn, shared, cut = make(run, score, PopulationLoop(ACCELERATOR, there, 64), width)
    traced = jax.jit(lambda *cut: fn(shared, *cut)).trace(*cut)
    with jax.sharding.use_abstract_mesh(mesh):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
    assert text.count("stablehlo.custom_call @" + ("tpu_custom_call" if where == "TPU" else "__gpu")) == kernels


def test_float64_has_a_kernel_on_a_gpu():
    with jax.enable_x64(True):
        assert_one_call(program("double well", "Ampere", dtype=jnp.float64)[1])


def test_routes_are_those_of_the_device():
    names = {where: [route.name for route in _choice._routes(*given[:2], 256)] for where, given in DEVICES.items()}
    assert names == {"Hopper": ["Mosaic GPU", "Triton"], "Ampere": ["Triton"], "TPU": ["Mosaic TPU"]}
    assert _choice._routes("metal", "", 256) == []
    # a TPU's tile has eight rows of 128
    assert _choice._routes("tpu", "", 256)[0].tile == (8, 128)
