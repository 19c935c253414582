"""What noise of another shape has in common: it takes its trace, at every θ, from the model that it is made of."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from ._base import AbstractNoise, check_noise


class AbstractShapedNoise(AbstractNoise):
    """Noise with the trace of another model at every θ, and a shape of its own.

    Zhu, Wu, Yu, Wu and Ma (2019, arXiv 1803.00195) compare how fast SGD leaves a minimum under noise that differs in
    its shape alone: two models are compared at one Tr V(θ), the mean square of σ(θ)ξ.

    noise: the model whose trace is taken. Raises ValueError for what is no noise model.
    """

    noise: eqx.AbstractVar[AbstractNoise]

    def __check_init__(self):
        check_noise(self.noise)

    @property
    def mean_variance(self) -> Any:
        return self.noise.mean_variance

    def check(self, landscape):
        self.noise.check(landscape)

    def _trace(self, landscape, theta):
        """Tr V(θ), shape ()."""
        return jnp.sum(self.noise.diagonal(landscape, theta))
