"""Data sets: known numbers of each, the split, and what is standardised by what."""

import builtins

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss
from sde_sgd import data


def test_mnist1d_is_the_published_file():
    """Entries and sums of all entries of the authors' file, to rounding; another seed is another set."""
    examples = data.mnist1d()
    assert examples.inputs.shape == (4_000, 40) and examples.held_out_inputs.shape == (1_000, 40)
    first = [-0.33200566736939013, -0.4719103656557236, -0.778697076293495, -1.0097408265367045]
    np.testing.assert_allclose(examples.inputs[0, :4], first, atol=1e-12)
    assert examples.targets[:20].tolist() == [2, 6, 4, 5, 6, 6, 6, 0, 3, 1, 6, 9, 4, 3, 4, 5, 1, 9, 0, 3]
    inputs = np.concatenate([examples.inputs, examples.held_out_inputs])
    labels = np.concatenate([examples.targets, examples.held_out_targets])
    weights = np.cos(np.arange(inputs.size)).reshape(inputs.shape)
    assert np.sum(weights * inputs) == pytest.approx(445.7184519659724, abs=1e-8)
    assert np.sum(inputs**4) == pytest.approx(880328.9954767249, rel=1e-12)
    assert int(np.sum(labels * np.arange(5_000))) == 56565641 and np.bincount(labels).tolist() == [500] * 10
    assert np.abs(data.mnist1d(seed=43).inputs - examples.inputs).max() > 0.1


def test_parts_of_mnist1d():
    few = data.mnist1d(105, held_out=0.75)
    assert len(few.targets) == 25 and len(few.held_out_targets) == 75
    assert repr(few) == "Examples: 25 to train, 75 held out, of 40 features; targets are labels"
    assert data.mnist1d(10, held_out=0).held_out is None


def test_diabetes_has_the_known_curvature_and_least_loss():
    examples = data.diabetes()
    assert examples.inputs.shape == (442, 10) and examples.held_out is None
    risk = ss.EmpiricalRisk(jnp.zeros(10), lambda w, x, y: (w @ x - y) ** 2 / 2, examples.inputs, examples.targets)
    assert ss.landscapes.sharpness(risk, np.zeros(10), 1)[0] == pytest.approx(4.024211, abs=1e-6)
    (minimum,) = ss.landscapes.find_minima(risk, np.zeros(10))
    assert minimum.loss == pytest.approx(0.24112579, abs=1e-7)
    assert ss.landscapes.polish(risk, np.zeros(10)).loss == pytest.approx(minimum.loss, rel=1e-9)
    raw = examples.inputs * 1.05
    off = ss.EmpiricalRisk(jnp.zeros(10), lambda w, x, y: (w @ x - y) ** 2 / 2, raw, examples.targets)
    assert abs(ss.landscapes.sharpness(off, np.zeros(10), 1)[0] - 4.024211) > 0.1


@pytest.mark.parametrize(("name", "shape", "classes"), [("digits", (1_797, 64), 10), ("breast_cancer", (569, 30), 2)])
def test_labelled_sets(name, shape, classes):
    examples = getattr(data, name)()
    train, held_out = len(examples.targets), len(examples.held_out_targets)
    assert (train + held_out, examples.inputs.shape[1]) == shape and held_out == shape[0] // 5
    assert np.unique(examples.targets).tolist() == list(range(classes))
    axis = None if name == "digits" else 0
    np.testing.assert_allclose(examples.inputs.mean(axis), 0, atol=1e-12)
    np.testing.assert_allclose(examples.inputs.std(axis), 1, atol=1e-12)
    # by the training part alone
    assert np.abs(examples.held_out_inputs.mean(axis)).max() > 1e-4
    again, other = getattr(data, name)(), getattr(data, name)(seed=1)
    np.testing.assert_array_equal(again.inputs, examples.inputs)
    assert not np.array_equal(other.targets, examples.targets)


def test_a_split_of_diabetes_holds_out_others():
    examples = data.diabetes(held_out=0.25)
    assert len(examples.held_out_targets) == 110 and examples.targets.mean() == pytest.approx(0, abs=1e-12)
    whole = data.diabetes(held_out=0.0)
    assert whole.targets.std() == pytest.approx(1) and np.abs(examples.held_out_targets.mean()) > 1e-3


@pytest.mark.parametrize("held_out", [-0.1, 1.0, "half", True])
def test_another_share_is_refused(held_out):
    for load in (data.diabetes, data.mnist1d):
        with pytest.raises(ValueError, match="held_out must be a share of the examples, at least 0 and below 1"):
            load(held_out=held_out)


