"""A chain whose θ is the whole state of another one."""

from typing import Any

from ..landscapes import AbstractLandscape
from ._base import AbstractChain
from ._wrapped import AbstractWrappedChain


class WholeState(AbstractWrappedChain):
    """The same chain with its memory as part of θ: to see velocities, or to ask for sets of (θ, memory).

    chain: any chain. Start this one at `chain.begin(theta)`, of shape (state_dim,). It has no landscape, because a loss
        is a function of the inner θ alone.
    Raises ValueError for what is no chain.
    """

    chain: AbstractChain

    def __check_init__(self):
        if not isinstance(self.chain, AbstractChain):
            raise ValueError(f"chain must be a chain, such as EulerMaruyama(diffusion, dt), got {self.chain!r}")

    @property
    def dim(self) -> int:
        return self.chain.state_dim

    @property
    def time_step(self) -> Any:
        return self.chain.time_step

    @property
    def landscape(self) -> AbstractLandscape | None:
        return None

    def step(self, state, noise, step_index):
        return self.chain.step(state, noise, step_index)
