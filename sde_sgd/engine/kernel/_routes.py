"""From one body to a kernel: Mosaic GPU, Triton, Mosaic TPU, or interpreted on a CPU.

Pallas takes a third of a second to import, so that is done where a kernel is made.
"""

import abc
import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

Tiles = Sequence[Sequence[Any]]
"""Of each array of a kernel its rows, a tile each."""
Inside = Callable[[list[Any], Tiles], Tiles]
"""What runs in a kernel: (scalars, tiles that go in) → tiles that come out."""


@dataclasses.dataclass(frozen=True)
class AbstractRoute(abc.ABC):
    """How a body becomes a kernel.

    lanes: trajectories in one program of it.
    """

    lanes: int
    name = ""

    @property
    def tile(self) -> tuple[int, ...]:
        """The shape of what has a value for each lane."""
        return (self.lanes,)

    def __call__(self, inside: Inside, scalars: Sequence[Any], arrays: Sequence[Array], out: Sequence[Any]) -> Any:
        """Arrays like `out`, by `inside`. arrays, out: (rows, width), the width a multiple of the lanes."""
        packed, read = _pack(scalars)
        count = len(packed)
        programs = arrays[0].shape[-1] // self.lanes

        def kernel(refs: Sequence[Any], load: Callable, store: Callable) -> None:
            taken, given, results = refs[:count], refs[count : count + len(arrays)], refs[count + len(arrays) :]
            tiles = [
                [load(ref, row) for row in range(array.shape[0])] for ref, array in zip(given, arrays, strict=True)
            ]
            for ref, rows in zip(results, inside(read(taken), tiles), strict=True):
                for row, tile in enumerate(rows):
                    store(ref, row, tile)

        return self._call(kernel, programs, packed, arrays, out)

    @abc.abstractmethod
    def _call(self, kernel: Callable, programs: int, scalars: Sequence[Array], arrays: Sequence[Array], out) -> Any: ...


class Triton(AbstractRoute):
    """Pallas' Triton path: GPUs before Hopper, and what Mosaic has no rule for."""

    name = "Triton"
    interpret = False

    def _call(self, kernel, programs, scalars, arrays, out):
        from jax.experimental import pallas as pl

        def load(ref, row):
            return ref[row, :]

        def store(ref, row, tile):
            ref[row, :] = tile

        def block(array):
            return pl.BlockSpec((array.shape[0], self.lanes), lambda i: (jnp.int32(0), i))

        whole = [pl.BlockSpec(scalar.shape, lambda i: (jnp.int32(0),)) for scalar in scalars]
        return pl.pallas_call(
            lambda *refs: kernel(refs, load, store),
            out_shape=list(out),
            grid=(programs,),
            in_specs=[*whole, *map(block, arrays)],
            out_specs=[block(array) for array in out],
            interpret=self.interpret,
            compiler_params=None if self.interpret else _triton(),
        )(*scalars, *arrays)


class Interpreted(Triton):
    """The kernel's programs one after another, as XLA compiles them: for a CPU, to see what a kernel computes."""

    name = "Pallas, interpreted"
    interpret = True


class TPU(AbstractRoute):
    """Pallas' Mosaic path: tiles of (rows, 128)."""

    name = "Mosaic TPU"

    @property
    def tile(self):
        return (self.lanes // 128, 128)

    def _call(self, kernel, programs, scalars, arrays, out):
        from jax.experimental import pallas as pl
        from jax.experimental.pallas import tpu as pltpu

        def load(ref, row):
            return ref[row]

        def store(ref, row, tile):
            ref[row] = tile

        def block(array):
            return pl.BlockSpec((array.shape[0], *self.tile), lambda i: (jnp.int32(0), i, jnp.int32(0)))

        def in_rows(array):
            return array.shape[0], array.shape[1] // 128, 128

        whole = [pl.BlockSpec(memory_space=pltpu.SMEM) for _ in scalars]
        results = pl.pallas_call(
            lambda *refs: kernel(refs, load, store),
            out_shape=[jax.ShapeDtypeStruct(in_rows(array), array.dtype) for array in out],
            grid=(programs,),
            in_specs=[*whole, *map(block, arrays)],
            out_specs=[block(array) for array in out],
        )(*scalars, *(array.reshape(in_rows(array)) for array in arrays))
        return [result.reshape(array.shape) for result, array in zip(results, out, strict=True)]


class MosaicGPU(AbstractRoute):
    """Pallas' Mosaic path for Hopper and later: a program is one warp group, 128 threads."""

    name = "Mosaic GPU"

    def _call(self, kernel, programs, scalars, arrays, out):
        from jax.experimental import pallas as pl
        from jax.experimental.pallas import mosaic_gpu as plgpu

        def body(*refs):
            here = pl.ds(jax.lax.axis_index("programs") * self.lanes, self.lanes)

            def load(ref, row):
                # one number a thread at a time: neighbours lie next to each other
                layout = plgpu.Layout.WG_STRIDED((self.lanes,), vec_size=1)
                if "idx" in _parameters(plgpu.load):
                    return plgpu.load(ref, (row, here), layout=layout)
                return plgpu.load(ref.at[row, here], layout=layout)

            def store(ref, row, tile):
                ref[row, here] = tile

            kernel(refs, load, store)

        names = {"grid": (programs,), "grid_names": ("programs",)}
        shapes = [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in out]
        if "out_type" in _parameters(plgpu.kernel):
            return plgpu.kernel(body, out_type=shapes, **names)(*scalars, *arrays)
        return plgpu.kernel(body, out_shape=shapes, **names)(*scalars, *arrays)


def _triton() -> Any:
    """What asks for that path: a GPU's own is Mosaic, where it has one."""
    from jax.experimental.pallas import triton

    return triton.CompilerParams(num_warps=4)


def _parameters(function: Callable) -> Any:
    return inspect.signature(function).parameters


def _pack(scalars: Sequence[Any]) -> tuple[list[Array], Callable[[Sequence[Any]], list[Any]]]:
    """Scalars as one vector for each of their dtypes, truth values as whole numbers, and how a kernel reads them."""
    each = [jnp.asarray(scalar) for scalar in scalars]
    words = [scalar.astype(jnp.int32) if scalar.dtype == bool else scalar for scalar in each]
    dtypes = list(dict.fromkeys(np.dtype(word.dtype) for word in words))
    vectors = [[word for word in words if word.dtype == dtype] for dtype in dtypes]
    places = {dtype: 0 for dtype in dtypes}
    where = []
    for word, scalar in zip(words, each, strict=True):
        where.append((dtypes.index(word.dtype), places[word.dtype], scalar.dtype == bool))
        places[word.dtype] += 1

    def read(refs: Sequence[Any]) -> list[Any]:
        found = [(refs[vector][place], truth) for vector, place, truth in where]
        return [value != 0 if truth else value for value, truth in found]

    return [jnp.stack(vector) for vector in vectors], read
