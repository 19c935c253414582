# %%
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import sde_sgd as ss
from sde_sgd import engine

landscape = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.25), dt=0.01)
start = np.array([-1.0], np.float32)

# %% simulate
ss.simulate(chain, start, steps=64, trajectories=1024, seed=0).shape  # → (1024, 1)
paths = ss.simulate(chain, start, steps=64, trajectories=1024, seed=0, save_every=16)
paths.shape  # → (5, 1024, 1)
replay = ss.simulate(chain, start, steps=64, trajectory_ids=[17], seed=0)
bool(replay[0, 0] == paths[-1, 17, 0])  # → True

# %% integrate
ids = jnp.arange(8)


def mean(x):
    return ss.integrate(chain, jnp.full((8, 1), x), first_step=0, steps=4, seed=0, trajectory_ids=ids).mean()


bool(jnp.isfinite(jax.jit(jax.grad(mean))(-1.0)))  # → True

# %% plan, Plan
planned: engine.Plan = ss.plan(chain, start, steps=1_000, trajectories=10_000)
planned.lowering[:14]  # → component-wise


# %% reduce, AbstractReduction, Reduced
class Lowest(ss.AbstractReduction):
    """A reduction of your own: what is kept of each look, and merged."""

    def init(self, thetas):
        return thetas[0]

    def update(self, carry, thetas, live, look):
        return jnp.minimum(carry, thetas[0])

    def result(self, carry, times):
        return carry


reduced: engine.Reduced = ss.reduce(chain, start, Lowest(), times=[0.1, 0.2, 0.3], trajectories=256, seed=0)
reduced.value.shape  # → (256,)


# %% AbstractMonitor, StopCode, run_until_stopped, StopTimes
class Crossed(engine.AbstractMonitor):
    """A monitor of your own: 0 to go on, a code to stop a trajectory after this step."""

    uniforms: int = eqx.field(static=True, default=0)
    looks_back: bool = eqx.field(static=True, default=False)

    def code(self, before, after, step_index, uniform):
        return jnp.where(after[0] > 0, int(engine.StopCode.TARGET), 0)


starts, key = np.full((512, 1), -1.0, np.float32), engine.seed_key(0)
stops: engine.StopTimes = engine.run_until_stopped(chain, Crossed(), starts, range(512), 1_000, key)
np.mean(stops.code == engine.StopCode.TARGET).round(1)

# %% run_population, Ends
ends: engine.Ends = engine.run_population(
    chain, Crossed(), starts, np.arange(512), np.zeros(512, np.int64), np.full(512, 1_000), key
)
np.array_equal(ends.code, stops.code)  # → True


# %% run_renewing, Renewals
class Enters(engine.AbstractMonitor):
    """Tells each time that θ comes to the right of a place, and lets it go on."""

    uniforms: int = eqx.field(static=True, default=0)
    looks_back: bool = eqx.field(static=True, default=True)

    def code(self, before, after, step_index, uniform):
        return jnp.where((before[0] <= -0.8) & (after[0] > -0.8), int(engine.StopCode.LEVEL_CROSSED), 0)


renewals: engine.Renewals
ends, renewals = engine.run_renewing(
    chain, Enters(), starts, np.arange(512), np.zeros(512, np.int64), np.full(512, 1_000), key
)
np.all(renewals.state[:, 0] > -0.8)  # → True

# %% DIVERGED
int(np.sum(ends.code == engine.DIVERGED))  # → 0

# %% tuned, Tuning, tuning_of, CPU, ACCELERATOR
tuning: engine.Tuning = engine.tuning_of()
tuning.lowering  # → True
engine.CPU.static_trips, engine.ACCELERATOR.static_trips  # → (False, True)
with engine.tuned(lowering=False):
    plain = ss.simulate(chain, start, steps=64, trajectories=1024, seed=0)
np.allclose(plain, paths[-1], atol=1e-4)  # → True

# %% seed_key, seed_number, derived_key, SeedKey
again: engine.SeedKey = engine.seed_key(7)
engine.seed_number(7)  # → 7
engine.derived_key(again, 3) == again  # → False

# %% LANES, MAX_STEPS, block_unit
engine.LANES, engine.MAX_STEPS == 2**32  # → (64, True)
engine.block_unit("gaussian") % 2  # → 0

# %% steps_until, observation_steps
engine.steps_until(1.0, 0.01)  # → 100
engine.observation_steps(chain, times=[0.1, 0.2], horizon=None, burn_in=None, every=None)  # → [10, 20]

# %% start_states, check_first_step, check_chain, refuse_transformations
states = engine.start_states(start, chain, 3)
states.shape  # → (3, 1)
engine.check_first_step(chain, states)
engine.check_chain(chain)
engine.refuse_transformations(start, chain)

# %% trajectories_of, resolve_ids, Ids
run = engine.trajectories_of(chain, start, 64, None, 0, None, None)
len(run.ids)  # → 64
named: engine.Ids = engine.resolve_ids(None, [3, 5])
named  # → [3 5]

# %% observe, Part
sums = []


def update(part: engine.Part, number, states, carry):
    return states.sum() if carry is None else carry + states.sum()


engine.observe(chain, starts, range(512), [0, 10], key, update, lambda part, carry: sums.append(float(carry)))
bool(np.isfinite(sums).all())  # → True

# %% as_leaves
jax.tree.leaves(engine.as_leaves({"rate": 0.1}))[0].dtype  # → float32

# %% Compiled, shard, shard_apply
from jax.sharding import Mesh

doubled = engine.Compiled(lambda shared, x: 2 * x)
doubled.prepare(())(jnp.arange(3.0))  # → [0. 2. 4.]
mesh = Mesh(np.array(jax.local_devices()[:1]), ("trajectories",))
on_devices = engine.shard(mesh, np.ones((1, 64), np.float32))
engine.shard_apply(mesh, lambda shared, x: shared * x, jnp.float32(3.0), on_devices).sum()  # → 192.0
