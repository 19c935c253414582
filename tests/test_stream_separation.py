"""No two parts of a method share random numbers, but where one replays the other's path.

Every call of the engine is listened to. A path's noise is that of its key and its id, counted from the first step of
its run; so a key and an id that are used twice must belong to one path that is run twice: it begins in one state, after
as many steps, in the same chain.
"""

import itertools
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from legs import later_legs
from statistical import agrees

import sde_sgd as ss
from sde_sgd import engine

# rooms are imported when they are first asked for, and one that comes later would keep an ear for ever
from sde_sgd import passage as passage
from sde_sgd import stationary as stationary
from sde_sgd.engine import derived_key, seed_key
from sde_sgd.passage._question import execution_of, make_question
from sde_sgd.passage.splitting._equilibration import equilibrate
from sde_sgd.random import Stream

DT = 0.05
BOWL = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(ss.landscapes.Landscape(lambda x: x[0] ** 2 / 2, 1), 0.5), DT)
QUARTIC = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, 1)
WELLS = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(QUARTIC, 0.25), 0.02)
START = np.zeros(1, np.float32)


def below(offset):
    return ss.regions.HalfSpace(np.array([1.0]), offset)


# key of the runs that choose levels, of the seed that all calls here have
LEVELS = tuple(int(word) for word in derived_key(seed_key(1), 1))


class Ear:
    """What the engine was asked to run: a key, ids, the states and clocks where they began, and who asked."""

    def __init__(self, monkeypatch):
        self.runs = []
        for name in ("run_until_stopped", "run_population", "run_renewing"):
            original = getattr(engine, name)
            heard = self._heard(original)
            for module in [each for key, each in sys.modules.items() if key.split(".")[0] == "sde_sgd"]:
                if getattr(module, name, None) is original:
                    monkeypatch.setattr(module, name, heard)

    def _heard(self, original):
        import inspect

        signature = inspect.signature(original)

        def heard(*args, **kwargs):
            given = signature.bind(*args, **kwargs).arguments
            key = tuple(int(word) for word in given["key"])
            ids = np.asarray(given["ids"], np.int64)
            states = np.broadcast_to(np.asarray(given["starts"]), (len(ids), given["starts"].shape[-1]))
            clocks = np.asarray(given.get("clocks", np.zeros(len(ids))), np.int64)
            budgets = np.asarray(given["budgets"]) if "budgets" in given else np.ones(len(ids))
            runs = budgets > 0
            if key == LEVELS:
                # a pilot whose levels are dropped for those of one in finer steps may share its noise with that
                key = (*key, states.shape[1])
            if runs.any():
                self.runs.append((key, ids[runs], states[runs], clocks[runs]))
            found = original(*args, **kwargs)
            if original.__name__ == "run_renewing":
                self.runs.append((key, *later_legs(ids, clocks, *found)))
            return found

        return heard

    def shared(self):
        """How many pairs of a key and an id were used for two paths that begin differently, and how many in all."""
        first: dict = {}
        pairs = clashes = 0
        for key, ids, states, clocks in self.runs:
            for number, state, clock in zip(ids.tolist(), states, clocks.tolist(), strict=True):
                began = (clock, *np.atleast_1d(state).tolist())
                pairs += 1
                clashes += first.setdefault((key, number), began) != began
        return clashes, pairs

    @property
    def keys(self):
        return {key for key, *_ in self.runs}


def splitting(method="splitting", **options):
    return ss.escape(BOWL, START, below(2.0), 40 * DT, seed=1, method=method, **options)


