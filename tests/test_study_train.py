"""Training studies: their cells, what is stored and reported of them, and mistakes in their files."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from study_cases import COMPARE, assert_answers, made

import sde_sgd as ss
from sde_sgd.study import StudyError, _networks, parse, redraw, resume, run
from sde_sgd.study._kind import cell_seed
from sde_sgd.training import _trends

SMALL = """
kind = "train"
networks = 3
penalty = 0.01
measures = ["train_loss", "held_out_loss", "held_out_accuracy", "sharpness", "noise_trace"]
[data]
name = "breast_cancer"
held_out = 0.3
examples = 32
[network]
hidden = [3]
[sweep]
learning_rate = [0.2, 0.1]
batch_size = [4, 8]
[[stop]]
epochs = 3
[[stop]]
name = "a loss"
loss = 0.68
most_epochs = 2
[[stop]]
name = "a low loss"
loss = 0.05
most_epochs = 1
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One small study, run once; the folder must not be changed."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "small.toml").write_text(SMALL)
    return run(folder / "small.toml", folder / "out", progress=False)


@functools.cache
def by_hand():
    """The risk and the starts of the small study, built without it."""
    data = ss.data.breast_cancer(held_out=0.3)
    keys = jax.random.split(jax.random.key(0), 3)
    make = functools.partial(_networks.perceptron, sizes=(30, 3, 2), activation="tanh", is_scalar=False)
    loss = ss.landscapes.cross_entropy
    inputs = data.inputs[:32].astype(np.float32)
    risk = ss.EmpiricalRisk(make(keys[0]), loss, inputs, data.targets[:32], penalty=0.01, held_out=data.held_out)
    return risk, np.stack([risk.flatten(make(key)) for key in keys])


