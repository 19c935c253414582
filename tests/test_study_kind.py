"""A study kind of one's own: one class and one registration."""

from typing import Literal

import numpy as np
import pytest
from study_cases import killed

import sde_sgd as ss
from sde_sgd.study import AbstractStudy, Column, StudyError, cell_dataset, parse, redraw, register, resume, run, status
from sde_sgd.study import _kind as kind_module


class LeftWellStudy(AbstractStudy):
    """Share of time in the left of two uneven wells, at each temperature."""

    kind: Literal["left_well"]
    temperatures: list[float]

    def axes(self):
        return {"temperature": len(self.temperatures)}

    def coordinates(self):
        described = {"units": "loss", "long_name": "temperature T"}
        return {"temperature": ("temperature", self.temperatures, described)}

    def prepare(self, folder):
        return ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + 0.1 * x[0], dim=1)

    def run_cell(self, cell, shared):
        temperature = self.temperatures[cell.index["temperature"]]
        chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(shared, temperature), dt=0.02)
        left = ss.regions.HalfSpace([1.0], 0.0)
        wells = {"left": left, "right": ~left}
        result = ss.occupancy(chain, [-1.0], regions=wells, horizon=200.0, trajectories=64, seed=cell.seed)
        return cell_dataset(result, cell.seed, f"T = {temperature:g}", along=("basin",))

    def columns(self):
        left, right = {"basin": 0}, {"basin": 1}
        return [
            Column("T", "temperature", "temperature"),
            Column("left", "probability", "share of time in the left well", True, left),
            Column("right", "probability", "share of time in the right well", True, right),
        ]


@pytest.fixture
def with_left_well(monkeypatch):
    """The kind registered for one test, in a copy of the registry."""
    monkeypatch.setattr(kind_module, "_registry", kind_module.kinds())
    register(LeftWellStudy)


class TestOwnKind:
    """A study kind is one class and one registration."""

    TEXT = 'kind = "left_well"\ntemperatures = [0.6, 1.0]\nseed = 5\n'

    def test_it_runs_resumes_and_is_drawn_again(self, with_left_well, tmp_path, monkeypatch):
        """Shares against quadrature of exp(−L/T), within 4 standard errors and an O(dt) allowance.

        Broken twin: the weights of one temperature against the law of the other are rejected.
        """
        (tmp_path / "wells.toml").write_text(self.TEXT)
        outcome = run(tmp_path / "wells.toml", tmp_path / "out", progress=False)
        data = outcome.dataset
        x = np.linspace(-4, 4, 4001)
        loss = (x**2 - 1) ** 2 + 0.1 * x
        law = [np.exp(-loss / T) for T in (0.6, 1.0)]
        exact = np.array([weights[x < 0].sum() / weights.sum() for weights in law])
        weight = data.probability.sel(basin="left")
        error = (data.probability_high - data.probability_low).sel(basin="left") / (2 * 1.96)
        assert np.all(abs(weight - exact) < 4 * error + 0.005)
        assert np.all(abs(weight - exact[::-1]) > 0.01)
        assert outcome.complete and outcome.computed == 2 and data.attrs["kind"] == "left_well"
        assert outcome.table["left"].tolist() == weight.values.tolist()
        assert "left: share of time in the left well" in outcome.report

        assert status(tmp_path / "out").finished == 2
        (tmp_path / "out" / "dataset.zarr" / "status" / "c.1").unlink()
        assert status(tmp_path / "out").finished == 1
        again = resume(tmp_path / "out", progress=False)
        assert again.computed == 1 and again.dataset.equals(data)
        monkeypatch.setattr(LeftWellStudy, "run_cell", killed)
        assert redraw(tmp_path / "out").report == outcome.report

    def test_its_mistakes_are_sentences_too(self, with_left_well):
        with pytest.raises(StudyError, match="did you mean 'temperatures'"):
            parse(self.TEXT.replace("temperatures", "temperature"), "x")

    def test_registering(self, with_left_well):
        register(LeftWellStudy)  # again, as a notebook does

        class Other(LeftWellStudy):
            pass

        with pytest.raises(ValueError, match=r"'left_well' is the name of LeftWellStudy, got .*Other"):
            register(Other)

        class Nameless(LeftWellStudy):
            kind: str  # pyright: ignore

        with pytest.raises(ValueError, match="Nameless must have a field kind"):
            register(Nameless)

        class Untold(LeftWellStudy):
            kind: Literal["untold"] = "untold"  # pyright: ignore

            def pilot(self):
                return self

        with pytest.raises(ValueError, match="'untold' has a pilot, and must have told_by"):
            register(Untold)

    def test_without_registration_it_is_not_known(self):
        with pytest.raises(StudyError, match=r"unknown kind 'left_well'.*digits, escape"):
            parse(self.TEXT, "x")
