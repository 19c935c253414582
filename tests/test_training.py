"""Ensembles of networks: what they are trained to, what is measured of them, and what is said of those that diverge."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from statistical import agrees

import sde_sgd as ss
from sde_sgd import training
from sde_sgd.chains import MinibatchSGD, MomentumSGD, Varying
from sde_sgd.results import Status
from sde_sgd.training import Epochs, Loss, Measure, Steps

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 2)).astype(np.float32)
Y = (X @ np.array([1.0, -0.5]) + 0.3 * RNG.normal(size=24)).astype(np.float32)


def model(key):
    return eqx.nn.Linear(2, 1, key=key)


def error(net, x, y):
    return 0.5 * (net(x)[0] - y) ** 2


RISK = ss.EmpiricalRisk(model(jax.random.key(3)), error, X[:16], Y[:16], held_out=(X[16:], Y[16:]))
GRID = {"learning_rate": [0.05, 0.1], "batch_size": [4, 8], "momentum": [0.0, 0.5]}


@pytest.fixture(scope="module")
def trained():
    return ss.train(RISK, networks=3, stop=Epochs(6), seed=7, **GRID)


def test_each_network_is_a_trajectory_of_its_chain(trained):
    """Number c·networks + k, for its own rate, size and momentum; and after six epochs."""
    assert trained.thetas.shape == (2, 2, 2, 3, 3) and trained.status is Status.COMPLETE
    assert np.all(trained.steps == np.array([24, 12])[None, :, None, None])
    for cell in ((0, 0, 0), (1, 1, 1), (1, 0, 1)):
        rate, size, momentum = (values[place] for values, place in zip(GRID.values(), cell, strict=True))
        chain = MomentumSGD(RISK, rate, size, momentum, replacement="epoch")
        first = int(np.ravel_multi_index(cell, (2, 2, 2))) * 3
        alone = ss.simulate(chain, RISK.initial, 6 * (16 // size), trajectory_ids=first + np.arange(3), seed=7)
        np.testing.assert_allclose(trained.thetas[cell], alone, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("asked", "one_start"),
    [({"stop": Epochs(6)}, True), ({"stop": Loss(1e-9, most=Epochs(5), every=2), "start": model}, False)],
)
def test_a_plan_says_what_a_training_will_hold_and_how_often_it_looks(asked, one_start):
    """Bytes of the result are those of its arrays; a loss is looked at before the first step, at each interval and at
    the end.
    """
    plan, found = training.plan(RISK, networks=3, **GRID, **asked), ss.train(RISK, networks=3, **GRID, **asked)
    starts = found.starts[:1] if one_start else found.starts
    assert plan.result == sum(array.nbytes for array in (found.thetas, found.steps, found.reached, starts))
    # θ and memory of the 12 networks of one batch size, in float32
    chain = Varying(MomentumSGD(RISK, 0.1, 4, 0.5, replacement="epoch"), "learning_rate", "momentum")
    assert plan.starts == 12 * chain.state_dim * 4
    assert plan.networks == 24 and [run.steps for run in plan.runs] == list(found.steps[0, :, 0, 0])
    assert plan.looks == ((0, 0) if one_start else (1 + 3, 1 + 3))
    assert (plan.looking > 0) != one_start and (plan.look_seconds > 0) != one_start
    assert plan.peak >= plan.result + plan.starts + plan.looking
    assert "24, 12 of each of 2 batch sizes" in str(plan) and "at most" in str(plan)


@pytest.mark.parametrize("wrong", [{"networks": 0}, {"stop": 5}, {"batch_size": 99}, {"start": np.zeros(2)}])
def test_a_plan_refuses_what_a_training_does(wrong):
    told = []
    for call in (ss.train, training.plan):
        with pytest.raises(ValueError, match=next(iter(wrong))) as refused:
            call(RISK, **{"networks": 2, "learning_rate": 0.1, "batch_size": 4} | wrong)
        told.append(str(refused.value))
    assert told[0] == told[1]


@pytest.mark.long
def test_without_momentum_each_is_a_trajectory_of_the_plain_chain():
    """With replacement, if that is asked for."""
    plain = ss.train(RISK, networks=2, learning_rate=0.1, batch_size=4, sampling="replacement", stop=Steps(9))
    alone = ss.simulate(Varying(MinibatchSGD(RISK, 0.1, 4), "learning_rate"), RISK.initial, 9, 2)
    np.testing.assert_allclose(plain.thetas[0, 0, 0], alone, rtol=1e-5)


def test_measures_are_those_of_each_network(trained):
    """A number that is no list is no dimension; held-out loss, sharpness and distance are what their functions say."""
    data = trained.measure("train_loss", "held_out_loss", "sharpness", "distance", "gradient_norm", "norm", "trace")
    assert dict(data.sizes) == {"learning_rate": 2, "batch_size": 2, "momentum": 2, "network": 3}
    picked = data.sel(learning_rate=0.1, batch_size=4, momentum=0.5, network=2)
    theta = jnp.asarray(trained.thetas[1, 0, 1, 2])
    expected = {
        "train_loss": RISK.data_loss(theta), "held_out_loss": RISK.held_out_loss(theta),
        "sharpness": ss.landscapes.sharpness(RISK, theta, 1)[0], "trace": ss.landscapes.trace(RISK, theta),
        "distance": np.linalg.norm(theta - np.asarray(RISK.initial)), "norm": np.linalg.norm(theta),
        "gradient_norm": np.linalg.norm(RISK.gradient(theta)),
    }  # fmt: skip
    for name, value in expected.items():
        assert float(picked[name]) == pytest.approx(float(value), rel=1e-4), name
        assert data[name].attrs["units"] and data[name].attrs["long_name"]
    line = ss.train(RISK, networks=2, learning_rate=0.1, batch_size=[4], stop=Steps(2))
    own = Measure(lambda risk, thetas, starts: thetas[:, 0], "θ", "first weight")
    assert dict(line.measure(own).sizes) == {"batch_size": 1, "network": 2}
    np.testing.assert_array_equal(line.measure(own)["first_weight"], line.thetas[0, :, 0, :, 0])


def test_the_law_over_networks_by_hand(trained):
    """Three networks: Student's t with two degrees of freedom; quartiles."""
    values = trained.measure("norm")["norm"].values
    law = trained.law("norm")
    half = 4.302653 * values.std(axis=-1, ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(law["norm"], values.mean(axis=-1))
    np.testing.assert_allclose(law["norm_high"] - law["norm"], half, rtol=1e-6)
    np.testing.assert_allclose(law["norm_quantile_0.5"], np.median(values, axis=-1))
    assert np.all(law["networks"] == 3) and "network" not in law.dims


def test_an_epoch_is_of_whole_batches():
    """Sixteen examples in batches of 4, of 6, which leave four out, and of more than there are."""
    assert [Epochs(3).steps(16, size) for size in (4, 6, 20)] == [12, 6, 3]


def test_a_loss_ends_a_network_when_it_is_there():
    """Its loss is low enough, and was not one step earlier, where velocities count too. What never comes is told."""
    value, options = 0.08, {"learning_rate": [0.02, 1e-6], "batch_size": 2, "momentum": [0.0, 0.6]}
    found = ss.train(RISK, networks=4, stop=Loss(value, most=Epochs(50)), **options)
    losses_of = jax.jit(jax.vmap(jax.vmap(RISK.loss)))
    assert np.all(found.reached[0]) and not np.any(found.reached[1]) and np.all(found.steps[1] == 400)
    for place, momentum in enumerate(options["momentum"]):
        chain = Varying(MomentumSGD(RISK, 0.02, 2, momentum, replacement="epoch"), "learning_rate")
        paths = ss.simulate(chain, RISK.initial, 400, trajectory_ids=4 * place + np.arange(4), save_every=1)
        losses = np.asarray(losses_of(paths))
        for number, last in enumerate(found.steps[0, 0, place]):
            assert losses[last, number] <= value < losses[last - 1, number]
            np.testing.assert_allclose(found.thetas[0, 0, place, number], paths[last, number], rtol=1e-5)
    assert len({int(last) % 8 for last in found.steps[0].ravel()}) > 2
    assert found.status is Status.BUDGET_SPENT and found.reasons[0].startswith("8 of 16 networks did not come to a los")


@pytest.mark.long
@pytest.mark.parametrize("every", [0.5, 2.0])
def test_an_epoch_is_no_grain_of_a_loss(every):
    """All examples are alike, so that the loss is L₀(1 − γx²)^{2k} whatever the batch: all end at the same step.

    A twin that ends where it looks goes on to the end of the epoch, which of small batches is far.
    """
    alike = ss.EmpiricalRisk(jnp.zeros(1), lambda w, x, y: (w @ x - y) ** 2 / 2, np.full((40, 1), 2.0), np.ones(40))
    rates, sizes, value = np.array([0.01, 0.003]), [1, 8], 1e-3
    exact = np.ceil(np.log(value / 0.5) / (2 * np.log(1 - 4 * rates))).astype(int)
    assert exact.tolist() == [77, 258]
    options = {"networks": 2, "learning_rate": rates, "batch_size": sizes}
    found = ss.train(alike, stop=Loss(value, Epochs(300), every), **options)
    assert np.all(found.steps == exact[:, None, None, None]) and np.all(found.reached)
    expected = (1 - (1 - 4 * rates) ** exact)[:, None] / 2
    np.testing.assert_allclose(found.thetas[:, :, 0, :, 0], np.broadcast_to(expected[..., None], (2, 2, 2)), rtol=1e-5)
    epochs = 40 // np.array(sizes)
    assert np.all(-(-exact[:, None] // epochs) * epochs > exact[:, None])
    assert np.all(ss.train(alike, stop=Loss(0.5, Epochs(3), every), **options).steps == 0)


def test_networks_that_diverge_are_counted():
    """A rate far above 2 over the sharpness: no number of theirs, and those of the others as they are."""
    found = ss.train(RISK, networks=2, learning_rate=[0.1, 40.0], batch_size=4, stop=Steps(400))
    assert found.diverged == 2 and found.status is Status.DIVERGED and "2 of 4 networks" in found.reasons[0]
    data, law = found.measure("loss"), found.law("loss")
    assert np.all(np.isfinite(data["loss"].sel(learning_rate=0.1))) and np.all(np.isnan(data["loss"][1]))
    assert law["networks"].values.tolist() == [2, 0] and np.isnan(law["loss"][1])
    assert "diverged  2 of 4" in repr(found)


def test_a_loss_that_overflows_is_divergence_and_one_that_is_about_to_is_named():
    """All examples alike: L = 9^k/2 after k steps, from 1/2, which float32 holds up to k = 40 or so, and θ to 80."""
    alike = ss.EmpiricalRisk(jnp.zeros(1), lambda w, x, y: (w @ x - y) ** 2 / 2, np.full((8, 1), 2.0), np.ones(8))

    def after(steps, stop=Steps):
        return ss.train(alike, networks=3, learning_rate=1.0, batch_size=8, stop=stop(steps), progress=False)

    early, late, over = after(6), after(36), after(60)
    assert early.status is Status.COMPLETE and not early.is_exploding.any()
    assert late.diverged == 0 and late.is_exploding.all() and late.status is Status.DIVERGED
    assert late.reasons[0].startswith("3 of 3 networks are finite still, with losses up to 2.3e+34 times")
    assert np.isfinite(over.thetas).all() and over.reasons == ("3 of 3 networks stopped being finite",)
    law = over.law("loss", "norm")
    assert law.networks == 0 and np.isnan(law.loss) and np.isnan(law.norm)
    assert float(late.law("norm").norm) == pytest.approx(3.0**36 / 2, rel=1e-5)
    # what did not come to its loss because it exploded has diverged, and is not late
    unmet = after(1e-3, lambda value: Loss(value, most=Steps(60)))
    assert unmet.has_diverged.all() and not unmet.is_late.any()


def test_numbers_that_are_not_finite_are_left_out_and_counted(trained):
    own = Measure(lambda risk, thetas, starts: np.where(np.arange(len(thetas)) % 3, 2.0, np.inf), "1", "own")
    law = trained.law(own, "loss")
    assert np.all(law.own == 2) and np.all(law.networks == 3)
    assert law.left_out == "own is not finite in 8 of 24 networks, which its law leaves out"
    assert trained.to_dataset(own).attrs["unknown"] == law.left_out


def test_networks_that_begin_differently():
    """The same start in each cell, another for each network; θ of a model is the inverse of unflatten."""
    found = ss.train(RISK, networks=3, learning_rate=[1e-9, 2e-9], batch_size=4, stop=Steps(1), start=model, seed=2)
    assert len(np.unique(found.starts[:, 0])) == 3
    np.testing.assert_allclose(found.thetas[0, 0, 0], found.starts, atol=1e-6)
    np.testing.assert_allclose(found.thetas[1, 0, 0], found.starts, atol=1e-6)
    net = model(jax.random.key(9))
    again = RISK.unflatten(RISK.flatten(net))
    assert eqx.tree_equal(again, net)
    # another structure of the same arrays, and other arrays in the same structure
    for other in ((net.weight, net.bias), eqx.tree_at(lambda net: net.weight, net, jnp.ones((1, 3)))):
        with pytest.raises(ValueError, match=r"model must have the arrays of the risk's, .*\(1, 2\)"):
            RISK.flatten(other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": [0.1, -1.0]}, "learning_rate must be above 0, got -1"),
        ({"learning_rate": []}, "learning_rate must be a number or a list of numbers"),
        ({"batch_size": 2.5}, "batch_size must be whole numbers of at least 1, got 2.5"),
        ({"batch_size": [4, 4]}, "batch_size must have each of its values once"),
        (
            {"batch_size": 32, "sampling": "without"},
            "must be at most the 16 .*got 32; sampling='replacement'",
        ),
        ({"batch_size": 32}, "batch_size must be at most the 16 examples with sampling='epoch', got 32"),
        ({"momentum": 1.0}, "momentum must be at least 0 and below 1, got 1"),
        ({"stop": 5}, "stop must be Epochs"),
        ({"start": np.zeros(2)}, r"start must have shape \(3,\) or \(2, 3\), got \(2,\)"),
        ({"start": lambda key: eqx.nn.Linear(3, 1, key=key)}, "start must make a model like the risk's"),
        ({"sampling": "epochs"}, "replacement must|sampling must"),
        ({"networks": 0}, "networks must be"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        ss.train(RISK, **({"networks": 2, "learning_rate": 0.1, "batch_size": 4, "stop": Steps(1)} | options))


def test_bad_measures_and_stops(trained):
    with pytest.raises(ValueError, match="measures must be of loss, train_loss"):
        trained.measure("losss")
    one, two = (Measure(lambda risk, thetas, starts, by=by: by * thetas[:, 0], "θ", "mine") for by in (1, 2))
    with pytest.raises(ValueError, match=r"given once, under a name of its own, got \['mine', 'mine'\]"):
        trained.measure(one, two)
    for taken in ("diverged", "steps", "learning rate"):
        with pytest.raises(ValueError, match="measures must not be called"):
            trained.measure(one._replace(words=taken))
    for wrong in (lambda risk, thetas, starts: 3.0, lambda risk, thetas, starts: thetas[:, :2]):
        with pytest.raises(ValueError, match=r"measures must give one number for each network, got shape \("):
            trained.measure(one._replace(of=wrong))
    with pytest.raises(ValueError, match="targets must be integer labels"):
        trained.measure("accuracy")
    with pytest.raises(ValueError, match="most must be Steps"):
        Loss(0.1, most=10)
    with pytest.raises(ValueError, match="risk must be an EmpiricalRisk"):
        ss.train(jnp.zeros(3), learning_rate=0.1, batch_size=1)


@pytest.mark.parametrize(
    ("sampling", "size", "momentum", "exact"),
    [
        ("replacement", 4, 0.0, 1 / 4),
        ("replacement", 4, 0.9, 10 / 4),
        ("without", 4, 0.5, 2 * 12 / (4 * 15)),
        ("epoch", 16, 0.0, 0.0),
    ],
)
def test_the_excess_loss_of_the_noise_knows_sampling_and_momentum(sampling, size, momentum, exact):
    """γc Tr(V)/(4(1 − μ)) with c = 1/M, or (N−M)/(M(N−1)), of N = 16; of epochs a sentence says that it is none."""
    options = {"batch_size": [size], "momentum": momentum, "sampling": sampling, "stop": Steps(2)}
    data = ss.train(RISK, networks=2, learning_rate=[0.02, 0.04], **options).to_dataset("noise_trace")
    floor = training._trends.noise_floor(data) / data.noise_trace_of_each
    np.testing.assert_allclose(floor[0, :, 0].T, np.array([[0.02, 0.04]] * 2) * exact / 4, rtol=1e-6)
    said = [line for line in ss.training.verdicts(data) if line.startswith("the noise's excess loss")]
    assert len(said) == 1 and ("no estimate for reshuffled epochs" in said[0]) == (sampling == "epoch")


@pytest.mark.long
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_excess_loss_of_the_noise_is_what_training_has(momentum):
    """Linear regression from its minimum: within 5 %, and 4 standard errors, of the mean of 512 networks.

    γλ is 0.02 at most, where the first order is all but exact. The twin without 1/(1 − μ) is ten times too small.
    """
    line = ss.EmpiricalRisk(RISK.model, error, X[:16], Y[:16])
    minimum = ss.landscapes.polish(line, line.initial)
    rate = 0.02 * (1 - momentum)
    options = {"batch_size": 4, "momentum": momentum, "sampling": "replacement", "stop": Steps(1_000)}
    trained = ss.train(line, networks=512, learning_rate=rate, start=minimum, **options)
    data = trained.to_dataset("loss", "noise_trace")
    excess = data.loss_of_each.values.ravel() - minimum.loss
    foretold = float(training._trends.noise_floor(data).mean())
    assert agrees(excess.mean(), foretold, excess.std() / np.sqrt(512), 0.05 * foretold)


@pytest.mark.long
def test_figures_and_sentences_are_made_of_its_dataset():
    """Numbers are those of the law and of each network, the others' places are there too; the sentence is a trend's."""
    found = ss.train(RISK, networks=4, learning_rate=0.1, batch_size=[2, 4, 8], stop=Epochs(8), start=model, seed=3)
    data = found.to_dataset("sharpness", "train_loss", confidence=0.9)
    law = found.law("train_loss", confidence=0.9)
    assert data.sizes["reading"] == data.sizes["learning_rate"] == 1 and data.reading.item() == "8 epochs"
    np.testing.assert_array_equal(data.train_loss_low[0, 0], law.train_loss_low)
    np.testing.assert_array_equal(data.train_loss_of_each[0, 0], found.measure("train_loss").train_loss)
    assert np.all(data.steps[0, 0] == [64, 32, 16]) and np.all(data.diverged == 0) and np.all(data.late == 0)
    sharpness, loss = ss.training.verdicts(data)
    assert sharpness.startswith("large batch finds") and "from M = 2 to 8" in sharpness
    assert loss.startswith("large batch ends at a larger training loss, 8 epochs: training loss changes by")
    figure = ss.plotting.batch_figure(data)
    drawn = [line.get_ydata() for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 3]
    assert any(np.allclose(values, data.sharpness.values.ravel()) for values in drawn)
    late = ss.train(RISK, networks=2, learning_rate=[0.1, 1e-6], batch_size=8, stop=Loss(0.08, most=Epochs(90)))
    ended = late.to_dataset("norm")
    assert ended.late.values.ravel().tolist() == [0, 2] and np.isnan(ended.steps[0, 1]) and ended.steps[0, 0] > 2
    assert ended.attrs["question"] == "ratio" and ended.to_a_loss.values.tolist() == [True]
