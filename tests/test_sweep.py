"""Sweeps of any number of a study file: what becomes a dimension, in which order, and what a cell then is."""

import subprocess
import sys
import tomllib
from typing import Annotated, Literal

import numpy as np
import pytest
import xarray as xr
from pydantic import Field
from study_cases import SMALL

from sde_sgd.study import (
    AbstractStudy,
    Column,
    EscapeStudy,
    StudyError,
    packaged,
    packaged_text,
    parse,
    read_changes,
    run,
)
from sde_sgd.study import _kind as kind_module
from sde_sgd.study._kind import cell_seed
from sde_sgd.study._sections import Positive, Quantity, Section
from sde_sgd.study._toml import written


class Deep(Section):
    """A section of numbers."""

    rate: Annotated[Positive, Quantity("per second", "rate ρ")] = 1.0
    count: Annotated[int, Field(ge=1, strict=True)] = 1
    vector: list[float] = Field(default=[])


class SumStudy(AbstractStudy):
    """The sum of its numbers; nothing is simulated."""

    kind: Literal["sum"] = "sum"
    first: float = 0.0
    second: float | None = None
    time: float = 0.0
    deep: Deep = Deep()
    other: Deep = Deep()
    several: list[Deep] = Field(default=[])
    named: dict[str, Deep] = Field(default={})

    def run_cell(self, cell, shared):
        one = self.at(cell.index)
        value = one.first + 10 * (one.second or 0.0) + 100 * one.deep.rate + 1000 * one.deep.count
        return xr.Dataset({"sum": ((), value)})

    def columns(self):
        return [*self.swept_columns(), Column("sum", "sum")]


@pytest.fixture(autouse=True)
def with_sum(monkeypatch):
    monkeypatch.setattr(kind_module, "_registry", kind_module.kinds())
    kind_module.register(SumStudy)


def sums(text):
    return parse(f'kind = "sum"\n{text}', "x")


