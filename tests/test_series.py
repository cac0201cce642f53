"""The exact loss of many features, against closed forms, split quadrature, samples, derivatives and itself."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpose import few_active, series, theory

loss = jax.jit(series.loss, static_argnames="terms")
Numbers = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def random_model(n: int, m: int, p: Any, seed: int = 0, size: float = 0.6) -> Numbers:
    """W, b, p and importance in float64, each of which float32 holds exactly."""
    rng = np.random.default_rng(seed)
    W, b = rng.normal(size=(m, n)) * size, rng.normal(size=n) * 0.1 - 0.1
    arrays = W, b, np.broadcast_to(p, n), 0.9 ** np.arange(n)
    return tuple(np.asarray(a, np.float32).astype(float) for a in arrays)


def double(numbers: Numbers, slope: float = 0.0, terms: int = 512, function: Any = loss) -> float:
    with jax.enable_x64(True):
        given = [jnp.asarray(a, jnp.float64) for a in numbers]
        return float(function(*given, slope, terms) if function is loss else jax.jit(function)(*given, slope))


def single(numbers: Numbers, slope: float = 0.0, terms: int = 256) -> float:
    found = loss(*(jnp.asarray(a, jnp.float32) for a in numbers), slope, terms)
    assert found.dtype == jnp.float32
    return float(found)


def scale(numbers: Numbers, exact: float) -> float:
    """What errors are measured in: the loss, but no less than 1e-3 of the loss of a model that answers 0."""
    return max(exact, 1e-3 * float(numbers[3] @ numbers[2]) / 3)


def act(a: np.ndarray, slope: float) -> np.ndarray:
    return np.where(a > 0, a, slope * a)


def by_splitting(numbers: Numbers, slope: float) -> float:
    """Brute force: nested integrals over the features, each split wherever a corner of the others' range makes a = 0.

    The squared error is of degree 2 on a piece, its integral over a feature of degree 3 between the kinks, and so on:
    six Gauss-Legendre nodes a piece are exact.
    """
    W, b, p, importance = numbers
    G, (t, w) = W.T @ W, np.polynomial.legendre.leggauss(6)

    def expect(j: int, a: float, xj: float, left: list[int]) -> float:
        if not left:
            return float((xj - act(np.asarray(a), slope)) ** 2)
        i, *rest = left
        corners = np.array([0.0])
        for k in rest:
            corners = np.concatenate([corners, corners + G[j, k]])
        ends = [0.0, 1.0] + ([*np.clip(-(a + corners) / G[j, i], 0, 1)] if G[j, i] else [])
        ends = np.unique(ends)
        total = 0.0
        for start, stop in itertools.pairwise(ends):
            for node, weight in zip(start + (stop - start) * (t + 1) / 2, (stop - start) * w / 2, strict=True):
                total += weight * expect(j, a + G[j, i] * node, node if i == j else xj, rest)
        return (1 - p[i]) * expect(j, a, xj, rest) + p[i] * total

    n = len(b)
    return sum(importance[j] * expect(j, b[j], 0.0, list(range(n))) for j in range(n))


def by_sampling(numbers: Numbers, vectors: int, seed: int = 7) -> tuple[float, float]:
    """The mean and its standard error; only vectors with an active feature are drawn.

    One feature i is drawn with probability p_i / sum p and made active, the others are active as they are: a vector
    with k active features comes up k prod(...) / sum p as often as it should, so it counts sum p / k.
    """
    W, b, p, importance = numbers
    rng, n, chunk = np.random.default_rng(seed), len(b), 2**12
    losses = []
    for _ in range(vectors // chunk):
        chosen = rng.choice(n, size=chunk, p=p / p.sum())
        active = rng.uniform(size=(chunk, n)) < p
        active[np.arange(chunk), chosen] = True
        x = np.where(active, rng.uniform(size=(chunk, n)), 0)
        errors = ((x - np.maximum(x @ W.T @ W + b, 0)) ** 2) @ importance
        losses.append(errors * p.sum() / active.sum(1))
    every = np.concatenate(losses)
    zero = float(np.prod(1 - p) * (importance @ np.maximum(b, 0) ** 2))
    return zero + every.mean(), every.std() / np.sqrt(len(every))


@pytest.mark.parametrize("b", [-2.0, -0.3, 0.0, 0.4])
@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
def test_one_feature_is_a_closed_form(b, slope):
    """a = b + g x is negative below r = clip(-b / g, 0, 1): two integrals of a squared line."""
    g, p, importance = 1.3, 0.2, 0.7
    r = np.clip(-b / g, 0, 1)
    parabola = lambda c, d, x: c**2 * x + c * d * x**2 + d**2 * x**3 / 3  # of (c + d x)^2
    below = parabola(-slope * b, 1 - slope * g, r)
    above = parabola(-b, 1 - g, 1) - parabola(-b, 1 - g, r)
    expected = importance * ((1 - p) * act(np.asarray(b), slope) ** 2 + p * (below + above))
    numbers = np.array([[np.sqrt(g)]]), np.array([b]), np.array([p]), np.array([importance])
    assert double(numbers, slope) == pytest.approx(float(expected), rel=1e-13)


@pytest.mark.parametrize("slope", [0.0, 0.3])
@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("density", [1.0, 0.3, 1e-3, "each"])
def test_two_and_three_features_are_split_quadrature(n, density, slope):
    p = np.array([1.0, 0.05, 0.4])[:n] if density == "each" else density
    for seed in range(2):
        numbers = random_model(n, 2, p, seed)
        expected = by_splitting(numbers, slope)
        assert double(numbers, slope) == pytest.approx(expected, rel=1e-7)
        assert double(numbers, slope, 4096) == pytest.approx(expected, rel=1e-10)
        assert single(numbers, slope) == pytest.approx(expected, rel=3e-6)


@pytest.mark.parametrize("density", [1.0, 0.3])
def test_of_two_features_no_one_and_two_active_are_all(density):
    numbers = random_model(2, 1, density)
    parts = [
        double(numbers, 0.2, function=f) for f in (few_active.none_active, few_active.one_active, few_active.two_active)
    ]
    assert sum(parts) == pytest.approx(by_splitting(numbers, 0.2), rel=1e-13)
    assert sum(parts) == pytest.approx(double(numbers, 0.2), rel=1e-13)


def test_parts_by_number_of_active_features_are_those_of_a_sample():
    """n = 6: every vector counts towards the number of its active features."""
    numbers = W, b, p, importance = random_model(6, 2, [0.3, 0.2, 0.5, 0.1, 0.4, 0.3])
    rng = np.random.default_rng(2)
    x = np.where(rng.uniform(size=(2**20, 6)) < p, rng.uniform(size=(2**20, 6)), 0)
    losses, active = ((x - np.maximum(x @ W.T @ W + b, 0)) ** 2) @ importance, (x > 0).sum(1)
    for count, part in enumerate((few_active.none_active, few_active.one_active, few_active.two_active)):
        share = losses * (active == count)
        assert abs(double(numbers, function=part) - share.mean()) <= 5 * share.std() / 2**10


def test_two_active_is_what_is_left_at_low_density():
    """L - P(0) L_0 - P(1) L_1 is of two active features, but for a share of the order of n p of three."""
    numbers = random_model(8, 3, 1e-5)
    several, two = (double(numbers, function=f) for f in (series.several_active, few_active.two_active))
    assert two < several < two * (1 + 1e-3)


@pytest.mark.parametrize(("n", "m", "density"), [(20, 5, 0.3), (20, 5, 1e-4), (80, 20, 0.05), (80, 20, "each")])
def test_many_features_are_a_sample(n, m, density):
    p = np.geomspace(1e-4, 1, n) if density == "each" else density
    numbers = random_model(n, m, p, size=1 / np.sqrt(m))
    mean, error = by_sampling(numbers, 2**17)
    assert error < 0.01 * mean
    assert abs(double(numbers) - mean) < 5 * error


@pytest.mark.slow
@pytest.mark.parametrize("density", [0.1, 0.003])
def test_four_hundred_features_are_a_sample(density):
    numbers = random_model(400, 30, density, size=1 / np.sqrt(30))
    mean, error = by_sampling(numbers, 2**18)
    exact = double(numbers)
    assert error < 0.01 * mean and abs(exact - mean) < 5 * error
    assert abs(single(numbers) - exact) < 1e-4 * scale(numbers, exact)


@pytest.mark.parametrize("p", [1.0, 0.1, np.geomspace(1e-3, 1, 7)])
def test_a_linear_model_is_the_closed_form(p):
    W, b, p, importance = numbers = random_model(7, 3, p)
    with jax.enable_x64(True):
        expected = float(theory.linear_loss(*map(jnp.asarray, (W, b, importance, *theory.moments(p)))))
    assert double(numbers, 1.0) == pytest.approx(expected, rel=1e-12)


def kinds(n: int, m: int, p: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """W and b as they occur: at the start, trained, collapsed, and special."""
    rng = np.random.default_rng(4)
    normal, b = rng.normal(size=(m, n)), rng.normal(size=n) * 0.05 - 0.15
    pairs, identity = np.zeros((m, n)), np.eye(m, n)
    pairs[np.arange(m), 2 * np.arange(m)], pairs[np.arange(m), 2 * np.arange(m) + 1] = 1, -1
    unit = 1.1 * normal / np.linalg.norm(normal, axis=0)  # norms and biases of models trained at low density
    return {
        "none": (0 * normal, p / 2 + 0 * b),
        "start": (normal * np.sqrt(2 / (n + m)), 0 * b),
        "trained": (unit, b),
        "collapsed": (unit * np.where(np.arange(n) < n // 2, 1, 1e-3), np.where(np.arange(n) < n // 2, b, p / 2)),
        "half": (unit * (np.arange(n) % 2), b),
        "pairs": (pairs, 0 * b),
        "noisy pairs": (pairs + 1e-3 * normal, 1e-4 * normal[0]),
        "identity": (identity, np.where(np.arange(n) < m, 0, p / 2)),
        "large": (3 * unit, b),
    }


@pytest.mark.parametrize("density", [1.0, 0.1, 0.01, 1e-3, 1e-4])
def test_single_precision_and_the_default_terms_suffice(density):
    """Against float64 and 4,096 terms; errors relative to max(L, 1e-3 sum_i I_i p_i / 3)."""
    n = 20
    for name, (W, b) in kinds(n, 5, density).items():
        for p in (np.full(n, density), density ** np.linspace(0, 1, n)):
            numbers = tuple(np.asarray(a, np.float32).astype(float) for a in (W, b, p, 0.9 ** np.arange(n)))
            best = double(numbers, terms=4096)
            assert abs(double(numbers) - best) < 1e-6 * scale(numbers, best), name
            assert abs(single(numbers) - best) < 1e-4 * scale(numbers, best), name


@pytest.mark.parametrize("density", [0.1, 0.003])
def test_single_precision_suffices_for_eighty_features(density):
    for W, b in list(kinds(80, 20, density).values())[2:4]:
        numbers = tuple(np.asarray(a, np.float32).astype(float) for a in (W, b, np.full(80, density), np.ones(80)))
        exact = double(numbers)
        assert abs(single(numbers) - exact) < 1e-4 * scale(numbers, exact)


@jax.jit
def derivatives(model: Any, along: Any, p: Any, importance: Any, slope: Any) -> Any:
    """The loss, its gradient, and the gradient's derivative along a direction."""
    value = jax.value_and_grad(lambda model: series.loss(*model, p, importance, slope, 2048))
    (found, gradient), (_, product) = jax.jvp(value, (model,), (along,))
    return found, gradient, product


