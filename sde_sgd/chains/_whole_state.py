"""A chain whose θ is the whole state of another one."""

from typing import Any

from ..landscapes import AbstractLandscape
from ._base import AbstractChain, NoiseKind


class WholeState(AbstractChain):
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
    def noise_dim(self) -> int:
        return self.chain.noise_dim

    @property
    def noise_kind(self) -> NoiseKind:
        return self.chain.noise_kind

    @property
    def time_step(self) -> Any:
        return self.chain.time_step

    @property
    def landscape(self) -> AbstractLandscape | None:
        return None

    @property
    def changes_in_time(self) -> bool:
        return self.chain.changes_in_time

    @property
    def what_changes(self) -> str:
        return self.chain.what_changes

    def last_step(self, dtype: Any) -> int:
        return self.chain.last_step(dtype)

    def step(self, state, noise, step_index):
        return self.chain.step(state, noise, step_index)
