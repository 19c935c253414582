"""Chains and monitors around another chain or monitor, such as those with memory of their own (state augmentation)."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from ..chains import AbstractChain, AbstractWrappedChain
from ..engine import AbstractMonitor


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
