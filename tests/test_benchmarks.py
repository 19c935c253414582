"""The benchmarks measure what they say: ratios are right, records keep all of it, nothing is left out in silence."""

import json
import time

import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss
from benchmarks.speed import __main__ as command
from benchmarks.speed import _measure, _ours, _precision, rivals
from benchmarks.speed._cases import CASES, Case
from benchmarks.speed._measure import OURS, Contender, Missing, Target, Timing, disagreement, measure, ratio
from benchmarks.speed._problems import COUPLED_4, DOUBLE_WELL
from benchmarks.speed._report import run_case
from benchmarks.training import __main__ as training
from benchmarks.training import _rivals
from benchmarks.validation import __main__ as validation
from benchmarks.validation import _record


def test_disagreement_sees_a_wrong_amplitude_and_a_nan():
    sample = np.random.default_rng(0).standard_normal((2, 65_536))
    assert disagreement(sample[0], sample[1]) < 4.5
    assert disagreement(sample[0], 1.05 * sample[1]) > 6
    assert disagreement(sample[0], np.full(65_536, np.nan)) > 6


def test_most_leave_in_the_first_tenth():
    trajectories, steps = 400, 2_000
    starts = _ours.leaving_starts(trajectories, steps)
    region = ss.regions.HalfSpace(normal=[1.0], offset=0.8)
    chain = _ours._COLD.chain()
    passage = ss.escape(chain, starts, region, horizon=steps * 1e-3, trajectories=trajectories, seed=0)
    survival = passage.survival(jnp.array([0.05, 0.1, 1.0]) * steps * 1e-3)
    assert 0.3 < float(survival.value[0]) < 0.7
    np.testing.assert_allclose(survival.value[1:], 0.01, atol=1e-6)


def fake(family, cost, log, result=None):
    def run():
        log.append(family)
        return result

    return Contender(family, run, trajectories=10, steps=int(10 / cost))


def test_rounds_are_interleaved_and_rotate():
    log = []
    timings, missing = measure([fake(name, 1, log) for name in "abc"] + [Missing("d", "not installed")], rounds=3)
    assert "".join(log) == "abc" + "aabbcc" + "bbccaa" + "ccaabb"
    assert [len(timing.seconds) for timing in timings] == [3, 3, 3]
    assert missing == [Missing("d", "not installed")]


def test_a_timed_run_follows_an_untimed_one_at_once():
    events = []
    seconds = _measure.seconds_of(lambda: events.append(time.perf_counter()))
    untimed, timed = events
    # no pause lies between the two, and the clock saw the second alone
    assert timed - untimed < _measure._PAUSE and seconds < _measure._PAUSE


def test_validation_lists_its_names_and_refuses_others(capsys):
    validation.main([])
    listed = capsys.readouterr().out
    for name in validation.NAMES:
        assert f"  {name} " in listed
        with pytest.raises(SystemExit):
            validation.main([name, "--help"])
        assert f"benchmarks.validation {name}" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="'speed'"):
        validation.main(["speed"])


def test_a_record_keeps_the_sections_that_are_not_made_anew(tmp_path, capsys):
    path, calls = tmp_path / "record.json", iter(range(9))
    sections = {"one": lambda: next(calls), "two": lambda: next(calls)}
    _record.save(_record.renewed(path, "numbers", sections, []), path)
    _record.save(_record.renewed(path, "numbers", sections, ["two"]), path)
    record = json.loads(path.read_text())
    assert (record["one"], record["two"]) == (0, 2) and set(record["dates"]) == {"one", "two"}
    assert {"what", "versions", "device"} <= set(record)
    with pytest.raises(SystemExit):
        _record.arguments_of("splitting", None, sections, ["three"])
    assert "no section three; there are one, two" in capsys.readouterr().err


