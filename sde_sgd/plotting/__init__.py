"""Figures, drawn from datasets alone: survival curves, phase diagram, SGD beside its SDE, minimum-action paths."""

from .._exports import names_in as _names_in
from ._digits import digits_figure as digits_figure
from ._minimum_action import minimum_action_path as minimum_action_path
from ._phase_diagram import phase_diagram as phase_diagram
from ._survival import survival_curves as survival_curves

__all__ = _names_in(vars())
