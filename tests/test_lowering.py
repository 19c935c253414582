"""Reading a step by components: the numbers and derivatives of the step itself, and what is read so."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from lowering_losses import LOSSES, MATRIX, bowl, safe_root
from parameters import quick

import sde_sgd as ss
from sde_sgd.engine import CPU, as_leaves
from sde_sgd.engine._batched_step import BatchedStep
from sde_sgd.engine._devices import mesh_of, shard_apply
from sde_sgd.engine.lowering import _rules
from sde_sgd.random import Source, seed_key

N, STEP = 24, 5
# a program that runs once
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def user_chain(fn, dim=3, parameters=None, **options):
    landscape = ss.landscapes.Landscape(fn, dim, parameters)
    return ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.3), 0.05, **options)


def draws(chain, dtype):
    """States, noise and weights of the outputs: (n, dim) or (n, noise_dim), away from 0 and of every sign."""
    random = np.random.default_rng(7)
    states = random.uniform(0.15, 1.2, (N, chain.dim)) * random.choice([-1.0, 1.0], (N, chain.dim))
    noise = random.standard_normal((N, chain.noise_dim)).astype(dtype)
    if chain.noise_kind == "words":
        noise = random.integers(0, 2**32, noise.shape, np.uint32)
    return states.astype(dtype), noise, random.standard_normal(states.shape).astype(dtype)


def check_step(chain, dtype, derivatives=True):
    """The engine's step and its pullback against the step mapped over trajectories; returns how it was read.

    The derivatives are with respect to every floating number that the chain holds, and to the states. Float32 goes
    without where float64 has them: the rules are the same.
    """
    states, noise, weights = draws(chain, dtype)
    numbers, rest = eqx.partition(as_leaves(chain), eqx.is_inexact_array)

    readings = []

    def lowered(numbers, states, noise, guard):
        batched = BatchedStep(eqx.combine(numbers, rest), states.dtype, CPU, guard)
        readings.append(batched)
        split = list if batched.componentwise else jnp.asarray
        return batched.leave(batched.step(batched.enter(states.T), split(noise.T), jnp.uint32(STEP))).T

    def mapped(numbers, states, noise):
        step = eqx.combine(numbers, rest).step
        return jax.vmap(step, (0, 0, None))(states, noise, jnp.uint32(STEP))

    def with_pullback(fn, numbers, states):
        if not derivatives:
            return (fn(numbers, states),)
        value, pull = jax.vjp(fn, numbers, states)
        return value, *pull(weights)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def both(numbers, states, noise, guard):
        ours = with_pullback(lambda a, x: lowered(a, x, noise, guard), numbers, states)
        return ours, with_pullback(lambda a, x: mapped(a, x, noise), numbers, states)

    ours, theirs = both(numbers, states, noise, np.uint32(0))
    assert ours[0].dtype == theirs[0].dtype == dtype
    assert np.all(np.isfinite(theirs[0]))
    tolerance = 2e-14 if dtype == np.float64 else 2e-6
    for mine, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        # a derivative with respect to a number is a sum over trajectories, of terms that may cancel
        size = max(1.0, float(np.max(np.abs(other), initial=0)))
        precise = tolerance if mine.dtype == np.float64 else 2e-6
        np.testing.assert_allclose(mine, other, rtol=precise, atol=precise * size)
    return readings[0]


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    with jax.enable_x64(request.param is np.float64):
        yield request.param


@pytest.mark.long
@pytest.mark.parametrize("name", LOSSES)
def test_a_users_loss(name, dtype):
    fn, obstacle = LOSSES[name]
    batched = check_step(user_chain(fn), dtype, derivatives=dtype == np.float64)
    expect(batched, obstacle)
    if obstacle is None:
        assert batched.lowering == f"component-wise, {batched.operations} operations a step"
    else:
        assert batched.lowering == f"batched, because {batched.reason}"


def expect(batched, obstacle):
    """Read by components, or not because of `obstacle`."""
    assert batched.componentwise == (obstacle is None), batched.lowering
    assert (batched.reason is None and batched.operations > 0) if obstacle is None else obstacle in batched.reason


# made in the test, since what they hold takes the precision that is set
ZOO = {
    "Quadratic": lambda: ss.landscapes.Quadratic(MATRIX, [0.1, -0.2, 0.3]),
    "DoubleWell": lambda: ss.landscapes.DoubleWell(0.8, 2),
    "MullerBrown": lambda: ss.landscapes.MullerBrown(0.01),
    "ThreeHole": ss.landscapes.ThreeHole,
    "StyblinskiTang": lambda: ss.landscapes.StyblinskiTang(3),
    "Rastrigin": lambda: ss.landscapes.Rastrigin(2, 1.0),
    "GaussianWells": lambda: ss.landscapes.GaussianWells([[0.5, 0.0], [-0.5, 0.3], [0.0, 1.0]], [1.0, 2.0, 0.5]),
    "TwoWells": lambda: ss.landscapes.TwoWells(),
    "TwoWells in three": lambda: ss.landscapes.TwoWells(dim=3),
}


def in_both(names, *always):
    """Each name in both precisions, then in float64 with its derivatives, which are long but for these."""
    for name in names:
        yield pytest.param(name, np.float32, False, id=f"float32-{name}")
        yield pytest.param(name, np.float64, name in always, id=f"float64-{name}")
        if name not in always:
            yield pytest.param(name, np.float64, True, id=f"derivatives-{name}", marks=pytest.mark.long)


def stepped(names, *always):
    return pytest.mark.parametrize(("name", "dtype", "derivatives"), list(in_both(names, *always)), indirect=["dtype"])


@stepped(ZOO, "Quadratic", "MullerBrown", "TwoWells")
def test_the_zoo(name, dtype, derivatives):
    chain = ss.EulerMaruyama(ss.LangevinSGD(ZOO[name](), ss.noise.Isotropic(2.0), 0.05, 4))
    expect(check_step(chain, dtype, derivatives), None)


def hilly(x):
    return 1 + jnp.sum(x**4) + 0.5 * x[0] ** 2 * x[-1] ** 2 + 2 * x[0] ** 2


def column(x):
    return jnp.outer(1 + x**2, jnp.array([0.5, -0.2]))


RATES = optax.exponential_decay(0.1, 10, 0.5)
BATCHES = optax.piecewise_constant_schedule(4.0, {3: 2.0, 8: 2.0})
NOISES = {
    "Diagonal": (2, lambda: ss.noise.Diagonal([0.5, 2.0]), {}, None),
    "ConstantCovariance": (2, lambda: ss.noise.ConstantCovariance(MATRIX[:2, :2]), {}, None),
    "HessianProportional, one": (1, lambda: ss.noise.HessianProportional(0.3), {}, None),
    "HessianProportional, two": (2, lambda: ss.noise.HessianProportional(0.3, "clip"), {}, None),
    "HessianProportional": (3, lambda: ss.noise.HessianProportional(0.3, "clip"), {}, "'eigh' acts on whole vectors"),
    "ComponentProportional": (2, lambda: ss.noise.ComponentProportional([0.3, 0.8]), {}, None),
    "LossProportional": (2, lambda: ss.noise.LossProportional(0.7), {}, None),
    "LossProportional, shaped": (2, lambda: ss.noise.LossProportional(0.7, MATRIX[:2, :2]), {}, None),
    "FromFunction, diagonal": (2, lambda: ss.noise.FromFunction(lambda x: 1 + jnp.tanh(x) ** 2), {}, None),
    "FromFunction, wide": (3, lambda: ss.noise.FromFunction(column), {}, None),
    "schedules": (2, lambda: ss.noise.Isotropic(2.0), {"learning_rate": RATES, "batch_size": BATCHES}, None),
    "order 2": (2, lambda: ss.noise.Isotropic(2.0), {"order": 2}, None),
    "order 2 and a schedule": (1, lambda: ss.noise.LossProportional(), {"order": 2, "learning_rate": RATES}, None),
}


@stepped(NOISES, "ConstantCovariance", "LossProportional, shaped", "FromFunction, wide", "schedules", "order 2")
def test_noise_models_schedules_and_order_two(name, dtype, derivatives):
    dim, noise, options, obstacle = NOISES[name]
    landscape = ss.landscapes.Landscape(hilly, dim)
    options = {"learning_rate": 0.05, "batch_size": 4.0} | options
    chain = ss.EulerMaruyama(ss.LangevinSGD(landscape, noise(), **options))
    expect(check_step(chain, dtype, derivatives), obstacle)


def swept(x, parameters):
    heights, (shift,) = parameters["heights"], parameters["rest"]
    return jnp.sum(heights * (x[:, None] - shift) ** 4) + jnp.sum(heights) * x[0] * x[1] ** 2


def pulled(x, t):
    return jnp.stack([jnp.cos(t) * x[1] - safe_root(x[0] * x[1]), safe_root(1 + x[0]) - x[1] ** 3])


def pushed(x, t):
    return (1 + 0.1 * t) * jnp.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3]]) * x[:, None]


def parameters():
    return {"heights": jnp.linspace(0.1, 0.5, 4), "rest": (jnp.array(0.2),)}


CHAINS = {
    "parameters": (lambda: user_chain(swept, 2, parameters()), None),
    "own rule in a drift": (lambda: ss.EulerMaruyama(ss.diffusions.ItoDiffusion(pulled, pushed, 2), 0.05), None),
    "signs": (lambda: user_chain(swept, 2, parameters(), increments="rademacher"), None),
    "batched": (lambda: user_chain(lambda x, p: jnp.sum(jnp.cumsum(x * p) ** 4), 2, jnp.array(0.7)), "'cumsum'"),
    "one component": (lambda: user_chain(lambda x, p: p * (x[0] ** 2 - 1) ** 2, 1, jnp.array(0.7)), None),
}


@pytest.mark.parametrize(
    ("name", "first", "dtype"),
    [
        *((name, first % 2, np.float64) for first, name in enumerate(CHAINS)),
        pytest.param("own rule in a drift", 0, np.float32, marks=pytest.mark.long),
    ],
    indirect=["dtype"],
)
def test_derivatives_of_integrate(name, first, dtype):
    """With respect to what the chain holds and to the states, over six steps, against steps mapped one by one."""
    steps, ids = 6, np.arange(7, 7 + N)
    make, obstacle = CHAINS[name]
    chain = make()
    expect(BatchedStep(as_leaves(chain), jnp.dtype(dtype), CPU), obstacle)
    states, _, weights = draws(chain, dtype)
    numbers, rest = eqx.partition(as_leaves(chain), eqx.is_inexact_array)

    def ours(numbers, states):
        return ss.integrate(eqx.combine(numbers, rest), states, first, steps, 5, ids)

    period = 64 if chain.noise_kind == "rademacher" else 2

    def noise_at(k):
        source = Source.of(chain.noise_kind, seed_key(5), chain.noise_dim, states.dtype)
        return source.step(source.inline_block(jnp.uint32(ids), k // period), k % period)

    def theirs(numbers, states):
        def one(states, k):
            return jax.vmap(eqx.combine(numbers, rest).step, (0, 1, None))(states, noise_at(k), k), None

        return jax.lax.scan(one, states, jnp.arange(first, first + steps, dtype=jnp.uint32))[0]

    @functools.partial(jax.jit, compiler_options=QUICK)
    def value_and_pull(numbers, states):
        values, pulls = zip(*(jax.vjp(fn, numbers, states) for fn in (ours, theirs)), strict=True)
        return [(value, *pull(weights)) for value, pull in zip(values, pulls, strict=True)]

    mine, other = value_and_pull(numbers, states)
    tolerance = 1e-12 if dtype == np.float64 else 3e-5
    leaves = jax.tree.leaves(other)
    assert all(np.any(leaf != 0) for leaf in leaves)
    for a, b in zip(jax.tree.leaves(mine), leaves, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.max(np.abs(b)))


def mean_square(model, x, y):
    return (model[0] * x + model[1] - y) ** 2


@pytest.mark.parametrize(
    ("batch", "obstacle"), [(2, "'gather'"), (8, "'scatter-add'")], ids=["some examples", "more than all"]
)
def test_minibatches(batch, obstacle):
    risk = ss.EmpiricalRisk(jnp.ones(2), mean_square, np.linspace(-1, 1, 5), np.linspace(0, 1, 5) ** 2)
    expect(
        check_step(ss.MinibatchSGD(risk, 0.1, batch), np.float32), f"{obstacle} at a place that only the run decides"
    )
    noise = ss.noise.PerExample()
    expect(check_step(ss.EulerMaruyama(ss.LangevinSGD(risk, noise, 0.1, batch)), np.float32), None)


READ = [name for name, (_, obstacle) in LOSSES.items() if obstacle is None]


@pytest.mark.parametrize("name", quick(READ, "array index", "mask", "matrix products", "statistics", "trace"))
def test_a_sharded_step_is_read_alike(name):
    """Within `shard_map` a trace holds primitives that say where numbers lie; the bits are those of one device."""
    numbers, rest = eqx.partition(as_leaves(user_chain(LOSSES[name][0])), eqx.is_array)

    def lowering(devices):
        read = []

        def part(numbers, states):
            read.append(BatchedStep(eqx.combine(numbers, rest), states.dtype, CPU).lowering)
            return states

        run = functools.partial(shard_apply, mesh_of(devices), part)
        jax.eval_shape(run, numbers, jax.ShapeDtypeStruct((3, 128), np.float32))
        return read[-1]

    assert lowering(jax.devices()) == lowering(jax.devices()[:1])


def test_too_many_components_or_operations():
    def reading(chain, **changes):
        return BatchedStep(as_leaves(chain), jnp.float32, CPU.but(**changes))

    expect(reading(user_chain(bowl, 32)), None)
    expect(reading(user_chain(bowl, 33)), "33 components are more than 32")
    operations = reading(user_chain(bowl)).operations
    expect(reading(user_chain(bowl), most_operations=operations), None)
    obstacle = f"a step has {operations} operations, more than {operations - 1}"
    expect(reading(user_chain(bowl), most_operations=operations - 1), obstacle)
    expect(reading(user_chain(bowl), lowering=False), "the tuning says so")


def test_any_failure_to_lower_costs_speed_only(monkeypatch):
    """As where a JAX release names a primitive's parameter otherwise: the step is mapped, and `plan` says why."""
    chain, start = user_chain(bowl), np.full(3, 0.5, np.float32)
    whole = ss.simulate(chain, start, 50, 64, seed=3)

    monkeypatch.setattr(_rules, "_ARITHMETIC", _rules._ARITHMETIC | {"mul": lambda x, y: {}["axes"]})
    # a loss of its own: what was compiled for another is remembered
    broken = user_chain(lambda x: 0.25 * jnp.sum(x * x * x * x))
    text = ss.plan(broken, start, 50, 64).lowering
    assert text == "batched, because the lowering failed: KeyError: 'axes'"
    np.testing.assert_allclose(ss.simulate(broken, start, 50, 64, seed=3), whole, rtol=1e-5, atol=1e-5)
    # the monitor's code, which is lowered for itself
    region = ss.regions.Ball(np.zeros(3), 0.9)
    passage = ss.escape(broken, start, region, 2.0, trajectories=64, seed=3)
    assert passage.count("target") > 0


def test_what_is_wrong_with_a_step_itself_is_raised():
    class Wrong(ss.EulerMaruyama):
        def step(self, state, noise, step_index):
            raise ArithmeticError("no such step")

    chain = Wrong(user_chain(bowl).diffusion, 0.05)
    with pytest.raises(ArithmeticError, match="no such step"):
        ss.integrate(chain, jnp.ones((4, 3)), 0, 2, 0, np.arange(4))
