"""What README shows runs as it stands."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sde_sgd.cli import app

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def test_python_blocks_run_in_order_in_one_namespace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for number, block in enumerate(blocks("python")):
        exec(compile(block, f"README.md, Python block {number}", "exec"), names)
    assert number >= 2 and {"loss", "passage", "exact"} <= set(names)


def test_the_study_file_is_one(tmp_path):
    """With a tenth of the precision, for time."""
    (loss,) = [block for block in blocks("python") if block.startswith("# my_loss.py")]
    (study,) = blocks("toml")
    assert "rtol = 0.1 " in study
    (tmp_path / "my_loss.py").write_text(loss, encoding="utf-8")
    (tmp_path / "my_study.toml").write_text(study.replace("rtol = 0.1 ", "rtol = 0.9 "), encoding="utf-8")
    result = CliRunner().invoke(app, ["run", str(tmp_path / "my_study.toml"), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "dataset.zarr").is_dir()


@pytest.mark.parametrize("path", re.findall(r"\]\(((?:notebooks|docs|benchmarks)/[^)#]+)", README))
def test_what_readme_links_to_is_there(path):
    assert (Path(__file__).parents[1] / path).exists()


@pytest.mark.parametrize("name", re.findall(r"`((?:notebooks|benchmarks|docs)/[\w./-]+)`", README))
def test_what_readme_names_is_there(name):
    assert (Path(__file__).parents[1] / name).exists()
