"""Each trajectory has its own scan and its own key; `vmap` makes many of it."""

import jax
import jax.numpy as jnp
import numpy as np

from .._measure import Contender
from .._problems import DOUBLE_WELL, Problem, double_well_slope


def trajectory_scan(trajectories: int, steps: int) -> list[Contender]:
    """The double well with its derivative by hand; keys by `fold_in`, which is cheaper than `split`."""

    def one(key):
        def body(x, step):
            noise = jax.random.normal(jax.random.fold_in(key, step))
            return x - DOUBLE_WELL.dt * double_well_slope(x) + DOUBLE_WELL.amplitude * noise, None

        return jax.lax.scan(body, -jnp.ones(()), jnp.arange(steps))[0]

    run = _vmapped(one, trajectories)
    return [Contender("vmap of a scan, fold_in", run, trajectories, steps)]


def gradient_scans(problem: Problem, trajectories: int, steps: int) -> list[Contender]:
    """A loss of a vector by `jax.grad`: a scan for each trajectory, or one scan that draws the noise of all at once."""
    gradient = jax.grad(problem.loss)

    def advance(x, slope, noise):
        return x - problem.dt * slope + problem.amplitude * noise

    def one(key):
        def body(x, step):
            noise = jax.random.normal(jax.random.fold_in(key, step), x.shape)
            return advance(x, gradient(x), noise), None

        return jax.lax.scan(body, jnp.asarray(problem.point()), jnp.arange(steps))[0]

    @jax.jit
    def all_at_once(key):
        def body(x, step_key):
            return advance(x, jax.vmap(gradient)(x), jax.random.normal(step_key, x.shape)), None

        starts = jnp.tile(jnp.asarray(problem.point()), (trajectories, 1))
        return jax.lax.scan(body, starts, jax.random.split(key, steps))[0]

    def batched():
        # the layout that is faster on CPU
        with jax.threefry_partitionable(False):
            return np.asarray(all_at_once(jax.random.key(0)))

    return [
        Contender("vmap of a scan of grad", _vmapped(one, trajectories), trajectories, steps),
        Contender("scan of vmap(grad), noise drawn together", batched, trajectories, steps),
    ]


def _vmapped(one, trajectories: int):
    final = jax.jit(lambda key: jax.vmap(one)(jax.random.split(key, trajectories)))
    return lambda: np.asarray(final(jax.random.key(0)))
