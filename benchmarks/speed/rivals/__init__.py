"""What a knowing user would write or install instead, each in its best dress.

Every function returns a list of contenders; a rival whose library is not there is in it as missing.
"""

from ._batched import batched_philox as batched_philox
from ._batched import batched_scan as batched_scan
from ._compiled import yardstick as yardstick
from ._optional import cupy_kernel as cupy_kernel
from ._optional import cupy_threefry as cupy_threefry
from ._optional import diffrax_solves as diffrax_solves
from ._optional import diffrax_tree as diffrax_tree
from ._optional import numba_loops as numba_loops
from ._optional import pytams_rounds as pytams_rounds
from ._per_trajectory import gradient_scans as gradient_scans
from ._per_trajectory import trajectory_scan as trajectory_scan
from ._splitting import NUMPY_SPLITTING as NUMPY_SPLITTING
from ._splitting import Event as Event
from ._splitting import adaptive_splitting as adaptive_splitting
from ._splitting import numpy_splitting as numpy_splitting
from ._vectorised import numpy_vectorised as numpy_vectorised
