"""Pictures of results, landscapes and paths on axes, and whole figures of studies, all drawn from datasets alone.

What takes `ax` draws on it and returns it: `survival`, `occupancy`, `histogram`, `transitions`, `training_law`,
`reduced`, `landscape` and `paths`; a result draws itself by `result.plot(ax)`. Without `ax` they make a figure of
pyplot's, `ax.figure`: a notebook shows it, a script by `plt.show()`, and who draws many closes them (`plt.close()`).
The others return a Figure that pyplot does not know of, for a file, or as the last value of a notebook's cell. No
setting of matplotlib is changed.
"""

from .._exports import names_in as _names_in
from ._comparison import comparison as comparison
from ._digits import digits_figure as digits_figure
from ._edge import edge_figure as edge_figure
from ._escape_times import escape_times as escape_times
from ._histogram import histogram as histogram
from ._landscape import landscape as landscape
from ._landscape_map import landscape_map as landscape_map
from ._minimum_action import minimum_action_path as minimum_action_path
from ._occupancy import occupancy as occupancy
from ._one_survival import survival as survival
from ._paths import paths as paths
from ._phase_diagram import phase_diagram as phase_diagram
from ._reduced import reduced as reduced
from ._survival import survival_curves as survival_curves
from ._sweep import sweep_figure as sweep_figure
from ._time_in_basins import time_in_basins as time_in_basins
from ._training import batch_figure as batch_figure
from ._training import trade_off_figure as trade_off_figure
from ._training import width_figure as width_figure
from ._training_law import training_law as training_law
from ._transitions import transitions as transitions

__all__ = _names_in(vars())
