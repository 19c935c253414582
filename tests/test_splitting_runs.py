"""When splitting is taken, how it is run to a precision, and what is said of what it found."""

import functools
from collections import OrderedDict

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from splitting_cases import CHAIN, DT, START, asked, below, escape, exact, outlier, outlier_exits
from statistical import distance

import sde_sgd as ss
from sde_sgd.engine import StopCode, _population
from sde_sgd.passage import DirectSample, Splitting, SplittingSample, _automatic, _pilots
from sde_sgd.passage._question import execution_of, make_question
from sde_sgd.passage.splitting import _climb, _excursions, _levels, _repetitions, _run, _score
from sde_sgd.passage.splitting._equilibration import equilibrate
from sde_sgd.passage.splitting._excursions import Excursions, StepsFromHome
from sde_sgd.random import Stream
from sde_sgd.results import Status, Verdict


def test_repetitions_of_a_heavy_law_are_told():
    """Of 32 with an exponential law hardly any are called uneven; with the spread of 2.4 that a bad score had, most."""
    question, _, _ = asked(4.0, 1.0)
    randomness, none = np.random.default_rng(0), np.zeros(0)

    def told(values):
        empty = np.zeros(len(values))
        steps = none.astype(np.int64)
        tally = _repetitions.Tally(steps, none, steps, values[:, None], empty, empty, empty, 0)
        return _run._verdict(question, Verdict(), tally).status == Status.UNEVEN

    light = [told(randomness.exponential(size=32)) for _ in range(500)]
    heavy = [told(randomness.lognormal(0, np.sqrt(np.log(1 + 2.4**2)), size=32)) for _ in range(500)]
    assert np.mean(light) < 0.03 and np.mean(heavy) > 0.5, (np.mean(light), np.mean(heavy))


@pytest.mark.parametrize(
    ("pilots", "last"),
    [
        ([(1.2, 1), (1.1, 2), (0.8, 3), (0.5, 6)], 3),
        ([(np.inf, 1), (np.inf, 3), (1.0, 6), (0.5, 10)], 3),
        ([(0.9, 1), (np.inf, 3), (0.5, 6)], 1),
        ([(np.inf, 1), (np.inf, 5), (np.inf, 20)], 1),
    ],
    ids=["coarse", "too coarse to go on at first", "overshoot rises", "cost runs away"],
)
def test_steps_are_divided_only_while_that_helps(pilots, last, monkeypatch):
    """Overshoot and cost of each pilot; a score that leads up a slope has no end to its levels."""
    made = iter([_levels.Levels(np.zeros(0), [], overshoot, True, cost) for overshoot, cost in pilots])
    monkeypatch.setattr(_run, "choose_levels", lambda *_: next(made))
    _, run, score = asked(4.0, 1.0)
    repeat = _run._between_levels(run, score, 64, np.random.default_rng(0), None, 2_048)
    assert repeat.run.substeps == 2**last and repeat.levels.path_steps == pilots[last][1]


@pytest.mark.parametrize("reaches", [True, False])
def test_excursions_begin_with_every_step_where_one_leads_to_the_target(reaches, monkeypatch):
    """Levels that are close look as steps do that are large; excursions away from home then lead up what those do not.

    Three pilots: of those that begin away from home; with every step; and away from home again, in substeps.
    """
    made = iter(
        [_levels.Levels(np.zeros(0), [], *pilot) for pilot in ((1.0, True, 1), (0.1, reaches, 2), (0.1, True, 3))]
    )
    monkeypatch.setattr(_run, "choose_levels", lambda *_: next(made))
    question = make_question(CHAIN, START, ~below(4.0))
    run, score = execution_of(question, 0, None, None, None), Splitting().score_for(question)
    excursions = Excursions(run, score, equilibrate(run, score))
    passage = excursions.passage_from_excursion(excursions.pilot(256).states)
    repeat = _run._between_levels(passage, score, 64, np.random.default_rng(0), excursions, 256)
    assert isinstance(repeat._excursions, StepsFromHome) == reaches and (repeat._excursions is excursions) != reaches
    assert repeat.run.substeps == (1 if reaches else 2) and repeat.levels.path_steps == (2 if reaches else 3)


def test_a_score_that_tells_of_home_too_is_asked_once():
    """With the same codes. Twin: a crossing around the way home, which computes it again."""
    question, run, _ = asked(4.0, 6.0)
    score = _score.score_of(question.chain, question.target, lambda x: jnp.sin(x[0] / 3))
    home = _climb.BackHome(run.monitor, score, np.float32(-0.3))
    bounds = np.float32(0.3), np.float32(-0.1)
    once, twice = _climb.level_crossing(home, score, *bounds), _climb.LevelCrossing(home, score, *bounds)
    states = jnp.linspace(-4.5, 4.5, 241)[:, None]

    def codes(monitor):
        return jax.vmap(lambda x: monitor.code(x, x, jnp.uint32(3), jnp.zeros(0)))(states)

    for monitor, times in ((once, 1), (twice, 2)):
        assert str(jax.make_jaxpr(functools.partial(codes, monitor))()).count(" sin ") == times
    assert np.array_equal(codes(once), codes(twice)) and len(np.unique(codes(once))) == 5
    other = _score.score_of(question.chain, question.target, None)
    assert isinstance(_climb.level_crossing(home, other, *bounds).monitor, _climb.BackHome)


