"""Escape from a sharp minimum that training with large batches found: SGD, its SDE and the theory of the minimum alone.

A small tanh network learns some of scikit-learn's digits with large batches; the sharpest of several networks is
polished to its minimum. From there SGD, its diffusion and the diffusion linearised at the minimum leave a sublevel set,
for several γ/M. Draws `escape_from_sharp.png` into the current folder; takes a minute or two on two cores. With
`--quick` it takes fewer networks, examples and trajectories, and its intervals are wide.
"""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp

import sde_sgd as ss

QUICK = "--quick" in sys.argv
EXAMPLES, HIDDEN = (64, 4) if QUICK else (128, 6)
NETWORKS, EPOCHS, TRAJECTORIES = (2, 100, 64) if QUICK else (8, 1_000, 256)
RATE, SIZES = 0.1, (4, 5, 6, 8) if QUICK else (4, 6, 8, 12, 16)
# of the height of the set, the linearised diffusion's stationary excess loss γ Tr(V)/(4M) at the smallest batches
SHARE = 0.9


def network(key):
    return eqx.nn.MLP(64, 10, HIDDEN, 1, activation=jnp.tanh, key=key)


def sharp_minimum():
    """The risk, and θ of the sharpest of networks that large batches trained."""
    digits = ss.data.digits()
    risk = ss.EmpiricalRisk(
        network(jax.random.key(0)), ss.landscapes.cross_entropy, digits.inputs[:EXAMPLES], digits.targets[:EXAMPLES],
        penalty=1e-2, held_out=digits.held_out,
    )  # fmt: skip
    stop = ss.training.Epochs(EPOCHS)
    trained = ss.train(
        risk, networks=NETWORKS, learning_rate=RATE, batch_size=EXAMPLES // 2, stop=stop, start=network, seed=1
    )
    data = trained.measure("sharpness", "loss", "held_out_accuracy")
    for name in ("sharpness", "loss", "held_out_accuracy"):
        print(f"{name}: {float(data[name].min()):.4g} to {float(data[name].max()):.4g} over {NETWORKS} networks")
    return risk, trained.thetas[0, 0, 0, int(data["sharpness"].argmax("network"))]


def main() -> None:
    risk, theta = sharp_minimum()
    minimum = ss.landscapes.polish(risk, theta, leave_saddles=True)
    print("found", minimum)
    covariance = risk.gradient_covariance(jnp.asarray(minimum.location, float))
    height = RATE * float(jnp.trace(covariance)) / (4 * SIZES[0] * SHARE)
    found = ss.training.escape_from(
        risk, minimum, learning_rate=RATE, batch_size=list(SIZES), height=height, leave_saddles=True,
        iterations=1_000 if QUICK else 20_000, trajectories=TRAJECTORIES, seed=2,
    )  # fmt: skip
    print(found)
    for place, ratio in enumerate(found.inverse_ratio[0]):
        times = "  ".join(f"{name} {found.mean_time[at, 0, place]}" for at, name in enumerate(found.processes))
        print(f"M/γ = {ratio:g}: {times}")
    found.plot()[0].figure.savefig("escape_from_sharp.png", dpi=120)


if __name__ == "__main__":
    main()
