"""The table: what is run against what, and what must be reached."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from . import _ours, rivals
from ._measure import Contender, Entry, Target
from ._problems import COUPLED_4, COUPLED_16, DOUBLE_WELL, MULLER_BROWN, QUADRATIC_100, Problem

# a tree of Brownian increments is some hundred times slower than the rest: a sixteenth of the trajectories will do
_TREE_SHARE = 16

_NAIVE = "vmap of a scan of grad"
_DRAWN_TOGETHER = "scan of vmap(grad), noise drawn together"


@dataclass(frozen=True)
class Case:
    """make(trajectories, steps): the contenders, ours first."""

    name: str
    text: str
    make: Callable[[int, int], Sequence[Entry]]
    targets: Sequence[Target]
    trajectories: int
    steps: int
    quick: tuple[int, int] = field(default=(512, 64))

    def size(self, quick: bool) -> tuple[int, int]:
        return self.quick if quick else (self.trajectories, self.steps)


def _double_well(trajectories: int, steps: int) -> list[Entry]:
    return [
        _ours.simulate(DOUBLE_WELL, trajectories, steps),
        *rivals.yardstick(trajectories, steps),
        *rivals.batched_scan(trajectories, steps),
        *rivals.trajectory_scan(trajectories, steps),
        *rivals.numpy_vectorised(trajectories, steps),
        *rivals.numba_loops(trajectories, steps),
        *rivals.diffrax_solves(trajectories, steps),
        *rivals.diffrax_tree(max(trajectories // _TREE_SHARE, 64), steps),
    ]


def _gradient(name: str, text: str, problem: Problem, trajectories: int, steps: int, least: float, **options) -> Case:
    def make(trajectories: int, steps: int) -> list[Entry]:
        ours = _ours.simulate(problem, trajectories, steps)
        return [ours, *rivals.gradient_scans(problem, trajectories, steps)]

    targets = (Target(_NAIVE, at_least=least), Target(_DRAWN_TOGETHER))
    return Case(name, text, make, targets, trajectories, steps, **options)


def vector_cases(scale: int = 1) -> list[Case]:
    """Losses that a user writes as functions of a vector; `scale` times as many trajectories."""
    n = scale * 16_384
    return [
        _gradient("muller_brown", "Müller–Brown, d = 2", MULLER_BROWN, 4 * n, 128, 8),
        _gradient("coupled_4", "neighbour-coupled loss, d = 4", COUPLED_4, 4 * n, 128, 8),
        _gradient("coupled_16", "neighbour-coupled loss, d = 16", COUPLED_16, n, 128, 8, quick=(128, 16)),
        _gradient("quadratic_100", "isotropic quadratic, d = 100", QUADRATIC_100, n // 2, 128, 5, quick=(64, 16)),
    ]


def own_cases(trajectories: int = 65_536) -> list[Case]:
    """Ours against ours."""
    return [
        *(
            Case(
                name,
                f"1-D double well, exits watched, {text}",
                lambda n, k: [_ours.simulate(DOUBLE_WELL, n, k), _ours.escape_never(n, k)],
                (Target("sde_sgd", at_most=1.2, ours=_ours.ESCAPE),),
                trajectories,
                steps,
            )
            for name, text, steps in (("escape", "a short run", 512), ("escape_long", "a long run", 8_192))
        ),
        Case(
            "rademacher",
            "1-D double well, increments ±1",
            lambda n, k: [_ours.simulate(DOUBLE_WELL, n, k), _ours.simulate(DOUBLE_WELL, n, k, "rademacher")],
            (Target("sde_sgd", at_least=2, ours=_ours.RADEMACHER),),
            trajectories,
            512,
        ),
        Case(
            "finished",
            "finished trajectories cost nothing",
            _ours.escape_mostly,
            (Target(_ours.NONE_LEAVE, at_most=0.25, ours=_ours.MOST_LEAVE),),
            trajectories,
            10_000,
            quick=(1_000, 4_000),
        ),
    ]


def ablation_cases(scale: int = 1) -> list[Case]:
    """What each part of the engine is worth: lowering, packing, several steps a fusion; `scale` as above."""
    n = scale * 16_384
    return [
        _ablation("double_well", "1-D double well", partial(_ours.simulate, DOUBLE_WELL), 4 * n, 512),
        _ablation("escape", "1-D double well, exits watched", _ours.escape_never, 4 * n, 512),
        _ablation("muller_brown", "Müller–Brown, d = 2", partial(_ours.simulate, MULLER_BROWN), 4 * n, 128),
        _ablation("coupled_16", "neighbour-coupled, d = 16", partial(_ours.simulate, COUPLED_16), n, 128, (128, 16)),
    ]


def _ablation(
    name: str,
    text: str,
    make: Callable[[int, int], Contender],
    trajectories: int,
    steps: int,
    quick: tuple[int, int] = (512, 64),
) -> Case:
    targets = tuple(Target(f"sde_sgd, {part}") for part in _ours.PARTS)
    return Case(
        f"ablation_{name}",
        f"{text}, parts of the engine left out",
        lambda n, k: _ours.ablated(make(n, k)),
        targets,
        trajectories,
        steps,
        quick,
    )


DOUBLE_WELL_CASE = Case(
    "double_well",
    "1-D double well, final states",
    _double_well,
    (
        Target("hand-written C, OpenMP", at_least=0.9),
        Target("batched scan, jax.random.normal", at_least=8),
        Target("vmap of a scan, fold_in", at_least=20),
        Target("NumPy", at_least=12),
        Target("numba", at_least=12),
        Target("diffrax, UnsafeBrownianPath, vmap", at_least=50),
        Target("diffrax, UnsafeBrownianPath, one solve of all"),
        Target("diffrax, VirtualBrownianTree, vmap"),
    ),
    65_536,
    512,
)

CASES = [DOUBLE_WELL_CASE, *own_cases(), *vector_cases(), *ablation_cases()]
