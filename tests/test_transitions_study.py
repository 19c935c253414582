"""Study kind transitions: equal to the library's own call, with theory beside it."""

import numpy as np
import pytest
from study_cases import TRANSITIONS, assert_answers, made, wells

import sde_sgd as ss
from sde_sgd.study._kind import cell_seed


@pytest.fixture(scope="module")
def transitions(tmp_path_factory):
    """Run once; the folder must not be changed."""
    return made(TRANSITIONS, tmp_path_factory.mktemp("transitions"))


class TestTransitions:
    def test_it_has_what_it_says_beforehand(self, transitions):
        assert_answers(TRANSITIONS, transitions.dataset)

    def test_a_cell_is_what_the_library_finds(self, transitions):
        surface = wells()
        diffusion = ss.LangevinSGD(surface, ss.noise.Isotropic(50.0), 0.1, 12.5)
        found = ss.transitions(
            ss.EulerMaruyama(diffusion, 0.02), {"sharp": surface.sharp_minimum, "flat": [1.4]}, rtol=0.3,
            method="direct", seed=cell_seed(0, 1),
        )  # fmt: skip
        cell = transitions.dataset.sel(batch_size=12.5)
        for end, values in (("", found.rates.value), ("_low", found.rates.low), ("_high", found.rates.high)):
            # times are steps of a float32 dt
            np.testing.assert_allclose(cell[f"rate{end}"], values, rtol=1e-7)
        np.testing.assert_allclose(cell.stationary, found.stationary.value, rtol=1e-7)
        np.testing.assert_allclose(cell.relaxation_time, found.relaxation_time.value, rtol=1e-7)
        assert str(cell.method.sel({"from": "sharp", "to": "flat"}).values) == "direct"

    def test_theory_stands_beside(self, transitions):
        data, surface = transitions.dataset, wells()
        for batch in (10.0, 12.5):
            diffusion = ss.LangevinSGD(surface, ss.noise.Isotropic(50.0), 0.1, batch)
            kramers = 1 / ss.theory.eyring_kramers(diffusion, surface.sharp_minimum, surface.saddle)
            cell = data.sel(batch_size=batch)
            np.testing.assert_allclose(
                cell.rate_eyring_kramers.sel({"from": "sharp", "to": "flat"}), kramers, rtol=1e-4
            )
            exact = 1 / ss.reference.FokkerPlanck(diffusion, (-4.0, 5.0, 400)).spectral_gap()
            np.testing.assert_allclose(cell.relaxation_time_exact, exact, rtol=1e-6)
            # two wells of one depth and curvatures 8 and 2
            np.testing.assert_allclose(cell.stationary_gibbs, [1 / 3, 2 / 3], atol=1e-3)
        # the low-temperature limit is far from exact here, but not from its order
        assert "times those of Eyring–Kramers" in transitions.report
        assert np.all(abs(np.log(data.relaxation_time / data.relaxation_time_exact)) < np.log(1.6))
        assert np.all(abs(np.log(data.relaxation_time * 3 / data.relaxation_time_exact)) > np.log(1.6))

    def test_its_table_and_figures(self, transitions):
        assert transitions.table["sharp→flat"].tolist() == transitions.dataset.rate.values[:, 0, 1].tolist()
        assert {path.name for path in transitions.figures} == {"rates.png", "relaxation_time.png"}
