"""A block of steps as one kernel: states and marks of any number of trajectories, filled up to whole programs."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32

from ._body import Body, Lanes, Own
from ._routes import AbstractRoute


def advance(
    route: AbstractRoute, chain, states, key, ids, first, count, aligned: bool, guard, tuning
) -> Float[Array, "dim n"]:
    """What `_integrate.advance` makes of these arguments, with one `first` for all trajectories.

    aligned: whether the steps begin and end between groups that share a hash, and between unrolled iterations.
    """
    return _run(route, chain, None, key, (states, None), Own(ids), None, first, count, not aligned, guard, tuning)[0]


def watched(
    route: AbstractRoute, shared, stop, count, states, tuning, ids, *past
) -> tuple[Float[Array, "dim n"], Int32[Array, " n"]]:
    """What `_watch.watched` makes of these arguments; a state stays after a stop in any case."""
    chain, monitor, key, since, first, guard = shared
    clock, budget = past or (None, None)
    own = Own(ids, first if past else None, clock, budget)
    return _run(route, chain, monitor, key, (states, stop), own, since, first, count, False, guard, tuning)


def _run(route, chain, monitor, key, given, own: Own, since, first, count, edges, guard, tuning) -> tuple[Any, Any]:
    width = given[1].shape[0] if given[1] is not None else own.ids.shape[0]
    arrays = [given[0], *(each[None] for each in (given[1], *own) if each is not None)]
    tile = route.tile

    def like(array):
        return [jax.ShapeDtypeStruct(tile, array.dtype)] * array.shape[0]

    def grouped(tiles):
        """The tiles of all arrays as what a body works on."""
        rest = iter(tiles[1:])
        marks = None if given[1] is None else next(rest)[0]
        return Lanes(tiles[0], marks), Own(*(None if each is None else next(rest)[0] for each in own))

    body = Body(chain, monitor, key, since, guard, grouped([like(array) for array in arrays]), edges, tuning)
    first = jnp.uint32(0) if own.since is not None else jnp.asarray(first, jnp.uint32)

    def inside(scalars, tiles):
        first, count, *values = scalars
        lanes = body.run(values, *grouped(tiles), first, count)
        return [lanes.states, *([] if lanes.marks is None else [[lanes.marks]])]

    whole = -(-width // route.lanes) * route.lanes
    arrays = [jnp.pad(array, ((0, 0), (0, whole - width)), "edge") if whole > width else array for array in arrays]
    out = arrays[: 1 if given[1] is None else 2]
    scalars = [first, jnp.asarray(count, jnp.int32), *body.values]
    results = route(inside, scalars, arrays, [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in out])
    states, *marks = (result[:, :width] for result in results)
    return states, marks[0][0] if marks else None
