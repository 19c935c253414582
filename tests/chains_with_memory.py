"""Two chains whose state is (θ, velocity), for tests of what every chain with memory is promised."""

from typing import Any

import jax.numpy as jnp

import sde_sgd as ss


class MomentumSGD(ss.chains.AbstractChain):
    """Heavy-ball descent with Gaussian noise: v' = μ v − γ ∇L(θ) + s ξ, θ' = θ + v'; SDE time γ a step."""

    landscape: Any
    rate: float = 0.05
    momentum: float = 0.8
    deviation: float = 0.05
    noise_kind: Any = "gaussian"

    dim = noise_dim = memory = property(lambda self: self.landscape.dim)
    time_step = property(lambda self: self.rate)

    def step(self, state, noise, step_index):
        theta, velocity = jnp.split(state, 2)
        velocity = self.momentum * velocity - self.rate * self.landscape.gradient(theta) + self.deviation * noise
        return jnp.concatenate([theta + velocity, velocity])


class Underdamped(ss.chains.AbstractChain):
    """dθ = v dt, dv = −∇L dt − v dt + √(2T) dW: symplectic Euler, with an exact Ornstein–Uhlenbeck step of v."""

    landscape: Any
    temperature: float = 0.5
    time_step: float = 0.05
    noise_kind: Any = "gaussian"

    dim = noise_dim = memory = property(lambda self: self.landscape.dim)

    def step(self, state, noise, step_index):
        theta, velocity = jnp.split(state, 2)
        velocity = (velocity - self.time_step * self.landscape.gradient(theta)) * jnp.exp(-self.time_step)
        velocity = velocity + jnp.sqrt(self.temperature * -jnp.expm1(-2 * self.time_step)) * noise
        return jnp.concatenate([theta + self.time_step * velocity, velocity])