@pytest.mark.slow
def test_derivatives_are_finite_differences():
    """Steps h of a size at which the differences hold: of the loss within 1e-5 |gradient| |step|, of the gradient 1e-4.

    Where half the features have no weight, and leave s a density with steps, the gradient's own series errs by 1e-8 at
    2,048 terms and the difference by that over h: h = 1e-4 and 1e-3 there (5.7e-4 measured; ten times that at h / 10).
    """
    rng, n, m = np.random.default_rng(3), 20, 5
    along = rng.normal(size=(m, n)), rng.normal(size=n)
    with jax.enable_x64(True):
        for density, slope in ((1.0, 0.3), (0.05, 0.0), (1e-3, 0.0)):
            p, importance = jnp.full(n, density), jnp.asarray(0.9 ** np.arange(n))
            for name, model in kinds(n, m, density).items():
                if name in ("trained", "half", "large"):
                    h, within = (1e-4, 1e-3) if name == "half" else (1e-5, 1e-4)
                    at = lambda t, model=model: tuple(jnp.asarray(a + t * d) for a, d in zip(model, along, strict=True))
                    _, gradient, product = derivatives(at(0), along, p, importance, slope)
                    ends = [derivatives(at(t), along, p, importance, slope) for t in (-h, h)]
                    slope_along = sum(float(jnp.sum(g * d)) for g, d in zip(gradient, along, strict=True))
                    sizes = [float(jnp.sqrt(sum(jnp.sum(a**2) for a in both))) for both in (gradient, along)]
                    assert abs(slope_along - float(ends[1][0] - ends[0][0]) / (2 * h)) < 1e-5 * np.prod(sizes), name
                    for k in (0, 1):
                        expected = (ends[1][1][k] - ends[0][1][k]) / (2 * h)
                        off = float(jnp.abs(product[k] - expected).max() / jnp.abs(expected).max())
                        assert off < within, (name, density)


