"""What the figures of the claims share: panels, and points with their intervals."""

from typing import Any

import numpy as np

from ..plotting._axes import bars_of
from ..statistics import Estimate


def panels(count: int, share_y: bool = False, width: float = 3.4, height: float = 3.6) -> tuple[Any, list[Any]]:
    """A figure that pyplot does not know, and its axes in one row; widths and heights in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(width * count, 5.6), height), layout="constrained")
    return figure, list(np.ravel(figure.subplots(1, count, sharey=share_y)))


def marked(ax: Any, values: Any) -> None:
    """A logarithmic x axis with numbers at the values swept, as many as have room."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    values = np.unique(values)
    ax.set_xscale("log")
    chosen = values[np.unique(np.linspace(0, len(values) - 1, 5).round().astype(int))]
    ax.xaxis.set_major_locator(FixedLocator(chosen))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    ax.xaxis.set_minor_locator(NullLocator())


def in_steps(ax: Any) -> None:
    """A logarithmic y axis of little more than a decade, with numbers at 1, 2 and 5 times the powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def points(
    ax: Any, x: Any, estimates: Estimate, label: str, color: Any = None, fmt: str = "o", mfc: Any = None
) -> None:
    """Values with their intervals as bars. x, estimates: (n,). color, fmt, mfc: of `errorbar`."""
    bars = bars_of(estimates.value, estimates.low, estimates.high)
    ax.errorbar(x, estimates.value, bars, label=label, color=color, fmt=fmt, mfc=mfc, markersize=4, capsize=2)