@pytest.mark.long
def test_ablations_leave_a_part_out_and_the_numbers_alike():
    contenders = _ours.ablated(_ours.simulate(COUPLED_4, 256, 32))
    assert [contender.family for contender in contenders] == [OURS, *(f"{OURS}, {part}" for part in _ours.PARTS)]
    whole, *others = [contender.run() for contender in contenders]
    for other in others:
        np.testing.assert_allclose(other, whole, rtol=0, atol=2e-5)
    run = {"start": COUPLED_4.point(), "steps": 32, "trajectories": 256}
    assert "component-wise" in ss.plan(COUPLED_4.chain(), **run).lowering
    with ss.engine.tuned(**_ours.PARTS["lowering off"]):
        assert "component-wise" not in ss.plan(COUPLED_4.chain(), **run).lowering
    assert {"ablation_double_well", "ablation_escape"} <= {case.name for case in CASES}


def test_ratio_is_within_rounds_and_against_the_fastest_variant():
    def timing(family, variant, seconds):
        return Timing(Contender(family, lambda: None, 10, 10, variant), seconds)

    # the machine slows down tenfold in the last rounds; the ratio within a round stays 4
    timings = [
        timing(OURS, "", [1.0, 10.0, 10.0]),
        timing("rival", "slow", [9.0, 90.0, 90.0]),
        timing("rival", "fast", [4.0, 40.0, 40.0]),
    ]
    assert ratio(timings, Target("rival", at_least=3)) == 4
    assert ratio(timings, Target("rival", at_most=0.2)) == 0.25
    assert ratio(timings, Target("absent", at_least=3)) is None
    assert Target("rival", at_least=3).met(4) and not Target("rival", at_most=0.2).met(0.25)
    assert Target("rival").met(4) is None


def test_wrong_and_failing_rivals_are_named_and_not_timed():
    def fail():
        raise MemoryError("out of memory\nand more")

    normal = np.random.default_rng(0).standard_normal((2, 4_096))
    entries = [
        fake(OURS, 1, [], normal[0]),
        fake("right", 1, [], normal[1]),
        fake("wrong", 1, [], normal[1] + 1),
        Contender("failing", fail, 1, 1),
    ]
    timings, missing = measure(entries, rounds=1)
    assert [timing.contender.family for timing in timings] == [OURS, "right"]
    reasons = {entry.family: entry.reason for entry in missing}
    assert "standard errors" in reasons["wrong"] and reasons["failing"] == "failed: MemoryError: out of memory"


def test_fewer_steps_are_another_law_and_not_wrong():
    entries = [Contender(OURS, lambda: np.ones(9), 9, 8), Contender("slow", lambda: np.zeros(9), 9, 4)]
    timings, missing = measure(entries, rounds=1)
    assert len(timings) == 2 and not missing


def test_our_own_failure_is_never_hidden():
    def fail():
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        measure([Contender(f"{OURS}, escape", fail, 1, 1)], rounds=1)


def test_every_target_names_a_family_that_takes_part(capsys):
    def make(trajectories, steps):
        return [_ours.simulate(DOUBLE_WELL, trajectories, steps), *rivals.numpy_vectorised(trajectories, steps)]

    case = Case("own", "own", make, (Target("NumPy", at_least=1e9), Target("numba", at_least=1)), 256, 16)
    numpy, numba = run_case(case, 1, quick=False)["targets"]
    assert numpy["met"] is False and numpy["ratio"] > 0 and numba["ratio"] is None
    printed = capsys.readouterr().out
    assert "MISSED" in printed and "not measured" in printed
    assert {case.name for case in CASES} >= {"double_well", "escape", "finished", "rademacher", "coupled_16"}


def test_the_command_writes_results_and_a_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "HOST_RIVALS", (rivals.numpy_vectorised,))
    command.main(["--quick", "--only", "rademacher", "--only", "scaling", "--rounds", "1", "--out", str(tmp_path)])
    result = json.loads((tmp_path / "cpu.json").read_text())
    assert [case["name"] for case in result["cases"]] == ["rademacher", "scaling"]
    assert {"date", "device", "versions"} <= set(result) and "jax" in result["versions"]
    families = {row["family"] for row in result["cases"][1]["contenders"]}
    assert families == {OURS, "NumPy"}
    assert (tmp_path / "throughput.png").stat().st_size > 5_000
    (tmp_path / "throughput.png").unlink()
    command.main(["--redraw", "--out", str(tmp_path)])
    assert (tmp_path / "throughput.png").exists()


