"""The benchmarks measure what they say: rivals do the same work, ratios are right, nothing is left out in silence."""

import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binom

import sde_sgd as ss
from benchmarks.speed import __main__ as command
from benchmarks.speed import _measure, _ours, _precision, accelerator, kernel, rivals
from benchmarks.speed._cases import CASES, Case
from benchmarks.speed._measure import OURS, Contender, Missing, Target, Timing, disagreement, measure, ratio
from benchmarks.speed._problems import COUPLED_4, DOUBLE_WELL
from benchmarks.speed._report import run_case
from benchmarks.speed.rivals import _compiled, _splitting
from benchmarks.training import __main__ as training
from benchmarks.training import _problems, _rivals
from benchmarks.validation import __main__ as validation
from benchmarks.validation import _record, splitting

TRAJECTORIES, STEPS = 1_000, 16


def present(entries):
    """The contenders, or a skip that names the reason where none could take part."""
    contenders = [entry for entry in entries if isinstance(entry, Contender)]
    if not contenders:
        pytest.skip("; ".join(f"{entry.family}: {entry.reason}" for entry in entries))
    return contenders


@pytest.mark.parametrize("seed", [0, 2**40 + 3])
def test_yardstick_in_c_is_the_same_chain(seed):
    steps = 512
    ours = ss.simulate(DOUBLE_WELL.chain(), DOUBLE_WELL.point(), steps=steps, trajectories=TRAJECTORIES, seed=seed)
    for contender in present(rivals.yardstick(TRAJECTORIES, steps, seed)):
        theirs = contender.run()
        assert theirs.shape == (TRAJECTORIES,)
        # the same draws: only rounding differs, three orders below one step's noise of 0.014
        np.testing.assert_allclose(theirs, ours[:, 0], rtol=0, atol=2e-5)


DOUBLE_WELL_RIVALS = {
    "batched": rivals.batched_scan,
    "philox": rivals.batched_philox,
    "per trajectory": rivals.trajectory_scan,
    "numpy": rivals.numpy_vectorised,
    "numba": rivals.numba_loops,
    "diffrax": rivals.diffrax_solves,
    "diffrax tree": rivals.diffrax_tree,
    "cupy": rivals.cupy_kernel,
}


# what a rival's library warns of is not ours
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", DOUBLE_WELL_RIVALS)
def test_rival_follows_the_same_law(name):
    ours = _ours.simulate(DOUBLE_WELL, TRAJECTORIES, STEPS).run()
    contenders = present(DOUBLE_WELL_RIVALS[name](TRAJECTORIES, STEPS))
    # one variant of each family, for time; a measured run checks every one
    for contender in {contender.family: contender for contender in contenders}.values():
        theirs = contender.run()
        assert type(theirs) is np.ndarray and theirs.dtype == np.float32 and theirs.shape == (TRAJECTORIES,)
        assert disagreement(ours, theirs) < 4.5, contender


def test_gradient_rivals_follow_the_same_law():
    ours = _ours.simulate(COUPLED_4, TRAJECTORIES, STEPS).run()
    for contender in rivals.gradient_scans(COUPLED_4, TRAJECTORIES, STEPS):
        theirs = contender.run()
        assert type(theirs) is np.ndarray and theirs.dtype == np.float32 and theirs.shape == (TRAJECTORIES, 4)
        assert disagreement(ours, theirs) < 4.5, contender


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


@pytest.mark.parametrize(
    ("library", "make"),
    [
        ("numba", rivals.numba_loops),
        ("diffrax", rivals.diffrax_solves),
        ("cupy", rivals.cupy_kernel),
        ("pytams", lambda trajectories, steps: rivals.pytams_rounds(3.0, 0.02, steps, trajectories, 1)),
    ],
)
def test_rival_that_is_not_installed_is_named(library, make, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"benchmarks.speed.rivals._{library}", raising=False)
    (entry,) = make(64, 16)
    assert isinstance(entry, Missing) and library in entry.reason


def test_no_compiler_is_named(monkeypatch):
    monkeypatch.setattr(_compiled.shutil, "which", lambda name: None)
    assert rivals.yardstick(64, 16) == [Missing("hand-written C, OpenMP", "gcc is not installed")]


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


def test_the_accelerator_script_runs_on_cpu(tmp_path):
    names = ["floor", "diffeqgpu", "escape"]
    only = [word for name in names for word in ("--only", name)]
    accelerator.main(["--quick", *only, "--rounds", "1", "--floor", "1e9", "--out", str(tmp_path)])
    result = json.loads((tmp_path / "accelerator.json").read_text())
    assert {case["name"] for case in result["cases"]} == set(names)
    by_name = {case["name"]: case for case in result["cases"]}
    assert by_name["floor"]["fraction_of_floor"] > 0 and by_name["diffeqgpu"]["milliseconds_on_device"] > 0


def test_the_accelerator_script_wants_an_accelerator():
    with pytest.raises(SystemExit, match="no accelerator"):
        accelerator.main([])


def test_the_accelerator_script_names_what_time_did_not_allow(tmp_path, capsys):
    accelerator.main(["--quick", "--only", "floor", "--minutes", "-1", "--out", str(tmp_path)])
    assert "floor: skipped" in capsys.readouterr().out


def lattice_walk(level, steps):
    """±1 steps from 0, on whose lattice scores tie; and the exact probability of its event, to be above `level`."""

    def draw(generator, out):
        out[:] = 2 * generator.integers(0, 2, len(out)) - 1

    there = np.zeros(2 * steps + 1)
    there[steps] = 1.0
    above = 0.0
    for _ in range(steps):
        there = (np.roll(there, 1) + np.roll(there, -1)) / 2
        above += there[steps + level + 1 :].sum()
        there[steps + level + 1 :] = 0
    return rivals.Event(lambda x, out: np.copyto(out, x), 1.0, 0.0, level, steps, draw), above