@pytest.mark.long
@pytest.mark.parametrize(("reading", "place"), [(0, (1, 0)), (1, (0, 1)), (2, (1, 1))])
def test_a_cell_is_what_training_gives(small, reading, place):
    """Numbers of each network, their mean and interval, and the networks that did not come to the loss."""
    risk, starts = by_hand()
    rate, size = [0.1, 0.2][place[0]], [4, 8][place[1]]
    epochs, loss = ss.training.Epochs, ss.training.Loss
    stop = [epochs(3), loss(0.68, most=epochs(2)), loss(0.05, most=epochs(1))][reading]
    seed = cell_seed(0, reading * 4 + 2 * place[0] + place[1])
    trained = ss.train(
        risk, networks=3, learning_rate=rate, batch_size=size, stop=stop, start=starts, seed=seed, progress=False
    )
    cell = small.dataset.isel(reading=reading, learning_rate=place[0], batch_size=place[1])
    law = trained.law("held_out_loss", "sharpness", "held_out_accuracy", "noise_trace")
    each = trained.measure("sharpness", "noise_trace")
    for name in ("held_out_loss", "sharpness", "held_out_accuracy", "noise_trace"):
        for part in (name, f"{name}_low", f"{name}_high", f"{name}_quantile_0.25"):
            np.testing.assert_allclose(cell[part], law[part], rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(cell.sharpness_of_each, each.sharpness, rtol=2e-3)
    late = ~trained.reached.ravel() & (reading > 0)
    # the loss of all is above 0.05 after an epoch: the test sees those that are late
    assert reading < 2 or late.all()
    np.testing.assert_array_equal(cell.steps_of_each, np.where(late, np.nan, trained.steps.ravel()))
    assert cell.late == late.sum() and cell.diverged == 0 and cell.trajectories == 3 and cell.cell_seed == seed


def test_it_has_what_it_says_beforehand(small):
    assert_answers(SMALL, small.dataset)


def test_the_trace_of_the_noise():
    """Exact: that of the covariance of one example's gradient; with float64 numbers."""
    risk, starts = by_hand()
    of = jax.jit(lambda theta: (jnp.trace(risk.gradient_covariance(theta)), jnp.sum(risk.gradient(theta) ** 2)))
    exact, squares = np.array([of(theta) for theta in starts]).T
    np.testing.assert_allclose(ss.landscapes.noise_trace(risk, starts), exact, rtol=1e-5)
    assert ss.landscapes.noise_trace(risk, starts[1]) == pytest.approx(exact[1], rel=1e-5)
    scale = ss.landscapes.simple_noise_scale(risk, starts[1])
    assert scale == pytest.approx(exact[1] / squares[1], rel=1e-4)
    with pytest.raises(ValueError, match="risk must be an EmpiricalRisk"):
        ss.landscapes.noise_trace(ss.landscapes.Quadratic([1.0]), np.zeros(1))
    with pytest.raises(ValueError, match="theta"):
        ss.landscapes.noise_trace(risk, np.zeros(3))


@pytest.mark.long
def test_it_is_stored_resumed_and_reported(small, tmp_path):
    data = small.dataset
    assert dict(data.sizes) == {"reading": 3, "learning_rate": 2, "batch_size": 2, "network": 3}
    assert data.reading.values.tolist() == ["3 epochs", "a loss", "a low loss"]
    for name in data.variables:
        assert "units" in data[name].attrs and data[name].attrs["long_name"], name
    with xr.open_zarr(small.folder / "dataset.zarr") as opened:
        assert opened.load().equals(data)
    again = resume(small.folder, progress=False)
    assert again.computed == 0 and again.report == small.report
    for text in ("3 networks a cell", "diverged networks: 0", "breast_cancer: 32 examples", "penalty 0.01"):
        assert text in small.report
    # a report folds what is long
    for sentence in _trends.verdicts(data):
        assert sentence in " ".join(small.report.split())
    assert [path.name for path in small.figures] == ["batch.png"]
    # a cell that was lost is run again, and is what it was
    out = tmp_path / "out"
    half = run(small.folder.parent / "small.toml", out, progress=False)
    (out / "dataset.zarr" / "status" / "c.1.0.1").unlink()
    anew = resume(out, progress=False)
    assert anew.computed == 1 and half.computed == 12
    xr.testing.assert_allclose(anew.dataset.drop_vars("status"), data.drop_vars("status"), rtol=1e-3, atol=1e-5)


@pytest.mark.long
def test_networks_that_diverge_are_named(tmp_path):
    text = SMALL.replace("[0.2, 0.1]", "[0.1, 1e30]").replace("[4, 8]", "[4]").split("[[stop]]")[0]
    (tmp_path / "wild.toml").write_text(text + "[stop]\nepochs = 2\n")
    outcome = run(tmp_path / "wild.toml", tmp_path / "out", progress=False)
    assert outcome.dataset.diverged.values.tolist() == [[[0], [3]]]
    assert "every network diverged: reading 2 epochs, learning_rate = 1e+30, batch_size = 4" in outcome.report
    assert np.isnan(outcome.dataset.sharpness.values[0, 1, 0]) and outcome.all_diverged
    assert redraw(outcome.folder).report == outcome.report


@pytest.mark.long
def test_widths_and_a_network_of_ones_own(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import equinox as eqx\ndef net(key, width):\n    return eqx.nn.MLP(10, 'scalar', width, 1, key=key)\n"
    )
    text = """
    kind = "train"
    networks = 2
    loss = "squared_error"
    measures = ["train_loss", "norm"]
    stop = {steps = 2}
    data = {name = "diabetes", examples = 20}
    network = {function = "mine:net"}
    sweep = {learning_rate = [0.1], batch_size = [4], momentum = [0.0, 0.9], width = [2, 5]}
    """
    (tmp_path / "own.toml").write_text(text)
    outcome = run(tmp_path / "own.toml", tmp_path / "out", progress=False)
    assert dict(outcome.dataset.sizes) | {"network": 2} == {
        "reading": 1, "width": 2, "learning_rate": 1, "batch_size": 1, "momentum": 2, "network": 2
    }  # fmt: skip
    assert np.all(np.isfinite(outcome.dataset.norm))
    # the wider network has more weights
    assert np.all(outcome.dataset.norm.isel(width=1) > outcome.dataset.norm.isel(width=0))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            '"breast_cancer"',
            '"mnist"',
            "data.name: must be 'digits', 'breast_cancer', 'diabetes', 'mnist1d', 'gaussian'",
        ),
        ("hidden = [3]", "", "give either network.hidden or sweep.width, not both or none"),
        ("hidden = [3]", "hidden = [3]\nlayers = 2", "network.layers is how many layers have the width of the sweep"),
        ("epochs = 3", "epochs = 3\nsteps = 3", "stop takes one of epochs, steps and loss"),
        ("epochs = 3", "epochs = 3\nevery = 0.5", "every is how often a loss is looked at, which is not given"),
        ('name = "a loss"', 'name = "3 epochs"', "stop must not say the same twice"),
        ("[0.2, 0.1]", "[0.1, 0.1]", "must not repeat a value"),
        ("[4, 8]", "[4, 8]\nmomentum = 1.0", "momentum"),
        ('"sharpness"', '"sharpnes"', "did you mean 'sharpness'"),
        ("[4, 8]", "[4, 64]", "sweep.batch_size must be at most the 32 examples without replacement, got 64"),
        ("held_out = 0.3", "held_out = 0.0", "measures of what is held out need data.held_out above 0"),
        ("examples = 32", "examples = 1000", "data.examples must be at most the 399 to train on, got 1000"),
        ("examples = 32", "samples = 100", "data.samples is not for the data set breast_cancer, got 100"),
        (
            "penalty",
            'loss = "squared_error"\npenalty',
            "loss must be cross_entropy for a data set whose targets are labels",
        ),
        ("networks = 3", 'networks = 3\nquestion = "width"', "the question 'width' needs sweep.width"),
        (
            '"sharpness", "noise_trace"]',
            '"norm"]\nquestion = "edge"',
            "the question 'edge' needs the measure sharpness",
        ),
        ("examples = 32", "degree = 4", "data.degree is not for the data set breast_cancer, got 4"),
        ("hidden = [3]", 'function = "nowhere:net"', "network.function 'nowhere:net': there is no module 'nowhere'"),
    ],
)
def test_bad_input(old, new, sentence, tmp_path):
    text = SMALL.replace(old, new, 1)
    with pytest.raises(StudyError) as raised:
        parse(text, "bad").prepare(tmp_path)
    assert sentence in str(raised.value)


