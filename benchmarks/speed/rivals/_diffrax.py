"""diffrax's Euler method. Imported only where diffrax is installed."""

import diffrax
import jax
import jax.numpy as jnp
import lineax
import numpy as np

from .._measure import Contender
from .._problems import DOUBLE_WELL, double_well_slope

_SIGMA = float(np.sqrt(2 * DOUBLE_WELL.temperature))


def solves(trajectories: int, steps: int) -> list[Contender]:
    """UnsafeBrownianPath in its fastest settings: many solves under vmap, and one solve of all trajectories.

    The second holds because the step is constant: then independent trajectories may be components of one state.
    """

    def many(adjoint):
        def final(key):
            one = jnp.asarray(-1.0)
            return jax.vmap(lambda key: _solve(_unsafe(key, one.shape), one, steps, adjoint))(
                jax.random.split(key, trajectories)
            )

        return final

    def single(key):
        start = -jnp.ones(trajectories)
        return _solve(_unsafe(key, start.shape), start, steps, diffrax.ForwardMode())

    family = "diffrax, UnsafeBrownianPath"
    return [
        *(
            _contender(f"{family}, vmap", many(adjoint), trajectories, steps, type(adjoint).__name__)
            for adjoint in (diffrax.ForwardMode(), diffrax.DirectAdjoint())
        ),
        *(
            _contender(f"{family}, one solve of all", single, trajectories, steps, variant, partitionable)
            for variant, partitionable in (("", True), ("threefry not partitionable", False))
        ),
    ]


def tree(trajectories: int, steps: int) -> list[Contender]:
    """VirtualBrownianTree with its tolerance at half a step: the usual setting."""

    def final(key):
        one = jnp.asarray(-1.0)
        horizon, tolerance = steps * DOUBLE_WELL.dt, DOUBLE_WELL.dt / 2

        def solve(key):
            path = diffrax.VirtualBrownianTree(0.0, horizon, tol=tolerance, shape=one.shape, key=key)
            return _solve(path, one, steps, diffrax.ForwardMode())

        return jax.vmap(solve)(jax.random.split(key, trajectories))

    return [_contender("diffrax, VirtualBrownianTree, vmap", final, trajectories, steps)]


def _unsafe(key, shape):
    return diffrax.UnsafeBrownianPath(shape=shape, key=key)


def _solve(path, start, steps: int, adjoint):
    def sigma(t, y, args):
        return _SIGMA if y.ndim == 0 else lineax.DiagonalLinearOperator(jnp.full(y.shape, _SIGMA))

    drift = diffrax.ODETerm(lambda t, y, args: -double_well_slope(y))
    solution = diffrax.diffeqsolve(
        diffrax.MultiTerm(drift, diffrax.ControlTerm(sigma, path)),
        diffrax.Euler(),
        t0=0.0,
        t1=steps * DOUBLE_WELL.dt,
        dt0=DOUBLE_WELL.dt,
        y0=start,
        saveat=diffrax.SaveAt(t1=True),
        stepsize_controller=diffrax.ConstantStepSize(),
        adjoint=adjoint,
        # time is a sum of floats: rounding may ask for one step more
        max_steps=steps + 1,
        throw=False,
    )
    return solution.ys[0]


def _contender(family, final, trajectories, steps, variant="", partitionable=True) -> Contender:
    compiled = jax.jit(final)

    def run():
        with jax.threefry_partitionable(partitionable):
            return np.asarray(compiled(jax.random.key(0)))

    return Contender(family, run, trajectories, steps, variant)
