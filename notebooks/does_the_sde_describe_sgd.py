# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Does the SDE describe your SGD
#
# All of this library's speed is that of a diffusion, and you train with minibatches. On your loss, at your learning
# rate and batch size, are the two the same?

# %%
import os
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import sde_sgd as ss
from sde_sgd.chains import SVAG, MinibatchSGD

# the quick size has fewer networks, examples and trajectories, and wide intervals
QUICK = "--quick" in sys.argv or bool(os.environ.get("SDE_SGD_QUICK"))

# %% [markdown]
# ## In the mean
#
# Linear regression, where the answer is known: at γλ_max = 0.4 SGD's mean loss lies a little above that of its SDE. The
# chains begin in the minimum and run for the same SDE time: `MinibatchSGD` itself; `SVAG`, whose noise becomes normal
# as l grows; and the SDE with the noise of the examples at a step of γ/10. `compare` says which of them it can tell
# from the first, with one budget of errors for all looks.

# %%
examples = ss.data.diabetes()
line = eqx.nn.Linear(10, "scalar", use_bias=False, key=jax.random.key(0))
regression = ss.EmpiricalRisk(line, ss.landscapes.squared_error, examples.inputs, examples.targets)
minimum = ss.landscapes.polish(regression, regression.initial)


def compared(learning_rate, batch_size):
    noise = ss.LangevinSGD(regression, ss.noise.PerExample(), learning_rate, batch_size)
    chains = {
        "SGD": MinibatchSGD(regression, learning_rate, batch_size),
        "SVAG, l = 4": SVAG(regression, learning_rate, batch_size, 4),
        "SDE": ss.EulerMaruyama(noise, dt=learning_rate / 10),
    }
    networks, time = (64, 4) if QUICK else (512, 20)
    return ss.compare(regression, minimum, chains=chains, time=time, networks=networks)


found = {rate: compared(rate, size) for rate, size in ((0.1, 8), (0.025, 2))}
print(found[0.1])

# %% [markdown]
# Bands are intervals over networks; the lowest panel has the p-values, and dotted the budget. Where a line is below it,
# that chain is not SGD.

# %%
panels = found[0.1].plot()
panels[0].figure.savefig("sde_and_sgd.png", dpi=120)

# %% [markdown]
# A quarter of the learning rate at a quarter of the batch size is the same SDE, for it knows γ/M alone. SGD is nearer
# to it: to first order the difference is proportional to γ. Here it is, of the mean loss over the second half of the
# time.

# %%
for rate, each in found.items():
    loss = each.values[0, :, 4:].mean(axis=1)
    mean, error = loss.mean(axis=1), loss.std(axis=1, ddof=1) / np.sqrt(loss.shape[1])
    for place, name in enumerate(each.names[1:], 1):
        half = 1.96 * np.hypot(error[place], error[0])
        print(
            f"γ = {rate:g}: {name} {(mean[place] - mean[0]) / mean[0]:+.2%} ± {half / mean[0]:.2%} of SGD's mean loss"
        )

# %% [markdown]
# ## In escapes
#
# A mean loss follows from the covariance of the noise. An escape is made by what goes furthest, and there the rest of
# the noise's law may count too. A small tanh network learns some digits with large batches. Of several, the sharpest
# is polished to its minimum.

# %%
SAMPLE, HIDDEN = (64, 4) if QUICK else (128, 6)
NETWORKS, EPOCHS = (2, 100) if QUICK else (8, 1_000)
RATE, SIZES = 0.1, (4, 5, 6, 8) if QUICK else (4, 6, 8, 12, 16)


def network(key):
    return eqx.nn.MLP(64, 10, HIDDEN, 1, activation=jnp.tanh, key=key)


digits = ss.data.digits()
risk = ss.EmpiricalRisk(
    network(jax.random.key(0)), ss.landscapes.cross_entropy, digits.inputs[:SAMPLE], digits.targets[:SAMPLE],
    penalty=1e-2, held_out=digits.held_out,
)  # fmt: skip
run = {"learning_rate": RATE, "batch_size": SAMPLE // 2, "stop": ss.training.Epochs(EPOCHS)}
trained = ss.train(risk, networks=NETWORKS, start=network, seed=1, **run)
sharpness = trained.measure("sharpness").sharpness
sharp = ss.landscapes.polish(risk, trained.thetas[0, 0, 0, int(sharpness.argmax("network"))], leave_saddles=True)
print(f"sharpness from {float(sharpness.min()):.3g} to {float(sharpness.max()):.3g}; found", sharp)

# %% [markdown]
# From there, three processes leave the set {L < L(θ*) + height}, watched once an iteration: SGD; its SDE, one step of
# normal noise with the same covariance an iteration; and the SDE linearised at the minimum, which knows the Hessian and
# the covariance there and nothing else. The height is a little above the excess loss γ Tr(V)/(4M) at which they hover.

# %%
covariance = risk.gradient_covariance(jnp.asarray(sharp.location, float))
height = RATE * float(jnp.trace(covariance)) / (4 * SIZES[0] * 0.9)
escapes = ss.training.escape_from(
    risk, sharp, learning_rate=RATE, batch_size=list(SIZES), height=height, leave_saddles=True,
    iterations=1_000 if QUICK else 20_000, trajectories=64 if QUICK else 256, seed=2,
)  # fmt: skip
print(escapes)
for place, ratio in enumerate(escapes.inverse_ratio[0]):
    times = "  ".join(f"{name} {escapes.mean_time[at, 0, place]}" for at, name in enumerate(escapes.processes))
    print(f"M/γ = {ratio:g}: {times}")

# %% [markdown]
# The picture that answers: mean times against M/γ, and below over SGD's. Where escapes are frequent the SDE's times are
# near SGD's. Where they are rare it leaves sooner, by a factor that grows, though the covariance is the same: what
# differs is the rest of the noise's law. The minimum alone, linearised, is left later than by either. For means the SDE
# will do; for rare escapes look at SGD's own, which the same calls take.

# %%
panels = escapes.plot()
panels[0].figure.savefig("escape_from_sharp.png", dpi=120)
