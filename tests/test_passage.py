"""What every first passage keeps, whatever chain, method or budget: memory, divergence, budgets, one kind of result."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from chains_with_memory import MomentumSGD, Underdamped
from legs import later_legs
from scipy import stats
from splitting_cases import CHAIN, DT, START, below
from statistical import agrees

import sde_sgd as ss
from sde_sgd.engine import Ends, StopTimes
from sde_sgd.passage import METHODS, AbstractMethod, Answer, DirectSample, Splitting, _execution
from sde_sgd.reference import ChainExit
from sde_sgd.results import Status, Verdict

DOUBLE_WELL = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)


@pytest.mark.long
@pytest.mark.parametrize(
    "chain",
    [MomentumSGD(DOUBLE_WELL, deviation=0.035), Underdamped(DOUBLE_WELL, temperature=0.077)],
    ids=["MomentumSGD", "Underdamped"],
)
def test_chains_with_memory_leave_a_sublevel(chain):
    """By splitting as often as directly (4 standard errors), with either score; no bit tells of devices or chunks."""
    region = ss.regions.Sublevel(DOUBLE_WELL, 0.55)

    def escape(trajectories, **options):
        return ss.escape(chain, -np.ones(1, np.float32), region, 10.0, trajectories=trajectories, seed=3, **options)

    direct = escape(65_536, method="direct").probability
    assert 1e-4 < direct.value < 0.2
    for score in (None, "auto"):
        options = {"method": Splitting(score, 16)}
        found = escape(4_096, **options)
        values = found.level_probability[:, -1]
        error = np.hypot(values.std(ddof=1) / np.sqrt(len(values)), (direct.high - direct.low) / 4)
        assert agrees(values.mean(), direct.value, error), (values.mean(), direct, error)
        other = escape(4_096, devices=jax.devices()[:1], chunk=512, **options)
        for name in ("steps", "weights", "repetition", "level_probability"):
            assert np.array_equal(getattr(found, name), getattr(other, name))
    one, other = escape(1_024, method="direct"), escape(1_024, method="direct", devices=jax.devices()[:1], chunk=128)
    assert np.array_equal(one.steps, other.steps) and np.array_equal(one.outcome, other.outcome)
    paths = ss.simulate(chain, -np.ones(1, np.float32), 200, 64, seed=3, save_every=1)[..., 0]
    out = (paths**2 - 1) ** 2 >= np.float32(0.55)
    assert np.array_equal(one.steps[:64], np.where(out.any(0), out.argmax(0), -1))


class Batches(AbstractMethod):
    """Plain Monte Carlo in batches of equal size, until the interval is narrow enough: a person's own method."""

    size: int = 512

    def answer(self, question, run, effort):
        parts, done = [], 0
        while True:
            parts.append(run.run(range(done, done + self.size)))
            done += self.size
            steps, codes = (np.concatenate([getattr(part, name) for part in parts]) for name in ("step", "code"))
            sample = DirectSample(question.watch(), steps, codes.astype(np.int64))
            if effort.rtol is None and done >= effort.trajectories:
                return Answer("batches", sample, Verdict())
            if effort.rtol is not None and sample.probability.relative_half_width <= effort.rtol:
                return Answer("batches", sample, Verdict())
            if run.ledger.left < self.size:
                return Answer("batches", sample, Verdict(((Status.BUDGET_SPENT, "no further batch may start"),)))


def test_a_method_is_one_class_and_one_name(monkeypatch):
    """It answers as the others do, by its name and as an object."""
    monkeypatch.setitem(METHODS, "batches", Batches())
    found = ss.escape(CHAIN, START, below(1.0), 6.0, trajectories=1_024, method="batches", seed=4)
    direct = ss.escape(CHAIN, START, below(1.0), 6.0, trajectories=1_024, method="direct", chunk=512, seed=4)
    assert found.method == "batches" and found.status == Status.COMPLETE
    assert np.array_equal(found.steps, direct.steps) and found.probability.value == direct.probability.value
    spent = ss.escape(CHAIN, START, below(1.0), 6.0, rtol=1e-3, max_trajectories=1_100, method=Batches(512))
    assert spent.trajectories == 1_024 and spent.result.startswith("budget spent") and "batches" in repr(spent)


@pytest.mark.long
def test_a_result_prints_its_answer_and_says_what_it_lacks():
    direct = ss.escape(CHAIN, START, below(1.0), 6.0, trajectories=256)
    split = ss.escape(CHAIN, START, below(4.0), 6.0, trajectories=1_024, method="splitting")
    mean = ss.escape(CHAIN, START, below(3.5), trajectories=1_024, method="splitting")
    for found in (direct, split, mean):
        shown = repr(found)
        for part in (str(found.probability), str(found.mean_exit_time), found.result, "path-steps", "seed 0"):
            assert part in shown
        assert str(found.mean_exit_time) in found._repr_html_()
        assert found.to_dataset().attrs["method"] == found.method
    assert type(direct) is type(split) is type(mean)
    assert direct.settling_time is None and split.settling_time is None and mean.settling_time > 0
    with pytest.raises(AttributeError, match=r"exit_times is what direct simulation .* found by splitting"):
        _ = split.exit_times
    with pytest.raises(AttributeError, match=r"levels is what splitting .* found by direct simulation"):
        _ = direct.levels
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = direct.nonsense


