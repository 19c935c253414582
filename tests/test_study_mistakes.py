"""Mistakes in study files of all kinds are said before anything runs."""

from typing import Literal

import numpy as np
import pytest
from cheap_study import CheapStudy
from pydantic import Field
from study_cases import COMPARE, OCCUPANCY, SMALL, TRANSITIONS

from sde_sgd.study import EscapeStudy, StudyError, _kind, init, packaged, packaged_text, parse, read_changes
from sde_sgd.study._file import read_source
from sde_sgd.study._sections import DataSpec, PointSpec, Section, SweepSpec

# descents from all of the first find one minimum
SEARCH = OCCUPANCY.split("[region.sharp]")[0].replace(
    "dt = 0.05", "dt = 0.05\nsearch = {each = [[[-1.0], [-0.9]], [[-1.0], [1.0]]]}"
)
PUBLISHED = [
    (
        SMALL,
        "horizon = 2.0",
        "variable = 'probabilty'",
        "published.0: unknown variable 'probabilty'; did you mean 'prob",
    ),
    (
        SMALL,
        "horizon = 2.0",
        "variable = 'survival', at = {tim = 1.0}",
        "dimension of survival 'tim'; did you mean 'time'",
    ),
    (
        SMALL,
        "horizon = 2.0",
        "variable = 'probability', at = {start = 'shrp'}",
        "along start 'shrp'; did you mean 'sharp'",
    ),
    (SMALL, "horizon = 2.0", "variable = 'probability', along = 'batchsize'", "did you mean 'batch_size'"),
    (OCCUPANCY, "dt = 0.05", "variable = 'probability', over = {basn = 'flat'}", "did you mean 'basin'"),
    (TRANSITIONS, "dt = 0.02", "variable = 'rate', at = {form = 'flat'}", "did you mean 'from'"),
    (COMPARE, "time = 0.5", "variable = 'los'", "did you mean 'loss'"),
]
MISTAKES = {
    (OCCUPANCY, "times = [1.0, 20.0]", ""): "give either times or a horizon",
    (OCCUPANCY, "temperature = [0.6, 1.2]", "learning_rate = 0.1"): "sweep must give learning_rate and batch_size",
    (OCCUPANCY, "temperature = [0.6, 1.2]", "learning_rate = 0.1\nbatch_size = 2"): "section noise is missing",
    (OCCUPANCY, "dt = 0.05", ""): "dt is missing",
    (OCCUPANCY, "dt = 0.05", "dt = 0.05\nsubsteps = 2"): "give either dt or substeps, not both",
    (OCCUPANCY, "dt = 0.05", "dt = 0.05\nsearch = [[1.0]]"): "give one of regions, minima, and a search",
    (OCCUPANCY, '"HalfSpace"', '"HalfSpce"'): "did you mean 'HalfSpace'",
    (OCCUPANCY, "grid = [-5.0, 6.0, 300]", "grid = [[-5, 6, 30], [-5, 6, 30]]"): "reference.grid does not fit",
    (OCCUPANCY, "[sweep]", "[chain]\nmomentum = 0.5\n[sweep]"): "chain.momentum is not for EulerMaruyama",
    (OCCUPANCY, "[sweep]", '[chain]\nkind = "MomentumSGD"\n[sweep]'): "chain.momentum is missing",
    (TRANSITIONS, "rtol = 0.3", 'rtol = 0.3\nneighbours = [["sharp", "falt"]]'): "neighbours must be names of minima",
    (TRANSITIONS, '[[minimum]]\nname = "flat"\npoint = [1.4]', ""): "give either at least two minima, or a search",
    (TRANSITIONS, "[noise]", '[chain]\nkind = "MinibatchSGD"\n[noise]'): "takes no noise model",
    (TRANSITIONS, "dt = 0.02", 'substeps = 2\nchain = {kind = "MinibatchSGD"}'): "substeps are of an SDE, got 2",
    (TRANSITIONS, '"flat"', '"sharp"'): "minimum names must differ, got ['sharp', 'sharp']",
    (SEARCH, '"occupancy"', '"occupancy"'): "search must find as many minima in every cell, got [1, 2]",
    (TRANSITIONS, "barrier = 1.0", "barrier = 1.0\npenalty = 0.1"): "landscape.penalty is for kind EmpiricalRisk",
    (COMPARE, "time = 0.5", "time = 0.5\ntimes = [0.5]"): "give either time or times",
    (COMPARE, '"MinibatchSGD"', '"MinibatchSGD"\nsubsteps = 2'): "chain 'SGD' is no SDE",
    (COMPARE, "batch_size = 4", "batch_size = 4.5"): "batch_size must be a whole number of examples, got 4.5",
    (COMPARE, '"norm"', '"nrm"'): "did you mean 'norm'",
    (COMPARE, "[landscape.network]\nhidden = []", ""): "needs landscape.data, and landscape.network",
    (COMPARE, "seed = 3", "seed = 3\nwidth = 3"): "unknown key in landscape of kind EmpiricalRisk 'width'",
    (SMALL, "[0.04, 0.08]", "[true, 0.08]"): "sweep.learning_rate: must be a valid number, got True",
    (SMALL, "[0.04, 0.08]", "true"): "sweep.learning_rate: must be a valid number, got True",
    (SMALL, "[0.04, 0.08]", '"0.04"'): "sweep.learning_rate: must be a valid number, got '0.04'",
    (SMALL, "[8, 16]", "{from = false, to = true, number = 3}"): "batch_size must go from a number to a larger one",
    (SMALL, "horizon = 2.0", "horizon = true"): "horizon: must be a valid number, got True",
    (SMALL, "horizon = 2.0", "horizon = '2.0'"): "horizon: must be a valid number, got '2.0'",
    (SMALL, "trajectories = 400", "trajectories = 400.5"): "trajectories: must be a valid integer, got 400.5",
    (SMALL, '"TwoWells"', '"TwoWells"\ndim = "1"'): "landscape.dim: must be a valid integer, got '1'",
    (SMALL, '"TwoWells"', '"TwoWells"\ndim = true'): "landscape.dim: must be a valid integer, got True",
    (SMALL, "[-1.6, 2.4, 200]", "[-1.6, 2.4, true]"): "reference.grid.2: must be a valid number or a list, got True",
    (SMALL, 'name = "sharp"', "name = 1"): "start.0.name: must be",
    (SMALL, "beta = 32.0", "beta = true"): "beta must be of numbers, got True",
    (OCCUPANCY, "normal = [1.0]", "normal = [true]"): "normal must be of numbers, got [True]",
    (OCCUPANCY, "offset = -0.5", "offset = false"): "offset must be of numbers, got False",
    (OCCUPANCY, "point = [-1.5]", "point = [true]"): "start.0.point",
    (
        SMALL,
        "horizon = 2.0",
        'horizon = 2.0\nzip = [[{a = 1}, "sweep.batch_size"]]',
    ): "zip must be lists of at least two",
    (SMALL, '"escape"', '["escape"]'): "kind must be one name, got ['escape']; allowed: compare",
    (SMALL, '"escape"', "{a = 1}"): "kind must be one name, got {'a': 1}",
    (SMALL, "200]", "1e12]"): "reference.grid: must have at most 1000000 cells, of all axes together, got 1e+12",
    (SMALL, "horizon = 2.0", f"x = {'[' * 3_000}{']' * 3_000}"): "must not have lists or tables within each other",
    (SMALL, "trajectories = 400", f"trajectories = 1{'0' * 20}"): "trajectories must be a whole number of 64 bits",
    (SMALL, "[0.04, 0.08]", f"[1{'0' * 400}]"): "sweep.learning_rate.0 must be a whole number of 64 bits",
    (SMALL, "beta = 32.0", f"beta = 1{'0' * 5_000}"): "is not TOML: Exceeds the limit",
    (SMALL, "barrier = 0.1", "barrier = nan"): "barrier must be a finite number above 0, got nan",
    (SMALL, "200]", "nan]"): "reference.grid.2: must be a finite number, got nan",
    (SMALL, "[landscape]", "[[landscape]]"): "landscape: must be a table of keys, got [{'kind'",
    (SMALL, "[[start]]", "[start]"): "start: must be a list, got {'name'",
    (SMALL, 'point = "sharp_minimum"', "point = 1"): "start.0.point: must be text or a list, got 1",
    (SMALL, 'point = "sharp_minimum"', 'point = ["a"]'): "start.0.point.0: must be a valid number, got 'a'",
    (SMALL, "[0.04, 0.08]", "1e308"): "sweep.learning_rate must be of numbers that float32 holds, of size 1.2e-38 to",
    (SMALL, "[0.04, 0.08]", "1e-320"): "sweep.learning_rate must be of numbers that float32 holds",
    (SMALL, "[8, 16]", "1e308"): "sweep.batch_size must be of numbers that float32 holds",
    (SMALL, "beta = 32.0", "beta = 1e308"): "beta must be of numbers that float32 holds",
    (SMALL, 'point = "sharp_minimum"', "point = [1e300]"): "point of start 'sharp' must be of numbers that float32",
    (OCCUPANCY, "[0.6, 1.2]", "1e308"): "sweep.temperature must be of numbers that float32 holds",
    **{
        (text, place, f"published = [{{{of}, value = 1.0, source = 'x'}}]\n{place}"): said
        for text, place, of, said in PUBLISHED
    },
    (OCCUPANCY, "times = [1.0, 20.0]", "times = [2.0, 1.0]"): "times must be rising and at least 0, got [2.0, 1.0]",
    (OCCUPANCY, "times = [1.0, 20.0]", "times = [1.0, 1.0]"): "times must be rising and at least 0, got [1.0, 1.0]",
    (OCCUPANCY, "times = [1.0, 20.0]", "times = [1.0]\nburn_in = 5.0"): "burn_in and every belong to a horizon",
    (OCCUPANCY, "times = [1.0, 20.0]", "horizon = 3.0\nburn_in = 5.0"): "horizon must leave at least 8 looks after",
    (OCCUPANCY, "times = [1.0, 20.0]", "times = [1e30]"): "times must end within 2**32 steps of dt = 0.05",
    (OCCUPANCY, "trajectories = 512", "trajectories = 1e10"): "trajectories must be at most 2**32, got 10000000000",
    (SMALL, "trajectories = 400", "trajectories = [1, 1e10]"): "trajectories must be at most 2**32, got 10000000000",
    (SMALL, "trajectories = 400", "rtol = 2.0"): "rtol must be a finite number above 0 and below 1, got 2.0",
    (SMALL, "horizon = 2.0", "horizon = 1e30"): "horizon must be at most 2**32 steps of dt = 0.02",
    (SMALL, "horizon = 2.0", "horizon = [1e-3, 2.0]"): "horizon must be at least one step dt = 0.02, got 0.001",
    (SMALL, "horizon = 2.0", "max_steps = 1e10"): "max_steps must be at most 2**32, got 10000000000",
    (TRANSITIONS, "rtol = 0.3", "max_steps = 1e10"): "max_steps must be at most 2**32, got 10000000000",
    (COMPARE, "time = 0.5", "times = [0.5, 0.2]"): "times must be rising and above 0, got [0.5, 0.2]",
    (COMPARE, "networks = 40", "networks = 1e10"): "networks must be at most 2**32, got 10000000000",
    (OCCUPANCY, "times = [1.0, 20.0]", "times = []"): "times: must have at least 1 value, got []",
    (TRANSITIONS, "rtol = 0.3", 'neighbours = ["sharp"]'): "neighbours.0: must be a list, got 'sharp'",
    (COMPARE, "hidden = []", 'function = "made"'): "landscape.network.function: must read 'module:name', got 'made'",
}


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: MISTAKES[case][:40])
def test_mistakes_are_said_before_anything_runs(case, tmp_path):
    text, old, new = case
    assert old in text
    with pytest.raises(StudyError) as raised:
        parse(text.replace(old, new, 1), "bad").prepare(tmp_path)
    assert MISTAKES[case] in str(raised.value), raised.value


