"""Figures, drawn from datasets alone: landscapes, survival, phase diagram, SGD beside its SDE, paths, training."""

from .._exports import names_in as _names_in
from ._comparison import comparison as comparison
from ._digits import digits_figure as digits_figure
from ._escape_times import escape_times as escape_times
from ._landscape_map import landscape_map as landscape_map
from ._minimum_action import minimum_action_path as minimum_action_path
from ._phase_diagram import phase_diagram as phase_diagram
from ._survival import survival_curves as survival_curves
from ._sweep import sweep_figure as sweep_figure
from ._time_in_basins import time_in_basins as time_in_basins
from ._training import batch_figure as batch_figure
from ._training import trade_off_figure as trade_off_figure
from ._training import width_figure as width_figure

__all__ = _names_in(vars())
