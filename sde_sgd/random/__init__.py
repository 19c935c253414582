"""Counter-based random numbers, functions of (seed, trajectory, step, component, stream); kinds of increments."""

from .._exports import names_in as _names_in
from ._increments import INCREMENTS as INCREMENTS
from ._increments import AbstractIncrements as AbstractIncrements
from ._increments import Gaussian as Gaussian
from ._increments import Pair as Pair
from ._increments import Rademacher as Rademacher
from ._increments import Words as Words
from ._increments import increments_of as increments_of
from ._increments import short_name as short_name
from ._normals import half_sine as half_sine
from ._normals import horner as horner
from ._normals import normals32 as normals32
from ._normals import normals64 as normals64
from ._normals import uniforms as uniforms
from ._seeds import SeedKey as SeedKey
from ._seeds import derived_key as derived_key
from ._seeds import seed_key as seed_key
from ._seeds import seed_number as seed_number
from ._source import Source as Source
from ._source import bridge_uniforms as bridge_uniforms
from ._stable import Stable as Stable
from ._streams import HashStream as HashStream
from ._streams import Key as Key
from ._streams import Stream as Stream
from ._streams import group_words as group_words
from ._streams import stream_keys as stream_keys
from ._threefry import Word as Word
from ._threefry import threefry2x32 as threefry2x32

__all__ = _names_in(vars())