CALLS = {
    # calls, and how many keys of its own each needs at least
    "splitting": (lambda: splitting(ss.passage.Splitting(repetitions=4), trajectories=1024), 2),
    "many levels": (
        lambda: ss.escape(BOWL, START, below(4.5), 120 * DT, seed=1, trajectories=1024, method="splitting"),
        2,
    ),
    "splitting to a precision": (lambda: splitting(rtol=0.5, max_trajectories=400_000), 2),
    "a choice of methods": (lambda: ss.escape(BOWL, START, below(2.6), 40 * DT, seed=1, trajectories=2048), 3),
    "direct to a precision": (
        lambda: ss.escape(BOWL, START, below(0.5), 10 * DT, seed=1, rtol=0.05, method="direct"),
        1,
    ),
    "a mean time": (lambda: ss.escape(BOWL, START, below(2.2), seed=1, trajectories=1024, method="splitting"), 4),
    "two sets": (
        lambda: ss.first_passage(WELLS, START, ~below(0.8), below(-0.8), seed=1, rtol=0.3, method="splitting"),
        3,
    ),
    "two rare sets": (
        lambda: ss.first_passage(
            BOWL, START, ~below(2.6), below(-2.4), seed=1, trajectories=512, max_steps=2_000, method="splitting"
        ),
        9,
    ),
    "transitions": (lambda: ss.transitions(WELLS, minima=[[-1.0], [1.0]], seed=1, rtol=0.3), 4),
}


@pytest.mark.long
@pytest.mark.parametrize("name", CALLS)
def test_no_two_paths_share_their_noise(name, monkeypatch):
    ear = Ear(monkeypatch)
    call, keys = CALLS[name]
    call()
    clashes, pairs = ear.shared()
    assert clashes == 0, f"{clashes} of {pairs} paths"
    assert pairs > 500 and len(ear.keys) >= keys
    # broken twin: all parts of the method under one key
    if keys > 1:
        ear.runs = [((0, 0), *rest) for _, *rest in ear.runs]
        assert ear.shared()[0] > 100


def test_each_doubling_of_the_equilibration_has_noise_of_its_own(monkeypatch):
    """A well that is forgotten within 1,000 steps is asked four times or more whether its law has settled.

    Twin: the ids of every stage are those of the first.
    """
    slow = ss.EulerMaruyama(BOWL.diffusion, DT / 50)
    question = make_question(slow, START, ~below(3.0))
    run, score = execution_of(question, 1, None, None, None), ss.passage.Splitting().score_for(question)
    ear = Ear(monkeypatch)
    found = equilibrate(run, score)
    stages = [ids for _, ids, *_ in ear.runs]
    assert found.settled and len(stages) >= 4 and ear.shared()[0] == 0
    ear.runs = [(key, ids - ids.min() + stages[0].min(), *rest) for key, ids, *rest in ear.runs]
    assert ear.shared()[0] > 1000


def test_keys_that_a_seed_yields_are_its_own():
    """The key of each seed and eight that are derived from it, all different, and derived again, none meets another."""
    keys = [seed_key(seed) for seed in (0, 1, 2, 3, 2**32 - 1, 2**32, 2**32 + 1, 2**64 - 1, *range(4, 60))]
    derived = [derived_key(key, number) for key in keys for number in range(8)]
    again = [derived_key(key, number) for key in derived[:16] for number in range(8)]
    words = [(int(first), int(second)) for first, second in (*keys, *derived, *again)]
    assert len(set(words)) == len(words)


def largest_correlation(columns):
    """Of all pairs of columns (n, k), in standard deviations of a pair that is independent."""
    columns = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    return np.abs(np.triu(columns.T @ columns, 1)).max() / np.sqrt(len(columns))


def driving_noise(increments, dim, steps, n=2**14):
    """What a walk is driven by, (n, steps · dim): that of its steps, component by component."""
    walk = ss.EulerMaruyama(
        ss.diffusions.ItoDiffusion(lambda x, t: 0 * x, lambda x, t: 1 + 0 * x, dim), 1.0, increments
    )
    path = np.asarray(ss.simulate(walk, np.zeros(dim, np.float32), steps, n, seed=6, save_every=1), np.float64)
    noise = np.diff(path[-steps:], axis=0)
    return noise.transpose(1, 0, 2).reshape(n, -1)


def test_steps_and_components_are_uncorrelated():
    """Eleven steps of three components, and their squares: 5.5 deviations in 528 pairs, false-fail rate 4e-5."""
    noise = driving_noise("gaussian", 3, 12)
    assert noise.shape[1] == 33
    assert largest_correlation(noise) < 5.5
    assert largest_correlation(noise**2) < 5.5
    # twin: a tenth of a component comes from the one before
    assert largest_correlation(noise + 0.1 * np.roll(noise, 1, axis=1)) > 8


