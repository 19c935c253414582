"""A chain whose hyper-parameters differ from trajectory to trajectory, in one program."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._dependence import depends_on
from .._errors import concrete, is_traced
from ._base import AbstractChain
from ._wrapped import AbstractWrappedChain


class Varying(AbstractWrappedChain):
    """The same chain with numbers of its own in each trajectory: they are the last of its memory and never change.

    So one compiled program serves a grid: `chain = Varying(MomentumSGD(risk, 0.1, 8, 0.9), "learning_rate",
    "momentum")`, and `chain.states(theta, {"learning_rate": rates, "momentum": momenta})` are starts for `simulate`,
    `integrate` and their like. Where θ alone is given as a start, the numbers are those of the chain within.

    chain: any chain.
    names: of its numbers, at least one, as attributes: "learning_rate", "momentum", "diffusion.temperature". Each must
        be one real number that is not compiled in; a schedule is none.
    Where a step's SDE time would differ between trajectories (the learning rate varies), time counts steps: a
    `time_step` of 1, whatever it is within.
    Raises ValueError for what is no chain, no name of such a number, a name given twice, or a number that the chain's
    clock was made with (a dt under schedules or with a period).
    """

    chain: AbstractChain
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, chain: Any, *names: str):
        if not isinstance(chain, AbstractChain):
            raise ValueError(f"chain must be a chain, such as MinibatchSGD(risk, 0.1, 8), got {type(chain).__name__}")
        if not names or len(set(names)) < len(names):
            raise ValueError(f"names must be at least one name of a number of the chain, each once, got {names}")
        for name in names:
            _check_name(chain, name)
        self.chain, self.names = chain, names
        if chain.changes_in_time and self._changes_time_step:
            raise ValueError(
                f"names must leave the time of a step alone where the chain has {chain.what_changes}, got {names}"
            )

    @property
    def memory(self) -> int:
        return self.chain.memory + len(self.names)

    @property
    def time_step(self) -> Any:
        return 1.0 if self._changes_time_step else self.chain.time_step

    def begin(self, theta):
        own = [jnp.asarray(_number(self.chain, name), theta.dtype)[None] for name in self.names]
        return jnp.concatenate([self.chain.begin(theta), *own])

    def states(self, theta: Any, values: Mapping[str, Any]) -> Float[Array, "n state_dim"]:
        """Starts of n trajectories with numbers of their own, (n, state_dim).

        theta: θ, (dim,) for all or (n, dim). values: by name, a number for all or (n,) numbers, for any of `names`;
        the others are as within. Raises ValueError for other names or shapes, values that are not finite, learning
        rates and dt that are not above 0, and momenta outside [0, 1).
        """
        thetas = jnp.asarray(theta)
        if not jnp.issubdtype(thetas.dtype, jnp.floating):
            thetas = thetas.astype(jnp.result_type(float))
        given = {name: jnp.asarray(value, thetas.dtype) for name, value in values.items()}
        for name, value in given.items():
            self._check(name, value)
        number = max([*(value.size for value in given.values() if value.ndim), *thetas.shape[:-1], 1])
        shapes = [thetas.shape, *(value.shape for value in given.values())]
        if thetas.shape not in ((self.dim,), (number, self.dim)) or any(s not in ((), (number,)) for s in shapes[1:]):
            raise ValueError(
                f"values must be single numbers or all of shape (n,), with theta of shape ({self.dim},) or "
                f"(n, {self.dim}), got shapes {shapes}"
            )
        states = jax.vmap(self.begin)(jnp.broadcast_to(thetas, (number, self.dim)))
        first = self.state_dim - len(self.names)
        for name, value in given.items():
            states = states.at[:, first + self.names.index(name)].set(value)
        return states

    def step(self, state, noise, step_index):
        inner, values = self.parts(state)
        return jnp.concatenate([self.of(values).step(inner, noise, step_index), values])

    def parts(self, state: Float[Array, " state_dim"]) -> tuple[Float[Array, " inner_dim"], Float[Array, " names"]]:
        """The state of the chain within, and the numbers of its own, of a `state` of shape (state_dim,)."""
        return state[: self.chain.state_dim], state[self.chain.state_dim :]

    def of(self, values: Float[Array, " names"]) -> AbstractChain:
        """The chain within, with these numbers, `values` of shape (names,), in the order of `names`."""
        return eqx.tree_at(lambda chain: [_number(chain, name) for name in self.names], self.chain, list(values))

    def covariance(self, theta: Float[Array, " state_dim"], step_index: Any = 0) -> Float[Array, "dim dim"]:
        """Covariance of θ after one step, (dim, dim), as that of the chain within says.

        theta: a whole state, (state_dim,), with its numbers, or θ alone, (dim,), which is begun. step_index: as within.
        """
        inner, values = self.parts(theta if theta.shape == (self.state_dim,) else self.begin(theta))
        within: Any = self.of(values)
        return within.covariance(inner, step_index)

    @property
    def _changes_time_step(self) -> bool:
        values = jax.ShapeDtypeStruct((len(self.names),), jnp.zeros(0).dtype)
        return depends_on(lambda numbers: jnp.asarray(self.of(numbers).time_step), values, on=0)

    def _check(self, name: str, value: Array) -> None:
        if name not in self.names:
            raise ValueError(f"values must be of {', '.join(self.names)}, got {name!r}")
        array = concrete(value)
        if array is None:
            return
        what, allowed = _RANGES.get(name.rsplit(".", 1)[-1], ("finite", np.isfinite))
        if not np.all(np.isfinite(array) & allowed(array)):
            raise ValueError(f"values of {name} must be {what}, got {array[~(np.isfinite(array) & allowed(array))][0]}")


_RANGES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "dt": ("above 0", lambda value: value > 0),
    "learning_rate": ("above 0", lambda value: value > 0),
    "momentum": ("at least 0 and below 1", lambda value: (value >= 0) & (value < 1)),
    "deviation": ("at least 0", lambda value: value >= 0),
}
"""What some numbers must be, by the last part of their name."""


def _number(chain: Any, name: str) -> Any:
    return operator.attrgetter(name)(chain)


def _check_name(chain: AbstractChain, name: Any) -> None:
    """Raise ValueError unless `name` is that of one real number that is a leaf of the chain."""
    try:
        value = _number(chain, name)
    except (AttributeError, TypeError) as error:
        raise ValueError(f"names must be of numbers of {type(chain).__name__}, got {name!r}") from error
    array = concrete(value)
    if not is_traced(value) and (array is None or array.shape != () or array.dtype.kind != "f"):
        given = type(value).__name__ if array is None else f"{array.dtype} of shape {array.shape}"
        raise ValueError(f"names must be of single real numbers, got {name!r}, which is {given}")
    if not any(leaf is value for leaf in jax.tree.leaves(chain)):
        raise ValueError(f"names must be of numbers that are not compiled in, got {name!r}")