def distance_of_means(event, exact, runs=400):
    """From the exact value, in standard errors."""
    found = np.array([rivals.adaptive_splitting(event, 64, 16, np.random.default_rng(seed)) for seed in range(runs)])
    return abs(found.mean() - exact) / (found.std(ddof=1) / np.sqrt(runs))


def test_splitting_rival_is_right_on_a_lattice():
    event, exact = lattice_walk(level=9, steps=32)
    # by reflection
    np.testing.assert_allclose(exact, binom.sf(20, 32, 0.5) + binom.sf(21, 32, 0.5), rtol=1e-12)
    assert distance_of_means(event, exact) < 4


def test_splitting_rival_is_right_on_the_chain_of_the_benchmark():
    event = _precision.event(3.0)
    found = np.array([rivals.adaptive_splitting(event, 256, 64, np.random.default_rng(seed)) for seed in range(40)])
    exact = splitting.exact(3.0)
    error = found.std(ddof=1) / np.sqrt(len(found))
    assert abs(found.mean() - exact) < 4 * error and error < 0.1 * exact


def test_broken_splitting_is_seen(monkeypatch):
    event, exact = lattice_walk(level=9, steps=32)
    right = _splitting._branches

    def at_the_level(paths, parents, height):
        return right(paths, parents, height - 1)

    def exactly_so_many(best, height, kill):
        return np.isin(np.arange(len(best)), np.argsort(best, kind="stable")[:kill])

    for name, broken in {"_branches": at_the_level, "_dies": exactly_so_many}.items():
        with monkeypatch.context() as patch:
            patch.setattr(_splitting, name, broken)
            assert distance_of_means(event, exact) > 5, name


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


@pytest.mark.parametrize(
    "rows",
    [
        ("call", "tuning_double_well"),
        pytest.param((), marks=pytest.mark.long),
    ],
    ids=["some", "all"],
)
def test_the_rows_of_a_kernel_run_unattended(tmp_path, monkeypatch, rows):
    """Every row, tiny, interpreted: each is written as it comes, none fails."""
    written = []
    monkeypatch.setattr(kernel, "write", lambda result, path: written.append(len(result["rows"])))
    monkeypatch.setattr(kernel, "_PROBLEMS", {name: kernel._PROBLEMS[name] for name in ("double well", "coupled 4")})
    rows = rows or tuple(name for name in kernel._jobs(dry=True) if "muller" not in name and "16" not in name)
    words = [word for row in rows for word in ("--only", row)]
    result = kernel.main(["--dry", "--out", str(tmp_path), *words])
    assert written == list(range(1, len(rows) + 1))
    assert result["failed"] == result["skipped"] == [] and list(result["rows"]) == list(rows)
    assert "error" not in str(result["rows"].get("tuning_double_well"))
    late = kernel.main(["--dry", "--minutes", "-1", "--only", "call"])
    assert late["skipped"] == ["call"] and not late["rows"]


def test_a_row_that_fails_is_written_down_and_the_next_begins(monkeypatch):
    def broken(bench):
        raise RuntimeError("no such card")

    monkeypatch.setattr(kernel, "_jobs", lambda dry: {"first": broken, "second": lambda bench: {"text": "fine"}})
    result = kernel.main(["--dry"])
    assert result["failed"] == ["first"] and result["rows"]["first"]["error"] == "RuntimeError: no such card"
    assert result["rows"]["second"]["text"] == "fine"
    with pytest.raises(SystemExit, match="no row third; there are first, second"):
        kernel.main(["--dry", "--only", "third"])


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
    assert [row["clock"] for row in case["targets"]] == ["wall", "cpu", "cpu"]
    assert all(row["ratio"] > 0 and row["met"] is None for row in case["targets"])
    with pytest.raises(SystemExit):
        training.main(["mnist"])


@pytest.mark.long
def test_hand_written_training_is_the_same_law():
    problem = next(each for each in _problems.PROBLEMS if each.name == "digits_batched")
    networks, steps = 16, 40
    risk = problem.risk()
    loss = jax.jit(jax.vmap(risk.loss))

    def losses(contender):
        found = contender.run()
        assert found.shape == (contender.trajectories, risk.dim)
        return np.asarray(loss(found))

    ours = losses(_rivals.ours(problem, networks, steps))
    # a twin: a tenth fewer steps
    fewer = losses(_rivals.ours(problem, networks, steps - 4))
    assert disagreement(ours, fewer) > 6
    for contender in present(_rivals.vmapped_scan(problem, networks, steps)):
        assert disagreement(ours, losses(contender)) < 4.5
    for contender in present([*_rivals.scanned(problem, steps), *_rivals.python_loop(problem, steps)]):
        single = losses(contender)
        assert abs(single[0] - ours.mean()) < 4.5 * ours.std(ddof=1)


def test_a_share_of_the_time_of_many_networks_is_that_of_whole_runs():
    def cost(networks, seconds):
        return training.Cost(Contender(OURS, lambda: None, networks, 10), [seconds] * 3, [seconds] * 3)

    # one network's step takes 2 ms by the clock, that of 64 together 40 ms
    costs = [cost(1, 0.02), cost(64, 0.4)]
    row = training._judged(costs, "time", OURS, 64, "wall", 1, 0.1, cheaper=False, judge=True)
    assert row["ratio"] == 0.05 and row["met"] is True
    row = training._judged(costs, "scan", OURS, 1, "cpu", 64, 4.0, cheaper=True, judge=True)
    assert row["ratio"] == 3.2 and row["met"] is False