@pytest.mark.parametrize("call", [lambda: data.digits(seed=-1), lambda: data.mnist1d(seed=0.5)])
def test_another_seed_is_refused(call):
    with pytest.raises(ValueError, match="seed must be a whole number from 0"):
        call()


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="samples must be at least 10, one of each class, got 9"):
        data.mnist1d(9)


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    load = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return load(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"digits needs scikit-learn, .* pip install scikit-learn"):
        data.digits()


@pytest.mark.long
def test_a_classifier_learns_what_it_was_not_shown():
    examples = data.breast_cancer()
    risk = ss.EmpiricalRisk(
        {"weight": jnp.zeros((30, 2)), "bias": jnp.zeros(2)},
        lambda model, x, y: -jax.nn.log_softmax(x @ model["weight"] + model["bias"])[y],
        examples.inputs,
        examples.targets,
        held_out=examples.held_out,
        penalty=1e-2,
    )
    with pytest.raises(ValueError, match="model must map one input to its outputs"):
        risk.accuracy(risk.initial)
    trained = ss.landscapes.polish(risk, risk.initial)
    theta = jnp.asarray(trained.location, jnp.float32)
    assert trained.kind == "minimum"
    assert float(risk.held_out_loss(theta)) < 0.15 < float(risk.held_out_loss(risk.initial))


def test_gaussian_examples_have_their_moments():
    """Variances of inputs, slope and noise by least squares within 4 standard errors; twins are other scales."""
    examples = data.gaussian(40_000, 2, scales=[1.0, 0.5], slope=2.0, noise=0.3, seed=3)
    assert examples.inputs.shape == (40_000, 2) and examples.held_out is None
    variance = examples.inputs.var(axis=0)
    assert np.all(np.abs(variance / [1, 0.25] - 1) < 4 * np.sqrt(2 / 40_000))
    assert np.all(np.abs(variance / [0.25, 1] - 1) > 0.5)
    slope, rest = np.linalg.lstsq(examples.inputs, examples.targets, rcond=None)[:2]
    assert np.all(np.abs(slope - 2) < 4 * 0.3 / np.sqrt(40_000 * np.array([1, 0.25])))
    assert np.sqrt(rest[0] / 40_000) == pytest.approx(0.3, rel=4 / np.sqrt(2 * 40_000))
    assert np.all(data.gaussian(5, noise=0.0).targets == 0) and len(data.gaussian(8, held_out=0.5).targets) == 4
    assert np.any(data.gaussian(5, seed=1).inputs != data.gaussian(5, seed=2).inputs)


def test_a_design_has_the_moments_of_normal_inputs():
    """All up to the fifth, of two features; the sixth is 9 where a normal law has 15. Targets are linear."""
    examples = data.gaussian_moments(2, scales=[1.0, 0.5], slope=3.0)
    x, y = examples.inputs.T
    assert examples.inputs.shape == (36, 2) and np.allclose(examples.targets, 3 * (x + y))
    normal = [1, 0, 1, 0, 3, 0]
    for first in range(6):
        for second in range(6 - first):
            exact = normal[first] * normal[second] * 0.5**second
            assert np.mean(x**first * y**second) == pytest.approx(exact, abs=1e-12)
    assert np.mean(x**6) == pytest.approx(9)


def test_chebyshev_examples_are_the_polynomial():
    """cos(4 arccos x) = 8x⁴ − 8x² + 1 at 20 points between −1 and 1, densest at the ends."""
    examples = data.chebyshev()
    (x,), y = examples.inputs.T, examples.targets
    np.testing.assert_allclose(y, 8 * x**4 - 8 * x**2 + 1, atol=1e-12)
    assert examples.inputs.shape == (20, 1) and x.max() == pytest.approx(np.cos(np.pi / 40)) and abs(x.sum()) < 1e-12


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: data.gaussian(0), "samples"),
        (lambda: data.gaussian(10, 2, scales=[1.0]), "scales must be 2 finite numbers above 0"),
        (lambda: data.gaussian(10, noise=float("nan")), "noise must be a finite number"),
        (lambda: data.gaussian(10, seed=-1), "seed"),
        (lambda: data.gaussian_moments(2, slope="steep"), "slope must be a finite number"),
        (lambda: data.chebyshev(degree=0), "degree"),
    ],
)
def test_examples_that_cannot_be_made(make, said):
    with pytest.raises(ValueError, match=said):
        make()
