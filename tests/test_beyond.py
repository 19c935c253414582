"""The packaged studies beyond the paper: each in a reduced size, against the exact values behind its published ones."""

import numpy as np
import pytest
from scipy import stats
from statistical import agrees

import sde_sgd as ss
from sde_sgd.study import packaged, packaged_text, parse, run

# by name, changes that make it small
SMALL = {
    "mori": {"trajectories": 128, "start.0.region.multiple": [1.1, 1.3, 1.6]},
    "noise_shapes": {"trajectories": 2_000},
    "collapse": {"trajectories": 256, "times": [40.0], "sweep.batch_size": [5.0, 11.0, 16.0]},
    "edge": {"networks": 2, "stop.steps": [20, 100]},
    "label_noise": {"networks": 2_048},
    "flatness_drift": {"networks": 64, "time": 100.0},
    "freezing": {"trajectories": 512, "times": [1.5, 15.0, 60.0], "schedule.iterations": [300, 3_000]},
}


def small(name, folder):
    study = parse(packaged_text(name), name, SMALL[name])
    outcome = run(study, folder / name, progress=False)
    assert outcome.complete and outcome.figures
    return outcome


def error_of(data, name, **place):
    """Half of an interval at 95 %, as a standard error."""
    low, high = (float(data[f"{name}{end}"].isel(place).squeeze()) for end in ("_low", "_high"))
    return (high - low) / (2 * 1.96)


def test_each_says_what_was_done_and_what_differs():
    """In its first lines, with the paper; its time in the description; and a published value in a sentence."""
    for name in SMALL:
        text = packaged_text(name)
        comment = text.split("\nkind")[0]
        assert comment.startswith("# ") and "arXiv" in comment and "ere" in comment, name
        assert "under" in packaged()[name], name
        assert parse(text, name).published, name


@pytest.mark.long
def test_times_to_leave_are_a_power(tmp_path):
    """Between neighbours over small c the exponent is below Mori's 9.5, as the comment says; it is no exponential."""
    outcome = small("mori", tmp_path)
    times = outcome.dataset.mean_exit_time.values.ravel()
    slopes = np.diff(np.log(times)) / np.diff(np.log([1.1, 1.3, 1.6]))
    assert np.all((slopes > 5.5) & (slopes < 9.5)), slopes
    assert "published exponent of mean exit time along multiple: 9.5 (Mori" in outcome.report


@pytest.mark.long
def test_shapes_of_noise_are_beside_the_exact_law(tmp_path):
    """Four shapes that have a density, each within 4 errors and 0.03 of the grid solver, whose exits are those between
    the steps too; those of rank one say that they have none.
    """
    data = small("noise_shapes", tmp_path).dataset
    for place, name in enumerate(map(str, data.reshaped.values)):
        exact = data.exit_exact.isel(reshaped=place, time=-1).values.item()
        value = data.probability.isel(reshaped=place).values.item()
        if name.startswith("leading"):
            assert np.isnan(exact)
        else:
            assert agrees(value, exact, np.sqrt(exact * (1 - exact) / 2_000), bias=0.03), (name, value, exact)
    named = data.probability.isel(start=0, learning_rate=0, batch_size=0)
    assert named.sel(reshaped="leading") > named.sel(reshaped="isotropic")


@pytest.mark.long
def test_collapse_is_beyond_the_threshold(tmp_path):
    """Near 0 below the threshold as the gamma law of θ² has it; beyond, nearly all. Twin: Stratonovich's law."""
    data = small("collapse", tmp_path).dataset
    share = data.probability.isel(basin=0, time=-1, start=0)
    assert share.sel(batch_size=5.0) > 0.9
    for batch in (11.0, 16.0):
        variance = 16 / batch
        exact = stats.gamma(1 / variance - 0.5, scale=variance).cdf(1e-6)
        error = np.sqrt(exact * (1 - exact) / 256)
        assert agrees(float(share.sel(batch_size=batch)), exact, error, bias=0.02)
        twin = stats.gamma(1 / variance, scale=variance).cdf(1e-6)
        assert batch == 16.0 or abs(float(share.sel(batch_size=batch)) - twin) > 0.02


@pytest.mark.long
def test_descent_without_noise_is_the_same_in_every_cell(tmp_path):
    """Sharpness below the edge early on, and the same start for both learning rates."""
    outcome = small("edge", tmp_path)
    assert np.all(ss.training.stability(outcome.dataset).stability < 1)
    assert "not supported: sharpness·γ/2" in outcome.report or "undecided" in outcome.report


@pytest.mark.long
def test_label_noise_has_the_published_loss(tmp_path):
    """Tr(AΣ)/2 = 0.216867 for σ = 1 and a quarter of it for 1/2, within 4 errors. Twin: half as much again."""
    data = small("label_noise", tmp_path).dataset.isel(look=-1)
    for place, exact in enumerate((0.216867, 0.216867 / 4)):
        value, error = float(data.loss.isel(chain=place).squeeze()), error_of(data, "loss", chain=place)
        assert agrees(value, exact, error)
        assert not agrees(value, 1.5 * exact, error)


@pytest.mark.long
def test_label_noise_drifts_to_the_least_trace(tmp_path):
    """a² − b² shrinks by 1 − γ²g² a step: e^(−γ²σ²k·mean x²) to first order; SGD keeps it. Twin: no drift."""
    data, examples = small("flatness_drift", tmp_path).dataset, ss.data.gaussian(1_000, 1, slope=0.3, noise=0.0)
    mean = float(np.mean(examples.inputs**2))
    trace = data.trace.isel(look=-1).squeeze() / mean
    kept, found = (float(trace.sel(chain=name)) for name in ("SGD", "label-noise"))
    # the trace over mean x² is √((a² − b²)² + 4·0.3²)
    difference = np.sqrt(kept**2 - 0.36)
    exact = np.sqrt((difference * np.exp(-(0.05**2) * 0.25 * 2_000 * mean)) ** 2 + 0.36)
    assert kept - exact > 0.2 and abs(found - exact) < 0.25 * (kept - exact), (kept, exact, found)


@pytest.mark.long
def test_jumps_freeze_as_the_master_equation_has_it(tmp_path):
    """Shares of the flat well at the end within 4 errors and 0.03 of the rates by the exact solver; twins are those of
    the other schedule.
    """
    data = small("freezing", tmp_path).dataset.isel(time=-1, start=0).sel(basin="flat")
    exact = data.probability_rates.transpose("iterations", "batch_size").values
    ours = data.probability.transpose("iterations", "batch_size").values
    error = np.sqrt(exact * (1 - exact) / 512)
    assert agrees(ours, exact, error, bias=0.03), (ours, exact)
    assert not agrees(ours[:, 0], exact[::-1, 0], error[::-1, 0], bias=0.03)
