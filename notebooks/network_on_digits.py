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
# # A network on digits
#
# A small network learns handwritten digits with batches of different sizes. Do large batches find sharper minima, and
# do these do worse on digits that they have not seen?

# %%
import os
import sys

import equinox as eqx
import jax
import matplotlib.pyplot as plt

import sde_sgd as ss
from sde_sgd.training import Epochs, Loss

# the quick size has fewer networks, digits and batch sizes, and trains for shorter
QUICK = "--quick" in sys.argv or bool(os.environ.get("SDE_SGD_QUICK"))
EXAMPLES, NETWORKS, EPOCHS = (128, 8, 10) if QUICK else (512, 32, 60)
SIZES = (8, 32) if QUICK else (4, 8, 16, 32, 64, 128)
MEASURES = ("train_loss", "held_out_loss", "held_out_accuracy", "sharpness")

# %% [markdown]
# The digits are those of scikit-learn, 8 × 8 pixels, split into those to learn and those held out. Any equinox model
# will do; `EmpiricalRisk` makes a landscape of it, whose θ are all its weights in one vector. Weight decay gives it
# minima: without, no place is lowest where all labels are right.


# %%
def network(key):
    return eqx.nn.MLP(64, 10, 16, 1, activation=jax.numpy.tanh, key=key)


digits = ss.data.digits(held_out=0.2)
risk = ss.EmpiricalRisk(
    network(jax.random.key(0)), ss.landscapes.cross_entropy, digits.inputs[:EXAMPLES], digits.targets[:EXAMPLES],
    penalty=1e-3, held_out=digits.held_out,
)  # fmt: skip
print(f"{risk.dim:,} weights, {EXAMPLES} digits to learn, {len(digits.held_out_targets)} held out")

# %% [markdown]
# `train` runs many networks at once, each from a start of its own, over all batch sizes. What is equal in a comparison
# of batch sizes? Here there are two answers: as many passes through the data for all, and as low a loss for all,
# weight decay included, each network at the step at which it came down to it: a small batch makes many steps in a pass,
# and would have come further by its end.

# %%
run = {"networks": NETWORKS, "learning_rate": 0.2, "batch_size": list(SIZES), "start": network, "seed": 1}
trained = {
    "equal epochs": ss.train(risk, stop=Epochs(EPOCHS), **run),
    "equal loss": ss.train(risk, stop=Loss(0.5 if QUICK else 0.2, most=Epochs(400)), **run),
}
for name, found in trained.items():
    print(name, found, found.law(*MEASURES).to_dataframe()[[*MEASURES]].round(4), sep="\n\n", end="\n\n")

# %% [markdown]
# What these numbers say, in sentences that are computed from them: each has an interval over networks.

# %%
for name, found in trained.items():
    data = found.to_dataset("sharpness", "held_out_loss")
    for sentence in ss.training.verdicts(data.assign_attrs(question="batch")):
        print(f"{name}: {sentence}")

# %% [markdown]
# ## Between two of them
#
# The line from what the smallest batches found to what the largest did, at equal loss, and beyond both: the loss of the
# digits learned, and of those held out. Sharpness is curvature in the one steepest direction, and this line is some
# other one.

# %%
small, large = (trained["equal loss"].thetas[0, place, 0, 0] for place in (0, -1))
line = ss.landscapes.along(risk, small, large)
figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
axes.semilogy(line.alphas, line.loss, color="#1f5fa8", label="digits learned, penalty included")
axes.semilogy(line.alphas, line.held_out_loss, "--", color="#c1440e", label="digits held out")
for place, size in zip((0, 1), (SIZES[0], SIZES[-1]), strict=True):
    axes.axvline(place, color="black", lw=0.8, ls=":")
    axes.annotate(f"M = {size}", (place, 0.97), (4, 0), textcoords="offset points", va="top",
                  xycoords=("data", "axes fraction"), fontsize=9)  # fmt: skip
axes.set(xlabel="α, on the line from the small batch's (0) to the large batch's (1)", ylabel="loss")
axes.legend(fontsize=8)

# %% [markdown]
# The picture that answers: means over networks, with intervals and each network as a point. At equal epochs sharpness
# and test loss both grow with the batch size, because a large batch has made fewer steps and has not come as far. At
# equal loss the sharpness still grows, and the test loss far less: what large batches find is sharper, and that is not
# the same as worse.

# %%
figure, panels = plt.subplots(2, 2, figsize=(11.0, 7.4), layout="constrained", sharey="row")
words = {"sharpness": "sharpness (loss/θ²)", "held_out_loss": "loss on digits held out"}
for column, (name, found) in zip(panels.T, trained.items(), strict=True):
    for panel, measure in zip(column, words, strict=True):
        found.plot(panel, measure=measure).set(yscale="log", title=f"at {name}", ylabel=words[measure])
figure.savefig("network_on_digits.png", dpi=120)
