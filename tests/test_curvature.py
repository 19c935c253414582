"""Curvature without the Hessian's matrix, held against the matrix: eigenvalues, traces, alignment, a line; and data."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats
from statistical import agrees

import sde_sgd as ss
from sde_sgd.landscapes import Quadratic, _hessian_products, eigenpairs, sharpness, trace
from sde_sgd.noise import Diagonal, Isotropic, PerExample


@pytest.fixture(scope="module")
def risk():
    """A 4-12-3 tanh network on 40 examples, 99 parameters, and four points."""
    generator = np.random.RandomState(0)
    model = eqx.nn.MLP(4, 3, 12, 1, activation=jnp.tanh, key=jax.random.key(1))
    inputs = generator.normal(size=(40, 4)).astype(np.float32)
    labels = (inputs[:, 0] + inputs[:, 1] * inputs[:, 2] > 0).astype(np.int32) + (inputs[:, 3] > 1)
    held_out = (generator.normal(size=(10, 4)), np.arange(10, dtype=np.int32) % 3)
    return ss.EmpiricalRisk(model, ss.landscapes.cross_entropy, inputs, labels, penalty=1e-3, held_out=held_out)


@pytest.fixture(scope="module")
def thetas(risk):
    return np.asarray(risk.initial) + 0.3 * np.random.RandomState(2).normal(size=(4, risk.dim))


@pytest.fixture(scope="module")
def hessians(risk, thetas):
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: leaf.astype(float) if eqx.is_inexact_array(leaf) else leaf, risk)
        return np.asarray(jax.jit(jax.vmap(lambda theta: wide.hessian(theta)))(jnp.asarray(thetas)))


@pytest.fixture(scope="module")
def covariances(risk, thetas):
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: leaf.astype(float) if eqx.is_inexact_array(leaf) else leaf, risk)
        return np.asarray(jax.jit(jax.vmap(lambda theta: PerExample().covariance(wide, theta)))(jnp.asarray(thetas)))


@pytest.mark.parametrize("which", ["largest", "smallest"])
def test_lanczos_finds_the_ends_of_the_spectrum(risk, thetas, hessians, which):
    """To eight digits, with vectors and measured residuals; one point by itself as among the others."""
    exact = np.linalg.eigvalsh(hessians)
    exact = exact[:, ::-1][:, :4] if which == "largest" else exact[:, :4]
    found = eigenpairs(risk, thetas, 4, which=which, tolerance=1e-8)
    np.testing.assert_allclose(found.values, exact, atol=1e-8 * found.scale.max())
    assert found.converged.all() and found.residuals.max() < 1e-8 * found.scale.max()
    direct = np.linalg.norm(
        np.einsum("nij,nkj->nki", hessians, found.vectors) - found.values[..., None] * found.vectors, axis=2
    )
    np.testing.assert_allclose(direct, found.residuals, atol=1e-12)
    np.testing.assert_allclose(found.vectors @ found.vectors.swapaxes(1, 2), np.tile(np.eye(4), (4, 1, 1)), atol=1e-12)
    alone = eigenpairs(risk, thetas[0], 4, which=which, tolerance=1e-8)
    assert alone.values.shape == (4,)
    np.testing.assert_allclose(alone.values, found.values[0], atol=1e-9)
    # a twin whose largest vector is left out is no such end
    assert np.abs(found.values[:, 1:] - exact[:, :3]).max() > 1e-3


@pytest.mark.parametrize(
    "eigenvalues",
    [[2.0] * 6, [3.0, 3.0, 3.0, 1.0, 0.0, -5.0], [0.0] * 6, [1.0, 0, 0, 0, 0, 0], [-1.0, -1, -2, -2, -7, -7]],
)
def test_equal_eigenvalues_are_found_as_often_as_they_occur(eigenvalues):
    turn = np.linalg.qr(np.random.RandomState(3).normal(size=(6, 6)))[0]
    with jax.enable_x64(True):
        landscape = Quadratic(turn @ np.diag(eigenvalues) @ turn.T)
        for k in (4, 6):
            found = eigenpairs(landscape, np.ones(6), k)
            np.testing.assert_allclose(found.values, sorted(eigenvalues, reverse=True)[:k], atol=1e-9)
            assert found.converged.all()


@pytest.mark.long
def test_many_points_are_worked_on_in_chunks(risk, thetas, monkeypatch):
    together = sharpness(risk, thetas, 3, method="products")
    monkeypatch.setattr(_hessian_products, "_MOST_BYTES", 1)
    np.testing.assert_allclose(sharpness(risk, thetas[:3], 3, method="products"), together[:3], rtol=1e-9)


def test_sharpness_and_trace_by_either_method(risk, thetas, hessians):
    exact = np.linalg.eigvalsh(hessians)[:, ::-1]
    np.testing.assert_allclose(sharpness(risk, thetas, 3, method="dense"), exact[:, :3], rtol=1e-10)
    np.testing.assert_allclose(sharpness(risk, thetas, 4, method="products"), exact[:, :4], rtol=1e-6)
    np.testing.assert_allclose(trace(risk, thetas, method="dense"), exact.sum(1), rtol=1e-10)
    assert trace(risk, thetas[0]) == pytest.approx(exact[0].sum(), rel=1e-10)
    found = trace(risk, thetas, method="products", confidence=0.999)
    assert found.contains(exact.sum(1)).all() and not found.contains(1.2 * exact.sum(1)).any()


def test_by_leaf(risk, thetas, hessians):
    exact = {name: hessians[:, part, part] for name, part in risk.leaves.items()}
    found = sharpness(risk, thetas, 2, by_leaf=True)
    assert list(found) == ["layers[0].weight", "layers[0].bias", "layers[1].weight", "layers[1].bias"]
    for name, values in found.items():
        np.testing.assert_allclose(values, np.linalg.eigvalsh(exact[name])[:, ::-1][:, :2], rtol=1e-9)
    for name, value in trace(risk, thetas, by_leaf=True).items():
        np.testing.assert_allclose(value, np.trace(exact[name], axis1=1, axis2=2), rtol=1e-9)
    name = "layers[0].weight"
    by_products = eigenpairs(risk, thetas, 2, part=risk.leaves[name], tolerance=1e-8)
    np.testing.assert_allclose(by_products.values, found[name], atol=1e-8 * by_products.scale.max())


@pytest.mark.long
def test_by_leaf_by_products(thetas, hessians):
    """Of a risk whose other arrays are frozen; what a sketch spans wholly has an interval of rounding."""
    model = eqx.nn.MLP(4, 3, 2, 1, activation=jnp.tanh, key=jax.random.key(1))
    small = ss.EmpiricalRisk(
        model, ss.landscapes.cross_entropy, np.eye(4, dtype=np.float32), np.arange(4) % 3,
        trainable=lambda leaf: getattr(leaf, "ndim", 0) == 2,
    )  # fmt: skip
    theta = np.asarray(small.initial)
    for name, found in trace(small, theta, by_leaf=True, method="products", confidence=0.999).items():
        exact = trace(small, theta, by_leaf=True)[name]
        assert found.contains(exact) and not found.contains(exact * (1 + 1e-6))


@pytest.mark.long
def test_a_large_landscape_needs_no_matrix():
    """5,000 components, of known curvature; the trace is of what is beside the sketch too."""
    curvatures = np.linspace(0.1, 3.0, 5_000)
    landscape = ss.landscapes.Landscape(
        lambda x, c: jnp.sum(c * x**2 / 2) + jnp.sum(x) ** 2 / 10_000, 5_000, curvatures
    )
    # the one eigenvalue above 3 of a diagonal matrix and one of rank 1
    largest = optimize.brentq(lambda value: np.mean(1 / (value - curvatures)) - 1, 3.01, 4)
    np.testing.assert_allclose(sharpness(landscape, np.zeros(5_000), 1), largest, rtol=1e-6)
    # a residual of 0.3 of the largest is no small one where eigenvalues lie close
    (rough,) = sharpness(Quadratic(np.linspace(1, 2, 2_000)), np.zeros(2_000), 1, tolerance=0.3)
    assert 1e-5 < 1 - rough / 2 < 0.3
    found = trace(landscape, np.zeros(5_000))
    assert found.contains(curvatures.sum() + 1) and found.relative_half_width < 0.05


@pytest.mark.long
def test_the_interval_of_a_trace_covers_as_often_as_it_says(risk, thetas, hessians):
    """300 seeds at 95 %: between 92 and 98 % (±3 standard errors of 1.26 %); a twin of half the width does not."""
    exact, number = np.trace(hessians[0]), 300
    found = [trace(risk, thetas[0], method="products", probes=16, seed=seed) for seed in range(number)]
    covered = np.mean([each.contains(exact) for each in found])
    assert 0.92 <= covered <= 0.98
    half = [abs(float(each.value) - exact) <= float(each.high - each.low) / 4 for each in found]
    assert np.mean(half) < 0.85
    bias = (np.mean([float(each) for each in found]) - exact) / stats.sem([float(each) for each in found])
    assert abs(bias) < 4


def test_the_errors_of_many_points_average_out():
    """One Hessian and one V at 64 points: the mean is within 4 of its standard errors of the exact value, which a fresh
    seed misses with probability 6.3e-5. With vectors in common all points have one error and no spread, and no band.
    """
    turn = np.linalg.qr(np.random.RandomState(5).normal(size=(120, 120)))[0]
    curvatures, noise = np.linspace(0.0, 3.0, 120) ** 2, Diagonal(np.linspace(0.5, 2.0, 120))
    hessian, points = turn @ np.diag(curvatures) @ turn.T, np.zeros((64, 120))
    landscape, covariance = Quadratic(hessian), np.linspace(0.5, 2.0, 120)
    aligned = 120 * np.diag(hessian) @ covariance / (curvatures.sum() * covariance.sum())
    found = {
        "trace": (trace(landscape, points).value, curvatures.sum()),
        "alignment": (ss.landscapes.alignment(landscape, points, noise).value, aligned),
    }
    for name in ("trace", "alignment"):
        values, exact = found[name]
        assert len(np.unique(values)) == 64 and agrees(values.mean(), exact, stats.sem(values)), name
        assert not agrees(np.full(64, values[0]).mean(), exact, 0.0), name
    # one point alone has the vectors of the first of many
    assert trace(landscape, points[0], method="products").value == found["trace"][0][0]


@pytest.mark.long
def test_alignment_and_noise_scale(risk, thetas, hessians, covariances):
    traces = np.trace(hessians, axis1=1, axis2=2), np.trace(covariances, axis1=1, axis2=2)
    exact = np.trace(hessians @ covariances, axis1=1, axis2=2) * risk.dim / (traces[0] * traces[1])
    alignment, noise_scale = ss.landscapes.alignment, ss.landscapes.simple_noise_scale
    assert exact.min() > 2
    np.testing.assert_allclose(alignment(risk, thetas, method="dense"), exact, rtol=1e-9)
    np.testing.assert_allclose(alignment(risk, thetas, PerExample(), method="dense"), exact, rtol=1e-9)
    assert alignment(risk, thetas[0]) == pytest.approx(exact[0])
    assert alignment(risk, thetas[0], Isotropic(2.0)) == pytest.approx(1.0)
    for noise in (None, PerExample()):
        found = alignment(risk, thetas, noise, method="products", confidence=0.999)
        assert found.contains(exact).all() and found.relative_half_width.max() < 0.5
        assert not found.contains(2 * exact).any()
    assert alignment(Quadratic([1.0, 0.0, 0.0]), np.zeros(3), Diagonal([1.0, 0.0, 0.0])) == pytest.approx(3)

    with jax.enable_x64(True):
        gradients = np.stack([risk.gradient(jnp.asarray(theta)) for theta in thetas])
    scale = traces[1] / np.sum(gradients**2, axis=1)
    for method in ("dense", "products"):
        np.testing.assert_allclose(noise_scale(risk, thetas, method=method), scale, rtol=1e-5)
    assert noise_scale(risk, thetas[0], PerExample()) == pytest.approx(scale[0], rel=1e-5)
    found = noise_scale(risk, thetas, PerExample(), method="products", confidence=0.999)
    assert found.contains(scale).all() and not found.contains(1.5 * scale).any()
    # other vectors, and so many of them that the interval is a quarter as wide
    run = {"method": "products", "confidence": 0.999}
    for measure, truth in ((noise_scale, scale[0]), (alignment, exact[0])):
        few = measure(risk, thetas[0], PerExample(), probes=1_024, **run)
        other, many = (measure(risk, thetas[0], PerExample(), probes=p, seed=1, **run) for p in (1_024, 16_384))
        assert few.contains(truth) and other.contains(truth) and many.contains(truth) and few.value != other.value
        assert 2.5 < float(other.high - other.low) / float(many.high - many.low) < 6
    assert noise_scale(Quadratic([1.0, 2.0]), np.zeros(2), Isotropic(1.0)) == np.inf


@pytest.mark.long
def test_along_a_line(risk, thetas):
    line = ss.landscapes.along(risk, thetas[0], thetas[1])
    assert line.alphas[[0, -1]].tolist() == [-1, 2] and line.loss.shape == (61,)
    line = ss.landscapes.along(risk, thetas[0], thetas[1], [0.0, 0.5, 1.0])
    places = [thetas[0], (thetas[0] + thetas[1]) / 2, thetas[1]]
    for name in ("loss", "held_out_loss", "accuracy", "held_out_accuracy"):
        direct = [float(getattr(risk, name)(jnp.asarray(each, jnp.float32))) for each in places]
        np.testing.assert_allclose(getattr(line, name), direct, rtol=1e-5)
    bowl = ss.landscapes.along(Quadratic([2.0]), [0.0], [1.0])
    np.testing.assert_allclose(bowl.loss, bowl.alphas**2, atol=1e-12)
    assert bowl.accuracy is None and bowl.held_out_loss is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda risk: sharpness(risk, np.zeros(3)), r"theta must be of shape \(n, 99\)|theta must have shape \(99,\)"),
        (lambda risk: sharpness(risk, np.full((2, 99), np.nan)), "theta must be finite"),
        (lambda risk: sharpness(risk, np.zeros(99), method="sparse"), "method must be 'auto', 'dense' or 'products'"),
        (lambda risk: sharpness(Quadratic([1.0]), [0.0], by_leaf=True), "by_leaf needs the model of an EmpiricalRisk"),
        (lambda risk: eigenpairs(risk, np.zeros(99), which="middle"), "which must be 'largest' or 'smallest'"),
        (lambda risk: eigenpairs(risk, np.zeros(99), part=slice(99, 120)), "part must be a slice of θ"),
        (lambda risk: eigenpairs(risk, np.zeros(99), tolerance=0.0), "tolerance must be"),
        (lambda risk: trace(risk, np.zeros(99), probes=1), "probes must be at least 2"),
        (lambda risk: trace(risk, np.zeros(99), confidence=1.0), "confidence must lie strictly"),
        (lambda risk: ss.landscapes.alignment(Quadratic([1.0]), [0.0]), "noise must be given"),
        (lambda risk: ss.landscapes.alignment(risk, np.zeros(99), 1.0), "noise must be a noise model"),
        (lambda risk: ss.landscapes.along(risk, np.zeros(99), np.zeros(98)), r"b must have shape \(99,\)"),
        (lambda risk: ss.landscapes.along(risk, np.zeros(99), np.zeros(99), [np.nan]), "alphas must be finite numbers"),
        (
            lambda risk: eigenpairs(ss.landscapes.Landscape(lambda x: jnp.log(x[0]) + x[1], 2), [0.0, 0.0]),
            "theta must have a finite Hessian",
        ),
    ],
)
def test_bad_questions_are_refused(risk, call, message):
    with pytest.raises(ValueError, match=message):
        call(risk)


def test_what_does_not_fit_into_memory_is_refused(monkeypatch):
    monkeypatch.setattr(_hessian_products, "_memory", lambda: 1e6)
    with pytest.raises(ValueError, match=r"landscape must be small enough for .* vectors of dim = 5000 .* GiB"):
        sharpness(ss.landscapes.StyblinskiTang(5_000), np.zeros(5_000))


def test_what_has_not_converged_is_an_error(monkeypatch):
    from sde_sgd.landscapes import _eigenpairs

    monkeypatch.setattr(_eigenpairs, "_LAST_DEPTH", 32)
    landscape = Quadratic(np.linspace(0, 1, 2_000))
    with pytest.raises(
        RuntimeError, match=r"eigenvalues of theta\[0\] were to be found to 1e-06 of the largest, and are"
    ):
        sharpness(landscape, np.zeros(2_000), 5)
