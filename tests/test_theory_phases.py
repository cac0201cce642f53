"""The closed forms of the phase diagrams and of the surface without bias, against quadrature written out here."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_theory import loops, sample, within_five_sigma

from superpose import theory


def mixture(p: float, kinks: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights that integrate over one feature what is a polynomial between the kinks, and jumps at 0."""
    ends = np.unique(np.clip([0, 1, *kinks], 0, 1))
    nodes, weights = np.polynomial.legendre.leggauss(6)
    width = np.diff(ends)[:, None]
    inside, share = (ends[:-1, None] + width * (nodes + 1) / 2).ravel(), (width * weights / 2).ravel()
    return np.append(inside, 0), np.append(p * share, 1 - p)


def output_error(own: float, other: float, bias: float, p: float) -> float:
    """E (x - ReLU(own x + other y + bias))^2 over two features, exact to rounding.

    Given x, the ReLU bends at one y; the integral over y is a polynomial in x up to where that y passes 0 or 1.
    """
    error = 0.0
    for x, weight in zip(*mixture(p, [-bias / own, -(bias + other) / own] if own else []), strict=True):
        y, share = mixture(p, [-(own * x + bias) / other] if other else [])
        error += weight * (share @ (x - np.maximum(own * x + other * y + bias, 0)) ** 2)
    return error


def quadrature(W: np.ndarray, b: np.ndarray, importance, p: float) -> float:
    """The expected loss of ReLU(W^T W x + b), where an output depends on one further feature at most."""
    gram = W.T @ W
    others = gram - np.diag(np.diag(gram))
    assert (np.count_nonzero(others, axis=1) <= 1).all()
    return sum(importance[i] * output_error(gram[i, i], others[i].sum(), b[i], p) for i in range(len(b)))


