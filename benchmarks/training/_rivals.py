"""Our call and its rivals, as contenders; every one trains from the same start at the same rate."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import sde_sgd as ss

from ..speed._measure import OURS, Contender, Entry, Missing
from ._problems import BATCH, RATE, Problem

BY_HAND, SCANNED, LOOP = "vmapped scan by hand", "one network, scanned", "Python loop over jitted steps"
TORCH, TORCH_FUNC, PRODUCTS = "PyTorch loop", "PyTorch, torch.func", "products alone"


def ours(problem: Problem, networks: int, steps: int) -> Contender:
    risk = problem.risk()

    def run() -> np.ndarray:
        found = ss.train(
            risk, networks=networks, learning_rate=RATE, batch_size=BATCH, sampling="replacement",
            stop=ss.training.Steps(steps), seed=0, progress=False,
        )  # fmt: skip
        return found.thetas.reshape(networks, -1)

    return Contender(OURS, run, networks, steps)


def _batch_loss(problem: Problem) -> Callable:
    """Mean loss of a model over a batch, as a person writes it."""
    if problem.batched:
        return lambda model, x, y: jnp.mean(ss.landscapes.cross_entropies(model, x, y))
    return lambda model, x, y: jnp.mean(jax.vmap(ss.landscapes.cross_entropy, (None, 0, 0))(model, x, y))


class _Plain:
    """A model's arrays, the step of one network, and the data on the device."""

    def __init__(self, problem: Problem):
        model = problem.model()
        self.arrays, self.rest = eqx.partition(model, eqx.is_inexact_array)
        self.inputs, self.targets = map(jnp.asarray, problem.data())
        self.loss = _batch_loss(problem)

    def draw(self, key: Any, shape: tuple[int, ...]) -> Any:
        return jax.random.randint(key, shape, 0, len(self.inputs))

    def step(self, arrays: Any, indices: Any, inputs: Any, targets: Any) -> Any:
        def loss(arrays):
            return self.loss(eqx.combine(arrays, self.rest), inputs[indices], targets[indices])

        return jax.tree.map(lambda x, gradient: x - RATE * gradient, arrays, jax.grad(loss)(arrays))

    def scan(self, arrays: Any, key: Any, inputs: Any, targets: Any, steps: int) -> Any:
        def step(arrays, number):
            return self.step(arrays, self.draw(jax.random.fold_in(key, number), (BATCH,)), inputs, targets), None

        return jax.lax.scan(step, arrays, jnp.arange(steps))[0]

    def many(self, networks: int) -> Any:
        return jax.tree.map(lambda x: jnp.tile(x, (networks, *(1,) * x.ndim)), self.arrays)


def _rows(arrays: Any, networks: int) -> np.ndarray:
    return np.concatenate([np.asarray(leaf).reshape(networks, -1) for leaf in jax.tree.leaves(arrays)], axis=1)


def vmapped_scan(problem: Problem, networks: int, steps: int) -> list[Entry]:
    plain = _Plain(problem)

    @functools.partial(jax.jit, donate_argnums=0)
    def each(arrays, keys, inputs, targets):
        return jax.vmap(lambda arrays, key: plain.scan(arrays, key, inputs, targets, steps))(arrays, keys)

    @functools.partial(jax.jit, donate_argnums=0)
    def together(arrays, key, inputs, targets):
        def step(arrays, number):
            indices = plain.draw(jax.random.fold_in(key, number), (networks, BATCH))
            return jax.vmap(plain.step, (0, 0, None, None))(arrays, indices, inputs, targets), None

        return jax.lax.scan(step, arrays, jnp.arange(steps))[0]

    def run(how: Callable, key: Any) -> np.ndarray:
        return _rows(how(plain.many(networks), key, plain.inputs, plain.targets), networks)

    key = jax.random.key(1)
    ways = {
        "a key for each network": functools.partial(run, each, jax.random.split(key, networks)),
        "indices drawn together": functools.partial(run, together, key),
    }
    return [Contender(BY_HAND, way, networks, steps, name) for name, way in ways.items()]


def scanned(problem: Problem, steps: int) -> list[Entry]:
    plain = _Plain(problem)
    one = jax.jit(functools.partial(plain.scan, steps=steps), donate_argnums=0)

    def run() -> np.ndarray:
        start = jax.tree.map(jnp.copy, plain.arrays)
        return _rows(one(start, jax.random.key(2), plain.inputs, plain.targets), 1)

    return [Contender(SCANNED, run, 1, steps)]