def test_precision_is_that_of_the_repetitions():
    generator = np.random.default_rng(0)
    precision = _precision.Precision(truth=2.0)
    contender = Contender("rival", lambda: 2 + 0.2 * generator.standard_normal(16), 1, 1)
    watched = precision.watched(contender)
    for _ in range(50):
        assert watched.run() is None
    assert abs(precision.standard_error / (0.1 / 4) - 1) < 0.1 and precision.strays < 4
    timing = Timing(watched, [4.0, 8.0, 8.0])
    row = _precision._row(timing, precision, 2.0)
    # a quarter of the time for half the precision
    np.testing.assert_allclose(row["median_seconds_to_precision"], 8 / 4, rtol=0.2)
    precision.truth = 2.1
    rows, (wrong,) = _precision._rows([timing], {"rival": precision}, 2.1)
    assert not rows and "standard errors off" in wrong.reason


@pytest.mark.long
def test_splitting_is_compared_with_what_is_there(tmp_path):
    command.main(["--quick", "--only", "splitting", "--rounds", "1", "--out", str(tmp_path)])
    (case,) = json.loads((tmp_path / "cpu.json").read_text())["cases"]
    rows = {row["family"]: row for row in case["contenders"]}
    assert {OURS, rivals.NUMPY_SPLITTING, _precision.DIRECT} <= set(rows)
    assert "pytams" in {*rows, *(entry["family"] for entry in case["missing"])}
    assert all(row["median_seconds_to_precision"] > 0 for row in rows.values())
    assert rows[_precision.DIRECT]["how"].startswith("computed")
    assert case["targets"][0]["ratio"] > 0


@pytest.mark.long
def test_networks_are_compared_with_what_is_written_by_hand(tmp_path):
    path = tmp_path / "training.json"
    training.main(["cnn", "--quick", "--out", str(path)])
    (case,) = json.loads(path.read_text())["cases"]
    rows = {(row["family"], row["networks"]): row for row in case["contenders"]}
    assert {(OURS, 32), (_rivals.BY_HAND, 32), (_rivals.SCANNED, 1), (_rivals.LOOP, 1)} <= set(rows)
    assert all(row["wall_microseconds"] > 0 and row["cpu_microseconds"] > 0 for row in rows.values())
    assert {entry["family"] for entry in case["missing"]} >= {_rivals.PRODUCTS}
    assert [row["clock"] for row in case["targets"]] == ["wall", "cpu", "cpu", "cpu"]
    # a quick round judges nothing; what is not installed has no ratio
    unmeasured = {entry["family"] for entry in case["missing"]} & {row["against"] for row in case["targets"]}
    assert unmeasured <= {_rivals.TORCH_FUNC}
    for row in case["targets"]:
        assert row["met"] is None and (row["ratio"] is None if row["against"] in unmeasured else row["ratio"] > 0), row
    with pytest.raises(SystemExit):
        training.main(["mnist"])


def test_a_share_of_the_time_of_many_networks_is_that_of_whole_runs():
    def cost(networks, seconds):
        return training.Cost(Contender(OURS, lambda: None, networks, 10), [seconds] * 3, [seconds] * 3)

    # one network's step takes 2 ms by the clock, that of 64 together 40 ms
    costs = [cost(1, 0.02), cost(64, 0.4)]
    row = training._judged(costs, "time", OURS, 64, "wall", 1, 0.1, cheaper=False, judge=True)
    assert row["ratio"] == 0.05 and row["met"] is True
    row = training._judged(costs, "scan", OURS, 1, "cpu", 64, 4.0, cheaper=True, judge=True)
    assert row["ratio"] == 3.2 and row["met"] is False
