"""Alignment: what was turned, reflected or relabelled comes back to where it was."""

import numpy as np
import pytest

from superpose.alignment import aligned, exchanges, in_one_frame, rotation

RNG = np.random.default_rng(0)


def turn(m: int) -> np.ndarray:
    """An orthogonal matrix; every other one of a run is a reflection."""
    return np.linalg.qr(RNG.normal(size=(m, m))).Q


@pytest.mark.parametrize("m", [1, 2, 3, 7])
def test_a_turned_model_comes_back(m):
    W, R = RNG.normal(size=(m, m + 3)), turn(m)
    found = rotation(R @ W, W)
    np.testing.assert_allclose(found @ found.T, np.eye(m), atol=1e-12)
    np.testing.assert_allclose(found @ R @ W, W, atol=1e-12)


def test_a_reflection_is_undone_too():
    W = RNG.normal(size=(2, 5))
    np.testing.assert_allclose(aligned(np.diag([1.0, -1.0]) @ W, W), W, atol=1e-12)


def test_no_rotation_is_nearer():
    W, V = RNG.normal(size=(2, 5)), RNG.normal(size=(2, 5))
    distance = np.sum((aligned(W, V) - V) ** 2)
    angles = np.linspace(0, 2 * np.pi, 361)
    for flip in (1, -1):
        turned = [np.array([[np.cos(a), -np.sin(a)], [flip * np.sin(a), flip * np.cos(a)]]) @ W for a in angles]
        assert distance <= min(np.sum((other - V) ** 2) for other in turned) + 1e-12


def test_like_features_are_exchanged():
    orders = exchanges(3, 2)
    assert len(orders) == 48 and len({tuple(order) for order in orders}) == 48  # 3! 2!^3
    assert all(
        {tuple(sorted(pair // 2)) for pair in order.reshape(3, 2)} == {(0, 0), (1, 1), (2, 2)} for order in orders
    )
    W = RNG.normal(size=(2, 6))
    mixed = turn(2) @ W[:, [3, 2, 4, 5, 1, 0]]
    np.testing.assert_allclose(aligned(mixed, W, orders), W, atol=1e-12)
    assert np.abs(aligned(mixed, W) - W).max() > 0.1


def test_what_is_not_finite_stays():
    W = np.ones((2, 3))
    assert np.isnan(aligned(W * np.nan, W)).all()
    np.testing.assert_array_equal(aligned(W, W * np.nan), W)


def test_models_in_one_frame_stand_as_the_first_whose_first_feature_points_right():
    W = RNG.normal(size=(3, 4))
    found = in_one_frame([turn(3) @ W for _ in range(4)])
    np.testing.assert_allclose(found[0][:, 0], np.linalg.norm(W[:, 0]) * np.eye(3)[0], atol=1e-12)
    np.testing.assert_allclose(found, [found[0]] * 4, atol=1e-12)
    other = in_one_frame([W], lead=2)[0]
    np.testing.assert_allclose(other[:, 2], np.linalg.norm(W[:, 2]) * np.eye(3)[0], atol=1e-12)
    assert in_one_frame([]) == []
