"""diffrax: Euler on an UnsafeBrownianPath, all trajectories as components of one solve, an absorbing saddle."""

import diffrax
import jax
import jax.numpy as jnp
import lineax

from ..problem import DT, HORIZON, SADDLE, START, STEPS, slope

WIDE = 65_536


@jax.jit(static_argnames="size")
def _leave(key, temperature, size):
    def drift(t, x, args):
        return jnp.where(x < SADDLE, -slope(x), 0)

    def sigma(t, x, args):
        return lineax.DiagonalLinearOperator(jnp.where(x < SADDLE, jnp.sqrt(2 * temperature), 0))

    path = diffrax.UnsafeBrownianPath(shape=(size,), key=key)
    terms = diffrax.MultiTerm(diffrax.ODETerm(drift), diffrax.ControlTerm(sigma, path))
    solution = diffrax.diffeqsolve(
        terms, diffrax.Euler(), 0.0, HORIZON, DT, jnp.full(size, START), saveat=diffrax.SaveAt(t1=True),
        adjoint=diffrax.ForwardMode(), max_steps=STEPS + 1, throw=False,
    )  # fmt: skip
    return jnp.sum(solution.ys[0] >= SADDLE)


def exits(temperature, size, seed):
    # the layout of random numbers that is faster on CPU
    jax.config.update("jax_threefry_partitionable", False)
    key = jax.random.key(seed)
    while True:
        key, now = jax.random.split(key)
        yield int(_leave(now, jnp.float32(temperature), size))