@pytest.mark.long
def test_a_precision_is_met_at_a_small_part_of_the_direct_cost():
    """p near 2e-10 to ±10 %: the interval is that narrow, and direct simulation would take 10⁵ times the steps."""
    fp = escape(5.0, rtol=0.1, seed=5)
    assert fp.method == "splitting" and fp.result == "complete"
    assert fp.probability.relative_half_width <= 0.1
    truth = exact(5.0, 120)[-1]
    assert truth < 1e-9 and 0.8 < fp.probability.value / truth < 1.2
    assert fp.speed_up > 1e5
    spent = escape(5.0, rtol=1e-3, max_trajectories=1_000_000, seed=5)
    assert "budget spent" in spent.result and spent.probability.contains(truth)


def test_what_tells_how_many_is_not_in_the_answer(monkeypatch):
    """The repetitions that say how many more it takes are dropped: kept, low ones would stop sampling too soon."""
    seen, run = [], _repetitions.Repetitions.__call__

    def spy(self, *options):
        seen.append(run(self, *options))
        return seen[-1]

    monkeypatch.setattr(_repetitions.Repetitions, "__call__", spy)
    fp = escape(3.5, rtol=0.1, seed=16)
    assert fp.method == "splitting"
    assert len(seen) >= 2 and len(seen[0].level_probability) == 32
    kept = np.concatenate([tally.level_probability for tally in seen[1:]])
    assert np.array_equal(fp.level_probability, kept)


def test_auto_is_direct_where_passages_are_frequent():
    """The same trajectories, bit for bit, as with method="direct"; the pilot is in the cost."""
    for options in ({"trajectories": 8192, "chunk": 1024}, {"rtol": 0.2, "chunk": 1024}):
        auto, direct = (escape(1.0, method=method, **options) for method in ("auto", "direct"))
        assert isinstance(auto.evidence, DirectSample)
        assert np.array_equal(auto.steps, direct.steps) and np.array_equal(auto.outcome, direct.outcome)
        assert auto.method == "direct" and auto.path_steps > direct.path_steps
    question, run, _ = asked(4.0, 6.0)
    assert _pilots.is_rare(question, run, 8192).rare and not _pilots.is_rare(question, run, 256).rare


def test_the_choice_does_not_look_at_the_run_itself(monkeypatch):
    """The pilot's trajectories are not those of the answer: else high answers are kept and low ones replaced."""
    seen = []

    def spy(question, run, trajectories):
        stops = run.derived(Stream.PILOT).run(np.arange(1024))
        seen.append((stops.step, stops.code))
        return _pilots.is_rare(question, run, trajectories)

    monkeypatch.setattr(_automatic, "is_rare", spy)
    fp = escape(1.0, trajectories=8192, chunk=1024)
    (steps, codes), own = seen[0], fp.steps[:1024]
    both = (codes == StopCode.TARGET) & (fp.outcome[:1024] == StopCode.TARGET)
    # the same trajectories would agree everywhere, independent ones hardly ever
    assert both.sum() > 20 and np.mean(steps[both] == own[both]) < 0.2


@pytest.mark.long
def test_devices_and_chunks_change_no_bit():
    one, other = (
        escape(4.0, trajectories=4_096, method="splitting", **options)
        for options in ({}, {"devices": jax.devices()[:1], "chunk": 1024})
    )
    for name in ("steps", "weights", "repetition", "level_probability"):
        assert np.array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.long
def test_a_target_out_of_reach_has_an_upper_bound_and_advice():
    """Never a bare 0: the bound, and what to try."""
    fp = escape(500.0, 4, trajectories=4_096)
    assert fp.method == "splitting" and fp.result.startswith("target not reached") and "score" in fp.result
    assert fp.probability.value == 0 and 0 < fp.probability.high < 1e-2
    assert np.isfinite(fp.mean_exit_time.low) and "level_probability" in fp.to_dataset()


@pytest.mark.long
def test_the_bound_of_a_score_that_leads_away():
    """Its levels are less and less likely, and the target is none of them: the bound is what direct runs would tell."""
    fp = escape(2.2, 8, trajectories=2_048, score=lambda x: -x[0], method="splitting", seed=5)
    assert fp.result.startswith("target not reached") and fp.level_probability[:, -2].mean() < exact(2.2, 8)[-1]
    assert exact(2.2, 8)[-1] < fp.probability.high == pytest.approx(1 - 0.025 ** (1 / 2_048))


@pytest.mark.long
def test_repetitions_that_hold_nearly_all_are_told():
    """A score that leads nowhere: few repetitions see the target, if any: the result says so; a good one does not."""

    def run(score, level):
        return escape(level, 40, trajectories=1_024, score=score, method=Splitting(repetitions=32), seed=14).result

    assert run(lambda x: -abs(x[0] - 1), 2.6).startswith("uneven")
    assert run(lambda x: -abs(x[0] - 1), 5.0).startswith("target not reached")
    assert run(None, 3.2) == "complete"


