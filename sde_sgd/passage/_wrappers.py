"""Chains and monitors around another chain or monitor, such as those with memory of their own (state augmentation)."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from ..chains import AbstractChain, NoiseKind
from ..engine import AbstractMonitor
from ..landscapes import AbstractLandscape


class AbstractWrappedChain(AbstractChain):
    """A chain with the θ, the noise and the landscape of the one that it wraps."""

    chain: eqx.AbstractVar[Any]

    @property
    def dim(self) -> int:
        return self.chain.dim

    @property
    def noise_dim(self) -> int:
        return self.chain.noise_dim

    @property
    def noise_kind(self) -> NoiseKind:
        return self.chain.noise_kind

    @property
    def landscape(self) -> AbstractLandscape | None:
        return self.chain.landscape

    @property
    def changes_in_time(self) -> bool:
        return self.chain.changes_in_time

    @property
    def what_changes(self) -> str:
        return self.chain.what_changes

    def last_step(self, dtype: Any) -> int:
        return self.chain.last_step(dtype)


class AbstractAugmentedChain(AbstractWrappedChain):
    """A chain whose state is that of the one it wraps, with one component of memory of its own behind it."""

    chain: eqx.AbstractVar[AbstractChain]

    @property
    def memory(self) -> int:
        return self.chain.memory + 1

    @property
    def time_step(self) -> Any:
        return self.chain.time_step

    def inner(self, state: Any) -> Any:
        """The wrapped chain's part of a state, or of many as rows."""
        return state[..., : self.chain.state_dim]


class AbstractWrappedMonitor(AbstractMonitor):
    """A monitor that asks another one, with the random numbers of that."""

    monitor: eqx.AbstractVar[AbstractMonitor]

    @property
    def uniforms(self) -> int:
        return self.monitor.uniforms

    @property
    def looks_back(self) -> bool:
        return self.monitor.looks_back


def theta_of(state: Float[Array, " state_dim"], dim: int) -> Float[Array, " dim"]:
    """θ, the first `dim` components of a chain's state, whatever memory lies behind it."""
    return state if state.shape[0] == dim else state[:dim]
