"""What the numbers of a training study show, as sentences: trends over batch size, γ/M and width, with intervals."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._quantities import SIGNS
from ..statistics import Estimate, student_mean
from ._stability import of_edge

if TYPE_CHECKING:
    import xarray as xr

# what is claimed of each measure where it grows, and where it falls
_OF_BATCH = {
    "sharpness": ("large batch finds sharper minima", "large batch finds flatter minima"),
    "trace": ("large batch finds minima of larger trace", "large batch finds minima of smaller trace"),
    "held_out_loss": ("large batch has a larger test loss", "large batch has a smaller test loss"),
    # beside the others: what has another training loss may be sharper for that reason alone
    "train_loss": ("large batch ends at a larger training loss", "large batch ends at a smaller training loss"),
}
_OF_RATIO = {
    "epochs": ("larger γ/M takes more epochs to the loss", "larger γ/M takes fewer epochs to the loss"),
    "steps": ("larger γ/M takes more steps to the loss", "larger γ/M takes fewer steps to the loss"),
    "held_out_loss": ("larger γ/M generalises worse", "larger γ/M generalises better"),
    "train_loss": ("larger γ/M ends at a larger training loss", "larger γ/M ends at a smaller training loss"),
    "sharpness": ("larger γ/M finds sharper minima", "larger γ/M finds flatter minima"),
    "noise_floor": ("the noise's excess loss grows with γ/M", "the noise's excess loss falls with γ/M"),
}
_WORDS = {
    "held_out_loss": "test loss",
    "train_loss": "training loss",
    "noise_floor": "γTr(V)/(4M(1 − μ))",
    "epochs": "their number",
    "steps": "their number",
}


def growth(along: Any, values: Any, confidence: float = 0.95) -> Estimate:
    """The factor by which positive values grow from the least to the largest of `along`, by a power law.

    along: (n,), positive. values: (groups, n, networks), NaN where a network has none, such as one that diverged.
    Each network has one slope of log value against log `along`, by least squares with a constant for each group; the
    interval is Student's for their mean over networks, valid where these are independent. NaN with fewer than two.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.asarray(values, float))
    known = np.isfinite(logs)
    x = np.where(known, np.log(np.asarray(along, float))[:, None], 0.0)
    y = np.where(known, logs, 0.0)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    x, y = (np.where(known, part - part.sum(axis=1, keepdims=True) / count, 0.0) for part in (x, y))
    spread = (x**2).sum(axis=(0, 1))
    slopes = (x * y).sum(axis=(0, 1))[spread > 0] / spread[spread > 0]
    return _exponential(slopes * np.log(np.max(along) / np.min(along)), confidence)


def verdicts(dataset: "xr.Dataset") -> list[str]:
    """Sentences on the question that the study asks.

    dataset: of a training study, with its attributes `question`, `measures` and `confidence`. Every sentence says
    shown, not shown or the opposite by whether its interval is on one side of no change, and counts who is left out.
    """
    of = {"batch": _of_batch, "ratio": _of_ratio, "width": _of_width, "edge": of_edge}
    return of[dataset.attrs["question"]](dataset)


def noise_floor(dataset: "xr.Dataset") -> "xr.DataArray":
    """γTr(V)/(4M(1 − μ)) of each network: the excess loss that minibatches make around a minimum, to first order.

    Without replacement it is (N−M)/(N−1) times that. Of reshuffled epochs, whose steps undo each other's noise, it is
    no estimate: they stay below.
    """
    return dataset.noise_trace_of_each * dataset.excess_per_trace


def epochs(dataset: "xr.Dataset") -> "xr.DataArray":
    """Steps of each network, in passes through the examples."""
    return dataset.steps_of_each * dataset.batch_size / dataset.attrs["examples"]