def test_the_options_are_to_be_seen():
    for call in (ss.escape, ss.first_passage):
        parameters = inspect.signature(call).parameters
        assert all(each.kind is not each.VAR_KEYWORD for each in parameters.values())
        assert all(name in (call.__doc__ or "") for name in parameters)


def broken(x, edge):
    return jnp.where(x[0] < edge, jnp.nan, 0.5) * x[0] ** 2


def not_a_number_beyond(edge):
    """One program for all edges; CHAIN where there is none, at −∞."""
    broken_bowl = ss.landscapes.Landscape(broken, 1, np.float32(edge))
    return ss.EulerMaruyama(ss.LangevinSGD.at_temperature(broken_bowl, 0.5), DT)


def test_divergence_is_read_both_ways_in_every_interval():
    """Where the loss is not a number on one side: every interval holds for whatever became of those that went there.

    P ≤ p by the horizon T implies a mean time of about −T/log(1 − p) for a steady rate, whose interval may not begin
    above that. Twin: what it was without the diverged.
    """
    horizon = 20.0
    found = ss.escape(not_a_number_beyond(-1.5), START, below(4.0), horizon, trajectories=4_096, method="direct")
    share = found.diverged / 4_096
    assert 0.2 < share < 0.9 and found.status == Status.DIVERGED and str(found.diverged) in found.result
    assert found.probability.value == 0 and found.probability.high == pytest.approx(share, abs=0.03)
    implied = -horizon / np.log1p(-found.probability.high)
    assert 0.7 * implied < found.mean_exit_time.low < 1.2 * implied and found.mean_exit_time.high == np.inf
    assert found.exit_rate.low == 0 and found.exit_rate.high > 0.8 / implied
    assert found.survival([horizon]).low == pytest.approx(1 - found.probability.high, abs=0.01)
    seen = found.exit_rate.value
    assert seen == 0 and -np.log(0.025) / (4_096 * horizon) < 0.01 * found.exit_rate.high


@pytest.mark.long
def test_nothing_is_known_where_all_diverge():
    """Nor is anything rare looked for: the pilot of "auto" sees it."""
    chain, region = not_a_number_beyond(10.0), below(20.0)
    start = np.full(1, 11.0, np.float32)
    for options in ({"trajectories": 2_048}, {"rtol": 0.1}):
        for horizon in (6.0, None):
            found = ss.escape(chain, start, region, horizon, **options)
            assert found.method == "direct" and found.status == Status.DIVERGED
            assert np.isnan(found.probability.value) and np.isnan(found.mean_exit_time.value)
            assert found.probability.low == 0 and found.probability.high == 1
            assert found.mean_exit_time.low < 1 and found.mean_exit_time.high == np.inf
            assert found.path_steps < 1e6


def test_a_mean_of_all_that_arrived_holds_for_the_diverged():
    """Some diverge before they arrive: both readings of them are in the interval."""
    found = ss.escape(not_a_number_beyond(-1.5), START, below(1.0), trajectories=4_096, method="direct")
    finite = found.exit_times[np.isfinite(found.exit_times)]
    assert found.diverged > 100 and found.mean_exit_time.value == pytest.approx(finite.mean())
    arrived = np.where(found.outcome == 1, found.steps * DT, found.exit_times).mean()
    assert found.mean_exit_time.low < arrived < found.mean_exit_time.high


class Spy:
    """What the engine was asked to run: keys, ids and how many were new."""

    def __init__(self, monkeypatch):
        self.calls = []
        for name in ("run_population", "run_renewing", "run_until_stopped"):
            monkeypatch.setattr(_execution, name, self._spied(getattr(_execution, name)))

    def _spied(self, real):
        names = list(inspect.signature(real).parameters)

        def call(*args, **options):
            asked = dict(zip(names, args, strict=False))
            chosen = np.asarray(asked["ids"])[np.asarray(asked.get("budgets", np.ones(len(asked["ids"])))) > 0]
            up_to_a_level = np.isfinite(getattr(asked["monitor"], "level", np.inf))
            again = getattr(asked["chain"], "peaks", False) and up_to_a_level
            key = tuple(int(word) for word in asked["key"])
            self.calls.append((key, chosen, again))
            found = real(*args, **options)
            if not isinstance(found, Ends | StopTimes):
                self.calls.append((key, later_legs(asked["ids"], asked["clocks"], *found)[0], again))
            return found

        return call

    @property
    def fresh(self):
        return [(key, ids) for key, ids, again in self.calls if not again]


@pytest.mark.parametrize(
    "horizon", [6.0, pytest.param(None, marks=pytest.mark.long)], ids=["within a horizon", "mean time"]
)
def test_no_two_stages_share_random_numbers(horizon, monkeypatch):
    """Pilots, levels, repetitions, excursions: no id of a key is used twice, but to see a trajectory again."""
    spy = Spy(monkeypatch)
    ss.escape(CHAIN, START, below(3.5), horizon, rtol=0.3, seed=5, method="splitting")
    used = np.concatenate([np.column_stack([np.full(len(ids), hash(key)), ids]) for key, ids in spy.fresh])
    assert len(np.unique(used, axis=0)) == len(used) > 50_000
    assert len({key for key, _ in spy.fresh}) == (2 if horizon else 4)


