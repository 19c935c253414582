# %%
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import sde_sgd as ss

landscape = ss.landscapes.Quadratic([1.0, 4.0])
theta = jnp.array([1.0, 0.0])

# %% Isotropic
ss.noise.Isotropic(2.0).covariance(landscape, theta)  # → [[2. 0.] [0. 2.]]

# %% Diagonal
ss.noise.Diagonal([1.0, 3.0]).covariance(landscape, theta)  # → [[1. 0.] [0. 3.]]

# %% ConstantCovariance
ss.noise.ConstantCovariance([[2.0, 1.0], [1.0, 2.0]]).covariance(landscape, theta).sum()  # → 6.0

# %% HessianProportional
ss.noise.HessianProportional(scale=0.5).covariance(landscape, theta)  # → [[0.5 0. ] [0.  2. ]]

# %% LossProportional
ss.noise.LossProportional(scale=2.0).covariance(landscape, theta)  # → [[1. 0.] [0. 1.]]

# %% ComponentProportional
ss.noise.ComponentProportional(scale=2.0).covariance(landscape, theta)  # → [[2. 0.] [0. 0.]]

# %% FromFunction
own = ss.noise.FromFunction(lambda x: jnp.diag(1 + x**2))  # σ(θ)
own.covariance(landscape, theta)  # → [[4. 0.] [0. 1.]]

# %% PerExample
inputs, targets = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]), np.array([1.0, 0.0, 1.0])
line = eqx.nn.Linear(2, "scalar", use_bias=False, key=jax.random.key(0))
risk = ss.EmpiricalRisk(line, ss.landscapes.squared_error, inputs, targets)
per_example = ss.noise.PerExample()
covariance = per_example.covariance(risk, theta)
np.allclose(covariance, risk.gradient_covariance(theta))  # → True

# %% IsotropicOf, DiagonalOf, HessianOf, LeadingOf
trace = float(jnp.trace(covariance))
models = ss.noise.IsotropicOf, ss.noise.DiagonalOf, ss.noise.HessianOf, ss.noise.LeadingOf
# the same trace at θ, in other shapes
all(abs(jnp.trace(model(per_example).covariance(risk, theta)) - trace) < 1e-5 for model in models)  # → True

# %% AbstractShapedNoise
shaped: ss.noise.AbstractShapedNoise = ss.noise.IsotropicOf(ss.noise.Diagonal([1.0, 3.0]))
shaped.covariance(landscape, theta)  # → [[2. 0.] [0. 2.]]


# %% AbstractNoise
class Quarter(ss.noise.AbstractNoise):
    """A noise model of your own: how many normals, σ(θ)ξ, and V = σσᵀ."""

    def noise_dim(self, landscape):
        return landscape.dim

    def apply(self, landscape, theta, xi):
        return 0.5 * xi

    def covariance(self, landscape, theta):
        return 0.25 * jnp.eye(landscape.dim, dtype=theta.dtype)


ss.LangevinSGD(landscape, Quarter(), learning_rate=0.1, batch_size=2).covariance(theta, 0.0)[0, 0]  # → 0.0125

# %% check_noise
try:
    ss.noise.check_noise(ss.noise.Diagonal([1.0, 2.0, 3.0]), landscape)
except ValueError as error:
    told = str(error)
told
