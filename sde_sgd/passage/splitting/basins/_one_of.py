"""The union of some among several sets: which ones is data, so that one program serves every choice."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from ....regions import AbstractRegion


class OneOf(AbstractRegion):
    """The union of those of `regions`, (n,), that are `chosen`."""

    regions: tuple[AbstractRegion, ...]
    chosen: Bool[Array | np.ndarray, " n"] = eqx.field(converter=jnp.asarray)

    def level(self, theta):
        levels = jnp.stack([region.level(theta) for region in self.regions])
        return jnp.min(jnp.where(self.chosen, levels, jnp.inf))

    def contains(self, theta):
        return jnp.any(self.chosen & jnp.stack([region.contains(theta) for region in self.regions]))

    def check(self, dim):
        for region in self.regions:
            region.check(dim)
