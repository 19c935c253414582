"""Where networks came to their end between two looks: the steps between are taken again, half of them at a time."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from .._numerics import bound
from ..engine import integrate, seed_key
from ._stop import AbstractStop


def between_looks(
    chain: Any,
    stop: AbstractStop,
    seed: Any,
    ids: Int[np.ndarray, " n"],
    states: Float[np.ndarray, "n state_dim"],
    first: Int[np.ndarray, " n"],
    thetas: Float[np.ndarray, "n dim"],
    last: Int[np.ndarray, " n"],
) -> tuple[Float[np.ndarray, "n dim"], Int[np.ndarray, " n"]]:
    """θ after the step at which each network came to its end, and the number of that step.

    chain: of its own numbers, on a risk. seed, ids: of the trajectories. states, first: at the look before, after so
    many steps, where none had come to its end. thetas, last: at the look at which it had.
    One step before it had not; where the loss only falls there is one such step. As many steps are taken again as lie
    between two looks: a draw is a function of its step, so that each is as it was.
    """
    first, thetas, last = first.copy(), thetas.copy(), last.copy()
    risk, dim = chain.chain.risk, thetas.shape[1]
    again = bound(_again, (chain, np.array(seed_key(seed)[::-1], np.uint32)))
    apart = int(np.max(last - first, initial=0))
    while apart > 1:
        half = apart // 2
        now = np.asarray(again(states, ids.astype(np.uint32), first.astype(np.uint32), half))
        within = first + half < last
        there = within & stop.reached(losses_of(risk, now[:, :dim]))
        thetas[there], last[there] = now[there, :dim], first[there] + half
        on = within & ~there
        states, first = np.where(on[:, None], now, states), np.where(on, first + half, first)
        apart -= half
    return thetas, last


def _again(chain_and_seed: Any, states: Any, ids: Any, first: Any, steps: Any) -> Any:
    """States so many steps after the `first` step of each."""
    chain, seed = chain_and_seed

    def one(state, number, first):
        def step(taken, state):
            return integrate(chain, state[None], first + taken.astype(jnp.uint32), 1, seed, number[None])[0]

        return jax.lax.fori_loop(0, steps, step, state)

    return jax.vmap(one)(states, ids, first)


def losses_of(risk: Any, thetas: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " n"]:
    """Loss over all examples of each θ."""
    return np.asarray(bound(_losses, risk)(thetas))


def _losses(risk: Any, thetas: Any) -> Any:
    return jax.lax.map(risk.loss, thetas)
