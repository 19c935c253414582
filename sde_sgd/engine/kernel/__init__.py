"""A block of steps as one kernel (Pallas): states in registers from first to last, from the lowered step."""

from ._block import advance as advance
from ._block import watched as watched
from ._choice import choose as choose
from ._routes import AbstractRoute as AbstractRoute
