"""The barrier against contraction: of two products that are added one is hidden, whatever a compiler drops between."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kernel_cases import chain_of, start_of
from parameters import quick

import sde_sgd as ss
from sde_sgd.engine.lowering._program import Program


def own_precision(z):
    return jax.lax.reduce_precision(z, 8, 23)


DROPPED = {
    "nothing": lambda z: z,
    "a copy": jnp.array,
    "a stopped gradient": jax.lax.stop_gradient,
    "its own precision": own_precision,
    "the size of a square": lambda z: jnp.abs(z * z),
    "to the 2.0": lambda z: z**2.0,
    "twice": lambda z: jnp.abs(2 * z),
}


@pytest.mark.parametrize("name", DROPPED)
def test_one_of_two_products_is_hidden(name):
    """Behind what a compiler drops too, as |x·x|, or makes a product, as x to the 2.0. Twin: of sines none is."""

    def hidden(of):
        program = Program(lambda x: of(x[0] * x[1]) + of(x[1] * x[2]), jax.ShapeDtypeStruct((3,), jnp.float32))

        def lowered(guard, *parts):
            return program.components(list(parts), guard=guard)

        return str(jax.make_jaxpr(lowered)(jnp.uint32(0), *jnp.ones((3, 4), jnp.float32))).count("= hidden")

    assert hidden(DROPPED[name]) == 1
    assert hidden(lambda z: jnp.sinh(DROPPED[name](z))) == 0


def test_what_a_compiler_drops_changes_no_bit():
    """Of a step with copies and the like, in two loops: the bits are those without."""

    def chain(first, second, third):
        def drift(x, t):
            turned = first(x[0] * x[1]) + second(1.3 * x[1]) - x[0]
            return jnp.stack([turned, third(0.7 * x[0]) - first(x[0] * x[0] * x[1])])

        return ss.EulerMaruyama(ss.diffusions.ItoDiffusion(drift, lambda x, t: 0.1 * jnp.ones(2), 2), 0.01)

    def ends(chain, **options):
        return ss.simulate(chain, np.array([0.3, 0.4], np.float32), 64, 512, seed=1, **options)

    bare, kept = chain(*[DROPPED["nothing"]] * 3), chain(jax.lax.stop_gradient, jnp.array, own_precision)
    assert np.array_equal(ends(kept), ends(bare)) and np.array_equal(ends(kept, save_every=1)[-1], ends(bare))


@pytest.mark.parametrize("name", quick(["quadratic", "log", "data"], "log"))
def test_where_a_block_begins_changes_no_bit_in_float64(name):
    """Within a hash group a step chooses between two calls of a library: 20 of 600 numbers were off once."""
    with jax.enable_x64(True):
        chain, start = chain_of(name), start_of(name, np.float64)
        asked = {"steps": 30, "trajectories": 200, "seed": 2**40 + 3}
        whole, parts = (ss.simulate(chain, start, save_every=every, **asked)[-1] for every in (30, 15))
    assert whole.dtype == np.float64
    np.testing.assert_array_equal(parts, whole)
