"""Does the SDE describe SGD? Several chains from one start, looked at at the same SDE times, and told apart or not."""

import time as clock
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from .. import _progress
from .._errors import concrete, fraction, names_options, positive_integer, positive_number
from ..chains import AbstractChain, Varying
from ..engine import MAX_STEPS, check_first_step, observe, seed_key, seed_number, start_states, steps_until
from ..landscapes import EmpiricalRisk
from ..results import Provenance
from ._comparison import Comparison
from ._linearised_loss import linearised_loss
from ._measures import Measure, by_name, parts_of
from ._train import starts_of
from ._two_sample import Look, allowed, distances_at, holm, labels_of, one_budget, smallest_shift

# looks where only the end is given, and steps of the coarsest chain within which all chains must meet
_LOOKS, _LONGEST_PERIOD = 8, 100
_WHOLE = 1e-6
# what a dataset has besides measures
_TAKEN = ("theta", "diverged", "steps", "law_distance", "p_value", "p_look", "p_pointwise", "smallest_shift")
# networks whose θ are kept for their distances, the fewest that are worth it, and bytes of all that is kept
_MOST_KEPT, _FEWEST_KEPT, _MOST_BYTES = 1_024, 8, 2**30


@names_options
def compare(
    risk: Any,
    start: Any = None,
    *,
    chains: Any,
    time: Any = None,
    times: Any = None,
    networks: int = 256,
    measures: Any = ("loss",),
    seed: Any = 0,
    confidence: float = 0.95,
    permutations: int = 1_999,
    chunk: int | None = None,
    devices: Sequence[Any] | None = None,
    progress: bool | None = None,
) -> Comparison:
    """Run several chains from one start for the same SDE time, and say which of them differ from the first.

    risk: an EmpiricalRisk. start: θ of shape (dim,) for all networks, or an object with such a `location`;
        (networks, dim), or a function of a JAX key that makes a model like the risk's, for network k of every chain to
        begin where the others' does; None for the risk's own.
    chains: at least two, in a dict by name, or a list, whose names are their kinds; the first is what the others are
        compared with. Each has the risk's components, and its `time_step` says how many steps make a time: 1 for an
        iteration of SGD would compare one with ten of the SDE. An SDE is a chain with a dt well below γ: with dt = γ
        its Euler–Maruyama step is SGD with Gaussian noise.
    time: SDE time t = γ·(iterations) of the end, rounded down to where whole steps of all chains meet, with 8 looks
        evenly on the way there; or `times`, SDE times of the looks, which are whole steps of every chain.
    networks: of each chain, ≥ 2; network k of chain number c is trajectory c·networks + k, so that no two share noise.
    measures: one or several, names of `training.MEASURES` or Measures of your own, each seen at every look.
    seed: of the noise, the starts and the permutations. confidence: of the intervals; what it leaves is the budget for
        errors of all that is told apart. permutations: of the labels, so that the smallest p is 1/(permutations + 1).
    chunk, devices, progress: as in `simulate`, which says what holds for bits.

    For each other chain the law of θ (energy distance, Székely and Rizzo 2004; of at most 1,024 networks, of fewer
    where dim is large), that of each measure (Kolmogorov–Smirnov) and the number that diverged are compared at every
    look. Labels of whole networks are permuted, for all looks at once, and the largest standardised distance has one
    p-value, valid however the looks depend on each other (Westfall and Young 1993); over the chains by Holm (1979).
    Where starts differ, only networks with the same one change places. The theory, where the loss is quadratic about a
    minimum near the start, is `theory` of the result.
    Networks that diverge are counted, and left out of means. Raises ValueError, naming the argument, for what is not
    as said.
    """
    began = clock.perf_counter()
    if not isinstance(risk, EmpiricalRisk):
        raise ValueError(f"risk must be an EmpiricalRisk, got {risk!r}")
    known = _named_chains(chains, risk.dim)
    positive_integer("networks", networks)
    if networks < 2:
        raise ValueError(f"networks must be at least 2, to have a spread, got {networks}")
    fraction("confidence", confidence)
    level = (1 - confidence) / (len(known) - 1)
    positive_integer("permutations", permutations)
    if allowed(level, permutations + 1) < 1:
        raise ValueError(
            f"permutations must be at least {int(np.ceil(1 / level)) - 1} for {len(known) - 1} chains to be told apart "
            f"at {confidence:g}, got {permutations}"
        )
    number = seed_number(seed)
    starts = starts_of(risk, start, networks, number)
    told = _measures(measures, risk, starts)
    looks = looks_of(known, time, times)
    rng = np.random.default_rng(number)
    kept = _kept(len(known), len(looks.times), networks, risk.dim, starts.dtype, rng)
    with _progress.shown(progress, "compare"):
        seen = [
            _run(risk, chain, starts, place * networks + np.arange(networks), steps, told, kept, seed, chunk, devices)
            for place, (chain, steps) in enumerate(zip(known.values(), looks.steps, strict=True))
        ]
    paired = bool(np.any(starts != starts[0]))
    theory, why = _theory(risk, next(iter(known.values())), starts, looks.times, told)
    tests = _Tests.of(seen, kept, paired, permutations, level, rng)
    return Comparison(
        names=tuple(known), times=looks.times, steps=looks.steps, measures=tuple(told),
        units=tuple(each.units for each in told.values()), words=tuple(each.words for each in told.values()),
        values=np.stack([each.measures for each in seen], axis=1),
        has_diverged=np.stack([~each.finite for each in seen]), theory=theory, without_theory=why,
        **tests._asdict(), confidence=confidence,
        provenance=Provenance.of(number, "compare", int(looks.steps[:, -1].sum()) * networks, began, devices),
    )  # fmt: skip


