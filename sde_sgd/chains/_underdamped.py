"""A splitting integrator (ABOBA) of underdamped Langevin equations, among them that of SGD with momentum."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import positive_number
from ..diffusions import AbstractUnderdamped
from ..landscapes import AbstractLandscape
from ._base import AbstractChain, NoiseKind


class Underdamped(AbstractChain):
    """Half a drift, half a kick, friction and noise over all of dt, half a kick, half a drift: ABOBA.

    The state is (θ, u) with the velocity u, 0 where a trajectory begins from θ alone. One step of
    dθ = u dt, m du = −(ζu + ∇L) dt + B dW, with h = dt and the middle q = θ + (h/2) u:
    u' = e^(−ζh/m) u − (h/2m)(1 + e^(−ζh/m)) ∇L(q) + √((1 − e^(−2ζh/m))/(2ζm)) B(q) ξ,   θ' = q + (h/2) u'.
    Each of the parts is solved exactly in law, B at a q that stands still meanwhile, and their order reads the same
    backwards: weak order 2, where the noise depends on the state too (Strang 1968; Leimkuhler and Matthews 2013,
    Applied Mathematics Research eXpress 2013(1), 34-56). On a quadratic loss with constant isotropic noise θ has its
    Gibbs variance exactly, at any dt and friction, and u is too warm by 1/(1 − h²λ/(4m)) along a curvature λ. Stable
    where h²λ < 4m: at the default dt = γ of SGD's equation where γλ < 4.

    BAOAB and OBABO have the same order, and BAOAB the smaller error of θ on losses that are not quadratic at strong
    friction; but both take two gradients a step. Here gradient and noise are those of one point: a step costs one
    gradient, of a network with `PerExample` noise one backward pass.

    A step changes θ with covariance (h²/4)(1 − e^(−2ζh/m))/(2ζm)·BBᵀ(q), see `covariance`, and u with the (2/h)² fold
    of it: for SGD's equation at dt = γ and small 1 − μ with γ²V/(4M), half of a kick's first way; the rest comes later.

    diffusion: `LangevinMomentumSGD`, `UnderdampedLangevin`, or another underdamped equation.
    dt: SDE time of one step, > 0, shape (); None takes the learning rate, so that one step lasts one SGD iteration.
    Raises ValueError for what is no underdamped equation, or a dt that is missing or not one number above 0.
    """

    diffusion: AbstractUnderdamped
    dt: Float[Array, ""] | float

    def __init__(self, diffusion: AbstractUnderdamped, dt: Any = None):
        if not isinstance(diffusion, AbstractUnderdamped):
            raise ValueError(
                f"diffusion must be an underdamped one, such as LangevinMomentumSGD(...), got {diffusion!r}"
            )
        step = diffusion.default_dt if dt is None else dt
        if step is None:
            raise ValueError(
                f"dt must be given for {type(diffusion).__name__}, which has no learning rate to take it from"
            )
        positive_number("dt", step)
        self.diffusion, self.dt = diffusion, step

    @property
    def dim(self) -> int:
        return self.diffusion.dim

    @property
    def memory(self) -> int:
        """One velocity for each component of θ."""
        return self.diffusion.dim

    @property
    def noise_dim(self) -> int:
        return self.diffusion.noise_dim

    @property
    def noise_kind(self) -> NoiseKind:
        return "gaussian"

    @property
    def time_step(self) -> Any:
        return self.dt

    @property
    def gibbs_temperature(self) -> Any:
        """That of the diffusion, where its law is known."""
        return self.diffusion.gibbs_temperature

    @property
    def landscape(self) -> AbstractLandscape:
        return self.diffusion.landscape

    @property
    def changes_in_time(self) -> bool:
        return False

    def step(self, state, noise, step_index):
        half, decay, kick, loudness = self._coefficients(state.dtype)
        theta, velocity = state[: self.dim], state[self.dim :]
        middle = theta + half * velocity
        force = self.diffusion.noisy_gradient(middle, -loudness / kick, noise.astype(state.dtype))
        velocity = decay * velocity - kick * force
        return jnp.concatenate([middle + half * velocity, velocity])

    def covariance(self, theta: Float[Array, " state_dim"], step_index: Any = 0) -> Float[Array, "dim dim"]:
        """Covariance of θ after one step, exact, shape (dim, dim), in squared units of θ; the same at every step.

        theta: a whole state, (state_dim,), or θ alone, (dim,), which begins at rest. step_index: number of the step.
        """
        half, _, _, loudness = self._coefficients(theta.dtype)
        state = theta if theta.shape == (self.state_dim,) else self.begin(theta)
        middle = state[: self.dim] + half * state[self.dim :]
        return (half * loudness) ** 2 * self.diffusion.covariance(middle)

    def _coefficients(self, dtype):
        """h/2, e^(−ζh/m), (h/2m)(1 + e^(−ζh/m)) and √((1 − e^(−2ζh/m))/(2ζm)): the numbers of a step."""
        h, mass, friction = (
            jnp.asarray(each, dtype) for each in (self.dt, self.diffusion.mass, self.diffusion.friction)
        )
        rate = friction * h / mass
        decay = jnp.exp(-rate)
        return h / 2, decay, h / (2 * mass) * (1 + decay), jnp.sqrt(-jnp.expm1(-2 * rate) / (2 * friction * mass))
