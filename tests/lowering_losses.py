"""Losses of three components, each of what one way of writing them makes of JAX's primitives."""

import jax
import jax.numpy as jnp
import numpy as np

MATRIX = np.array([[1.0, 0.5, -0.3], [0.5, 2.0, 0.1], [-0.3, 0.1, 0.7]])
TENSOR = np.linspace(-1.0, 1.0, 27).reshape(3, 3, 3)


def bowl(x):
    return 0.25 * jnp.sum(x**4)


@jax.custom_jvp
def safe_root(x):
    return jnp.sqrt(jnp.where(x > 0, x, 0))


# 0.3 in place of the true 0.5, so that a reading that loses the rule is seen
safe_root.defjvps(lambda tangent, root, x: jnp.where(x > 0, 0.3 * tangent / jnp.where(x > 0, root, 1), 0))


def in_a_loop(x):
    return jax.lax.scan(lambda total, row: (total + jnp.sin(row @ x), None), jnp.sum(x**2), jnp.asarray(MATRIX))[0]


def in_a_while_loop(x):
    count = jnp.where(x[0] > 0, 2, 3)
    total = jax.lax.while_loop(lambda c: c[0] < count, lambda c: (c[0] + 1, 0.5 * c[1]), (0, jax.lax.stop_gradient(x)))
    return jnp.sum(total[1] * x)