def _of_batch(dataset: "xr.Dataset") -> list[str]:
    sizes = dataset.batch_size.values
    if len(sizes) < 2:
        return ["nothing can be said of the batch size: there is one"]
    lines = []
    for name, claims in _OF_BATCH.items():
        if f"{name}_of_each" not in dataset:
            continue
        for reading, part in readings(dataset):
            values = part[f"{name}_of_each"].transpose(..., "batch_size", "network")
            flat = values.values.reshape(-1, len(sizes), values.sizes["network"])
            found = growth(sizes, flat, dataset.attrs["confidence"])
            each = [growth(sizes, group[None], dataset.attrs["confidence"]) for group in flat]
            alone = [_direction(one) for one in each]
            lines_of = "learning rates" if len(each) == dataset.sizes["learning_rate"] else "lines"
            parts = [f"of {len(each)} {lines_of} alone: {alone.count(1)} up, {alone.count(-1)} down"]
            parts = (parts if len(each) > 1 else []) + _without_a_log(flat)
            where = f"from M = {sizes[0]:g} to {sizes[-1]:g}"
            lines.append(_sentence(claims, reading, name, found, where, parts, part))
    return lines


def _of_ratio(dataset: "xr.Dataset") -> list[str]:
    data = dataset.assign(epochs_of_each=epochs(dataset))
    if "noise_trace_of_each" in dataset and "excess_per_trace" in dataset:
        data = data.assign(noise_floor_of_each=noise_floor(dataset))
    lines = []
    for name, claims in _OF_RATIO.items():
        if f"{name}_of_each" not in data:
            continue
        for reading, part in readings(data):
            if name in ("epochs", "steps") and not _is_to_a_loss(part):
                continue
            values = part[f"{name}_of_each"].transpose(..., "learning_rate", "batch_size", "network")
            along = part.ratio.values.ravel()
            flat = values.values.reshape(-1, along.size, values.sizes["network"])
            # what no network came to is not said to be a part of the way
            there = np.any(np.isfinite(flat), axis=(0, 2))
            along, flat = along[there], flat[:, there]
            if len(np.unique(along)) < 2:
                lines.append(f"{claims[0]}, {reading}: not known: there are not two γ/M")
                continue
            found = growth(along, flat, dataset.attrs["confidence"])
            where = f"from γ/M = {along.min():.3g} to {along.max():.3g}"
            parts = _but(name, dataset) + _without_a_log(flat)
            lines.append(_sentence(claims, reading, name, found, where, parts, part))
    if "held_out_loss_of_each" in data:
        lines += [_trade_off(reading, part) for reading, part in readings(data)]
    return lines


def _without_a_log(values: np.ndarray) -> list[str]:
    """How many numbers a power law has no place for, though networks have them."""
    known = ~np.isnan(values)
    lost = int(np.sum(known & ~((values > 0) & np.isfinite(values))))
    return [f"{lost} of {known.sum()} numbers are not finite and above 0, and are left out"] if lost else []


def _but(name: str, dataset: "xr.Dataset") -> list[str]:
    """What is to be said of the noise's excess loss, beside its number."""
    is_of_epochs = name == "noise_floor" and "epoch" in dataset.attrs.get("sampling", "").lower()
    return (
        ["of independent batches, and no estimate for reshuffled epochs, which stay below it"] if is_of_epochs else []
    )


class TradeOff(NamedTuple):
    """Where between the smallest and the largest γ/M the test loss is least, and how much larger it is at the ends.

    ratios: γ/M, ascending, each once. best: the place of the least. smallest, largest: factors, with intervals, by
    which the test loss at the ends is larger than there; None at an end that is the least itself.
    """

    ratios: np.ndarray
    best: int
    smallest: Estimate | None
    largest: Estimate | None

    @property
    def is_shown(self) -> bool:
        """Whether it is larger at every other end by more than chance."""
        return all(_direction(end) == 1 for end in (self.smallest, self.largest) if end is not None)


