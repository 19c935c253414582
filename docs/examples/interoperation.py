# %%
import jax
import numpy as np

import sde_sgd as ss

# %% to_samples
chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(ss.landscapes.Quadratic([1.0]), 0.3), dt=0.05)
paths = ss.simulate(chain, np.zeros(1), steps=64, trajectories=4, seed=0, save_every=16)
samples = ss.interoperation.to_samples(paths, every=0.8)
samples.theta.dims  # → ('chain', 'draw', 'component')

# %% to_diffrax
import diffrax

terms = ss.interoperation.to_diffrax(chain.diffusion, key=jax.random.key(0))
solved = diffrax.diffeqsolve(terms, diffrax.Euler(), 0.0, 1.0, 0.05, np.zeros(1), adjoint=diffrax.ForwardMode())
solved.ys.shape  # → (1, 1)