class TestDimensions:
    def test_a_list_where_a_number_belongs(self):
        study = sums("first = [2, 1, 3]\ndeep.rate = [0.5, 0.25]")
        # in the order of the keys' names, whatever the file's, and rising
        assert list(study.axes().items()) == [("rate", 2), ("first", 3)]
        assert sums("deep.rate = [0.25, 0.5]\nfirst = [3, 2, 1]").axes() == study.axes()
        cells = study.cells()
        assert [cell.key for cell in cells[:4]] == ["000-000", "000-001", "000-002", "001-000"]
        assert [cell.seed for cell in cells] == [cell_seed(0, number) for number in range(6)]
        found = [float(study.run_cell(cell, None)["sum"]) for cell in cells]
        assert found == [1026.0, 1027.0, 1028.0, 1051.0, 1052.0, 1053.0]

    def test_a_coordinate_has_the_units_of_its_field(self):
        dims, values, described = sums("deep.rate = [0.5, 0.25]").coordinates()["rate"]
        assert dims == "rate" and values.tolist() == [0.25, 0.5]
        assert described == {"units": "per second", "long_name": "rate ρ"}
        assert sums("first = [1, 2]").coordinates()["first"][2] == {"units": "", "long_name": "first"}

    def test_a_range(self):
        study = sums('first = {from = 1e-3, to = 1e-1, number = 5, spacing = "log"}')
        assert study.coordinates()["first"][1].tolist() == [1e-3, 0.00316227766017, 0.01, 0.0316227766017, 0.1]
        assert sums("first = {from = 0, to = 1, number = 3}").coordinates()["first"][1].tolist() == [0.0, 0.5, 1.0]
        study = sums("deep.count = {from = 1, to = 9, number = 3}")
        assert [study.at(cell.index).deep.count for cell in study.cells()] == [1, 5, 9]

    def test_a_list_of_a_vector_is_no_sweep(self):
        assert sums("deep.vector = [1, 2]").axes() == {"cell": 1}
        study = sums("deep.vector = {each = [[1, 2], [3]]}")
        assert study.axes() == {"vector": 2} and study.coordinates()["vector"][1] == ["[1, 2]", "[3]"]
        assert study.at({"vector": 1}).deep.vector == [3.0]

    def test_names_that_collide_are_dotted(self):
        study = sums("deep.rate = [1, 2]\nother.rate = [1, 2, 3]\nsecond = [1, 2]")
        assert study.axes() == {"deep.rate": 2, "other.rate": 3, "second": 2}
        # a name of the results' own
        assert sums("time = [1, 2]").axes() == {"time_given": 2}

    def test_entries_of_lists_of_tables(self):
        study = sums("several = [{rate = 1}, {rate = [2, 3]}]")
        assert study.axes() == {"rate": 2} and study.at({"rate": 1}).several[1].rate == 3.0

    def test_entries_of_tables_by_name(self):
        study = sums("named = {slow = {rate = 1}, fast = {rate = [3, 2]}}")
        assert study.axes() == {"rate": 2} and study.at({"rate": 1}).named["fast"].rate == 3.0
        assert study.coordinates()["rate"][2]["units"] == "per second"

    def test_zipped_keys_go_together_in_the_order_given(self):
        study = sums('zip = [["first", "deep.rate"]]\nfirst = [2, 1]\ndeep.rate = [5, 6]\nsecond = [1, 2]')
        assert study.axes() == {"first_rate": 2, "second": 2}
        coordinates = study.coordinates()
        assert coordinates["first"][:1] == ("first_rate",) and coordinates["first"][1].tolist() == [2.0, 1.0]
        assert coordinates["rate"][1].tolist() == [5.0, 6.0]
        one = study.at(study.cells()[3].index)
        assert (one.first, one.deep.rate, one.second) == (1.0, 6.0, 2.0)
        assert [column.header for column in study.columns()] == ["first", "rate", "second", "sum"]

    def test_a_study_without_a_sweep_has_one_cell(self):
        study = sums("first = 3")
        assert [cell.key for cell in study.cells()] == ["000"] and study.at({"cell": 0}).first == 3.0

    def test_questions_are_counted_by_what_is_built_into_programs(self):
        assert sums("first = [1, 2, 3]\ndeep.rate = [1, 2]").programs() == 1
        assert sums("first = [1, 2, 3]\ndeep.count = [1, 2]").programs() == 2

    def test_checks_see_every_value_once_and_not_every_cell(self):
        study = sums("first = [1, 2, 3]\nsecond = [4, 5, 6]\ndeep.rate = [1, 2]")
        seen = [(one.first, one.second, one.deep.rate) for one in study.along_axes()]
        assert len(seen) == 1 + 2 + 2 + 1 and {values[1] for values in seen} == {4, 5, 6}

    def test_axes_of_parts(self):
        """By the annotations of the class that a part chooses: its numbers may be listed, its vectors not."""
        text = SMALL.replace("beta = 32.0", "beta = [16, 32]").replace("barrier = 0.1", "barrier = {each = [0.1, 0.2]}")
        study = parse(text, "x")
        assert study.axes() == {"barrier": 2, "beta": 2, "start": 1, "learning_rate": 2, "batch_size": 2}
        assert study.programs() == 1
        # whole numbers of the file too are floats, and so no part of the program
        assert type(study.at(study.cells()[4].index).noise.parameters["beta"]) is float
        assert study.coordinates()["beta"][2]["long_name"] == "variance of each gradient component of one example"

    def test_what_is_there_keeps_its_numbers(self):
        """The first value of a new dimension has the cells, names apart, that the study has without it."""
        plain = parse(SMALL, "x").cells()
        more = parse(SMALL.replace("beta = 32.0", "beta = [32, 64]"), "x").cells()[: len(plain)]
        assert [cell.seed for cell in more] == [cell.seed for cell in plain]
        assert [cell.key for cell in plain] == ["sharp-000-000", "sharp-000-001", "sharp-001-000", "sharp-001-001"]


