"""The README's first example: leave the left well of a double well, and draw the survival curve."""

import jax.numpy as jnp
import numpy as np

import sde_sgd as ss

landscape = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)  # any JAX function of a vector
diffusion = ss.LangevinSGD(landscape, ss.noise.Isotropic(40.0), learning_rate=0.05, batch_size=4)
chain = ss.EulerMaruyama(diffusion, dt=0.001)
left = ss.regions.HalfSpace(normal=[1.0], offset=0.0)

passage = ss.escape(
    chain, start=jnp.array([-1.0]), region=left, horizon=20.0, trajectories=16_384, seed=0, monitoring="continuous"
)
exact = ss.reference.FokkerPlanck(diffusion, grid=(-2.5, 2.5, 1000))
print(passage)
print("exact P(exit) ", exact.escape_probability(left, np.array([-1.0]), np.array([20.0]))[0])
print("exact time    ", exact.mean_exit_time(left, start=np.array([-1.0])))
print("Eyring–Kramers", ss.theory.eyring_kramers(diffusion, np.array([-1.0]), np.array([0.0]), to="saddle"))
print("temperature   ", float(diffusion.temperature))

axes = passage.plot(theory={"exact solver": lambda t: 1 - exact.escape_probability(left, np.array([-1.0]), t)})
axes.figure.savefig("first_example.png", dpi=120)
