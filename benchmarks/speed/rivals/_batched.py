"""One scan over steps for all trajectories of the double well at once, their noise drawn together."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from .._measure import Contender
from .._problems import DOUBLE_WELL, double_well_slope

# noise of so many steps drawn by one call, where that is faster
_DRAWN_TOGETHER = (1, 8)


def batched_scan(trajectories: int, steps: int) -> list[Contender]:
    """`jax.random.normal` with every kind of key, both layouts of Threefry's counters, and in blocks of steps."""
    kinds = (("threefry2x32", True), ("threefry2x32", False), ("rbg", True), ("unsafe_rbg", True))
    return [
        _scan(trajectories, steps, kind, partitionable, together)
        for kind, partitionable in kinds
        for together in _DRAWN_TOGETHER
        if steps % together == 0
    ]


def _scan(trajectories: int, steps: int, kind: str, partitionable: bool, together: int) -> Contender:
    @jax.jit
    def final(key):
        def block(x, block_key):
            for noise in jax.random.normal(block_key, (together, trajectories)):
                x = _advance(x, noise)
            return x, None

        return jax.lax.scan(block, -jnp.ones(trajectories), jax.random.split(key, steps // together))[0]

    def run():
        with jax.threefry_partitionable(partitionable):
            return np.asarray(final(jax.random.key(0, impl=kind)))

    layout = "" if partitionable else " not partitionable"
    variant = f"{kind}{layout}" + (f", {together} steps a draw" if together > 1 else "")
    return Contender("batched scan, jax.random.normal", run, trajectories, steps, variant)


def batched_philox(trajectories: int, steps: int) -> list[Contender]:
    """Philox4x32-10 through `lax.rng_bit_generator`, which accelerators have built in; normals by erf⁻¹."""

    @jax.jit
    def final(words):
        def body(carry, _):
            x, state = carry
            state, bits = jax.lax.rng_bit_generator(
                state, (trajectories,), dtype=jnp.uint32, algorithm=jax.lax.RandomAlgorithm.RNG_PHILOX
            )
            return (_advance(x, _normal(bits)), state), None

        return jax.lax.scan(body, (-jnp.ones(trajectories), words), length=steps)[0][0]

    words = jax.random.bits(jax.random.key(0), (4,))
    return [Contender("batched scan, Philox", lambda: np.asarray(final(words)), trajectories, steps)]


def _advance(x, noise):
    return x - DOUBLE_WELL.dt * double_well_slope(x) + DOUBLE_WELL.amplitude * noise


def _normal(bits):
    # 23 bits, centred in their interval, so that neither −1 nor 1 occurs
    uniform = ((bits >> 9).astype(jnp.int32).astype(jnp.float32) + 0.5) * jnp.float32(2.0**-22) - 1
    return math.sqrt(2) * jax.lax.erf_inv(uniform)