def test_signs_of_all_steps_are_uncorrelated():
    """Bits of one hash serve 64 steps, each once: 5.9 deviations in 8,001 pairs, false-fail rate 3e-5."""
    signs = np.sign(driving_noise("rademacher", 1, 128))
    assert signs.shape[1] == 127 and np.all(np.abs(signs) == 1)
    assert largest_correlation(signs) < 5.9
    signs[:, 40] = np.where(np.arange(len(signs)) % 10 == 0, signs[:, 72], signs[:, 40])
    assert largest_correlation(signs) > 8


def recorder():
    """A chain whose θ is a walk and the noise of its last step, which tells what noise a path was driven by."""

    class Recorded(ss.chains.AbstractChain):
        dim: int = 2
        noise_dim: int = 1
        noise_kind: str = "gaussian"
        time_step: float = 1.0
        landscape: None = None

        def step(self, state, noise, step_index):
            return jnp.stack([0.9 * state[0] + noise[0], noise[0]])

    return Recorded()


@pytest.mark.long
def test_the_stages_of_splitting_are_driven_by_different_noise():
    """Four consecutive normals tell where in all random numbers a path is: none is met twice in a whole tree."""
    tree = ss.passage.branches(
        recorder(), np.zeros(2, np.float32), ss.regions.HalfSpace(np.array([-1.0, 0.0]), -7.0), horizon=60.0,
        trajectories=64, seed=2,
    )  # fmt: skip
    assert len(tree.levels) > 2
    windows = [
        tuple(noise[k : k + 4])
        for branch in tree.branches
        for noise in [branch.states[1:, 1].tolist()]
        for k in range(len(noise) - 3)
    ]
    assert len(windows) > 2000 and len(set(windows)) == len(windows)


def test_repetitions_are_uncorrelated():
    """The estimates of repetitions that follow each other, over ten seeds. Twin: neighbours that share a tenth."""
    rows = []
    for seed in range(10):
        method = ss.passage.Splitting(repetitions=64)
        found = ss.escape(BOWL, START, below(1.6), 20 * DT, seed=seed, trajectories=64 * 64, method=method)
        rows.append(found.to_dataset()["level_probability"].values[:, -1])
    values = np.array(rows)
    values = (values - values.mean(axis=1, keepdims=True)) / values.std(axis=1, keepdims=True)

    def neighbours(values):
        return [np.mean(values[:, lag:] * values[:, :-lag]) * np.sqrt(values[:, lag:].size) for lag in (1, 2, 4)]

    for z in neighbours(values):
        assert agrees(z, 0.0, 1.0)
    between = [np.mean(one * other) * np.sqrt(one.size) for one, other in itertools.combinations(values, 2)]
    assert np.sum(np.square(between)) < 45 + 5 * np.sqrt(2 * 45)
    assert not agrees(neighbours((values + np.roll(values, 1, axis=1)) / np.sqrt(2))[0], 0.0, 1.0)


@pytest.mark.long
def test_each_purpose_has_its_key(monkeypatch):
    """A seed's own key is direct simulation's; splitting runs under keys derived from it, those that are written down.

    The numbers must not change: bits depend on them.
    """
    key = seed_key(1)
    derived = {tuple(int(word) for word in derived_key(key, number)): number for number in range(8)}
    derived[tuple(int(word) for word in key)] = -1
    # excursions: what a trajectory does before its first one has a key of its own
    before = derived_key(derived_key(key, Stream.EXCURSIONS), Stream.EQUILIBRATION)
    derived[tuple(int(word) for word in before)] = 53

    def purposes(call):
        with monkeypatch.context() as patch:
            ear = Ear(patch)
            call()
        return {derived[heard[:2]] for heard in ear.keys}

    assert purposes(CALLS["direct to a precision"][0]) == {-1}
    assert purposes(CALLS["splitting"][0]) == {1, 2}
    assert purposes(CALLS["a choice of methods"][0]) == {0, 1, 2}
    assert purposes(CALLS["a mean time"][0]) == {1, 2, 3, 5, 53}
    assert purposes(CALLS["two sets"][0]) >= {6}
