# %%
import dataclasses
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

import sde_sgd as ss
from sde_sgd import random

ids = jnp.arange(4, dtype=jnp.uint32)

# %% seed_key, SeedKey, seed_number
key: random.SeedKey = random.seed_key(2**40 + 3)
random.seed_number(2**40 + 3)  # → 1099511627779

# %% derived_key, Stream
other = random.derived_key(key, random.Stream.SECOND_SCORE)
other == key  # → False

# %% threefry2x32, Word
# a known answer of the paper's authors: a key of zeros, and a counter of zeros
first: random.Word
first, second = random.threefry2x32((jnp.uint32(0), jnp.uint32(0)), (jnp.uint32(0), jnp.uint32(0)))
hex(first), hex(second)  # → ('0x6b200159', '0x99ba4efe')

# %% stream_keys, HashStream, Key
keys: random.Key = random.stream_keys(key, components=2, stream=random.HashStream.DYNAMICS)
keys[0].shape  # → (2,)

# %% group_words
words = random.group_words(key, ids, group=0, components=2)
words[0].shape  # → (2, 4)

# %% normals32
pair = random.normals32(*words)
pair[0].shape  # → (2, 4)

# %% normals64
import jax

with jax.enable_x64(True):
    precise = random.normals64(words, random.group_words(key, ids, group=1, components=2))[0].dtype
precise  # → float64

# %% uniforms
uniform = random.uniforms(words[0], jnp.float32)
bool(jnp.all((uniform > 0) & (uniform < 1)))  # → True

# %% half_sine
angle = jnp.array([0.5, 1.0])
np.allclose(random.half_sine(angle, angle**2), np.sin([0.5, 1.0]))  # → True

# %% horner
random.horner([1.0, 2.0, 3.0], 10.0)  # → 123.0

# %% Gaussian, Rademacher, Words, Stable, INCREMENTS
kinds = random.Gaussian(), random.Rademacher(), random.Words(), random.Stable(1.5)
sorted(random.INCREMENTS)  # → ['gaussian', 'rademacher', 'words']
[kind.steps_per_hash for kind in kinds]  # → [2, 64, 2, 2]

# %% increments_of, short_name
random.increments_of("rademacher") == random.Rademacher()  # → True
random.short_name(random.Gaussian())  # → gaussian

# %% Source
source = random.Source.of("gaussian", key, 2, jnp.float32)
pair = source.stored(ids, jnp.uint32(0))
source.step(pair, 0).shape  # → (2, 4)

# %% bridge_uniforms
bridge = random.stream_keys(key, 1, random.HashStream.BRIDGE)
random.bridge_uniforms(bridge, ids, jnp.uint32(3), 0, jnp.float32)[0].shape  # → (4,)


# %% AbstractIncrements, Pair
@dataclasses.dataclass(frozen=True)
class Uniform(random.AbstractIncrements):
    """Increments of your own: elementwise from two words, with mean 0 and variance 1."""

    steps_per_hash: ClassVar[int] = 2

    def draw(self, *words) -> random.Pair:
        ((first, second),) = words
        width = 2 * 3**0.5
        return tuple(width * (random.uniforms(word, jnp.float32) - 0.5) for word in (first, second))


walk = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(ss.landscapes.Quadratic([1.0]), 0.5), 0.1, increments=Uniform())
abs(ss.simulate(walk, np.zeros(1), steps=1, trajectories=4096, seed=0)).max() < 0.1**0.5 * 3**0.5  # → True