def trade_off(dataset: "xr.Dataset") -> TradeOff | None:
    """The valley of the test loss over γ/M, which no power law shows.

    dataset: of one reading of a training study, with `held_out_loss_of_each`. Every other network says at which γ/M
    the least is, the rest how much larger it is at the ends. None with fewer than three γ/M or four networks.
    """
    logs, ratios = _logs_by_ratio(dataset)
    is_whole = np.all(np.isfinite(logs), axis=(1, 2))
    known = np.unique(ratios[is_whole])
    if len(known) < 3 or logs.shape[2] < 4:
        return None
    means = np.stack([logs[is_whole & (ratios == ratio)].mean(axis=(0, 1)) for ratio in known])
    best, judged = int(np.argmin(means[:, ::2].mean(axis=1))), means[:, 1::2]
    smallest, largest = (
        None if number == best else _exponential(judged[number] - judged[best], dataset.attrs["confidence"])
        for number in (0, len(known) - 1)
    )
    return TradeOff(known, best, smallest, largest)


def _logs_by_ratio(dataset: "xr.Dataset") -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of test losses, (cells, others, networks), and γ/M of the cells: those of one γ/M count as one."""
    values = dataset.held_out_loss_of_each.transpose("learning_rate", "batch_size", ..., "network").values
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(values.reshape(dataset.ratio.size, -1, values.shape[-1]))
    return logs, np.array([float(f"{ratio:.9g}") for ratio in dataset.ratio.values.ravel()])


def _broken_cells(dataset: "xr.Dataset") -> list[str]:
    """The cells that a trade-off leaves out, since it needs a test loss of every network, and how many have none."""
    logs, ratios = _logs_by_ratio(dataset)
    lost = np.sum(~np.isfinite(logs), axis=(1, 2))
    each = [f"{lost[cell]} at γ/M = {ratios[cell]:.3g}" for cell in np.flatnonzero(lost)]
    whole = logs[0].size
    return [f"left out are cells of which a network has no test loss: {', '.join(each)}, of {whole}"] if each else []


def _trade_off(reading: str, data: "xr.Dataset") -> str:
    found, out = trade_off(data), _broken_cells(data)
    if found is None:
        needs = "not known: it takes four networks, and three γ/M at which each of them has a test loss"
        return "; ".join([f"trade-off, {reading}: {needs}", *out])
    ratios, best = found.ratios, found.best
    parts = [
        f"at the {words}, {ratios[number]:.3g}, it is {end} times that"
        for words, number, end in (("smallest", 0, found.smallest), ("largest", -1, found.largest)) if end is not None
    ]  # fmt: skip
    at = "in between" if 0 < best < len(ratios) - 1 else "at an end"
    said = f"{at}, at γ/M = {ratios[best]:.3g}" + ("" if found.is_shown else " (not shown: no more than chance)")
    return "; ".join([f"trade-off, {reading}: test loss is least {said}", *parts, *out])


def _of_width(dataset: "xr.Dataset") -> list[str]:
    """For each batch size, whether the mean test loss has a peak inside the range of widths.

    Every other network says at which widths the peak is, and the valley before it; the rest say how high it is.
    """
    widths, lines = dataset.width.values, []
    if "held_out_loss_of_each" not in dataset or len(widths) < 3:
        return ["nothing can be said of a peak in the test loss: it takes three widths and the measure held_out_loss"]
    for reading, part in readings(dataset):
        values = part["held_out_loss_of_each"].transpose("width", "network", ...)
        others = values.dims[2:]
        for place in np.ndindex(values.shape[2:]):
            at = dict(zip(others, place, strict=True))
            here = ", ".join(
                f"{SIGNS[str(dim)]} = {part[dim].values[number]:g}"
                for dim, number in at.items() if part.sizes[dim] > 1
            )  # fmt: skip
            lines.append(_peak(widths, values.isel(at).values, ", ".join(filter(None, [reading, here])), dataset))
    return lines


def _peak(widths: np.ndarray, values: np.ndarray, where: str, dataset: "xr.Dataset") -> str:
    """values: (widths, networks)."""
    # widths at which there is no network at all: not run yet, or all diverged
    there = np.any(np.isfinite(values), axis=1)
    widths, values = widths[there], values[there]
    finite = values[:, np.all(np.isfinite(values), axis=0)]
    logs = np.log(finite[:, np.all(finite > 0, axis=0)])
    lost, whole = values.shape[1] - finite.shape[1], values.shape[1]
    out = f"; {lost} of {whole} networks diverged at a width and are left out" if lost else ""
    lost = finite.shape[1] - logs.shape[1]
    out += f"; {lost} of {whole} networks have no test loss above 0 at a width and are left out" if lost else ""
    if logs.shape[1] < 4 or len(widths) < 3:
        return f"double descent, {where}: not known: it takes four networks at three widths{out}"
    # one half says where to look, the other how much there is: the highest of many is high by luck too
    mean, judged = logs[:, ::2].mean(axis=1), logs[:, 1::2]
    # behind the first valley: before it the loss falls as that of ever larger networks does
    valley = _first_valley(mean)
    peak = valley + int(np.argmax(mean[valley:]))
    before, after = judged[peak] - judged[valley], judged[peak] - judged[-1]
    rise, fall = (_exponential(each, dataset.attrs["confidence"]) for each in (before, after))
    if peak == valley:
        return f"double descent, {where}: not shown: test loss does not rise over the widths{out}"
    if peak == len(widths) - 1:
        risen = f"test loss is largest at the last width, {widths[-1]:g}: {rise} times that of the valley before"
        return f"double descent, {where}: not shown: {risen}{out}"
    shown = "shown" if _direction(rise) == 1 and _direction(fall) == 1 else "not shown"
    change = f"{rise} times that of the valley before, and {fall} times that at width {widths[-1]:g}"
    return f"double descent, {where}: {shown}: test loss at its peak (width {widths[peak]:g}) is {change}{out}"


def _first_valley(mean: np.ndarray) -> int:
    """The first place after which the mean rises; the last one if it never does."""
    rises = np.flatnonzero(np.diff(mean) > 0)
    return int(rises[0]) if len(rises) else len(mean) - 1


def readings(dataset: "xr.Dataset") -> "list[tuple[str, xr.Dataset]]":
    """Each reading with its part; networks that did not come to the loss are left out where that is what is equal."""
    parts = []
    for number, name in enumerate(map(str, dataset.reading.values)):
        part = dataset.isel(reading=number)
        if _is_to_a_loss(part):
            each = [key for key in part.data_vars if str(key).endswith("_of_each")]
            there = part.steps_of_each.notnull()
            part = part.assign({key: part[key].where(there) for key in each})
        parts.append((name, part))
    return parts


def _is_to_a_loss(part: "xr.Dataset") -> bool:
    """Whether a loss is what is equal in the part of one reading."""
    return "to_a_loss" in part.coords and bool(part.to_a_loss)


def _direction(found: Estimate) -> int:
    """1 where the whole interval is above no change, −1 where it is below, 0 where it holds it or is not known."""
    return int(found.low > 1) - int(found.high < 1)


def _sentence(claims, reading, name, found, where, parts, data) -> str:
    """claims: for a value that grows, and for one that falls; the first is that of the literature."""
    direction = _direction(found)
    if np.isnan(found.value):
        said = f"{claims[0]}, {reading}: not known"
    elif direction:
        said = f"{claims[0] if direction > 0 else claims[1]}, {reading}"
    else:
        said = f"{claims[0]}, {reading}: not shown"
    change = f"{_WORDS.get(name, name)} changes by a factor of {found} {where}"
    lost, late, all_of_them = (int(np.nansum(data[key].values)) for key in ("diverged", "late", "trajectories"))
    out = [f"{lost} of {all_of_them} networks diverged and are left out"] if lost else []
    out += [f"{late} of {all_of_them} networks did not come to the loss and are left out"] if late else []
    return "; ".join([f"{said}: {change}", *parts, *out])


def _exponential(logs: np.ndarray, confidence: float) -> Estimate:
    """exp of the mean of some logarithms, one of each network, with Student's interval."""
    if len(logs) < 2:
        return Estimate(np.nan, np.nan, np.nan, confidence)
    mean = student_mean(logs, confidence)
    return Estimate(*np.exp([mean.value, mean.low, mean.high]), confidence)
