"""What a training study says of its numbers, and draws: trends on made data with known ones, and twins without."""

import numpy as np
import pytest
import xarray as xr

from sde_sgd import plotting
from sde_sgd.training import _trends


def made(slope, question="batch", scatter=0.1, networks=24, diverged=0, **more):
    """A dataset of a training study whose sharpness and test loss are powers of M, or of γ/M, times a scatter."""
    rng = np.random.default_rng(5)
    rates, sizes = np.array([0.1, 0.2, 0.4]), np.array([4.0, 8, 16, 32, 64, 128])
    ratio = rates[:, None] / sizes
    along = np.broadcast_to(sizes, ratio.shape) if question == "batch" else ratio
    # a constant of each γ, and of each network, that no slope sees
    level = np.exp(rng.normal(size=(1, 3, 1, 1)) * (question == "batch") + rng.normal(size=(1, 1, 1, networks)))
    values = level * along[None, :, :, None] ** slope * np.exp(scatter * rng.normal(size=(1, 3, 6, networks)))
    values[..., 0, :diverged] = np.nan
    dims = ("reading", "learning_rate", "batch_size")
    data = xr.Dataset(
        {f"{name}_of_each": ((*dims, "network"), values) for name in ("sharpness", "held_out_loss", "steps")},
        {
            "reading": ["equal epochs"],
            "to_a_loss": ("reading", [True]),
            "learning_rate": rates,
            "batch_size": sizes,
            "network": np.arange(networks),
            "ratio": (dims[1:], ratio),
        },
        {"question": question, "measures": "sharpness,held_out_loss", "confidence": 0.95, "examples": 512}
        | {"study": "made"},
    )
    counts = {"trajectories": networks, "diverged": np.isnan(values).sum(axis=-1), "late": 0}
    for name, value in counts.items():
        data[name] = (dims, np.broadcast_to(value, values.shape[:3]).astype(float))
    data["excess_per_trace"] = data.ratio / 4
    mean = np.nanmean(values, axis=-1)
    for name in ("sharpness", "held_out_loss", "steps", "train_loss", "noise_trace"):
        data = data.assign({name + end: (dims, mean * by) for end, by in (("", 1.0), ("_low", 0.9), ("_high", 1.1))})
    return data.assign_attrs(more)


