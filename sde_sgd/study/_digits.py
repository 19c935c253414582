"""A small tanh network on scikit-learn's handwritten digits, trained to a minimum: real data for a study of exits."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Array, Float

from .._errors import positive, positive_integer
from ..landscapes import EmpiricalRisk, cross_entropy

PIXELS, CLASSES, TOTAL = 64, 10, 1797
# which digits are in a subset does not depend on the seed of the network
_PERMUTATION_SEED = 20_240_101


class TrainedDigits(NamedTuple):
    """A network on the digits and its minimum."""

    risk: EmpiricalRisk
    minimum: Float[Array, " dim"]
    """θ*, float32."""
    loss: float
    """L(θ*), penalty included, in float64."""
    gradient_norm: float
    """‖∇L(θ*)‖ in float64, of the float32 point that `minimum` is."""
    accuracy: float
    """Share of the examples that the network at θ* classifies correctly."""


class CrossEntropy(eqx.Module):
    """−log p(y | x) of a classifier's logits, plus (penalty/2)·‖parameters‖²."""

    penalty: Float[Array, ""]

    def __call__(self, model, x, y):
        parameters = jax.tree_util.tree_leaves(eqx.filter(model, eqx.is_inexact_array))
        squares = sum(jnp.sum(leaf**2) for leaf in parameters)
        return cross_entropy(model, x, y) + self.penalty.astype(x.dtype) / 2 * squares


class TanhNetwork(eqx.Module):
    """Logits W₂ tanh(W₁x + b₁) + b₂."""

    first: Float[Array, "hidden pixels"]
    first_bias: Float[Array, " hidden"]
    second: Float[Array, "classes hidden"]
    second_bias: Float[Array, " classes"]

    def __call__(self, x):
        return self.second @ jnp.tanh(self.first @ x + self.first_bias) + self.second_bias


def load(examples: int = 256) -> tuple[Float[np.ndarray, "examples 64"], np.ndarray]:
    """The first `examples` digits of a fixed permutation: pixels in [0, 1], shape (examples, 64), and labels 0 … 9.

    Raises ImportError, with the command that helps, where scikit-learn is missing; ValueError where `examples` is
    not a whole number from 1 to 1797.
    """
    positive_integer("examples", examples)
    if examples > TOTAL:
        raise ValueError(f"examples must be at most {TOTAL}, the size of the digits data set, got {examples}")
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError("the digits need scikit-learn: pip install scikit-learn") from error
    pixels, labels = (np.asarray(part) for part in load_digits(return_X_y=True))
    chosen = np.random.RandomState(_PERMUTATION_SEED).permutation(TOTAL)[:examples]
    return np.asarray(pixels[chosen] / 16, np.float32), np.asarray(labels[chosen], np.int32)


def train(
    hidden: int = 16,
    seed: int = 0,
    *,
    examples: int = 256,
    penalty: float = 1e-2,
    iterations: int = 5_000,
) -> TrainedDigits:
    """Train a 64-hidden-10 tanh network on the digits by full-batch L-BFGS, in float64, down to a minimum.

    hidden: width of the hidden layer; seed: of the initial weights.
    examples: how many digits, from 1 to 1797.
    penalty: weight > 0 of (penalty/2)·‖θ‖² in every example's loss. Without it the risk has no minimum.
    iterations: most iterations of L-BFGS. Judge the result by its `gradient_norm`: rounding θ* to float32 leaves
        about 1e-6.
    Raises ImportError without scikit-learn, ValueError on a bad argument, RuntimeError where the gradient norm of
    the point reached is above 1e-3.
    """
    positive_integer("hidden", hidden)
    positive("penalty", penalty)
    positive_integer("iterations", iterations)
    inputs, targets = load(examples)
    generator = np.random.RandomState(seed)
    network = TanhNetwork(
        jnp.asarray(generator.normal(0, PIXELS**-0.5, (hidden, PIXELS)), jnp.float32),
        jnp.zeros(hidden, jnp.float32),
        jnp.asarray(generator.normal(0, hidden**-0.5, (CLASSES, hidden)), jnp.float32),
        jnp.zeros(CLASSES, jnp.float32),
    )
    risk = EmpiricalRisk(network, CrossEntropy(jnp.asarray(penalty, jnp.float32)), inputs, targets)
    with jax.enable_x64(True):
        value_and_gradient = jax.jit(jax.value_and_grad(risk.loss))

        def objective(theta):
            value, gradient = value_and_gradient(theta)
            return float(value), np.asarray(gradient)

        descent = scipy.optimize.minimize(
            objective,
            np.asarray(risk.initial, np.float64),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": iterations, "maxfun": 2 * iterations, "gtol": 1e-8, "ftol": 0.0, "maxcor": 30},
        )
        minimum = descent.x.astype(np.float32)
        value, gradient = objective(minimum.astype(np.float64))
    norm = float(np.linalg.norm(gradient))
    if not norm < 1e-3:
        raise RuntimeError(f"training stopped at a gradient norm of {norm:.2g} after {descent.nit} iterations")
    theta = jnp.asarray(minimum)
    logits = jax.vmap(risk.unflatten(theta))(risk.inputs)
    accuracy = float(jnp.mean(jnp.argmax(logits, axis=1) == risk.targets))
    return TrainedDigits(risk, theta, value, norm, accuracy)
