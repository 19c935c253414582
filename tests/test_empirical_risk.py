"""Empirical risk of any model: frozen leaves, losses of all at once, penalties, examples held out, bad data."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sde_sgd as ss
from sde_sgd.landscapes import cross_entropies, cross_entropy, squared_error, squared_errors
from sde_sgd.noise import PerExample

INPUTS = np.random.RandomState(0).normal(size=(12, 4)).astype(np.float32)
LABELS = np.arange(12, dtype=np.int32) % 3


class Network(eqx.Module):
    """Logits of one input or of many, with a scale that may be frozen and what is no parameter."""

    first: jax.Array
    second: jax.Array
    scale: jax.Array
    steps: jax.Array
    activation: object = jax.nn.relu
    name: str = eqx.field(static=True, default="net")

    def __call__(self, x):
        return self.scale * (self.activation(x @ self.first) @ self.second) + 0 * self.steps


def network(scale=2.0, dtype=jnp.float32):
    generator = np.random.RandomState(1)
    return Network(
        jnp.asarray(generator.normal(size=(4, 5)), dtype),
        jnp.asarray(generator.normal(size=(5, 3)), dtype),
        jnp.asarray(scale, dtype),
        jnp.asarray(7),
    )


def risk(**changes):
    given = {"model": network(), "per_example_loss": cross_entropy, "inputs": INPUTS, "targets": LABELS}
    return ss.EmpiricalRisk(**(given | changes))


def by_hand(theta, scale=2.0):
    """Losses of the examples, in NumPy."""
    theta = np.asarray(theta, np.float64)
    first, second = theta[:20].reshape(4, 5), theta[20:35].reshape(5, 3)
    logits = scale * np.maximum(INPUTS.astype(float) @ first, 0) @ second
    return np.log(np.exp(logits).sum(1)) - logits[np.arange(12), LABELS]


@eqx.filter_jit
def measures(risk, theta, batch):
    """All of a risk at a point, in one program."""
    return {
        "loss": risk.loss(theta), "losses": risk.per_example_losses(theta), "batch": risk.batch_loss(theta, batch),
        "data": risk.data_loss(theta), "gradient": risk.gradient(theta),
        "covariance": PerExample().covariance(risk, theta),
    }  # fmt: skip


def test_losses_one_by_one_and_all_at_once_are_those_by_hand():
    one, all_at_once = risk(), risk(per_example_loss=cross_entropies, batched=True)
    assert one.dim == all_at_once.dim == 36
    exact, gradients = by_hand(one.initial), []
    for each in (one, all_at_once):
        found = measures(each, each.initial, np.array([3, 3, 8]))
        np.testing.assert_allclose(found["losses"], exact, rtol=2e-6)
        np.testing.assert_allclose(found["batch"], exact[[3, 3, 8]].mean(), rtol=2e-6)
        gradients.append(found["gradient"])
    np.testing.assert_allclose(*gradients, atol=2e-6)
    # a mistake of one example is seen
    assert np.abs(by_hand(one.initial)[::-1] - exact).max() > 1e-2


def test_squared_errors_are_those_of_one_after_another():
    targets = np.random.RandomState(2).normal(size=(12, 3)).astype(np.float32)
    one = risk(per_example_loss=squared_error, targets=targets)
    many = risk(per_example_loss=squared_errors, targets=targets, batched=True)
    outputs = np.asarray(network()(INPUTS))
    exact = ((outputs - targets) ** 2).sum(1) / 2
    np.testing.assert_allclose(one.per_example_losses(one.initial), exact, rtol=1e-5)
    np.testing.assert_allclose(many.per_example_losses(many.initial), exact, rtol=1e-5)
    for loss, batched in ((squared_error, False), (squared_errors, True)):
        with pytest.raises(ValueError, match=r"must have the shape of .*\(1,\), got \(.*3,?\)|shape of the targets"):
            risk(per_example_loss=loss, targets=targets[:, :1], batched=batched)


@pytest.mark.parametrize(
    "trainable", [lambda leaf: leaf.ndim == 2 if eqx.is_array(leaf) else False, "tree"], ids=["function", "tree"]
)
def test_frozen_leaves_are_no_parameters_and_take_the_dtype_of_theta(trainable):
    if trainable == "tree":
        trainable = jax.tree.map(eqx.is_inexact_array, network())
        trainable = eqx.tree_at(lambda tree: tree.scale, trainable, False)
    frozen = risk(trainable=trainable)
    assert frozen.dim == 35 == frozen.initial.size
    assert frozen.leaves == {"first": slice(0, 20), "second": slice(20, 35)}
    np.testing.assert_allclose(frozen.per_example_losses(frozen.initial), by_hand(frozen.initial), rtol=2e-6)
    halved = risk(model=network(scale=1.0), trainable=trainable)
    assert np.abs(halved.per_example_losses(frozen.initial) - by_hand(frozen.initial)).max() > 1e-2
    rebuilt = frozen.unflatten(2 * frozen.initial)
    assert rebuilt.scale == 2 and rebuilt.steps == 7 and rebuilt.activation is jax.nn.relu and rebuilt.name == "net"
    assert rebuilt.steps.dtype == jnp.int32
    with jax.enable_x64(True):
        model = frozen.unflatten(frozen.initial.astype(jnp.float64))
        assert model.scale.dtype == jnp.float64
        assert frozen.loss(frozen.initial.astype(jnp.float64)).dtype == jnp.float64


def test_names_of_leaves_are_those_of_the_model():
    mlp = eqx.nn.MLP(4, 3, 5, 1, key=jax.random.key(0))
    leaves = risk(model=mlp).leaves
    assert leaves == {
        "layers[0].weight": slice(0, 20), "layers[0].bias": slice(20, 25),
        "layers[1].weight": slice(25, 40), "layers[1].bias": slice(40, 43),
    }  # fmt: skip
    line = ss.EmpiricalRisk(jnp.ones(4), lambda w, x, y: (w @ x - y) ** 2, INPUTS, LABELS.astype(np.float32))
    assert line.leaves == {"model": slice(0, 4)}


@pytest.mark.parametrize("batched", [False, True])
def test_penalty_is_in_every_example_and_in_no_measure_of_data(batched):
    with jax.enable_x64(True):
        loss = cross_entropies if batched else cross_entropy
        given = {"per_example_loss": loss, "batched": batched, "inputs": INPUTS.astype(float)}
        model = network(dtype=jnp.float64)
        plain, decayed = risk(model=model, **given), risk(model=model, penalty=0.1, **given)
        by_function = risk(model=model, penalty=lambda net: 0.05 * jnp.sum(net.first**2), **given)
        theta = np.asarray(plain.initial)
        square, first = np.sum(theta**2), np.sum(theta[:20] ** 2)
        bare, decayed = (measures(each, plain.initial, np.array([1, 4])) for each in (plain, decayed))
        np.testing.assert_allclose(decayed["loss"], bare["loss"] + 0.05 * square, rtol=1e-13)
        by_function = eqx.filter_jit(by_function.loss)(plain.initial)
        np.testing.assert_allclose(by_function, bare["loss"] + 0.05 * first, rtol=1e-13)
        np.testing.assert_allclose(decayed["gradient"], bare["gradient"] + 0.1 * theta, atol=1e-13)
        np.testing.assert_allclose(decayed["batch"], bare["batch"] + 0.05 * square, rtol=1e-13)
        # the noise of a gradient does not see it
        np.testing.assert_allclose(decayed["covariance"], bare["covariance"], atol=1e-12)
        np.testing.assert_allclose(decayed["data"], bare["loss"], rtol=1e-13)


def test_a_penalty_is_swept_without_another_program():
    loss = eqx.filter_jit(eqx.debug.assert_max_traces(lambda each, theta: each.loss(theta), max_traces=1))
    first, second = (risk(penalty=jnp.asarray(each)) for each in (0.1, 0.3))
    difference = loss(second, first.initial) - loss(first, first.initial)
    assert difference == pytest.approx(0.1 * float(jnp.sum(first.initial**2)), rel=1e-5)


def test_loss_and_accuracy_of_what_is_held_out():
    split = risk(inputs=INPUTS[:8], targets=LABELS[:8], held_out=(INPUTS[8:], LABELS[8:]), penalty=0.2)
    theta = split.initial
    exact, outputs = by_hand(theta), np.asarray(network()(INPUTS))
    right = outputs.argmax(1) == LABELS
    assert 0 < right[8:].mean() != right[:8].mean() < 1
    np.testing.assert_allclose(split.held_out_loss(theta), exact[8:].mean(), rtol=2e-6)
    np.testing.assert_allclose(split.data_loss(theta), exact[:8].mean(), rtol=2e-6)
    assert float(split.accuracy(theta)) == pytest.approx(right[:8].mean())
    assert float(split.held_out_accuracy(theta)) == pytest.approx(right[8:].mean())
    many = jax.vmap(split.held_out_accuracy)(jnp.stack([theta, -theta]))
    assert many.shape == (2,) and many[0] == split.held_out_accuracy(theta)
    with pytest.raises(ValueError, match="held_out must be given"):
        risk().held_out_loss(theta)


def test_one_output_is_a_logit_and_numbers_have_no_accuracy():
    logistic = risk(
        model=jnp.array([1.0, 0, 0, 0]),
        per_example_loss=lambda w, x, y: jnp.logaddexp(0.0, (1 - 2 * y) * (x @ w)),
        targets=(INPUTS[:, 0] > 0.1).astype(np.int32),
    )
    with pytest.raises(ValueError, match="model must map one input to its outputs"):
        logistic.accuracy(logistic.initial)
    linear = eqx.tree_at(
        lambda each: each.weight, eqx.nn.Linear(4, "scalar", False, key=jax.random.key(0)), np.eye(1, 4) / 4
    )
    one = risk(
        model=linear,
        per_example_loss=lambda m, x, y: jnp.logaddexp(0.0, (1 - 2 * y) * m(x)),
        targets=(INPUTS[:, 0] > 1.0).astype(np.int32),
    )
    right = (INPUTS[:, 0] > 0) == (INPUTS[:, 0] > 1.0)
    assert float(one.accuracy(one.initial)) == pytest.approx(right.mean()) and right.mean() < 1
    # labels of -1 and 1 are told by the sign, also where all that are held out are 1; others by nothing
    signs = np.where(INPUTS[:, 0] > 1.0, 1, -1)
    both = {"model": linear, "per_example_loss": lambda m, x, y: jax.nn.softplus(-m(x) * y), "targets": signs}
    signed = risk(**both, held_out=(np.abs(INPUTS), np.ones(12, int)))
    assert float(signed.accuracy(signed.initial)) == pytest.approx(right.mean())
    assert float(signed.held_out_accuracy(signed.initial)) == 1 and signed.classifies
    other = risk(**both | {"targets": 2 * signs})
    assert not other.classifies
    with pytest.raises(ValueError, match="targets must be 0 and 1, or -1 and 1, for the accuracy of one output"):
        other.accuracy(other.initial)
    with pytest.raises(ValueError, match="targets must be integer labels"):
        risk(per_example_loss=squared_error, targets=np.zeros((12, 3), np.float32)).accuracy(jnp.zeros(36))


def test_a_convolution_with_relu():
    keys = jax.random.split(jax.random.key(4), 2)
    model = eqx.nn.Sequential(
        [
            eqx.nn.Conv1d(1, 2, 2, key=keys[0]),
            eqx.nn.Lambda(jax.nn.relu),
            eqx.nn.Lambda(jnp.ravel),
            eqx.nn.Linear(6, 3, key=keys[1]),
        ]
    )
    conv = risk(model=model, inputs=INPUTS[:, None, :])
    one = eqx.filter_jit(cross_entropy)
    direct = [one(model, x, y) for x, y in zip(INPUTS[:, None, :], LABELS, strict=True)]
    np.testing.assert_allclose(eqx.filter_jit(conv.per_example_losses)(conv.initial), direct, rtol=1e-5)
    assert conv.dim == 2 * 2 + 2 + 18 + 3 and jax.eval_shape(conv.gradient, conv.initial).shape == (27,)


def integer_loss(model, x, y):
    return optax.softmax_cross_entropy_with_integer_labels(model(x), y)


def with_dropout(**options):
    return eqx.nn.Sequential([eqx.nn.Linear(4, 3, key=jax.random.key(0)), eqx.nn.Dropout(0.5, **options)])


class Noisy(eqx.Module):
    """Dropout with a key of its own."""

    inside: eqx.nn.Sequential

    def __call__(self, x):
        return self.inside(x, key=jax.random.key(0))


def counts(model, x, y):
    """A count for a target, which looks nothing up."""
    return (model(x)[0] - y) ** 2


def batch_normalised(model, x, y):
    """Losses of outputs that are divided by their spread in the batch."""
    outputs = model(x)
    return cross_entropies(lambda each: each / (outputs.std(axis=0) + 1e-3), outputs, y)


NAN = np.where(np.arange(48).reshape(12, 4) == 13, np.nan, INPUTS).astype(np.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": LABELS + 1}, "targets must be labels that the model .* got index 3 on an axis of 3"),
        ({"targets": LABELS - 1}, "targets must be labels of at least 0, got -1"),
        ({"targets": LABELS + 1, "per_example_loss": integer_loss}, "targets must be labels .* got index 3"),
        (
            {"targets": LABELS + 1, "per_example_loss": cross_entropies, "batched": True},
            "targets must be labels .* got index 3",
        ),
        ({"held_out": (INPUTS, LABELS + 1)}, "held_out's targets must be labels .* got index 3"),
        ({"inputs": NAN}, "inputs must be finite, got a row that is not: 3"),
        ({"held_out": (NAN, LABELS)}, "held_out's inputs must be finite, got a row that is not: 3"),
        ({"held_out": INPUTS}, r"held_out must be a pair \(inputs, targets\)"),
        ({"held_out": (INPUTS, LABELS[:4])}, "held_out's targets must have one entry for each of its 12 inputs, got 4"),
        ({"held_out": (INPUTS[:, :2], LABELS)}, r"held_out's inputs must have rows of shape \(4,\)"),
        ({"per_example_loss": cross_entropies}, "per_example_loss must accept"),
        ({"per_example_loss": lambda m, x, y: m(x)}, "must return a real scalar .* told by batched=True"),
        (
            {"per_example_loss": lambda m, x, y: jnp.mean(cross_entropies(m, x, y)), "batched": True},
            r"must return real losses of shape \(n,\)",
        ),
        (
            {"per_example_loss": lambda m, x, y: cross_entropy(m, x + jax.random.normal(jax.random.key(0), (4,)), y)},
            "must be a fixed function .* got one that draws random numbers",
        ),
        (
            {"per_example_loss": lambda m, x, y: cross_entropy(m, x, y) * np.random.normal()},
            "must be a fixed function .* got one that draws random numbers",
        ),
        ({"model": with_dropout()}, "must accept .* a model with Dropout left on .*inference_mode"),
        ({"model": Noisy(with_dropout())}, "must be a fixed function .* got one with Dropout left on"),
        ({"targets": LABELS > 0}, r"must accept .* \(targets are bool of shape \(12,\); a loss of labels"),
        ({"targets": np.eye(3, dtype=np.float32)[LABELS]}, r"must accept .* \(targets are float32 of shape \(12, 3\)"),
        ({"per_example_loss": batch_normalised, "batched": True}, "each of many examples the loss that it has"),
        ({"penalty": -0.1}, "penalty must be at least 0"),
        ({"penalty": "much"}, "penalty must be a finite number"),
        ({"penalty": lambda model: model.first}, "penalty must return a real scalar"),
        ({"penalty": lambda model: model.third}, "penalty must be a function of the model"),
        ({"trainable": lambda leaf: False}, "trainable must choose at least one"),
        ({"trainable": lambda leaf: 1.0}, "trainable must say True or False"),
        ({"trainable": {"first": True}}, "trainable must be booleans in a tree like the model"),
        ({"trainable": lambda leaf: getattr(leaf, "dtype", 0) == jnp.int32}, "trainable must choose at least one"),
    ],
)  # fmt: skip
def test_what_is_no_risk_is_refused_in_one_sentence(change, message):
    with pytest.raises(ValueError, match=message) as caught:
        risk(**change)
    assert "\n" not in str(caught.value)


def test_a_batch_normalisation_whose_outputs_cancel_is_refused():
    """Four normalised outputs are summed: of two examples they are 1 and -1, of which two and two make 0."""
    weights = jnp.array([[1.0, 0, 0, 0], [2.0, 0, 0, 0], [-1.0, 0, 0, 0], [-2.0, 0, 0, 0]]).T + 0.1 * jnp.eye(4)

    def normalised(weights, x, y):
        outputs = x @ weights
        return (((outputs - outputs.mean(axis=0)) / (outputs.std(axis=0) + 1e-3)).sum(axis=1) - y) ** 2 / 2

    targets = np.random.RandomState(3).normal(size=12)
    with pytest.raises(ValueError, match="per_example_loss must give each of many examples the loss"):
        risk(model=weights, per_example_loss=normalised, targets=targets, batched=True)


@pytest.mark.parametrize(
    "change",
    [
        {"model": eqx.nn.inference_mode(with_dropout())},
        {"model": with_dropout(inference=True)},
        {"targets": LABELS * 50, "per_example_loss": counts},
        {"per_example_loss": integer_loss},
        {"per_example_loss": lambda m, x, y: optax.softmax_cross_entropy(m(x), jax.nn.one_hot(y, 3))},
    ],
)
def test_what_only_looks_like_a_mistake_is_taken(change):
    assert np.isfinite(risk(**change).loss(risk(**change).initial))
