"""A chain's step read component by component, for a compiler to fuse."""

from ._components import ComponentArray as ComponentArray
from ._derivatives import BODIES as BODIES
from ._program import CALLS as CALLS
from ._program import Program as Program
from ._program import holds as holds
from ._program import live as live
from ._rules import Unlowerable as Unlowerable
