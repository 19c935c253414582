"""Edge of stability of a training study: exact on made data, its three verdicts, and its figure."""

import numpy as np
import pytest
import xarray as xr

from sde_sgd import plotting
from sde_sgd.training import _stability, stability, verdicts

STEPS, RATES = np.array([10.0, 100.0, 1_000.0]), np.array([0.1, 0.2])


def made(last=(1.0, 1.0), scatter=0.004, momentum=None):
    """Sharpness of 9 networks that comes to 2/γ times `last`; the interval of the mean is ± twice its scatter."""
    share = np.stack([np.array([0.3, 0.7, end]) for end in last], axis=1)
    each = share[:, :, None] * (1 + scatter * np.linspace(-1, 1, 9)) * 2 / RATES[:, None]
    values, dims = share * 2 / RATES, ("steps", "learning_rate")
    half = 2 * scatter * values
    data = {"sharpness": values, "sharpness_low": values - half, "sharpness_high": values + half}
    made = {name: ((*dims, "reading", "batch_size"), value[..., None, None]) for name, value in data.items()}
    made |= {
        "sharpness_of_each": ((*dims, "reading", "batch_size", "network"), each[:, :, None, None]),
        "steps_of_each": (
            (*dims, "reading", "batch_size", "network"),
            np.broadcast_to(STEPS[:, None, None, None, None], (3, 2, 1, 1, 9)),
        ),
    }
    coords = {"steps": STEPS, "learning_rate": RATES, "reading": ["as swept"], "batch_size": [20.0]}
    attributes = {"question": "edge", "confidence": 0.95}
    found = xr.Dataset(made, coords, attributes)
    return found if momentum is None else found.expand_dims(momentum=[momentum])


def test_stability_is_the_share_of_the_edge():
    """2/γ, and 2(1 + μ)/γ with momentum; twin: without the momentum."""
    found = stability(made())
    np.testing.assert_allclose(found.stability.values[:, :, 0, 0], [[0.3, 0.3], [0.7, 0.7], [1, 1]])
    np.testing.assert_allclose(found.stability_high[-1].values.ravel(), 1.008)
    assert found.stability_of_each.dims == found.sharpness_of_each.dims
    assert found.steps_taken[1, 0, 0, 0] == 100
    np.testing.assert_allclose(stability(made(momentum=0.5)).stability.values[0, -1].ravel(), 1 / 1.5)
    with pytest.raises(ValueError, match="stability is of a training study with the measure sharpness"):
        stability(made().drop_vars("sharpness"))


@pytest.mark.parametrize(
    ("last", "scatter", "said"),
    [
        (1.0, 0.004, "supported: sharpness·γ/2 is 1.0"),
        # all above 1, but near it; and partly below what is near
        (1.01, 0.004, "supported: sharpness·γ/2 is 1.01"),
        (0.98, 0.008, "undecided, because the interval reaches beyond 2% of 1"),
        (0.9, 0.004, "not supported: sharpness·γ/2 is 0.9"),
        (1.1, 0.004, "not supported: sharpness·γ/2 is 1.1"),
        (1.0, 0.05, "undecided, because the interval reaches beyond 2% of 1"),
        (np.nan, 0.0, "undecided: there is no number"),
    ],
)
def test_the_verdicts(last, scatter, said):
    """Of the look with most steps, of each γ by itself."""
    lines = verdicts(made((last, 1.0), scatter))
    assert len(lines) == 2 and lines[0].startswith(f"edge of stability, γ = 0.1, after 1000 steps: {said}")
    assert "not supported" in verdicts(made((1.0, 1 + 1.5 * _stability.NEAR)))[1]


def test_with_momentum_the_words_are_those_of_the_number():
    said = verdicts(made(momentum=0.5))[0]
    assert "sharpness·γ/(2(1 + μ)) is 0.66" in said and "γ/2 " not in said
    assert stability(made(momentum=0.5)).stability.attrs["long_name"] == "sharpness times γ/(2(1 + μ))"
    assert stability(made()).stability.attrs["long_name"] == "sharpness times γ/2"


def test_the_figure():
    figure = plotting.edge_figure(made())
    (panel,) = figure.axes
    lines = {line.get_label(): line for line in panel.get_lines()}
    np.testing.assert_allclose(lines["edge of stability"].get_ydata(), 1)
    thin = [line for line in panel.get_lines() if len(line.get_xdata()) == 3 and line.get_linewidth() == 0.5]
    assert len(thin) == 18 and thin[0].get_xdata().tolist() == STEPS.tolist()
    assert panel.get_xscale() == "log" and "sharpness times γ/2" in panel.get_ylabel()
    with pytest.raises(ValueError, match="edge_figure draws the dataset of a training study"):
        plotting.edge_figure(made().isel(network=0))