def test_numbers_may_be_written_as_people_write_them():
    """A whole float where a whole number is asked for, a whole number where any is, and NumPy's from Python."""
    text = SMALL.replace("trajectories = 400", "trajectories = 1e3").replace("horizon = 2.0", "horizon = 2")
    study = parse(text.replace('"TwoWells"', '"TwoWells"\ndim = 1.0'), "x")
    assert isinstance(study, EscapeStudy)
    assert (study.trajectories, study.horizon, study.landscape.dim) == (1000, 2.0, 1)
    assert [type(each) for each in (study.trajectories, study.horizon, study.landscape.dim)] == [int, float, int]
    assert SweepSpec(learning_rate=np.float32(0.5), batch_size=np.int64(3)) == SweepSpec(
        learning_rate=0.5, batch_size=3
    )
    assert PointSpec(name="a", point=(1, np.float64(2))) == PointSpec(name="a", point=[1.0, 2.0])
    assert DataSpec(name="digits", samples=np.int32(4)).samples == 4
    given = parse(
        SMALL, "x", {"horizon": np.float32(2), "trajectories": np.int64(400), "sweep.batch_size": np.arange(2, 4)}
    )
    assert given.axes()["batch_size"] == 2 and given.horizon == 2.0


@pytest.mark.parametrize("name", packaged())
def test_what_packaged_studies_publish_is_known_beforehand(name):
    parse(packaged_text(name), name).check_published()


