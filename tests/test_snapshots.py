"""Loss and geometry at recorded steps, against closed forms."""

import numpy as np
import pytest

from superpose import snapshots
from superpose.features import IndependentFeatures
from superpose.models import Linear, ReLUOutput

PAIR = np.array([[[1.0, -1.0]], [[0.0, 0.0]]], np.float32)


def test_the_loss_of_an_antipodal_pair_and_of_no_model_at_all():
    """p^2 / 3 for two features of importance 1 in one dimension, and E x^2 = p / 3 each where nothing is kept."""
    p = 0.5
    found = snapshots.losses(
        ReLUOutput(2, 1), IndependentFeatures(2, p), PAIR, np.zeros((2, 2), np.float32), vectors=2**17
    )
    assert found == pytest.approx([p**2 / 3, 2 * p / 3], rel=0.03)


def test_the_loss_of_a_linear_model():
    """x' = x_0 - x_1 in the first output: each errs by what the other is, E x^2 = p / 3."""
    found = snapshots.losses(
        Linear(2, 1), IndependentFeatures(2, 0.2), PAIR, np.zeros((2, 2), np.float32), vectors=2**17
    )
    assert found[0] == pytest.approx(2 * 0.2 / 3, rel=0.03)


def test_dimensionality_and_cosines_of_many_models():
    triangle = np.stack([np.cos(2 * np.pi * np.arange(3) / 3), np.sin(2 * np.pi * np.arange(3) / 3)])
    many = np.stack([triangle, 0 * triangle]).astype(np.float32)[None]
    np.testing.assert_allclose(snapshots.dimensionality(many)[0], [[2 / 3] * 3, [0] * 3], atol=1e-6)
    np.testing.assert_allclose(snapshots.cosines(many)[0, 0], 1.5 * np.eye(3) - 0.5, atol=1e-6)
    assert not snapshots.cosines(many)[0, 1].any()