def python_loop(problem: Problem, steps: int) -> list[Entry]:
    plain = _Plain(problem)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(arrays, key, inputs, targets):
        key, now = jax.random.split(key)
        return plain.step(arrays, plain.draw(now, (BATCH,)), inputs, targets), key

    def run() -> np.ndarray:
        arrays, key = jax.tree.map(jnp.copy, plain.arrays), jax.random.key(3)
        for _ in range(steps):
            arrays, key = step(arrays, key, plain.inputs, plain.targets)
        return _rows(arrays, 1)

    return [Contender(LOOP, run, 1, steps)]


def torch_loop(problem: Problem, steps: int) -> list[Entry]:
    """A dense network of PyTorch's own modules and optimiser."""
    if problem.sizes is None:
        return [Missing(TORCH, "written for dense networks only")]
    torch = _torch()
    if isinstance(torch, str):
        return [Missing(TORCH, torch)]
    inputs, labels = problem.data()
    x, y = torch.from_numpy(inputs), torch.from_numpy(labels.astype(np.int64))
    model = _torch_model(torch, problem)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)

    def run() -> None:
        for _ in range(steps):
            indices = torch.randint(len(x), (BATCH,))
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[indices]), y[indices]).backward()
            optimizer.step()

    return [Contender(TORCH, run, 1, steps)]


def torch_func(problem: Problem, networks: int, steps: int) -> list[Entry]:
    """Many networks at once as PyTorch's own guide to model ensembling has it, on its accelerator where it sees one."""
    torch = _torch()
    if isinstance(torch, str):
        return [Missing(TORCH_FUNC, torch)]
    place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    inputs, labels = problem.data()
    x, y = torch.from_numpy(inputs).to(place), torch.from_numpy(labels.astype(np.int64)).to(place)
    model = _torch_model(torch, problem).to(place)
    start = {name: torch.stack([each.detach()] * networks) for name, each in model.named_parameters()}

    def loss(parameters: Any, x: Any, y: Any) -> Any:
        return torch.nn.functional.cross_entropy(torch.func.functional_call(model, parameters, (x,)), y)

    gradients = torch.func.vmap(torch.func.grad(loss))

    def run() -> np.ndarray:
        with torch.no_grad():
            arrays = {name: each.clone() for name, each in start.items()}
            for _ in range(steps):
                indices = torch.randint(len(x), (networks, BATCH), device=place)
                for name, gradient in gradients(arrays, x[indices], y[indices]).items():
                    arrays[name].sub_(gradient, alpha=RATE)
            return torch.cat([each.reshape(networks, -1) for each in arrays.values()], dim=1).cpu().numpy()

    return [Contender(TORCH_FUNC, run, networks, steps, str(place))]


def _torch() -> Any:
    """The module, or why there is none."""
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        return f"not installed ({error.name})"
    return torch


def _torch_model(torch: Any, problem: Problem) -> Any:
    """The problem's network of PyTorch's own modules, with weights of its own."""
    nn = torch.nn
    if problem.sizes is None:
        images = nn.Unflatten(-1, (1, 8, 8))
        convolutions = nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU()
        return nn.Sequential(images, *convolutions, nn.Flatten(), nn.Linear(256, 10))
    first, hidden, last = problem.sizes
    return nn.Sequential(nn.Linear(first, hidden), nn.Tanh(), nn.Linear(hidden, last))


def products(problem: Problem, networks: int, steps: int) -> list[Entry]:
    """The five products of a step of a dense network, forward and backward, and nothing else but what links them."""
    if problem.sizes is None:
        return [Missing(PRODUCTS, "written for dense networks only")]
    first, hidden, last = problem.sizes
    shapes = ((networks, BATCH, first), (networks, first, hidden), (networks, hidden, last))
    generator = np.random.default_rng(0)
    x, one, two = (jnp.asarray(0.01 * generator.normal(size=shape), jnp.float32) for shape in shapes)

    @jax.jit
    def run(x, one, two):
        def step(weights, _):
            one, two = weights
            inner = x @ one
            outer = inner @ two
            back = outer @ two.mT
            # what a product gives is the next step's factor, so that none is left out
            return (x.mT @ back, inner.mT @ outer), None

        return jax.lax.scan(step, (one, two), None, length=steps)[0]

    return [Contender(PRODUCTS, lambda: np.asarray(run(x, one, two)[1]) * 0, networks, steps)]
