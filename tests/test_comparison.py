"""The comparison's record and page: same question, same precision, honest computation of what was not run."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks._paths import RESULTS
from benchmarks.comparison import __main__ as command
from benchmarks.comparison import _measure, problem
from benchmarks.comparison._checklist import checklist
from benchmarks.comparison._contenders import CONTENDERS
from benchmarks.comparison._lines import lines_of
from benchmarks.comparison._page import page
from benchmarks.comparison.rivals import numpy_
from benchmarks.comparison.rivals._until import until

RECORD = RESULTS / "comparison.json"


@pytest.fixture
def record():
    return json.loads(RECORD.read_text(encoding="utf-8"))


def test_the_record_has_every_contender_on_every_question(record):
    pairs = {(each["contender"], each["question"]) for each in record["rows"] + record["missing"]}
    assert pairs == {(each.name, question) for each in CONTENDERS for question in problem.TEMPERATURES}
    for row in record["rows"]:
        assert {"compile_seconds", "wall_seconds", "cpu_seconds", "exact", "temperature"} <= set(row)
        assert row["how"] in ("measured", "extrapolated") and row["wall_seconds"] > 0
        assert row["exact"] == pytest.approx(problem.exact(problem.TEMPERATURES[row["question"]]), rel=1e-9)
        if row["how"] == "extrapolated":
            assert row["trajectories"] == problem.needed(row["exact"]) and "value" not in row
        else:
            assert row["low"] <= row["value"] <= row["high"]


def test_its_checklist_holds_and_sees_what_is_wrong(record):
    assert checklist(record) == record["checklist"]
    assert all(each["held"] is not False for each in record["checklist"])
    assert sum(each["held"] is True for each in record["checklist"]) >= 7

    def broken(change):
        twin = copy.deepcopy(record)
        change(twin, next(row for row in twin["rows"] if row["how"] == "measured"))
        return {each["point"] for each in checklist(twin) if each["held"] is False}

    assert broken(lambda _, row: row.update(standard_errors_off=4.5)) == {"the same equation, dt, start and exit rule"}
    assert broken(lambda twin, _: twin["contenders"]["NumPy"]["takes"].remove("DT"))
    assert broken(lambda _, row: row.update(relative_half_width=0.07)) == {"the same precision"}
    assert broken(lambda _, row: row["conditions"].update(dtype="float64")) == {"float32 throughout"}
    assert broken(lambda _, row: row["conditions"].update(cores=1)) == {f"all {record['cores']} cores for all"}
    assert broken(lambda twin, row: twin["rows"].remove(row)) == {"nothing is left out in silence"}
    assert broken(lambda twin, _: twin["versions"].pop("jax")) == {"versions are told"}
    assert broken(lambda _, row: row["conditions"].update(compilation_cache="/x"))


def test_the_page_is_made_from_the_record(record):
    """Else: python -m benchmarks.comparison --page"""
    text = (Path(__file__).parents[1] / "docs" / "comparison.md").read_text(encoding="utf-8")
    assert text == page(record)
    assert text.count("**extrapolated**") == sum(row["how"] == "extrapolated" for row in record["rows"])


def test_the_exact_value_would_tell_another_chain():
    """At a standard error of 2.6 %, as the precision has it."""
    temperature = problem.TEMPERATURES["1e-3"]
    right = problem.exact(temperature)
    assert abs(problem.exact(temperature, loudness=1.02) / right - 1) > 4 * problem.PRECISION / 1.96
    # V' is that of the potential that we are given
    x, h = np.linspace(-2, 2, 9), 1e-5
    above, below = (y**4 - y**3 / 3 - 2 * y**2 + y for y in (x + h, x - h))
    np.testing.assert_allclose((above - below) / (2 * h), problem.slope(x), atol=1e-8)


def test_the_loop_ends_at_the_precision():
    exits, trajectories, low, high = until(iter([100] * 100), 1_000, 0.05)
    assert 13_000 < trajectories < 16_000 and high - low <= 0.1 * exits / trajectories
    assert until(iter([0, 0]), 1_000, 0.05)[:3] == (0, 2_000, 0.0)
    assert problem.needed(0.1) == pytest.approx(0.9 / 0.1 * (1.96 / 0.05) ** 2, rel=1e-3)


def test_lines_do_not_depend_on_layout(tmp_path):
    short, long = tmp_path / "short.py", tmp_path / "long.py"
    short.write_text("def f(a, b): return a + b\n")
    body = '    """How."""\n    return (\n        a\n        + b\n    )\n'
    long.write_text('"""What."""\n\n# why\ndef f(\n    a,\n    b,\n):\n' + body)
    assert lines_of(short) == lines_of(long) == 2 and lines_of(short, long) == 4
    assert 5 < CONTENDERS[0].lines < min(each.lines for each in CONTENDERS[1:])


def test_a_time_is_extrapolated_in_proportion(monkeypatch):
    """A rival of 1,000 trajectories in 10 ms, on a question that takes 1,537 times 99: 1.5 s."""
    monkeypatch.setattr(_measure, "_RATE_SECONDS", 0.2)

    class Slow:
        WIDE = 1_000

        @staticmethod
        def exits(temperature, size, seed):
            import time

            while True:
                time.sleep(0.01)
                yield 10

    row = _measure._direct(Slow, 1.0, 0.01, 0.05, patience=0.5)
    assert row["how"] == "extrapolated" and row["wall_seconds"] == pytest.approx(1.54, rel=0.25)
    assert row["cpu_seconds"] < 0.5 and row["trajectories"] == problem.needed(0.01)
    assert _measure._direct(Slow, 1.0, 0.01, 0.5, patience=10)["how"] == "measured"


def test_numpy_answers_the_question_as_it_is_written():
    temperature, number = problem.TEMPERATURES["0.1"], 8_192
    share = next(numpy_.exits(temperature, number, seed=0)) / number
    exact = problem.exact(temperature)
    assert abs(share - exact) < 4 * np.sqrt(exact * (1 - exact) / number)
    hot = next(numpy_.exits(1.1 * temperature, number, seed=0)) / number
    assert abs(hot - exact) > 4 * np.sqrt(exact * (1 - exact) / number)


def test_a_failure_of_ours_is_not_hidden_and_of_others_is_named(monkeypatch):
    class Failed:
        returncode, stderr, stdout = 1, "Traceback\nMemoryError: no", ""

    monkeypatch.setattr(command.subprocess, "run", lambda *a, **k: Failed())
    by_name = {each.name: each for each in CONTENDERS}
    assert command._row(by_name["NumPy"], "0.1", 1.0, True) == (None, "failed: MemoryError: no")
    assert command._row(by_name["NumPy, splitting"], "0.1", 1.0, True)[1].startswith("direct simulation")
    with pytest.raises(RuntimeError, match="no"):
        command._row(by_name["sde_sgd"], "0.1", 1.0, True)


def test_parts_are_joined_where_they_were_run_alike(record):
    def part(*names):
        rows = {name: [row for row in record[name] if row["contender"] in names] for name in ("rows", "missing")}
        return {**record, **rows, "contenders": {name: record["contenders"][name] for name in names}}

    names = list(record["contenders"])
    whole = command.joined([part(*names[:2]), part(*names[2:])])
    assert page(whole) == page(record) and whole["checklist"] == record["checklist"]
    with pytest.raises(ValueError, match="records must agree in cores, got"):
        command.joined([record, {**record, "cores": 99}])


@pytest.mark.long
def test_the_command_writes_record_and_page(tmp_path):
    command.main(["--quick", "--only", "sde_sgd", "--only", "NumPy", "--patience", "1", "--out", str(tmp_path)])
    record = json.loads((tmp_path / "comparison.json").read_text())
    assert {row["contender"] for row in record["rows"]} == {"sde_sgd", "NumPy"} and len(record["rows"]) == 6
    hows = {(row["contender"], row["question"]): row["how"] for row in record["rows"]}
    assert hows["NumPy", "1e-6"] == "extrapolated" and hows["sde_sgd", "1e-6"] == "measured"
    assert (tmp_path / "comparison.md").read_text() == page(record)
