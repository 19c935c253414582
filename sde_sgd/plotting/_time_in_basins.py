"""Where the time of a rare passage goes: share of each slow basin, beside the mean time."""

import numpy as np
import xarray as xr

from ._axes import bars_of, bounds_of, status_of
from ._figure import Figure
from ._style import SEQUENCE, require

_SHADE = 0.35


def time_in_basins(dataset: xr.Dataset) -> Figure:
    """A bar for each slow basin on the way: the share of the time spent in it, with its interval.

    dataset: of a first passage over several slow basins (`found.to_dataset()`, of a JumpProcessSample); the title has
        its mean time.
    Raises ValueError for any other dataset.
    """
    require(dataset, "time_in_basins", "a first passage over several slow basins", "basin", "component")
    number = dataset.sizes["basin"]
    figure = Figure(figsize=(6.2, 1.4 + 0.55 * number), layout="constrained")
    panel = figure.subplots()
    share = bounds_of(dataset, "time_share")
    places = np.arange(number)
    style = {"color": SEQUENCE(_SHADE), "ecolor": "black", "capsize": 3}
    panel.barh(places, share[0], xerr=bars_of(*share), height=0.6, **style)
    names = [", ".join(f"{number:.4g}" for number in spot[:3]) + (", …" if len(spot) > 3 else "")
             for spot in dataset.basin.values]  # fmt: skip
    panel.set_yticks(places, [f"[{name}]" + (" (start)" if place == 0 else "") for place, name in enumerate(names)])
    panel.invert_yaxis()
    for place, value in zip(places, share[0], strict=True):
        panel.annotate(f"{value:.3g}", (min(value, 1.0), place), (8, 10), textcoords="offset points", fontsize=9)
    panel.set(xlim=(0, 1.12), xlabel="share of the time before the end", ylabel="basin of")
    mean = "{:.3g} [{:.3g}, {:.3g}]".format(*map(float, bounds_of(dataset, "mean_exit_time")))
    panel.set_title(f"mean time {mean}, {status_of(dataset)}", fontsize=10)
    return figure
