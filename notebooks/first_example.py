"""The README's first example: leave the left well of a double well, and draw the survival curve."""

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import sde_sgd as ss

landscape = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)  # any JAX function of a vector
diffusion = ss.LangevinSGD(landscape, ss.noise.Isotropic(40.0), learning_rate=0.05, batch_size=4)
chain = ss.EulerMaruyama(diffusion, dt=0.001)
left = ss.regions.HalfSpace(normal=[1.0], offset=0.0)

passage = ss.escape(
    chain,
    start=jnp.array([-1.0]),
    region=left,
    horizon=20.0,
    trajectories=16_384,
    seed=0,
    monitoring="continuous",
)
exact = ss.reference.FokkerPlanck(diffusion, grid=(-2.5, 2.5, 1000))
print(passage)
print("exact P(exit) ", exact.escape_probability(left, np.array([-1.0]), np.array([20.0]))[0])
print("exact time    ", exact.mean_exit_time(left, start=np.array([-1.0])))
print("Eyring–Kramers", ss.theory.eyring_kramers(diffusion, np.array([-1.0]), np.array([0.0]), to="saddle"))
print("temperature   ", float(diffusion.temperature))

times = np.linspace(0, 20, 81)
survival = passage.survival(times)
figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
axis.fill_between(times, survival.low, survival.high, alpha=0.3, label="95 % interval")
axis.semilogy(times, survival.value, label="simulated")
probability = exact.escape_probability(left, np.array([-1.0]), times[1:])
axis.semilogy(times[1:], 1 - probability, "k:", label="exact solver")
axis.set(xlabel="SDE time t = γ·iterations", ylabel="P(no exit by t)")
axis.legend()
figure.savefig("first_example.png", dpi=120)