def _named_chains(chains: Any, dim: int) -> dict[str, AbstractChain]:
    """The chains by name, at least two, each with as many components as the risk and a time of one step."""
    if isinstance(chains, Mapping):
        pairs = [(str(name), chain) for name, chain in chains.items()]
    elif isinstance(chains, Sequence) and not isinstance(chains, str):
        pairs = [(_kind(chain), chain) for chain in chains]
    else:
        raise ValueError(f"chains must be a list of chains, or a dict of them by name, got {chains!r}")
    if len(pairs) < 2:
        raise ValueError(f"chains must be at least two, the first of them to compare the others with, got {len(pairs)}")
    for name, chain in pairs:
        if not isinstance(chain, AbstractChain):
            raise ValueError(f"chains must be chains, such as MinibatchSGD(risk, 0.1, 8), got {chain!r} for {name!r}")
        if chain.dim != dim:
            raise ValueError(f"chains must have the risk's {dim} components, got {chain.dim} for {name!r}")
        if isinstance(chain, Varying):
            raise ValueError(f"chains must each have one time of a step, got Varying for {name!r}: give its chain")
        positive_number(f"time_step of {name!r} in chains", chain.time_step)
    names = [name for name, _ in pairs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(
            f"chains must have names of their own, got {twice.count(twice[0])} called {twice[0]!r}: "
            "give a dict of chains by name"
        )
    return dict(pairs)


def _kind(chain: Any) -> str:
    """What a chain without a name is called: its class, with the l or the order that it may have."""
    name, order = type(chain).__name__, getattr(getattr(chain, "diffusion", None), "order", None)
    between = getattr(chain, "l", None)
    return f"{name}(l={between})" if between else f"{name}(order={order})" if order else name


def _measures(measures: Any, risk: EmpiricalRisk, starts: np.ndarray) -> dict[str, Measure]:
    """The measures by name; each tried at the first start, before anything runs."""
    alone = isinstance(measures, str | Measure) or not isinstance(measures, Sequence)
    given: list[Any] = [measures] if alone else list(measures)
    if not given:
        raise ValueError("measures must be at least one, got none")
    told = by_name(given, _TAKEN)
    for measure in told.values():
        parts_of(measure, risk, starts[:1], starts[:1])
    return told


class _Looks(NamedTuple):
    """SDE times of the looks, and the step of each chain that they are at."""

    times: Float[np.ndarray, " looks"]
    steps: Int[np.ndarray, "chains looks"]


def looks_of(chains: Mapping[str, AbstractChain], end: Any, times: Any) -> _Looks:
    if (end is None) == (times is None):
        raise ValueError(
            "give either time (of the end) or times (of the looks), got " + ("neither" if end is None else "both")
        )
    lengths = {name: float(np.asarray(chain.time_step)) for name, chain in chains.items()}
    if times is None:
        positive_number("time", end)
        period = _period(lengths)
        fit = steps_until(float(end), period)
        if fit < 1:
            raise ValueError(f"time must be at least {period:g}, where whole steps of all chains meet, got {end!r}")
        count = min(_LOOKS, fit)
        at = period * np.unique(np.round(np.arange(1, count + 1) * fit / count))
    else:
        given = concrete(times)
        if given is None or given.ndim != 1 or not given.size or not np.all(np.isfinite(given)):
            raise ValueError(f"times must be finite SDE times of shape (looks,), got {times!r}")
        at = given.astype(np.float64)
        if at[0] <= 0 or np.any(np.diff(at) <= 0):
            raise ValueError(f"times must be rising and above 0, got {times!r}")
    steps = np.zeros((len(chains), len(at)), np.int64)
    for row, (name, length) in zip(steps, lengths.items(), strict=True):
        count = at / length
        if np.any(~_is_whole(count)):
            wrong = int(np.argmin(_is_whole(count)))
            raise ValueError(
                f"times must be whole steps of every chain, got {at[wrong]:g}, which is {count[wrong]:.6g} steps of "
                f"{length:g} of {name!r}"
            )
        row[:] = np.round(count)
        if row[-1] > MAX_STEPS:
            raise ValueError(f"time must end within 2**32 steps of every chain, got {row[-1]} of {name!r}")
    return _Looks(at, steps)


def _period(lengths: Mapping[str, float]) -> float:
    """The shortest SDE time that is a whole number of steps of every chain."""
    coarsest = max(lengths.values())
    for multiple in range(1, _LONGEST_PERIOD + 1):
        if np.all(_is_whole(multiple * coarsest / np.array(list(lengths.values())))):
            return multiple * coarsest
    given = ", ".join(f"{length:g} of {name!r}" for name, length in lengths.items())
    raise ValueError(f"chains must have steps that meet at common times, got steps of {given}")


def _is_whole(count: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    nearest = np.round(count)
    return (nearest >= 1) & (np.abs(count - nearest) <= _WHOLE * count)


def _kept(chains: int, looks: int, networks: int, dim: int, dtype: Any, rng: Any) -> Int[np.ndarray, " kept"]:
    """Numbers of the networks whose θ are kept at every look, a random choice where not all fit."""
    fit = _MOST_BYTES // (chains * looks * dim * np.dtype(dtype).itemsize)
    if fit < min(networks, _FEWEST_KEPT):
        raise ValueError(
            f"times must be fewer, or chains: θ of {_FEWEST_KEPT} networks of {chains} chains at {looks} looks, with "
            f"{dim} components each, do not fit {_MOST_BYTES // 2**20} MiB"
        )
    return np.sort(rng.choice(networks, min(networks, _MOST_KEPT, fit), replace=False))


class _Seen(NamedTuple):
    """What was seen of one chain: which networks were finite, their measures, and θ of those that are kept."""

    finite: Bool[np.ndarray, "looks networks"]
    measures: Float[np.ndarray, "measures looks networks"]
    thetas: Float[np.ndarray, "looks kept dim"]


def _run(risk, chain, starts, ids, steps, told, kept, seed, chunk, devices) -> _Seen:
    """Run the networks of one chain, and look at them at its `steps`."""
    networks, looks = len(starts), len(steps)
    states = start_states(starts, chain, networks)
    check_first_step(chain, states)
    seen = _Seen(
        np.zeros((looks, networks), bool),
        np.full((len(told), looks, networks), np.nan),
        np.zeros((looks, len(kept), risk.dim), starts.dtype),
    )

    def look(part: Any, index: int, batch: Any, carry: Any) -> Any:
        rows = np.arange(part.rows.start, part.rows.start + part.used)
        now = np.asarray(batch[: risk.dim, : part.used]).T
        finite = np.all(np.isfinite(now), axis=1)
        # a network that diverged is measured where it began, and what is found is thrown away: shapes stay
        still = np.where(finite[:, None], now, starts[rows])
        found = np.array([parts_of(measure, risk, still, starts[rows])[""] for measure in told.values()])
        finite &= np.all(np.isfinite(found), axis=0)
        seen.finite[index, rows] = finite
        seen.measures[:, index, rows] = np.where(finite, found, np.nan)
        places = np.flatnonzero(np.isin(kept, rows))
        seen.thetas[index, places] = now[kept[places] - part.rows.start]
        return None

    observe(chain, states, ids, steps.tolist(), seed_key(seed), look, chunk=chunk, devices=devices)
    return seen


def _theory(risk, chain, starts, times, told) -> tuple[np.ndarray | None, str]:
    if "loss" not in told:
        return None, "the loss is not among the measures"
    if np.any(starts != starts[0]):
        return None, "the networks begin at different points"
    return linearised_loss(risk, chain, starts[0], times)


class _Tests(NamedTuple):
    """Distances from the first chain and their p-values, as fields of a Comparison."""

    distances: Float[np.ndarray, "others looks kinds"]
    p_look: Float[np.ndarray, "others looks kinds"]
    p_pointwise: Float[np.ndarray, "others looks kinds"]
    p_value: Float[np.ndarray, " others"]
    smallest_shift: Float[np.ndarray, " others"]

    @classmethod
    def of(cls, seen: list[_Seen], kept: np.ndarray, paired: bool, permutations: int, level: float, rng: Any):
        """Each chain but the first against the first."""
        found = [_against(seen[0], other, kept, paired, permutations, level, rng) for other in seen[1:]]
        distances, p_look, p_pointwise, p_value, shifts = zip(*found, strict=True)
        return cls(np.stack(distances), np.stack(p_look), np.stack(p_pointwise), holm(p_value), np.array(shifts))


def _against(one: _Seen, other: _Seen, kept: np.ndarray, paired: bool, permutations: int, level: float, rng: Any):
    networks = one.finite.shape[1]
    labels = labels_of(networks, permutations, paired, rng)
    both = [
        Look(
            np.concatenate([one.finite[look], other.finite[look]]),
            np.concatenate([one.measures[:, look], other.measures[:, look]], axis=1),
            np.concatenate([kept, networks + kept]),
            np.concatenate([one.thetas[look], other.thetas[look]]),
        )
        for look in range(len(one.finite))
    ]
    found = [distances_at(look, labels) for look in both]
    budget = one_budget(np.stack([statistics for _, statistics in found], axis=1), level)
    # the first measure at the last look, which has the place after θ
    needed = budget.centre[-1, 1] + budget.critical * budget.spread[-1, 1]
    last = both[-1].measures[0][both[-1].finite]
    shift = smallest_shift(last, needed, rng) if np.isfinite(needed) else np.nan
    return np.stack([each[0] for each, _ in found]), budget.p_look, budget.p_pointwise, budget.p_value, shift