MISTAKES = {
    "first = []": "first must have at least 1 value",
    "first = [1, 1.0]": "first must not repeat a value, got [1.0, 1.0]",
    "deep.rate = [1, -2]": "deep.rate: must be greater than 0, got -2",
    "deep.count = [1, 2.5]": "deep.count: must be a valid integer, got 2.5",
    "first = [1, 'a']": "first",
    "first = {each = [[1, 2], 3]}": "first must be one number at a time",
    "seed = [1, 2]": "seed must be one value for the whole study",
    "first = {from = 1, to = 2}": "first.number must be a whole number from 2 to 1000000, got None",
    "first = {from = 1, to = 2, number = 1_000_000_000}": "whole number from 2 to 1000000, got 1000000000",
    "first = {from = 2, to = 1, number = 3}": "first must go from a number to a larger one, got from = 2, to = 1",
    "first = {from = 0, to = 1, number = 3, spacing = 'log'}": "from a number above 0 to a larger one",
    "first = {from = 0, to = 1, number = 3, spacing = 'lin'}": "first.spacing must be 'linear' or 'log', got 'lin'",
    "first = {from = 0, to = 1, nmber = 3}": "did you mean 'number'",
    "frst = [1, 2]": "did you mean 'first'",
    "zip = [['first', 'second']]\nfirst = [1, 2]": "unknown swept key 'second'",
    "zip = [['first', 'second']]\nfirst = [1, 2]\nsecond = [1, 2, 3]": "one length, got [2, 3]",
    "zip = [['first', 'first']]\nfirst = [1, 2]": "zip must name a key once",
    "zip = ['first']\nfirst = [1, 2]": "zip must be lists of at least two keys",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_are_sentences(text):
    with pytest.raises(StudyError) as raised:
        sums(text)
    assert MISTAKES[text] in str(raised.value), raised.value
    assert "\n" not in str(raised.value)


def test_a_kind_with_axes_of_its_own_is_asked_for_all(monkeypatch):
    monkeypatch.setattr(SumStudy, "axes", lambda self: {"mine": 2})
    with pytest.raises(StudyError, match="first must be one value in a study of kind sum"):
        sums("first = [1, 2]").cells()


class TestObjects:
    def test_from_python(self):
        study = SumStudy(first=np.array([2.0, 1.0]), deep=Deep(rate=3.0), several=[Deep(count=2)])
        assert study == sums("name = 'sum'\nfirst = [2.0, 1.0]\ndeep.rate = 3.0\nseveral = [{count = 2}]")
        assert parse(study.text(), "other") == study

    def test_an_object_is_run_as_its_file_is(self, tmp_path):
        study = SumStudy(name="mine", first=[2.0, 1.0])
        outcome = run(study, tmp_path / "out", progress=False)
        assert outcome.dataset["sum"].values.tolist() == [1101.0, 1102.0] and outcome.table["first"].tolist() == [
            1.0,
            2.0,
        ]
        assert run(study, tmp_path / "out", progress=False).computed == 0
        assert parse((tmp_path / "out" / "study.toml").read_text("utf-8"), "x") == study

    def test_a_person_learns_the_key(self):
        with pytest.raises(ValueError, match=r"deep\.rate\s+Input should be greater than 0"):
            SumStudy(deep={"rate": [1, -1]})

    @pytest.mark.parametrize("name", packaged())
    def test_the_text_of_a_study_is_the_study(self, name):
        study = parse(packaged_text(name), name)
        assert parse(study.text(), name) == study
        kept = study.model_dump(mode="json")
        assert type(study).model_validate(kept).model_dump(mode="json") == kept
        assert type(study).model_validate(kept).axes() == study.axes()

    def test_toml_of_all_that_it_can_hold(self):
        table = {
            "text": 'a "b" \\ \n é 🙂 \x7f', "empty": [], "yes": True, "number": -3, "small": 1e-12, "far": np.inf,
            "deep": {"a b": 1, "list": [[1, 2], ["x"]], "table": {"x": {"y": 2.5}}}, "many": [{"x": 1}, {"x": 2}],
        }  # fmt: skip
        assert tomllib.loads(written(table)) == table

    def test_changes(self):
        changes = read_changes(["sweep.learning_rate=[0.1, 0.2]", "start.0.name = blunt", "horizon=3"])
        study = parse(SMALL, "x", changes)
        assert isinstance(study, EscapeStudy)
        assert study.coordinates()["learning_rate"][1].tolist() == [0.1, 0.2] and study.horizon == 3.0
        assert study.start[0].name == "blunt" and parse(study.text(), "x") == study
        assert parse(SMALL, "x").axes() == parse(SMALL, "x", {}).axes()

    @pytest.mark.parametrize(
        ("setting", "sentence"),
        [
            ("horizn=3", "did you mean 'horizon'"),
            ("horizon=-1", "horizon: must be greater than 0, got -1"),
            ("horizon.x=1", "horizon.x: horizon has no key x, got 2.0"),
            ("start.3.name=a", "start has no key 3"),
            ("horizon", "a setting must read key=value"),
            ("a..b=1", "a setting must read key=value"),
        ],
    )
    def test_a_change_that_cannot_be(self, setting, sentence):
        with pytest.raises(StudyError) as raised:
            parse(SMALL, "x", read_changes([setting]))
        assert sentence in str(raised.value)


def test_ten_thousand_cells_are_there_at_once():
    """Ids, seeds and work of each, and its study; a second here would be ten on a slow machine.

    In a process of its own: here every one of a hundred thousand calls has its types checked.
    """
    text = SMALL.replace("[0.04, 0.08]", '{from = 1e-3, to = 1, number = 100, spacing = "log"}')
    text = text.replace("[8, 16]", "{from = 1, to = 100, number = 100}")
    code = (
        "import sys, time; from sde_sgd.study import parse\n"
        "text = sys.stdin.read(); parse(text, 'x'); began = time.perf_counter()\n"
        "study = parse(text, 'x'); cells = study.cells(); study.at(cells[-1].index)\n"
        "print(len(cells), study.programs(), time.perf_counter() - began)"
    )
    done = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True)
    cells, programs, seconds = done.stdout.split()
    assert cells == "10000" and programs == "1" and float(seconds) < 5