def test_label_noise_changes_that_share_of_the_labels():
    text = SMALL.replace("examples = 32", "label_noise = 0.25")
    found = _networks.examples(parse(text, "noisy").data)
    plain = ss.data.breast_cancer(held_out=0.3)
    assert np.sum(found.targets != plain.targets) == round(0.25 * len(plain.targets))
    np.testing.assert_array_equal(found.held_out_targets, plain.held_out_targets)


def test_a_loss_is_looked_at_as_often_as_the_file_says():
    often = parse(SMALL.replace("most_epochs = 2", "most_epochs = 2\nevery = 0.25"), "small").stop[1].rule()
    assert often == ss.training.Loss(0.68, ss.training.Epochs(2.0), 0.25)
    assert parse(SMALL, "small").stop[1].rule().every == 1.0


def test_one_stop_is_swept_as_several_are():
    """Written as a table too, and then it is not called by its first value."""
    alone = SMALL.split("[[stop]]")[0] + "[stop]\nepochs = [2, 3]\n"
    study = parse(alone, "x")
    assert study.axes() == {"epochs": 2, "reading": 1, "learning_rate": 2, "batch_size": 2}
    assert study == parse(alone.replace("[stop]", "[[stop]]"), "x") == parse(study.text(), "x")
    assert [study.at(cell.index).stop[0].epochs for cell in study.cells()[::4]] == [2.0, 3.0]
    assert study.coordinates()["reading"][1] == ["as swept"]
    assert parse(SMALL, "x").coordinates()["reading"][1] == ["3 epochs", "a loss", "a low loss"]


def test_a_network_of_ones_own_is_code_that_decides(tmp_path):
    """Of a training study, and of a landscape that is a network's risk."""
    (tmp_path / "mine_too.py").write_text("def net(key):\n    return lambda x: x\n")
    network = 'function = "mine_too:net"'
    for text, place in ((SMALL, "hidden = [3]"), (COMPARE, "hidden = []")):
        assert parse(text, "x").code(tmp_path) == ""
        assert "net" in parse(text.replace(place, network), "x").code(tmp_path)


@pytest.mark.parametrize("name", ["batch", "generalise", "mnist1d"])
def test_packaged_studies_are_as_large_as_they_say(name):
    """As many batch sizes, learning rates, widths and networks as the question takes."""
    study = parse(ss.study.packaged_text(name), name)
    least = {
        "batch": {"batch_size": 6, "learning_rate": 4, "reading": 2, "networks": 64},
        "generalise": {"batch_size": 3, "learning_rate": 4, "networks": 64},
        "mnist1d": {"width": 8, "batch_size": 3, "networks": 8},
    }
    sizes = study.axes() | {"networks": study.networks}
    assert all(sizes[axis] >= number for axis, number in least[name].items())


@pytest.mark.long
def test_a_training_study_over_penalties_and_seeds_of_the_data(tmp_path):
    """The first values have the bits of the study without them; the others train on another loss, or on other data."""
    text = """
    kind = "train"
    networks = 2
    loss = "squared_error"
    measures = ["train_loss"]
    penalty = PENALTY
    stop = {steps = 3}
    data = {name = "diabetes", examples = 20, held_out = 0.2, seed = SEED}
    network = {hidden = [2]}
    sweep = {learning_rate = 0.1, batch_size = 4}
    """
    plain = made(text.replace("PENALTY", "0.0").replace("SEED", "1"), tmp_path, "plain").dataset
    swept = made(text.replace("PENALTY", "[0.0, 1.0]").replace("SEED", "{each = [1, 2]}"), tmp_path, "swept").dataset
    assert list(swept.train_loss.dims) == ["seed", "penalty", "reading", "learning_rate", "batch_size"]
    np.testing.assert_array_equal(swept.train_loss_of_each.isel(penalty=0, seed=0), plain.train_loss_of_each)
    # the seeds of the cells' noise differ, and yet by less than what the penalty and the data do
    for other in ({"penalty": 1, "seed": 0}, {"penalty": 0, "seed": 1}):
        assert np.all(abs(swept.train_loss_of_each.isel(other).values - plain.train_loss_of_each.values) > 1e-3)
