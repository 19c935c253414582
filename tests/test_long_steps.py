"""Steps of too many operations are not read by components, and are not read for long."""

import jax.numpy as jnp
import numpy as np

import sde_sgd as ss
from sde_sgd.engine import CPU
from sde_sgd.engine._batched_step import BatchedStep
from sde_sgd.engine.lowering import _rules


def test_a_long_step_is_refused_before_it_is_read_to_its_end(monkeypatch):
    """What is not lowered costs no time in proportion to what it would have been: 16,384 products, or quotients."""
    read, inputs = [], np.random.default_rng(0).normal(size=(4_096, 4)).astype(np.float32)
    for place, name in ((vars(_rules), "multiply"), (_rules._ARITHMETIC, "div")):
        inner = place[name]
        monkeypatch.setitem(place, name, lambda x, y, inner=inner: read.append(1) or inner(x, y))
    for drift in (lambda x, t: jnp.mean(jnp.tanh(inputs @ x)) * x, lambda x, t: jnp.mean(inputs / x[0]) * x):
        read.clear()
        chain = ss.EulerMaruyama(ss.diffusions.ItoDiffusion(drift, lambda x, t: jnp.eye(4), 4), 0.01)
        assert BatchedStep(chain, jnp.float32, CPU).reason == f"a step has more than {CPU.most_operations} operations"
        assert 0 < len(read) <= CPU.most_operations + 1
