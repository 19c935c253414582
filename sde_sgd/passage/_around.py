"""What chains and monitors that wrap another one take over from it."""

from typing import Any

import equinox as eqx

from ..chains import AbstractChain, NoiseKind
from ..engine import AbstractMonitor
from ..landscapes import AbstractLandscape


class AbstractAround(AbstractChain):
    """A chain whose state holds that of another, driven by the same noise."""

    chain: eqx.AbstractVar[Any]

    @property
    def noise_dim(self) -> int:
        return self.chain.noise_dim

    @property
    def noise_kind(self) -> NoiseKind:
        return self.chain.noise_kind

    @property
    def landscape(self) -> AbstractLandscape | None:
        return self.chain.landscape


class AbstractCarrying(AbstractAround):
    """A chain whose state carries one more component behind it."""

    chain: eqx.AbstractVar[AbstractChain]

    @property
    def dim(self) -> int:
        return self.chain.dim + 1

    @property
    def time_step(self) -> Any:
        return self.chain.time_step


class AbstractBeside(AbstractMonitor):
    """A monitor that asks another one."""

    monitor: eqx.AbstractVar[AbstractMonitor]

    @property
    def uniforms(self) -> int:
        return self.monitor.uniforms

    @property
    def looks_back(self) -> bool:
        return self.monitor.looks_back
