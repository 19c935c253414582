"""Mistakes in study files of all kinds are said before anything runs."""

import numpy as np
import pytest
from study_cases import COMPARE, OCCUPANCY, SMALL, TRANSITIONS

from sde_sgd.study import EscapeStudy, StudyError, parse
from sde_sgd.study._sections import DataSpec, PointSpec, SweepSpec

# descents from all of the first find one minimum
SEARCH = OCCUPANCY.split("[region.sharp]")[0].replace(
    "dt = 0.05", "dt = 0.05\nsearch = {each = [[[-1.0], [-0.9]], [[-1.0], [1.0]]]}"
)
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
    (SMALL, "[-1.6, 2.4, 200]", "[-1.6, 2.4, true]"): "reference.grid.2: must be a valid number, got True",
    (SMALL, 'name = "sharp"', "name = 1"): "start.0.name: must be",
    (SMALL, "beta = 32.0", "beta = true"): "beta must be of numbers, got True",
    (OCCUPANCY, "normal = [1.0]", "normal = [true]"): "normal must be of numbers, got [True]",
    (OCCUPANCY, "offset = -0.5", "offset = false"): "offset must be of numbers, got False",
    (OCCUPANCY, "point = [-1.5]", "point = [true]"): "start.0.point",
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