def test_a_name_that_is_far_from_all_is_not_taken_for_another():
    for kind, key in (("nonexist", "x"), ("escape", "rabbit")):
        with pytest.raises(StudyError, match=r"unknown .*; allowed:"):
            parse(SMALL.replace('"escape"', f'"{kind}"').replace("horizon =", f"{key} ="), "x")
    with pytest.raises(StudyError, match="unknown study 'nonexist'; allowed:"):
        read_source("nonexist")


def test_a_setting_that_is_nested_too_deeply():
    with pytest.raises(StudyError, match="setting horizon must not have lists or tables within each other"):
        read_changes([f"horizon={'[' * 3_000}{']' * 3_000}"])


@pytest.mark.parametrize("name", ["2 spaces", "größe"])
def test_a_file_whose_name_cannot_be_the_studys(name, tmp_path):
    """It may be called otherwise; a key `name` is told of as itself."""
    (tmp_path / f"{name}.toml").write_text(SMALL, "utf-8")
    with pytest.raises(StudyError, match=r"the file's name cannot be that of the study, .*; give it a key name"):
        init(tmp_path / f"{name}.toml", tmp_path / "out")
    assert parse(SMALL, name, {"name": "mine"}).name == "mine"
    with pytest.raises(StudyError, match=f"name: must be of letters.*, got '{name}'"):
        parse(SMALL, "x", {"name": name})


def test_a_file_that_begins_with_the_mark_of_windows(tmp_path):
    (tmp_path / "marked.toml").write_text(SMALL, "utf-8-sig")
    assert read_source(tmp_path / "marked.toml")[0] == SMALL


def test_an_unknown_key_of_a_section_by_name(monkeypatch):
    """Sections that a person's own kind has by name, or one of several of."""

    class Low(Section):
        low: int = 1

    class High(Section):
        high: int = 2

    class ManyStudy(CheapStudy):
        kind: Literal["many"]
        named: dict[str, Low] = Field(default={})
        either: Low | High = Low()

    monkeypatch.setattr(_kind, "_registry", _kind.kinds() | {"many": ManyStudy})
    text = 'kind = "many"\nname = "x"\n'
    with pytest.raises(StudyError, match=r"unknown key in named.a 'lw'; did you mean 'low'\?"):
        parse(text + "named.a.lw = 1", "x")
    with pytest.raises(StudyError, match="unknown key in either 'lw'"):
        parse(text + "either.lw = 1", "x")
    with pytest.raises(StudyError, match=r"named\.a\.low: must be a valid integer, got 'b'"):
        parse(text + "named.a.low = 'b'", "x")
