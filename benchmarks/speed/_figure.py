"""The figure: throughput against trajectories, one line per rival."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from ._measure import OURS

# distinguishable for colour-blind eyes (Okabe and Ito 2008), and by their marks
_STYLES = (
    ("#555555", "s"),
    ("#0072b2", "^"),
    ("#56b4e9", "v"),
    ("#009e73", "D"),
    ("#e69f00", "P"),
    ("#cc79a7", "X"),
    ("#8c6bb1", "<"),
    ("#7f5539", ">"),
)


def scaling_figure(scaling: dict[str, Any], where: dict[str, Any]) -> Figure:
    lines = _lines(scaling)
    figure = Figure(figsize=(8.6, 5.2), layout="constrained")
    axes = figure.subplots()
    styles = iter(_STYLES * 2)
    for family, points in lines.items():
        sizes, rates = zip(*points, strict=True)
        if family == OURS:
            axes.plot(sizes, rates, color="#d55e00", marker="o", linewidth=2.6, label=family, zorder=3)
        else:
            color, mark = next(styles)
            axes.plot(sizes, rates, color=color, marker=mark, markersize=5, linewidth=1.4, label=family)
    axes.set_xscale("log")
    axes.set_yscale("log")
    sizes = sorted({size for points in lines.values() for size, _ in points})
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1e6:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("trajectories")
    axes.set_ylabel("million path-steps per second")
    axes.grid(alpha=0.3, which="both", linewidth=0.5)
    axes.set_title(
        f"1-D double well, at least {scaling['steps']} Euler–Maruyama steps, float32\n{_place(where)}", fontsize=10
    )
    # from fastest to slowest, as the lines lie
    order = sorted(zip(*axes.get_legend_handles_labels(), strict=True), key=lambda item: -lines[item[1]][-1][1])
    handles, labels = zip(*order, strict=True)
    figure.legend(handles, labels, loc="outside right center", fontsize=8, frameon=False)
    return figure


def _lines(scaling: dict[str, Any]) -> dict[str, list[tuple[int, float]]]:
    lines: dict[str, list[tuple[int, float]]] = {}
    for row in scaling["contenders"]:
        lines.setdefault(row["family"], []).append((row["trajectories"], row["path_steps_per_second"]))
    return lines


def _place(where: dict[str, Any]) -> str:
    on_cpu = where["device"].lower().endswith("cpu")
    return f"{where['cores']} cores, {where['processor']}" if on_cpu else where["device"]


def save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
