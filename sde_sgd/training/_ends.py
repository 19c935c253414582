"""Where networks ended: whether there is a loss and a gradient, and what size of loss is that of the data."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .._numerics import bound

# networks in one call: more would be another copy of all their parameters
_AT_ONCE = 64


def losses_of_ends(risk: Any, thetas: Float[np.ndarray, "n dim"], block: int) -> Float[np.ndarray, " n"]:
    """Loss over all examples of each θ; NaN where it or its gradient is no finite number, though θ may be.

    block: about how many there are in other calls, so that one program serves all.
    """
    size, parts = min(block, _AT_ONCE), []
    call = bound(_losses_of_ends, risk)
    for first in range(0, len(thetas), size):
        some = thetas[first : first + size]
        # of the last block the rows that fill it up are not looked at
        parts.append(np.asarray(call(np.resize(some, (size, thetas.shape[1])), len(some)))[: len(some)])
    return np.concatenate(parts)


def scale_of_loss(risk: Any, starts: Float[np.ndarray, "networks dim"], block: int) -> float:
    """The largest loss at the starts, and at θ = 0, since a start may be a minimum; NaN where there is none."""
    # one start for all is one row
    given = starts if starts.strides[0] else starts[:1]
    found = np.concatenate([losses_of_ends(risk, each, block) for each in (given, np.zeros_like(starts[:1]))])
    return float(np.max(np.abs(found[np.isfinite(found)]), initial=0.0)) or np.nan


def _losses_of_ends(risk: Any, thetas: Any, count: Any) -> Any:
    def put(place: Any, losses: Any) -> Any:
        loss, slope = jax.value_and_grad(risk.loss)(thetas[place])
        sound = jnp.isfinite(loss) & jnp.all(jnp.isfinite(slope))
        return losses.at[place].set(jnp.where(sound, loss, jnp.nan))

    return jax.lax.fori_loop(0, count, put, jnp.full(len(thetas), jnp.nan, thetas.dtype))
