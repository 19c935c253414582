"""Study kind compare: equal to the library's own call."""

import numpy as np
import pytest
from study_cases import COMPARE, assert_answers, made

import sde_sgd as ss
from sde_sgd.study import parse
from sde_sgd.study._kind import cell_seed

# looks as far apart from each other in both cells, for which fewer programs are made
EVEN = COMPARE.replace("time = 0.5", "time = 0.4")


@pytest.fixture(scope="module")
def compare(tmp_path_factory):
    """Run once; the folder must not be changed."""
    return made(EVEN, tmp_path_factory.mktemp("compare"))


class TestCompare:
    def test_it_has_what_it_says_beforehand(self, compare):
        assert_answers(EVEN, compare.dataset)

    def test_a_cell_is_what_the_library_finds(self, compare, tmp_path):
        study = parse(EVEN, "x")
        shared = study.prepare(tmp_path)
        risk = shared.risk(study.at({"learning_rate": 1}))
        chains = {"SGD": ss.MinibatchSGD(risk, 0.1, 4), "wild": ss.chains.SVAG(risk, 0.1, 4, 2)}
        found = ss.compare(
            risk, chains=chains, time=0.4, networks=40, measures=["loss", "norm"], permutations=99, seed=cell_seed(0, 1)
        )
        cell = compare.dataset.sel(learning_rate=0.1)
        # four iterations, so that four of eight looks are there; the last comes last
        assert len(found.times) == 4 and np.isnan(cell.look_time.values[:4]).all()
        np.testing.assert_allclose(cell.look_time.values[4:], found.times)
        np.testing.assert_allclose(cell.loss.values[:, 4:], found.mean("loss").value, rtol=1e-5)
        np.testing.assert_allclose(cell.p_value, found.p_value)
        np.testing.assert_allclose(cell.law_distance.values[:, 4:], found.distances, rtol=1e-3, atol=1e-6)
        assert str(cell.sentence.values) == found.sentence and found.sentence in " ".join(compare.report.split())
        assert compare.table["p wild"].tolist()[1] == found.p_value[0] and cell.trajectories == 80

    def test_its_figures(self, compare):
        assert {path.name for path in compare.figures} == {
            f"comparison-learning_rate-{number:03d}.png" for number in range(2)
        }
