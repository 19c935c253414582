# %%
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import sde_sgd as ss
from sde_sgd import training

data = ss.data.mnist1d(samples=100, held_out=0.2)


def network(key):
    return eqx.nn.MLP(40, 10, 4, 1, activation=jnp.tanh, key=key)


risk = ss.EmpiricalRisk(
    network(jax.random.key(0)), ss.landscapes.cross_entropy, data.inputs, data.targets, held_out=data.held_out
)

# %% train, Training
trained: ss.Training = ss.train(
    risk, networks=4, learning_rate=0.1, batch_size=[8, 40], stop=training.Epochs(2), start=network, progress=False
)
trained.status  # → complete

# %% plan, TrainingPlan
many: training.TrainingPlan = training.plan(risk, networks=256, learning_rate=[0.1, 0.2], batch_size=[8, 40])
print(many)
many.networks  # → 1024

# %% Epochs, Steps, Loss, AbstractStop
stops: list[training.AbstractStop] = [training.Epochs(10), training.Steps(500), training.Loss(0.5)]
# at most so many steps of batches of 8 of 80 examples
[stop.steps(80, 8) for stop in stops[:2]]  # → [100, 500]

# %% MEASURES, Measure
sorted(training.MEASURES)[:2]  # → ['accuracy', 'alignment']
size = training.Measure(lambda risk, thetas, looks: jnp.sum(thetas**2, axis=-1), "1", "squared norm of θ")

# %% law_over_networks
each = trained.measure("train_loss")
law = training.law_over_networks(each, "train_loss")
law.train_loss.squeeze().values.round(1)

# %% laws_and_networks
both = training.laws_and_networks(trained, ["train_loss"], 0.95)
both.sizes["network"]  # → 4

# %% verdicts
measured = trained.to_dataset("sharpness", "held_out_loss")
training.verdicts(measured)[0]

# %% stability
# sharpness over 2/γ, beyond which gradient descent is unstable
near = training.stability(measured)
float(near.stability.max()) < 1  # → True

# %% compare, Comparison
inputs = np.random.default_rng(0).normal(size=(32, 2))
line = eqx.nn.Linear(2, "scalar", use_bias=False, key=jax.random.key(0))
regression = ss.EmpiricalRisk(line, ss.landscapes.squared_error, inputs, inputs @ [1.0, -1.0] + inputs[:, 0] ** 2)
chains = {
    "SGD": ss.MinibatchSGD(regression, 0.1, 8),
    "SDE": ss.EulerMaruyama(ss.LangevinSGD(regression, ss.noise.PerExample(), 0.1, 8), dt=0.05),
}
compared: ss.Comparison = ss.compare(regression, chains=chains, time=1.0, networks=32, permutations=99, progress=False)
compared.names, compared.p_value

# %% escape_from, TrainedEscape
minimum = ss.landscapes.polish(regression, regression.initial).location
left: training.TrainedEscape = training.escape_from(
    regression, minimum, learning_rate=0.1, batch_size=[4, 8], height=0.05, iterations=100, trajectories=64,
    progress=False,
)  # fmt: skip
left.sentence
