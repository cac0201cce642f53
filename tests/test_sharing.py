"""Features alone and shared, of weights made by hand."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from superpose import geometry, sharing


def model(W: np.ndarray, b: np.ndarray | None = None, p: float = 0.2) -> xr.Dataset:
    found = geometry.summary(jnp.asarray(W, jnp.float32))
    data = {name: (geometry.VARIABLES[name][0], np.asarray(a)) for name, a in found.items()}
    data |= {"W": (("hidden", "feature"), W), "b": ("feature", np.zeros(W.shape[1]) if b is None else b)}
    return xr.Dataset(data | {"density": p})


ONE_AND_A_PAIR = np.array([[1.0, 0, 0, 0], [0, 1, -1, 0]])
TRIANGLE = np.array([[1.0, -0.5, -0.5, 0], [0, 0.866, -0.866, 0]])


def test_alone_shared_and_dropped():
    alone, shared = sharing.alone_and_shared(model(ONE_AND_A_PAIR))
    assert alone.tolist() == [0] and shared.tolist() == [1, 2]
    assert sharing.spans(model(ONE_AND_A_PAIR)) == "alone 0, in superposition 1 to 2"
    assert sharing.span(np.array([0, 2, 3, 4, 7])) == "0, 2 to 4, 7" and sharing.span(np.array([], int)) == "none"
    assert sharing.first_alone(model(ONE_AND_A_PAIR)) and not sharing.first_alone(
        model(ONE_AND_A_PAIR[:, [1, 0, 2, 3]])
    )
    assert not sharing.first_alone(model(TRIANGLE))


def test_pairs_and_other_shapes():
    assert sharing.all_paired(model(ONE_AND_A_PAIR)) and sharing.other_shapes(model(ONE_AND_A_PAIR)) == {}
    assert not sharing.all_paired(model(TRIANGLE)) and sharing.other_shapes(model(TRIANGLE)) == {"triangle": 1}
    assert sharing.partners(model(ONE_AND_A_PAIR)) == (2, -1.0)
    assert not sharing.all_paired(model(np.eye(2)))


def test_biases():
    own = model(TRIANGLE, np.array([-0.1, 0.2, -0.3, 0.5]))
    assert sharing.negative(own) == (2, 3) and sharing.greatest(own)[1] == pytest.approx(0.2)
    assert sharing.greatest(own)[0] == 0  # the diagonal: no two of them are at an acute angle


def test_distances_from_the_linear_solution():
    first = np.array([[1.0, 0, 0, 0], [0, 0.9, 0, 0]])
    assert sharing.off_identity(model(first), 2) == pytest.approx(1 - 0.81)
    assert sharing.off_identity(model(ONE_AND_A_PAIR), 2) == pytest.approx(1)
    assert sharing.off_mean(model(first, np.array([0.02, 0, 0.1, 0.07])), 2) == pytest.approx(0.03)