class TestTrends:
    def test_growth_of_a_power_law_is_exact(self):
        data = made(0.2, scatter=0.0)
        found = _trends.growth(data.batch_size.values, data.sharpness_of_each.values[0])
        np.testing.assert_allclose([found.value, found.low, found.high], 32**0.2, rtol=1e-9)
        # networks that diverged where M is small take nothing from the others
        lost = _trends.growth(data.batch_size.values, made(0.2, scatter=0.0, diverged=5).sharpness_of_each.values[0])
        np.testing.assert_allclose(lost.value, 32**0.2, rtol=1e-9)
        assert np.isnan(_trends.growth([1.0, 2.0], np.ones((1, 2, 1))).value)

    def test_the_interval_holds_the_truth_as_often_as_it_says(self):
        """400 samples of 8 networks; expected 95 %, 4 binomial errors are 4.4 %. Normal quantiles miss: 90.7 %."""
        rng, held, normal = np.random.default_rng(3), 0, 0
        for _ in range(400):
            slopes = 0.3 + 0.2 * rng.normal(size=8)
            values = np.array([1.0, 2.0, 4.0])[:, None] ** slopes
            found = _trends.growth([1.0, 2.0, 4.0], values[None])
            held += bool(found.contains(4**0.3))
            half = 1.96 * np.log(4) * slopes.std(ddof=1) / np.sqrt(8)
            normal += abs(np.log(4) * (slopes.mean() - 0.3)) < half
        assert abs(held / 400 - 0.95) < 0.044 and normal < held - 10

    def test_the_verdict_says_what_the_numbers_show(self):
        shown = _trends.verdicts(made(0.2))[0]
        assert shown.startswith("large batch finds sharper minima, equal epochs: sharpness changes by a factor of 2.0")
        assert "from M = 4 to 128; of 3 learning rates alone: 3 up, 0 down" in shown
        assert _trends.verdicts(made(-0.2))[0].startswith("large batch finds flatter minima, equal epochs: sharpness")
        lost = _trends.verdicts(made(0.2, diverged=2))[0]
        assert lost.endswith("; 6 of 432 networks diverged and are left out")

    def test_a_twin_with_shuffled_batch_sizes_is_rejected(self):
        """Each network's batch sizes in an order of its own: nothing is left of the trend."""
        data = made(0.2)
        rng = np.random.default_rng(1)
        values = data.sharpness_of_each.values
        for place in np.ndindex(3, values.shape[3]):
            values[0, place[0], :, place[1]] = rng.permutation(values[0, place[0], :, place[1]])
        twin = _trends.verdicts(data)[0]
        assert twin.startswith("large batch finds sharper minima, equal epochs: not shown: ")

    def test_the_verdict_on_the_ratio(self):
        data = made(0.3, "ratio")
        sentences = _trends.verdicts(data)
        # epochs are steps·M/N, and log M falls by 0.814 of log γ/M over this grid: 128^(0.3 − 0.814)
        assert sentences[0].startswith("larger γ/M takes fewer epochs to the loss, equal epochs: their number changes")
        assert "by a factor of 0.08" in sentences[0]
        assert [line.split(",")[0] for line in sentences][1:-1] == [
            "larger γ/M takes more steps to the loss",
            "larger γ/M generalises worse",
            "larger γ/M finds sharper minima",
        ]  # fmt: skip
        assert "test loss changes by a factor of 4.2" in sentences[2] and "from γ/M = 0.000781 to 0.1" in sentences[2]
        assert _trends.verdicts(made(-0.3, "ratio"))[2].startswith("larger γ/M generalises better")
        assert _trends.verdicts(made(0.0, "ratio", 1.0))[2].startswith(
            "larger γ/M generalises worse, equal epochs: not"
        )

    def test_a_trade_off_is_a_valley(self):
        """Of a test loss with its least value in between; a fall to one end; and none where all is scatter."""
        data = made(0.0, "ratio", scatter=1e-3)
        valley = np.abs(np.log(data.ratio / 0.0125))
        bent = data.assign(held_out_loss_of_each=data.held_out_loss_of_each * np.exp(0.2 * valley))
        said = _trends.verdicts(bent)[-1]
        assert said.startswith(
            "trade-off, equal epochs: test loss is least in between, at γ/M = 0.0125; at the smallest"
        )
        assert "at the smallest, 0.000781, it is 1.74" in said and "at the largest, 0.1, it is 1.51" in said
        assert "least at an end, at γ/M = 0.000781; at the largest" in _trends.verdicts(made(0.3, "ratio"))[-1]
        assert "not shown" in _trends.verdicts(made(0.0, "ratio", 1.0))[-1]

    def test_networks_that_did_not_come_to_the_loss_are_left_out(self):
        """Where the loss is what is equal; elsewhere they count."""
        data = made(0.2)
        late = (data.batch_size == 4.0) & (xr.DataArray(np.arange(24), dims="network") < 2)
        data["steps_of_each"] = data.steps_of_each.where(~late)
        data["sharpness_of_each"] = data.sharpness_of_each.where(~late, 1e6)
        data["late"] = late.sum("network") + 0.0 * data.late
        out, counted = _trends.verdicts(data)[0], _trends.verdicts(data.drop_vars("to_a_loss"))[0]
        assert "factor of 2.0" in out and out.endswith("; 6 of 432 networks did not come to the loss and are left out")
        assert "factor of 2.0" not in counted

    def test_numbers_without_a_logarithm_are_counted(self):
        """Losses that underflow to 0 in two of 24 networks at M = 128; cells of a trade-off with a network missing."""
        data = made(0.2)
        data["sharpness_of_each"] = data.sharpness_of_each.where((data.batch_size < 128) | (data.network > 1), -0.0)
        said = _trends.verdicts(data)[0]
        assert "factor of 2.0" in said and "; 6 of 432 numbers are not finite and above 0, and are left out" in said
        assert "numbers" not in _trends.verdicts(made(0.2))[0]

        data, late = made(0.0, "ratio", scatter=1e-3), xr.DataArray(np.arange(24) < 2, dims="network")
        data["held_out_loss_of_each"] = data.held_out_loss_of_each.where((data.ratio > 0.0008) | ~late)
        said = _trends.verdicts(data)[-1]
        assert said.endswith("; left out are cells of which a network has no test loss: 2 at γ/M = 0.000781, of 24")
        few = data.isel(batch_size=[4, 5], learning_rate=[0])
        said = _trends.verdicts(few.assign(held_out_loss_of_each=few.held_out_loss_of_each.where(~late)))[-1]
        assert "not known: it takes four networks, and three γ/M" in said
        assert said.endswith("2 at γ/M = 0.00156, 2 at γ/M = 0.000781, of 24")

        values = np.exp(np.random.default_rng(0).normal(size=(5, 8)))
        values[2, 3], values[1, 5] = 0.0, np.nan
        said = _trends._peak(np.arange(5.0), values, "", made(0.0))
        assert "1 of 8 networks diverged" in said and "1 of 8 networks have no test loss above 0" in said

    def test_a_name_that_holds_commas_changes_no_verdict(self):
        data, name = made(0.3, "ratio"), "a loss, equal for all"
        said = [line.replace("equal epochs", name) for line in _trends.verdicts(data)]
        assert _trends.verdicts(data.assign_coords(reading=[name])) == said and "epochs to the loss" in said[0]
        ended = _trends.verdicts(data.assign_coords(to_a_loss=("reading", [False])))
        assert len(ended) == len(said) - 2 and "to the loss" not in ended[0]

    def test_the_verdict_on_the_width(self):
        """A valley, a peak and a fall; without the fall, or where networks scatter more than that, it is not shown."""
        rng = np.random.default_rng(0)
        widths, shape = np.array([4.0, 8, 16, 32, 64]), np.array([2.0, 1.0, 3.0, 2.0, 1.5])
        dims = ("reading", "width", "learning_rate", "batch_size", "network")

        def sentence(shape, scatter):
            values = np.exp(scatter * rng.normal(size=(1, 5, 1, 2, 8))) * shape[None, :, None, None, None]
            coords = {"reading": ["60 epochs"], "width": widths, "learning_rate": [0.1], "batch_size": [8.0, 16.0]}
            attributes = {"question": "width", "confidence": 0.95}
            return _trends.verdicts(xr.Dataset({"held_out_loss_of_each": (dims, values)}, coords, attributes))

        peak = sentence(shape, 0.02)
        assert len(peak) == 2 and peak[1].startswith(
            "double descent, 60 epochs, M = 16: shown: test loss at its peak (width 16) is 3.0"
        )
        assert "and 2.0" in peak[0] and "times that at width 64" in peak[0]
        assert "not shown" in sentence(np.sort(shape)[::-1], 0.02)[0]
        assert "not shown" in sentence(np.sort(shape), 0.02)[0]
        # the highest of some that only scatter is no peak
        assert "not shown" in sentence(np.ones(5), 0.3)[0]

    def test_a_peak_of_luck_alone_is_rarely_shown(self):
        """300 sets of test losses without any trend: rise and fall each 2.5 % of the time at most, and rarely both.

        The twin that judges by the networks which chose the widths shows one in more than 3 %.
        """
        rng, shown = np.random.default_rng(11), 0
        for _ in range(300):
            values = np.exp(rng.normal(size=(8, 8)))
            shown += "not shown" not in _trends._peak(np.arange(8.0), values, "", made(0.0))
        assert shown <= 4


