"""Networks, their data, and how long each contender runs them."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import sde_sgd as ss

BATCH, RATE = 32, 0.05


class Dense(eqx.Module):
    """A tanh network with one hidden layer; maps one input, (in,), or many, (n, in)."""

    weights: list[jax.Array]
    biases: list[jax.Array]

    def __init__(self, *sizes: int):
        generator, pairs = np.random.default_rng(0), list(itertools.pairwise(sizes))
        self.weights = [jnp.asarray(generator.normal(size=pair) / np.sqrt(pair[0]), jnp.float32) for pair in pairs]
        self.biases = [jnp.zeros(size) for size in sizes[1:]]

    def __call__(self, x: jax.Array) -> jax.Array:
        hidden = jnp.tanh(x @ self.weights[0] + self.biases[0])
        return hidden @ self.weights[1] + self.biases[1]


class Convolutional(eqx.Module):
    """Two 3 × 3 convolutions, to 8 and to 16 channels at half the width, and a linear layer: 3,818 parameters."""

    first: eqx.nn.Conv2d
    second: eqx.nn.Conv2d
    last: eqx.nn.Linear

    def __init__(self):
        keys = jax.random.split(jax.random.key(0), 3)
        self.first = eqx.nn.Conv2d(1, 8, 3, padding=1, key=keys[0])
        self.second = eqx.nn.Conv2d(8, 16, 3, stride=2, padding=1, key=keys[1])
        self.last = eqx.nn.Linear(256, 10, key=keys[2])

    def __call__(self, x: jax.Array) -> jax.Array:
        features = jax.nn.relu(self.first(x.reshape(1, 8, 8)))
        return self.last(jax.nn.relu(self.second(features)).ravel())


@dataclass(frozen=True)
class Problem:
    """steps: of a run of one network; many together run fewer steps each. networks: how many together.

    sizes: of the layers, for the products of their shapes and for PyTorch; None where it is no dense network.
    """

    name: str
    text: str
    model: Callable[[], Any]
    data: Callable[[], tuple[np.ndarray, np.ndarray]]
    sizes: tuple[int, int, int] | None
    networks: tuple[int, ...]
    steps: int
    batched: bool = False

    def risk(self) -> ss.EmpiricalRisk:
        loss = ss.landscapes.cross_entropies if self.batched else ss.landscapes.cross_entropy
        return ss.EmpiricalRisk(self.model(), loss, *self.data(), batched=self.batched)


def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    found: Any = load_digits()
    return (found.data / 16).astype(np.float32), found.target.astype(np.int32)


def _gaussian() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(1_024, 784)).astype(np.float32) / 28
    return inputs, generator.integers(0, 10, 1_024).astype(np.int32)


def _dense(name: str, text: str, data: Any, sizes: tuple[int, int, int], steps: int) -> list[Problem]:
    """With one example's loss, and with those of all at once."""
    more = {"model": lambda: Dense(*sizes), "data": data, "sizes": sizes, "networks": (1, 8, 64), "steps": steps}
    return [
        Problem(name, f"{text}, one example's loss", **more),
        Problem(f"{name}_batched", f"{text}, all losses at once", **more, batched=True),
    ]


PROBLEMS = [
    *_dense("digits", "64-16-10 tanh on digits", _digits, (64, 16, 10), 16_000),
    *_dense("wide", "784-32-10 tanh on Gaussian numbers", _gaussian, (784, 32, 10), 2_400),
    Problem("cnn", "small convolutional network on digits", Convolutional, _digits, None, (32,), 400),
]