@pytest.mark.long
def test_a_study_finds_what_it_wants_in_it():
    """The names that both kinds of result have."""
    fp = escape(4.0, trajectories=2_048)
    assert isinstance(fp.evidence, SplittingSample)
    assert fp.censored == fp.trajectories == 2_048 and fp.diverged == 0
    assert fp.survival(np.array([0.0, 6.0])).value.shape == (2,)


@pytest.mark.parametrize(
    ("horizon", "dim"),
    [(2.0, 1), pytest.param(None, 1, marks=pytest.mark.long), pytest.param(None, 4, marks=pytest.mark.long)],
    ids=["within a horizon", "mean time", "mean time, by either of two scores"],
)
def test_one_program_does_all_that_splitting_asks(horizon, dim, monkeypatch):
    """Beside that in which a law settles; where runs between levels are long one more follows, which changes no bit.

    Within a horizon hardly anything else is run, and so they have their own from the first.
    """
    if dim == 1:
        # fine enough to be taken as it is
        chain, start, region = ss.EulerMaruyama(CHAIN.diffusion, 0.005), START, below(3.0)
    else:
        landscape = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + 2 * jnp.sum(x[1:] ** 2), dim=4)
        chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.15), 0.01)
        start, region = -np.eye(4, dtype=np.float32)[0], ss.regions.HalfSpace(np.eye(4)[0], 0.9)
    monkeypatch.setattr(_population._WORK_OFF, "_programs", OrderedDict())
    real, found, asked_for = _repetitions.climb, [], []

    def climb(*args, alone, together):
        asked_for.append(alone)
        return real(*args, alone=alone and not together)

    # all in one, and each by itself
    for together, long, programs in ((True, 2**40, 1), (False, -1, 2)):
        monkeypatch.setattr(_repetitions, "climb", functools.partial(climb, together=together))
        for room in (_repetitions, _excursions):
            monkeypatch.setattr(room, "LONG", long)
        asked_for.clear()
        found.append(ss.escape(chain, start, region, horizon, rtol=0.2, method="splitting"))
        assert set(asked_for) == {horizon is not None or long < 0}
        assert len(_population._WORK_OFF) == programs + (horizon is None) * programs
    one, *others = (each.to_dataset().drop_attrs() for each in found)
    assert all(one.equals(other) for other in others) and len({each.path_steps for each in found}) == 1
    assert "over saddles" in found[0].evidence.score_reason or dim == 1


def test_a_score_without_a_lower_bound_is_nobodys_home():
    """Where it is −∞ a passage within a horizon goes on."""
    truth = exact(3.0, 120)[-1]
    fp = escape(3.0, rtol=0.1, method="splitting", score=lambda x: jnp.where(x[0] < -0.3, -jnp.inf, x[0]))
    assert fp.probability.low < truth < fp.probability.high


def test_highest_scores_are_those_of_the_paths():
    """With those of before, to the last bit; those that cross a level stop in that step."""
    size, steps = 256, 40
    _, run, score = asked(30.0, steps * DT)
    paths = ss.simulate(CHAIN, START, steps, size, save_every=1)[..., 0].T
    past = run.states(size), np.arange(size), np.zeros(size, np.int64), np.full(size, steps)
    # some start at more than they ever come to
    before = np.where(np.arange(size) % 4, -30.0, 5.0).astype(np.float32)
    _, highest = _climb.climb(run, score, (np.inf, -np.inf), past, before)
    scored = _score.scores(score, paths.reshape(-1, 1), np.zeros(paths.size, np.int64)).reshape(paths.shape)
    assert np.array_equal(highest, np.maximum(before, scored[:, 1:].max(1)))
    # the last is hardly ever the highest
    assert np.mean(highest > scored[:, -1]) > 0.9

    level = float(np.median(scored[:, 1:].max(1)))
    ends, _ = _climb.climb(run, score, (level, -np.inf), past, np.full(size, -30.0, np.float32))
    first = np.argmax(scored[:, 1:] >= level, axis=1)
    crossed = ends.code == StopCode.LEVEL_CROSSED
    assert np.array_equal(crossed, (scored[:, 1:] >= level).any(1)) and 0.4 < crossed.mean() < 0.6
    assert np.array_equal(ends.step[crossed], first[crossed] + 1)


def test_rare_jumps_are_levels_too():
    """Where hardly a trajectory of a pilot comes any higher. Without a level of their own no answer was found."""
    chain, steps = outlier(300), 40
    truth = outlier_exits(300, 5.0, steps)
    asked_for = chain, START, ss.regions.HalfSpace([-1.0], -5.0)
    fp = ss.first_passage(*asked_for, horizon=steps * chain.time_step, rtol=0.15)
    assert fp.method == "splitting" and fp.status == Status.COMPLETE and truth < 1e-7
    # within the 99.9 % interval, and its interval is not that of another answer
    assert distance(fp.probability, truth) < 1.68 and distance(fp.probability, 2 * truth) > 3