class TestFigures:
    def test_batch(self):
        figure = plotting.batch_figure(made(0.2, diverged=2))
        panel = figure.axes[0]
        lines = [line for line in panel.get_lines() if len(line.get_xdata()) == 6]
        np.testing.assert_allclose(lines[0].get_ydata(), made(0.2, diverged=2).sharpness.values[0, 0])
        assert [text.get_text() for text in panel.texts] == ["×2"] * 3
        assert "6 of 432 networks diverged" in figure.get_suptitle()

    def test_trade_off(self):
        data = made(0.2, "ratio")
        figure = plotting.trade_off_figure(data)
        assert len(figure.axes) == 3
        line = figure.axes[2].get_lines()[0]
        np.testing.assert_allclose(line.get_ydata(), (data.noise_trace * data.ratio / 4).values[0, :, 0])
        first = figure.axes[0].get_lines()[0].get_ydata()
        np.testing.assert_allclose(first, data.steps.values[0, :, 0] * 4 / 512)

    def test_width(self):
        data = made(0.2, reference_held_out_loss=[[2.0, 3.0], [4.4, 2.3]], reference_label="published")
        data = data.rename(learning_rate="width").drop_vars("ratio").expand_dims(learning_rate=[0.1])
        figure = plotting.width_figure(data)
        published = [line for line in figure.axes[0].get_lines() if line.get_label() == "published"]
        assert published[0].get_ydata().tolist() == [4.4, 2.3]

    def test_another_dataset_is_refused(self):
        with pytest.raises(ValueError, match="width_figure draws the dataset of a training study over widths"):
            plotting.width_figure(made(0.2))