def from_a_table(x):
    place = jnp.clip(4 * x[0] + 8, 0, 15)
    first = jnp.clip(jnp.floor(place).astype(jnp.int32), 0, 14)
    table = jnp.asarray(np.cos(np.arange(16)), x.dtype)
    value = table[first] + (place - first) * (table[first + 1] - table[first])
    return value * x[1] ** 2 + jnp.asarray(MATRIX, x.dtype)[first // 6, 1] * jnp.take(table, first) + x[2] ** 4


# losses of three components, and of the primitive that stops the reading where one does
LOSSES = {
    "index": (lambda x: x[0] ** 2 * x[1] + x[2] ** 4, None),
    "negative index": (lambda x: (x[-1] * x[-2]) ** 2, None),
    "array index": (lambda x: jnp.sum(x[jnp.array([2, 0, 2])] * x[np.array([1, 1, 0])]), None),
    "a table": (from_a_table, None),
    "an own entry": (
        lambda x: x[jnp.where(x[0] > 0, 1, 2)] ** 4 + jnp.sum(x**2),
        "'dynamic_slice' at a place that only the run decides",
    ),
    "mask": (lambda x: jnp.sum(x[np.array([True, False, True])] ** 3), None),
    "strides": (lambda x: jnp.sum(x[::2] ** 2) * x[1:][0] + jnp.sum(x[::-1] * x), None),
    "roll and flip": (lambda x: jnp.sum(jnp.roll(x, 1) * x**2) + jnp.dot(jnp.flip(x), x), None),
    "outer": (lambda x: jnp.sum(jnp.sin(jnp.outer(x, x).reshape(9))[::2]) + jnp.sum((x[:, None] - x) ** 4), None),
    "matmul": (lambda x: 0.5 * x @ jnp.asarray(MATRIX, x.dtype) @ x + jnp.sum((jnp.asarray(MATRIX) @ x) ** 3), None),
    "matrix products": (lambda x: jnp.sum((jnp.outer(x, x**2) @ TENSOR[1].astype(x.dtype)) ** 2 * TENSOR[0]), None),
    "transposed": (lambda x: jnp.sum(jnp.outer(x, x**2).T ** 2 * TENSOR[0]), None),
    "einsum": (lambda x: jnp.einsum("ijk,i,j,k->", jnp.asarray(TENSOR, x.dtype), x, x, x), None),
    "trace": (lambda x: jnp.trace(jnp.outer(x, x)) + jnp.sum(jnp.outer(x, x**2) * jnp.eye(3)), None),
    "norm": (lambda x: jnp.linalg.norm(x) + jnp.linalg.norm(x - 1) ** 3, None),
    "extrema": (lambda x: jnp.max(x) ** 2 + jnp.min(x**3) + jnp.maximum(x[0], x[1]) - jnp.minimum(x[2], 0.1), None),
    "tied extrema": (lambda x: jnp.max(jnp.stack([x[0], x[0], x[1]])) ** 2 + bowl(x), None),
    "where and clip": (lambda x: jnp.sum(jnp.where(x > 0, x**2, -x)) + jnp.sum(jnp.clip(x, -0.5, 0.5) * x), None),
    "trigonometry": (lambda x: jnp.sum(jnp.sin(3 * x) * jnp.cos(x[0])) + jnp.sum(jnp.tan(0.3 * x)), None),
    "hyperbolic": (lambda x: jnp.sum(jnp.tanh(x) + jnp.cosh(0.5 * x)) + jnp.sum(jnp.arctan2(x, 1 + x**2)), None),
    "exponentials": (lambda x: jnp.sum(jnp.exp(-(x**2)) + jnp.log1p(x**2) + jnp.expm1(x)), None),
    "powers": (lambda x: jnp.sum(jnp.sqrt(1 + x**2) + jnp.power(1 + x**2, 0.3) + (2 + jnp.cos(x)) ** x[0]), None),
    "inverse powers": (lambda x: jnp.sum(1 / (1 + x**2) + (2 + x**2) ** -3 + jax.lax.rsqrt(1 + x**4)), None),
    # of powers of two, which are kept beside a component and not multiplied in
    "multiples": (lambda x: jnp.sum(((-2 * x) * 0.5) ** 3 + 0.5 * (-2 * x) * x + jnp.square(-4 * x)), None),
    "quotients": (lambda x: jnp.sum((2 * x[:2]) / (-4 * x[1:]) + (x[:2] / 0.5) ** 3), None),
    "statistics": (lambda x: jnp.var(x) + jnp.mean(x) ** 2 + jnp.prod(x), None),
    "softplus": (lambda x: jnp.sum(jax.nn.softplus(x) - jax.nn.sigmoid(x)), None),
    "relu": (lambda x: jnp.sum(jax.nn.relu(x) ** 2 + jax.nn.silu(x) + jax.nn.gelu(x)), None),
    "logsumexp": (lambda x: jax.nn.logsumexp(-(x**2)) + jax.nn.softmax(x)[1], None),
    "own rule": (lambda x: safe_root(x[0] * x[1]) * x[2] + jnp.sum(safe_root(x) * x), None),
    "set and add": (lambda x: bowl(x.at[0].set(0.5).at[1].add(x[2])), "'scatter' acts on whole vectors"),
    "add at places": (lambda x: bowl(jnp.zeros_like(x).at[jnp.array([0, 0, 2])].add(x)), None),
    "add to what is there": (lambda x: bowl(x.at[jnp.array([0, 2])].add(x[1])), None),
    "concatenate": (lambda x: bowl(jnp.concatenate([x[1:], x[:1] ** 2, jnp.ones(2)])), None),
    "pad": (lambda x: bowl(jax.lax.pad(x, jnp.ones((), x.dtype), [(1, -1, 1)])) + bowl(jnp.pad(x, 1)), None),
    "stack and split": (lambda x: sum(jnp.sum(part**2) for part in jnp.split(jnp.stack([x, x**2]), 2)), None),
    "tile": (lambda x: bowl(jnp.tile(x, (2, 2))) + bowl(jnp.repeat(x, 2)), None),
    "vmap inside": (lambda x: jnp.sum(jax.vmap(lambda row: jnp.sin(row @ x))(jnp.asarray(MATRIX, x.dtype))), None),
    "jit inside": (lambda x: jax.jit(bowl)(jax.jit(lambda y: y - 1)(x)), None),
    "checkpoint": (lambda x: jax.checkpoint(lambda y: jnp.sum(jnp.sin(y) ** 2))(x), None),
    "gradient inside": (lambda x: jnp.sum(jax.grad(bowl)(x) ** 2), None),
    "mixed dtypes": (lambda x: jnp.dot(x, np.array([1, -2, 3])) ** 2 + jnp.dot(np.float32([1, 2, 3]), x), None),
    "integers and booleans": (
        lambda x: jnp.sum(x**2 * jnp.floor(x).astype(jnp.int32) % 2) + bowl(x) * (jnp.all(x > -9) & jnp.any(x < 9)),
        None,
    ),
    "signs": (lambda x: jnp.sum(jnp.abs(x) * jnp.sign(x) * x) + jnp.sum(jnp.fmod(x, 0.5) * x), None),
    "constant": (lambda x: jnp.sum(0.0 * x) + 1.0, None),
    "one component": (lambda x: x[1] ** 2, None),
    "diagonal": (lambda x: jnp.sum(jnp.diagonal(jnp.outer(x, x))) + bowl(x), "acts on whole vectors"),
    "cumsum": (lambda x: jnp.sum(jnp.cumsum(x) ** 2), "'cumsum' acts on whole vectors"),
    "sort": (lambda x: jnp.sum(jnp.sort(x) * jnp.arange(3)), "'sort' acts on whole vectors"),
    "inverse": (lambda x: x @ jnp.linalg.solve(jnp.eye(3) + jnp.outer(x, x), x), "acts on whole vectors"),
    "place of a state": (lambda x: x[jnp.argmax(x)] ** 2, "'argmax' acts on whole vectors"),
    "scan": (in_a_loop, "'scan' acts on whole vectors"),
    "while": (in_a_while_loop, "'while' acts on whole vectors"),
}
