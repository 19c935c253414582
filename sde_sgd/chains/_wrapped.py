"""What chains around another chain share."""

from typing import Any

import equinox as eqx

from ..landscapes import AbstractLandscape
from ._base import AbstractChain, NoiseKind


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
