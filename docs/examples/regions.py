# %%
import jax.numpy as jnp

import sde_sgd as ss

# %% HalfSpace
left = ss.regions.HalfSpace(normal=[1.0, 0.0], offset=0.0)  # normal·θ < offset
left.contains(jnp.array([-1.0, 3.0]))  # → True
left.level(jnp.array([-1.0, 3.0]))  # → -1.0

# %% Ball
ball = ss.regions.Ball(center=[0.0, 0.0], radius=2.0)
(left & ball).contains(jnp.array([-1.0, 3.0]))  # → False
(~left | ball).contains(jnp.array([1.0, 3.0]))  # → True

# %% Ellipsoid
ellipsoid = ss.regions.Ellipsoid(center=[0.0, 0.0], matrix=[[1.0, 0.0], [0.0, 0.25]])  # (θ − c)ᵀA(θ − c) < 1
ellipsoid.contains(jnp.array([0.0, 1.9]))  # → True

# %% Sublevel
low = ss.regions.Sublevel(ss.landscapes.Quadratic([1.0, 4.0]), 0.5)  # L(θ) < 0.5
low.contains(jnp.array([0.9, 0.0]))  # → True


# %% AbstractRegion
class Cross(ss.regions.AbstractRegion):
    """A region of your own: a level function, below 0 inside."""

    def level(self, theta):
        return jnp.min(jnp.abs(theta)) - 0.1


Cross().contains(jnp.array([5.0, 0.05]))  # → True
