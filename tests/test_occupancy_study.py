"""Study kind occupancy: equal to the library's own call, and to quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from study_cases import OCCUPANCY, assert_answers, made, wells

import sde_sgd as ss
from sde_sgd.study._kind import cell_seed


@pytest.fixture(scope="module")
def occupancy(tmp_path_factory):
    """Run once; the folder must not be changed."""
    return made(OCCUPANCY, tmp_path_factory.mktemp("occupancy"))


class TestOccupancy:
    def test_it_has_what_it_says_beforehand(self, occupancy):
        assert_answers(OCCUPANCY, occupancy.dataset)

    def test_a_cell_is_what_the_library_finds(self, occupancy):
        data, surface = occupancy.dataset, wells()
        regions = {"sharp": ss.regions.HalfSpace([1.0], -0.5), "flat": ss.regions.HalfSpace([-1.0], 0.5)}
        chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(surface, 1.2), 0.05)
        found = ss.occupancy(
            chain, surface.flat_minimum, regions=regions, times=[1.0, 20.0], trajectories=512, seed=cell_seed(0, 3)
        )
        cell = data.sel(start="right", temperature=1.2)
        for end, values in (("", found.probability.value), ("_low", found.probability.low)):
            np.testing.assert_array_equal(cell[f"probability{end}"], values)
        assert data.time.values.tolist() == [1.0, 20.0] and data.basin.values.tolist() == ["sharp", "flat"]
        assert (cell.trajectories, cell.diverged, str(cell.status.values)) == (512, 0, "complete")

    def test_the_exact_law_is_that_of_quadrature_and_is_seen(self, occupancy):
        """Shares at t = 20, long settled, within 4 standard errors; those of a temperature twice as high are not."""
        x = np.linspace(-5, 6, 11_001)
        loss = np.asarray(jax.jit(jax.vmap(wells().loss))(jnp.asarray(x[::10, None])))
        exact = []
        for temperature in (0.6, 1.2):
            law = np.exp(-np.interp(x, x[::10], loss) / temperature)
            exact.append(law[x < -0.5].sum() / law.sum())
        np.testing.assert_allclose(
            occupancy.dataset.probability_exact.sel(start="left", basin="sharp"), exact, atol=2e-3
        )
        seen = occupancy.dataset.probability.isel(time=-1).sel(basin="sharp")
        error = np.sqrt(0.3 * 0.7 / 512)
        # the chain's own law at dt = 0.05 is some percent off the SDE's
        assert np.all(abs(seen - np.array(exact)) < 4 * error + 0.02)
        # the first look is not the law's: the start is seen
        early = occupancy.dataset.probability.isel(time=0).sel(basin="sharp", temperature=0.6)
        assert abs(early.sel(start="left") - exact[0]) > 4 * error + 0.02
        last = occupancy.dataset.isel(time=-1)
        low, high, law = (last[f"probability_{end}"] for end in ("low", "high", "exact"))
        held = int(((low <= law) & (law <= high)).sum())
        words = "shares at the last time, which may be before the law has settled, have the grid solver's"
        assert f"{held} of 8 {words}" in occupancy.report
        assert "Gibbs weights: it is for minima, and regions were given" in occupancy.report

    def test_its_table_and_figure(self, occupancy):
        table, last = occupancy.table, occupancy.dataset.isel(time=-1)
        assert table["T"].tolist() == [0.6, 1.2, 0.6, 1.2] and len(table) == 4
        assert table["sharp"].tolist() == last.probability.sel(basin="sharp").values.ravel().tolist()
        assert [path.name for path in occupancy.figures] == ["occupancy.png"]

    def test_over_a_window_between_minima(self, tmp_path):
        text = OCCUPANCY.split("[region.sharp]")[0].replace("times = [1.0, 20.0]", "horizon = 20.0")
        text = text.replace("temperature = [0.6, 1.2]", "temperature = 1.2").replace("512", "16")
        text = text.replace("dt = 0.05", 'dt = 0.05\nbasins = "nearest"\nsearch = [[-1.0], [1.0]]')
        outcome = made(text, tmp_path)
        data = outcome.dataset
        assert data.sizes["basin"] == 2 and "time" not in data.dims
        minima = [[-1.5], [1.5]]
        gibbs = ss.theory.gibbs_weights(ss.LangevinSGD.at_temperature(wells(), 1.2), minima)
        np.testing.assert_allclose(np.sort(data.probability_gibbs.values[0]), np.sort(gibbs), rtol=1e-5)
        assert abs(float(data.probability.sum("basin")[0]) - 1) < 1e-6