@pytest.mark.parametrize(
    ("budget", "method", "level"), [(2_048, "splitting", 500.0), (1_000, "auto", 8 / 2**0.5), (60_000, "auto", 5.0)]
)
def test_a_budget_bounds_all_that_starts(budget, method, level, monkeypatch):
    """Pilots, levels and first batches included, and what is left is not wasted: an upper bound at least."""
    spy = Spy(monkeypatch)
    found = ss.escape(CHAIN, START, below(level), 6.0, rtol=0.1, max_trajectories=budget, method=method)
    assert sum(len(ids) for _, ids in spy.fresh) <= budget
    assert found.result.startswith("budget spent") and str(budget) in found.result
    assert 0 < found.probability.high < 0.01 and found.trajectories >= budget // 2


def test_a_budget_bounds_a_mean_time():
    found = ss.escape(CHAIN, START, below(500.0), rtol=0.1, max_trajectories=2_048, method="splitting")
    assert found.result.startswith("budget spent") and found.trajectories <= 2_048 and found.path_steps < 2**31


def test_few_repetitions_have_the_quantile_of_student():
    """The interval's half-width in jackknife errors of the logarithm is Student's quantile. Twin: the normal one."""
    for number in (2, 3, 5):
        method = Splitting(repetitions=number)
        found = ss.escape(CHAIN, START, below(3.0), 6.0, trajectories=number * 128, seed=6, method=method)
        values = found.level_probability[:, -1]
        without = np.log((values.sum() - values) / (number - 1))
        error = np.sqrt((number - 1) * np.mean((without - without.mean()) ** 2))
        width = np.log(found.probability.high / found.probability.value) / error
        assert width == pytest.approx(stats.t.ppf(0.975, number - 1)) and width > 1.3 * stats.norm.ppf(0.975)


def test_mean_times_of_what_changes_in_time_are_refused():
    """Within a horizon the probability is that of the chain, and no mean time is made up from it."""
    rate = optax.piecewise_constant_schedule(0.01, {2000: 0.2})
    chain = ss.EulerMaruyama(ss.LangevinSGD(DOUBLE_WELL, ss.noise.Isotropic(24.0), rate, 1.0))
    for method in ("direct", "splitting", "auto"):
        with pytest.raises(ValueError, match="mean times need coefficients that do not change in time"):
            ss.escape(chain, -np.ones(1), below(0.0), rtol=0.1, method=method)
    found = ss.escape(chain, -np.ones(1), below(0.0), 1.0, trajectories=512)
    assert 0 <= found.probability.value < 1 and np.isnan(found.mean_exit_time.value)


DRIVEN = ss.EulerMaruyama(
    ss.diffusions.ItoDiffusion(
        lambda z, t: jnp.stack([z[1], -z[0] - z[1]]), lambda z, t: jnp.array([[0.0], [1.0]], z.dtype), 2
    ),
    0.01,
)
POSITION, VELOCITY = (ss.regions.HalfSpace(normal, 1.0) for normal in ([1.0, 0.0], [0.0, 1.0]))


@pytest.mark.parametrize("region", [POSITION, POSITION & VELOCITY, POSITION | VELOCITY], ids=["position", "&", "|"])
def test_the_bridge_is_refused_where_the_boundary_sees_no_noise(region):
    with pytest.raises(ValueError, match="needs noise across the boundary"):
        ss.escape(DRIVEN, np.zeros(2), region, 1.0, trajectories=64, monitoring="continuous")


@pytest.mark.long
def test_the_bridge_is_taken_where_the_boundary_sees_noise():
    """Of rank one, and of a sublevel set whose gradient is small at the start."""
    found = ss.escape(DRIVEN, np.zeros(2), VELOCITY, 1.0, trajectories=256, monitoring="continuous")
    assert found.count("target") > 0
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(DOUBLE_WELL, 0.3), 0.01)
    region = ss.regions.Sublevel(DOUBLE_WELL, 0.5)
    found = ss.escape(chain, np.full(1, -0.99), region, 1.0, trajectories=256, monitoring="continuous")
    assert found.count("target") > 0


def test_a_rate_is_that_of_the_kernel_where_nothing_diverges():
    """The readings of the diverged change nothing without any: the plain interval holds the kernel's value."""
    kernel = ChainExit(lambda x: x * (1 - DT), np.sqrt(DT), 0.0, 1.0, -6.0)
    chain, region = not_a_number_beyond(-np.inf), below(1.0)
    found = ss.escape(chain, START, region, trajectories=16_384, chunk=4_096, method="direct", seed=8)
    assert found.diverged == 0 and found.mean_exit_time.contains(kernel.mean_steps() * DT)
    assert found.exit_rate.value == pytest.approx(1 / found.mean_exit_time.value)
