"""Minibatch training with any optax transformation: Adam, weight decay, clipping, schedules, and combinations."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._dependence import depends_on
from .._errors import is_traced, positive_number
from .._numerics import as_real
from ..landscapes import EmpiricalRisk
from ._batches import AbstractBatchChain, check_batches
from ._exact_words import check_holds_words, numbers_of, words_of
from ._sampling import AbstractSampling, sampling_of


class Optimizer(AbstractBatchChain):
    """θ' = θ + update of an optax transformation, from the mean gradient of M examples: training as optax does it.

    The transformation sees the parameters as the model holds them, so that masks, trust ratios and clipping by layer
    mean what they say. The memory is its flattened state: real numbers in the precision of the states, whole numbers in
    halves of 16 bits, so that a count is exact up to 2³¹. Schedules inside the transformation go by that count. So a
    step does not depend on its number, and trajectories may be cut, replayed and branched anywhere.

    Source: that of the transformation, such as Kingma and Ba 2015 (arXiv 1412.6980) for `optax.adam`.

    risk, batch_size, replacement: as in MinibatchSGD, whose `sampling` it has.
    transformation: an `optax.GradientTransformation` or its like, such as `optax.adam(1e-3)`; no
        `optax.adam(1e-3).update`. What it holds is compiled in; hyper-parameters that shall differ between
        trajectories go into its state by `optax.inject_hyperparams`.
    time_step: SDE time of one step, > 0, shape (); by default 1, so that time counts iterations.
    States are float32 or float64. Raises ValueError as MinibatchSGD does, and for what is no transformation, or one
    that cannot be applied to the model, begins with a state that is not finite, or draws random numbers of its own,
    which would be the same in all trajectories.
    """

    risk: EmpiricalRisk
    transformation: Any
    batch_size: int = eqx.field(static=True)
    sampling: AbstractSampling
    time_step: Float[Array, ""] | float
    trained: tuple[bool, ...] = eqx.field(static=True)
    """Which real arrays of the model θ is made of, in their order."""
    _own_memory: int = eqx.field(static=True)

    def __init__(self, risk: Any, transformation: Any, batch_size: Any, replacement: Any = True, time_step: Any = 1.0):
        self.sampling = sampling_of(replacement)
        self.batch_size = check_batches(risk, batch_size, self.sampling)
        if not (callable(getattr(transformation, "init", None)) and callable(getattr(transformation, "update", None))):
            raise ValueError(
                f"transformation must be an optax transformation, such as optax.adam(1e-3), got {transformation!r}"
            )
        positive_number("time_step", time_step)
        self.risk, self.transformation, self.time_step = risk, transformation, as_real(time_step)
        self.trained, self._own_memory = _trained(risk), 0
        self._check_state()
        self._own_memory = sum(_size(leaf) for leaf in jax.tree.leaves(self._state_of(jnp.zeros(0).dtype)))
        self._check_update()

    @property
    def changes_in_time(self) -> bool:
        return False

    @property
    def own_memory(self) -> int:
        """The transformation's state."""
        return self._own_memory

    def begin(self, theta):
        begun = [_numbers(leaf, theta.dtype) for leaf in jax.tree.leaves(self._initial(theta))]
        return jnp.concatenate([theta, *begun, jnp.zeros(self.sampling.memory, theta.dtype)])

    def move(self, own, gradient, step_index):
        theta, state = own[: self.dim], self.transformation_state(own)
        updates, state = self.transformation.update(self.parameters(gradient), state, self.parameters(theta))
        moved = theta + self._flat(updates).astype(theta.dtype)
        return jnp.concatenate([moved, *(_numbers(leaf, own.dtype) for leaf in jax.tree.leaves(state))])

    def parameters(self, theta: Float[Array, " dim"]) -> Any:
        """θ, or its gradient, (dim,), as the transformation sees it: the model's trained arrays, None for all else."""
        leaves, structure = jax.tree.flatten(self.risk.unflatten(theta))
        reals = iter(self.trained)
        return structure.unflatten([leaf if eqx.is_inexact_array(leaf) and next(reals) else None for leaf in leaves])

    def transformation_state(self, state: Float[Array, " state_dim"]) -> Any:
        """The transformation's own state in a `state` of the chain, (state_dim,)."""
        leaves, structure = jax.tree.flatten(self._state_of(state.dtype))
        read, first = [], self.dim
        for leaf in leaves:
            read.append(_leaf(state[first : first + _size(leaf)], leaf))
            first += _size(leaf)
        return structure.unflatten(read)

    def covariance(self, theta: Float[Array, " state_dim"], step_index: Any = 0) -> Float[Array, "dim dim"]:
        """Covariance of θ after one step, J cV Jᵀ, shape (dim, dim).

        theta: a whole state, (state_dim,), or θ alone, (dim,), where the chain then begins. J is the derivative of the
        step with respect to the batch's gradient, at the mean gradient; c is that of MinibatchSGD. Exact where the
        update is linear in the gradient (SGD, momentum, weight decay), else to first order in its noise (Adam,
        clipping). step_index: for any, because the count is in the state.
        """
        state = theta if theta.shape == (self.state_dim,) else self.begin(theta)
        theta, own = self.theta(state), self.parts(state)[0]

        def moved(gradient):
            return self.move(own, gradient, step_index)[: self.dim]

        answer = jax.jacfwd(moved)(self.risk.gradient(theta))
        return answer @ self.gradient_covariance(theta) @ answer.T

    def _flat(self, tree: Any) -> Array:
        return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)])

    def _initial(self, theta: Any) -> Any:
        return self.transformation.init(self.parameters(theta))

    def _state_of(self, dtype: Any) -> Any:
        """The structure of the transformation's state, for parameters of `dtype`."""
        return jax.eval_shape(self._initial, jax.ShapeDtypeStruct((self.dim,), dtype))

    def _check_state(self) -> None:
        try:
            leaves = jax.tree.leaves(self._state_of(jnp.zeros(0).dtype))
        except Exception as error:
            raise ValueError(
                f"transformation must be applicable to the model's parameters, got: {_line(error)}"
            ) from error
        for leaf in leaves:
            given = f"a state that holds {leaf.dtype}{list(leaf.shape)}"
            if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) or jnp.issubdtype(leaf.dtype, jnp.unsignedinteger):
                raise ValueError(
                    "transformation must not draw random numbers, which would be the same in all trajectories, got "
                    f"{given}, as keys are"
                )
            if jnp.issubdtype(leaf.dtype, jnp.integer) and leaf.dtype.itemsize > 4:
                raise ValueError(f"transformation must count in 32 bits, got {given}")
        begun = [] if is_traced(self.risk.initial) else jax.tree.leaves(self._initial(self.risk.initial))
        if not all(np.all(np.isfinite(leaf)) for leaf in begun):
            raise ValueError("transformation must begin with a finite state, got one with infinity or NaN in it")

    def _check_update(self) -> None:
        real = jnp.zeros(0).dtype
        own = jax.ShapeDtypeStruct((self.dim + self.own_memory,), real)
        try:
            moved = jax.eval_shape(self.move, own, jax.ShapeDtypeStruct((self.dim,), real), jnp.uint32(0))
        except Exception as error:
            raise ValueError(
                f"transformation must be applicable to the model's gradient, got: {_line(error)}"
            ) from error
        if moved.shape != own.shape:
            raise ValueError(
                f"transformation must keep the form of its state from step to step, got {moved.shape[0]} numbers in "
                f"place of the {own.shape[0]} of θ and state"
            )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _trained(risk: EmpiricalRisk) -> tuple[bool, ...]:
    """Of every real array of the model, whether it depends on θ."""
    point = jax.ShapeDtypeStruct((risk.dim,), jnp.zeros(0).dtype)

    def reals(theta):
        return jax.tree.leaves(eqx.filter(risk.unflatten(theta), eqx.is_inexact_array))

    number = len(jax.eval_shape(reals, point))
    return tuple(depends_on(lambda theta, at=at: reals(theta)[at], point, on=0) for at in range(number))


def _halves(leaf: Any) -> bool:
    """Whether a leaf is kept in halves of words."""
    return not jnp.issubdtype(leaf.dtype, jnp.floating)


def _size(leaf: Any) -> int:
    """Numbers that a leaf takes in the memory."""
    return math.prod(leaf.shape) * (2 if _halves(leaf) else 1)


def _numbers(leaf: Any, dtype: Any) -> Array:
    """A leaf of the transformation's state as numbers of the memory, exactly."""
    flat = jnp.ravel(jnp.asarray(leaf))
    if _halves(flat):
        return numbers_of(flat.astype(jnp.int32).astype(jnp.uint32), dtype)
    check_holds_words(dtype)
    return flat.astype(dtype)


def _leaf(numbers: Array, leaf: Any) -> Array:
    """What `_numbers` made these of."""
    if _halves(leaf):
        return words_of(numbers).astype(jnp.int32).astype(leaf.dtype).reshape(leaf.shape)
    return numbers.astype(leaf.dtype).reshape(leaf.shape)