def root(function, low: float, high: float) -> float:
    """Where a function changes its sign, by bisection."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if function(low) * function(middle) > 0 else (low, middle)
    return low


def test_the_quadrature_of_these_tests_is_the_mean_of_a_sample():
    x, y = sample(np.array([0.6, 0.6]), 1_000_000).T
    for own, other, bias in np.random.default_rng(2).normal(size=(6, 3)) * (1, 1, 0.3):
        errors = (x - np.maximum(own * x + other * y + bias, 0)) ** 2
        assert within_five_sigma(errors, output_error(own, other, bias, 0.6))


@pytest.mark.parametrize("p", [0.02, 0.3, 4 / 7, 1.0])
@pytest.mark.parametrize("r", [0.1, 1.0, 7.0])
def test_losses_of_the_configurations_are_their_expectations(p, r):
    for losses, models, importance in (
        (theory.phase_losses(p, r), theory.configurations(p), (1, r)),
        (theory.phase_losses_3_2(p, r), theory.configurations_3_2(p), (1, 1, r)),
    ):
        assert tuple(losses) == tuple(models) == theory.PHASES[: len(importance) + 1]
        for name, (W, b) in models.items():
            assert W.shape == (len(importance) - 1, len(importance)) and b.shape == (len(importance),)
            assert quadrature(W, b, importance, p) == pytest.approx(losses[name], rel=1e-12)


def test_configurations_are_named_after_the_extra_feature():
    for models in (theory.configurations(0.4), theory.configurations_3_2(0.4)):
        for name, (W, _) in models.items():
            extra, rest = W[:, -1], W[:, :-1]
            seen = 0 if not extra.any() else 2 if (extra @ rest).any() else 1
            assert seen == theory.EXTRA_PHASE[theory.PHASES.index(name)]


def test_zero_is_the_best_bias_but_for_antipodal_features():
    p, r, step = 0.4, 0.6, 1e-6
    for name, (W, b) in theory.configurations(p).items():
        at = [quadrature(W, b + shift, (1, r), p) for shift in (-step, 0, step)]
        if name == "antipodal":  # -2 E min(x_1, x_2) where x_i is the larger, so -2 I_i p^2 / 6
            assert (at[2] - at[1]) / step == pytest.approx(-(1 + r) * p**2 / 3, rel=1e-4)
        else:
            assert at[1] == min(at)


def test_phases_swap_roles_at_the_inverse_importance():
    p, r = np.geomspace(0.01, 1, 7)[:, None], np.geomspace(0.1, 10, 9)
    losses, inverse = theory.phase_losses(p, r), theory.phase_losses(p, 1 / r)
    for name, swapped in {"ignored": "dedicated", "dedicated": "ignored", "antipodal": "antipodal"}.items():
        np.testing.assert_allclose(np.broadcast_to(losses[name], (7, 9)), r * inverse[swapped], rtol=1e-14)


@pytest.mark.parametrize("r", [0.1, 0.5, 0.9, 1.1, 3.0, 10.0])
def test_boundaries_solve_the_equality_of_two_losses(r):
    alone = "ignored" if r < 1 else "dedicated"
    shared = "antipodal" if r < 1 else "others_antipodal"
    p = root(lambda p: theory.phase_losses(p, r)[alone] - theory.phase_losses(p, r)["antipodal"], 0.01, 1)
    assert theory.phase_boundary(r) == pytest.approx(p, rel=1e-12)
    p = root(lambda p: theory.phase_losses_3_2(p, r)[alone] - theory.phase_losses_3_2(p, r)[shared], 0.01, 1)
    assert theory.phase_boundary_3_2(r) == pytest.approx(p, rel=1e-12)
    assert theory.phase_boundary(r) == pytest.approx(4 * r / (2 + 5 * r) if r < 1 else 4 / (5 + 2 * r), rel=1e-12)
    assert theory.phase_boundary_3_2(r) == pytest.approx(4 * r / (2 + 5 * r) if r < 1 else 4 / 7, rel=1e-12)
    assert theory.phase_boundary(10.0) == pytest.approx(0.16, rel=1e-12)  # 4 / 25


def test_phases_lie_on_their_sides_of_the_boundaries():
    p, r = np.geomspace(0.01, 1, 40)[:, None], np.geomspace(0.1, 10, 40)  # no p is 4 / 7, no r is 1
    codes = theory.phases(theory.phase_losses(p, r))
    assert codes.dtype == np.int8 and codes.shape == (40, 40)
    np.testing.assert_array_equal(codes, np.where(p < theory.phase_boundary(r), 2, np.where(r < 1, 0, 1)))
    np.testing.assert_array_equal(theory.EXTRA_PHASE[codes], codes)
    codes = theory.phases(theory.phase_losses_3_2(p, r))
    shared, alone = np.where(r < 1, 2, 3), np.where(r < 1, 0, 1)
    np.testing.assert_array_equal(codes, np.where(p < theory.phase_boundary_3_2(r), shared, alone))
    seen = np.where(r > 1, 1, np.where(p < theory.phase_boundary(r), 2, 0))  # dedicated on both sides of 4 / 7
    np.testing.assert_array_equal(theory.EXTRA_PHASE[codes], seen)
    assert theory.PHASES[theory.phases(theory.phase_losses_3_2(0.1, 2))] == "others_antipodal"  # one point
    assert theory.phases(theory.phase_losses(1.0, 1.0)) == 0  # as good as 1, which comes later


def test_triple_point():
    r, p = theory.TRIPLE_POINT
    losses = [*theory.phase_losses(p, r).values(), *theory.phase_losses_3_2(p, r).values()]
    assert losses == pytest.approx([p**2 / 3] * 7, rel=1e-12)


@pytest.mark.parametrize(("n", "m"), [(2, 1), (20, 5), (400, 30)])
def test_orthogonal_and_antipodal_features_of_equal_importance_cross_at_four_sevenths(n, m):
    # (n - m) dropped, against m antipodal pairs with n - 2 m dropped.
    p = 4 / 7
    orthogonal = (n - m) * theory.dropped_loss(p, 1.0)
    assert orthogonal == pytest.approx(m * theory.antipodal_loss(p, 1, 1) + (n - 2 * m) * theory.dropped_loss(p, 1))


def test_closed_forms_broadcast_over_numpy_and_jax():
    p, r = np.geomspace(0.01, 1, 5)[:, None], np.geomspace(0.1, 10, 7)
    assert {np.broadcast(loss, p * r).shape for loss in theory.phase_losses(p, r).values()} == {(5, 7)}
    traced = jax.jit(theory.phase_losses)(jnp.asarray(p), jnp.asarray(r))
    for name, loss in theory.phase_losses(p, r).items():
        np.testing.assert_allclose(traced[name], loss, rtol=1e-5)


GRID = np.linspace(-1.5, 1.5, 601)  # steps of 0.005


@pytest.mark.parametrize("p", [0.05, 0.6, 1.0])
def test_loss_without_bias_is_its_expectation(p):
    """Everywhere: both signs, equal weights, zeros, the axes."""
    weights, r = np.array([-1.4, -1, -0.7, -0.2, 0, 0.1, 0.5, 1, 1.3]), 0.7
    surface = theory.loss_without_bias(weights[:, None], weights, p, r)
    for i, j in np.ndindex(surface.shape):
        W = np.array([[weights[i], weights[j]]])
        assert surface[i, j] == pytest.approx(quadrature(W, np.zeros(2), (1, r), p), rel=1e-12)


def test_loss_without_bias_where_it_is_known():
    p, r = np.geomspace(0.01, 1, 5)[:, None], np.geomspace(0.1, 10, 7)
    np.testing.assert_allclose(theory.loss_without_bias(1, -1, p, r), theory.antipodal_loss(p, 1, r), rtol=1e-12)
    np.testing.assert_allclose(theory.loss_without_bias(0, 0, p, r), (1 + r) * p / 3, rtol=1e-14)
    np.testing.assert_allclose(theory.loss_without_bias(1, 0, p, r), r * p / 3, rtol=1e-14)
    # (1, 1) answers both with x_1 + x_2: each errs by the other
    np.testing.assert_allclose(theory.loss_without_bias(1, 1, p, r), (1 + r) * p / 3, rtol=1e-14)
    # nothing is clipped where both weights have one sign: the linear model
    W, importance = np.array([[0.6, 0.9]]), np.array([1, 0.4])
    linear = loops(W, np.zeros(2), importance, *(np.full(2, moment) for moment in theory.moments(0.3)))
    assert theory.loss_without_bias(0.6, 0.9, 0.3, 0.4) == pytest.approx(linear, rel=1e-12)


def test_loss_without_bias_has_its_symmetries():
    first, second, p, r = GRID[:, None], GRID, 0.7, 0.4
    surface = theory.loss_without_bias(first, second, p, r)
    np.testing.assert_array_equal(surface, theory.loss_without_bias(-first, -second, p, r))
    np.testing.assert_allclose(surface, r * theory.loss_without_bias(second, first, p, 1 / r), rtol=1e-13)


@pytest.mark.parametrize(
    ("p", "r", "low", "high"),
    [
        (0.9, 0.8, (0.65, 0.65), (0.75, 0.75)),  # S = 0.1: the confused feature, near 1 / sqrt(2)
        (0.9, 0.1, (0.9, 0.05), (1.0, 0.3)),  # the second feature matters little: W_2 low, not 0
        (0.05, 0.8, (0.98, -1.02), (1.02, -0.98)),  # sparse: antipodal
    ],
)
def test_the_minimum_without_bias_is_where_mcgrath_found_it(p, r, low, high):
    positive = GRID[GRID > 0]
    surface = theory.loss_without_bias(positive[:, None], GRID, p, r)
    i, j = np.unravel_index(surface.argmin(), surface.shape)
    assert low[0] < positive[i] < high[0] and low[1] < GRID[j] < high[1]


def test_a_bias_would_beat_the_confused_feature():
    assert theory.loss_without_bias(GRID[:, None], GRID, 0.9, 0.8).min() > theory.phase_losses(0.9, 0.8)["ignored"]


@pytest.mark.parametrize("p", [0.1, 0.6, 1.0])
def test_the_confused_feature_of_equal_importances(p):
    # On W_1 = W_2 = w, u = w^2: d/du [(1 - 2 u + 2 u^2) p / 3 - (u - u^2) p^2 / 2] = 0 at u = 1 / 2, for every p; the
    # loss there is p / 3 - p^2 / 4, that of one feature that is dropped, with its bias.
    diagonal = theory.loss_without_bias(GRID, GRID, p, 1.0)
    assert abs(GRID[diagonal.argmin()]) == pytest.approx(np.sqrt(0.5), abs=0.005)
    confused = theory.loss_without_bias(np.sqrt(0.5), np.sqrt(0.5), p, 1.0)
    assert confused == pytest.approx(theory.dropped_loss(p, 1.0), rel=1e-12)