def test_derivatives_are_finite_where_weights_vanish():
    with jax.enable_x64(True):
        for density in (1.0, 1e-3):
            p, importance = jnp.full(8, density), jnp.asarray(0.9 ** np.arange(8))
            for arrays in kinds(8, 3, density).values():
                model = tuple(map(jnp.asarray, arrays))
                found = derivatives(model, model, p, importance, 0.0)
                assert all(bool(jnp.isfinite(a).all()) for a in jax.tree.leaves(found))


gradients = jax.jit(jax.grad(lambda W, b, p, importance: series.loss(W, b, p, importance, 0.0, 256), (0, 1)))


@pytest.mark.slow
def test_single_precision_gradients_are_those_of_double():
    """Compiled, where a value may be computed twice, with two roundings; relative to the largest entry."""
    for density in (1.0, 0.03, 1e-3):
        for name in ("trained", "collapsed", "half"):
            arrays = *kinds(20, 5, density)[name], np.full(20, density), 0.9 ** np.arange(20)
            numbers = [np.asarray(a, np.float32) for a in arrays]
            single = gradients(*map(jnp.asarray, numbers))
            with jax.enable_x64(True):
                double = gradients(*(jnp.asarray(a, jnp.float64) for a in numbers))
            for found, expected in zip(single, double, strict=True):
                assert np.abs(found - np.asarray(expected)).max() < 5e-4 * np.abs(expected).max(), (name, density)


def test_many_models_at_once_are_each_alone():
    models = [random_model(9, 3, p, seed) for seed, p in enumerate((1.0, 0.2, 1e-3))]
    stacked = [jnp.asarray(np.stack(arrays), jnp.float32) for arrays in zip(*models, strict=True)]
    slopes = jnp.asarray([0.0, 0.1, 0.3])
    found = jax.jit(jax.vmap(series.loss))(*stacked, slopes)
    expected = [single(numbers, slope) for numbers, slope in zip(models, slopes, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=2e-6)
