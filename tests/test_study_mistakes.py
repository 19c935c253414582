"""Mistakes in study files of all kinds are said before anything runs."""

import pytest
from study_cases import COMPARE, OCCUPANCY, TRANSITIONS

from sde_sgd.study import StudyError, parse

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
}


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: MISTAKES[case][:40])
def test_mistakes_are_said_before_anything_runs(case, tmp_path):
    text, old, new = case
    assert old in text
    with pytest.raises(StudyError) as raised:
        parse(text.replace(old, new, 1), "bad").prepare(tmp_path)
    assert MISTAKES[case] in str(raised.value), raised.value
