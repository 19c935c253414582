"""The reproduction as it is run: what is kept, what is computed once more, and mistakes, in Python and in the shell."""

import re

import pytest
from typer.testing import CliRunner

import sde_sgd as ss
from sde_sgd import reproduction
from sde_sgd.cli import app
from sde_sgd.reproduction import Answer


class TestRun:
    @pytest.fixture(scope="class")
    @classmethod
    def out(cls, tmp_path_factory):
        out = tmp_path_factory.mktemp("reproduction") / "out"
        reproduction.reproduce(out, size="quick", only=[5], progress=False)
        return out

    @pytest.mark.long
    def test_one_claim(self, out, monkeypatch):
        """Its report is there; once more it is read from what is stored, and nothing is computed."""
        assert "claim-5" in (out / "report.html").read_text("utf-8") and (out / "faster" / "dataset.zarr").is_dir()
        monkeypatch.setattr(ss.study.OccupancyStudy, "run_cell", None)
        monkeypatch.setattr(ss.study.TransitionsStudy, "run_cell", None)
        found = reproduction.reproduce(out, size="quick", only=[5], progress=False)
        assert found.claims[0].verdict.answer is Answer.SUPPORTED and str(found).startswith(
            "5  A larger γ/M gets there faster: "
        )

    @pytest.mark.long
    def test_another_claim_keeps_the_report_of_the_first(self, out, monkeypatch):
        """Claim 4 has one of its two studies; the other claims have none, and are not on the page."""
        monkeypatch.setattr(ss.study.TransitionsStudy, "run_cell", None)
        found = reproduction.reproduce(out, size="quick", only=[4], progress=False)
        text = found.report.read_text("utf-8")
        assert [each.claim.number for each in found.claims] == [4]
        assert re.findall('<section id="claim-([0-9])"', text) == ["4", "5"]

    @pytest.mark.long
    def test_another_size_is_another_study(self, out):
        with pytest.raises(ValueError, match="already holds a different study"):
            reproduction.reproduce(out, only=[5], progress=False)


def test_mistakes(tmp_path):
    with pytest.raises(ValueError, match=r"only must be numbers of claims, 1, 2, 3, 4, 5, 6, 7, got 9"):
        reproduction.reproduce(tmp_path / "out", only=[9])
    with pytest.raises(ValueError, match=r"size must be one of quick, normal, full, got 'huge'"):
        reproduction.reproduce(tmp_path / "out", size="huge")
    with pytest.raises(ValueError, match=r"executor must have a method submit\(\), .* got 'four'"):
        reproduction.reproduce(tmp_path / "out", executor="four")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=r"output folder .*file cannot be made: File exists"):
        reproduction.reproduce(tmp_path / "file", only=[1])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "9"], "error: only must be numbers of claims, 1, 2, 3, 4, 5, 6, 7, got 9"),
        (["--processes", "0"], "error: processes must be a whole number of at least 1, got 0"),
        (["--quick", "--full"], "error: give either --quick or --full, not both"),
    ],
)
def test_mistakes_in_the_shell(options, said, tmp_path):
    result = CliRunner().invoke(app, ["reproduce", *options, "--out", str(tmp_path / "out")])
    assert result.exit_code == 2 and result.stderr.strip() == said
    assert not (tmp_path / "out").exists()
