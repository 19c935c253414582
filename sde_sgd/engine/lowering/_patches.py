"""Convolutions as products of matrices (im2col), for compilers whose own convolution is slow for many kernels at once.

Mapped over networks a convolution becomes a grouped one, which XLA runs several times slower on a CPU than one network
after another; and one network's own convolution takes one thread where it stands in a loop. A product of patches is a
product of matrices, mapped or not (Chellapilla, Puri and Simard 2006).
"""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike


def is_plain(parameters: dict[str, Any]) -> bool:
    """Whether a convolution with these parameters of its primitive has no groups, so that one product makes it."""
    return parameters["feature_group_count"] == parameters["batch_group_count"] == 1


def product_of_patches(image: ArrayLike, kernel: ArrayLike, parameters: dict[str, Any]) -> Array:
    """What `lax.conv_general_dilated_p` makes of an image and a kernel, without groups, to rounding.

    The image is cut at every place of the kernel, or at every place of the result where those are fewer, as in the
    derivative with respect to a kernel. Both cut the same patches out of an image, so a compiler makes them once for a
    layer and for that derivative.
    """
    # what is known before the program runs is NumPy's
    image, kernel = jnp.asarray(image), jnp.asarray(kernel)
    numbers = parameters["dimension_numbers"]
    strides, spread = parameters["window_strides"], parameters["rhs_dilation"]
    examples, features, *axes = numbers.lhs_spec
    shape = [kernel.shape[axis] for axis in numbers.rhs_spec[2:]]
    kernel = kernel.transpose(numbers.rhs_spec[0], *numbers.rhs_spec[2:], numbers.rhs_spec[1])
    padded = _padded(image, axes, parameters["padding"], parameters["lhs_dilation"])
    room = [padded.shape[axis] - (size - 1) * step - 1 for axis, size, step in zip(axes, shape, spread, strict=True)]
    places = [space // step + 1 for space, step in zip(room, strides, strict=True)]
    product = functools.partial(
        jax.lax.dot_general,
        precision=parameters["precision"],
        preferred_element_type=parameters["preferred_element_type"],
    )
    if math.prod(shape) <= math.prod(places):
        patches = _cut(padded.transpose(features, *axes, examples), shape, spread, places, strides)
        outputs, *inner, inputs = kernel.shape
        kernel = kernel.reshape(outputs, math.prod(inner), inputs)
        # (outputs, places…, examples)
        result = product(kernel, patches, (((1, 2), (0, 1)), ((), ())))
        order = (len(axes) + 1, 0, *range(1, len(axes) + 1))
    else:
        patches = _cut(padded.transpose(examples, *axes, features), places, strides, shape, spread)
        inner = range(2, 2 + len(axes) + 1)
        # (places, examples, outputs)
        result = product(patches, kernel, ((inner, range(1, kernel.ndim)), ((), ())))
        result = result.reshape(*places, *result.shape[1:])
        order = (len(axes), len(axes) + 1, *range(len(axes)))
    # to (examples, outputs, places…), and then to where the result has them
    back = [0] * len(numbers.out_spec)
    for here, there in enumerate(numbers.out_spec):
        back[there] = order[here]
    return result.transpose(back)


def _padded(image: Array, axes: Sequence[int], padding: Any, dilation: Any) -> Array:
    """With zeros around, and between, its elements on `axes`."""
    widths = [(0, 0, 0)] * image.ndim
    for axis, (low, high), step in zip(axes, padding, dilation, strict=True):
        widths[axis] = (low, high, step - 1)
    return jax.lax.pad(image, jnp.zeros((), image.dtype), widths)


def _cut(
    image: Array, starts: Sequence[int], between: Sequence[int], sizes: Sequence[int], steps: Sequence[int]
) -> Array:
    """(starts, first axis, sizes…, last axis): at each start so many elements, `steps` apart.

    starts, between: how many starts along each axis but the first and the last, and how far apart they are.
    """

    def at(*place: int) -> Array:
        first = [number * apart for number, apart in zip(place, between, strict=True)]
        last = [low + (size - 1) * step + 1 for low, size, step in zip(first, sizes, steps, strict=True)]
        ends = image.shape[0], image.shape[-1]
        return jax.lax.slice(image, (0, *first, 0), (ends[0], *last, ends[1]), (1, *steps, 1))

    return jnp.stack([at(*place) for place in itertools.product(*map(range, starts))])
