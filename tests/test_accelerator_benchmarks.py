"""Benchmarks of an accelerator: on a CPU every row of theirs runs in a tiny size, with nobody there."""

import json

import pytest

from benchmarks.speed import _unattended, accelerator, kernel


@pytest.mark.long
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
    with pytest.raises(SystemExit, match="no row ceiling; there are floor, diffeqgpu"):
        accelerator.main(["--quick", "--only", "ceiling"])


def test_the_accelerator_script_names_what_time_did_not_allow(tmp_path, capsys):
    accelerator.main(["--quick", "--only", "floor", "--minutes", "-1", "--out", str(tmp_path)])
    assert "floor: skipped" in capsys.readouterr().out
    assert json.loads((tmp_path / "accelerator.json").read_text())["skipped"] == ["floor"]


@pytest.mark.long
@pytest.mark.parametrize("rows", [("call", "tuning_double_well"), ()], ids=["some", "all"])
def test_the_rows_of_a_kernel_run_unattended(tmp_path, monkeypatch, rows):
    """Every row, tiny, interpreted: each is written as it comes, none fails."""
    written = []
    monkeypatch.setattr(_unattended, "write", lambda result, path: written.append(len(result["rows"])))
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
