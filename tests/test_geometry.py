"""Measures of W against exact polytopes, the notebook's formula, and what must not change under a rotation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superpose import geometry

PENTAGON = 2 * np.pi * np.arange(5) / 5
SQUARE = np.pi / 2 * np.arange(4)
Z, R = 1 / np.sqrt(3), np.sqrt(2 / 3)  # z^2 = 1/3 on each of three axes makes the frame tight: sum W W^T = 8/3 identity
LOWER = np.stack([R * np.cos(SQUARE), R * np.sin(SQUARE), np.full(4, -Z)])
UPPER = np.stack([R * np.cos(SQUARE + np.pi / 4), R * np.sin(SQUARE + np.pi / 4), np.full(4, Z)])
SIGNS = np.array([[1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])

# k unit vectors that are a tight frame of d dimensions: sum_j (u_i . W_j)^2 = k / d, so D_i = d / k.
POLYTOPES = {
    "orthogonal": (np.eye(3), 1.0),
    "tetrahedron": (SIGNS / np.sqrt(3), 3 / 4),
    "triangle": (np.stack([np.cos(2 * np.pi * np.arange(3) / 3), np.sin(2 * np.pi * np.arange(3) / 3)]), 2 / 3),
    "digon": (np.array([[1.0, -1.0]]), 1 / 2),
    "pentagon": (np.stack([np.cos(PENTAGON), np.sin(PENTAGON)]), 2 / 5),
    "square antiprism": (np.concatenate([LOWER, UPPER], axis=1), 3 / 8),
}

summary = jax.jit(geometry.summary)
dimensionality = jax.jit(geometry.dimensionality)


def random(m: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(m, n)).astype(np.float32)


def rotation(m: int, seed: int = 1) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(m, m)))[0].astype(np.float32)


@pytest.mark.parametrize("name", POLYTOPES)
def test_polytopes_have_their_fraction(name):
    W, fraction = POLYTOPES[name]
    np.testing.assert_allclose(dimensionality(jnp.asarray(W, jnp.float32)), fraction, rtol=0, atol=1e-6)
    with jax.enable_x64(True):
        np.testing.assert_allclose(dimensionality(jnp.asarray(W, jnp.float64)), fraction, rtol=0, atol=1e-12)


def test_superposition_of_known_shapes():
    # A digon: the other one is as strong. A pentagon: 5/2 in all, less the feature's own 1. Orthogonal: nothing.
    for name, expected in (("digon", 1.0), ("pentagon", 1.5), ("orthogonal", 0.0)):
        W = jnp.asarray(POLYTOPES[name][0], jnp.float32)
        np.testing.assert_allclose(summary(W)["superposition"], expected, rtol=0, atol=1e-6)


def test_a_tegum_product_keeps_the_fractions_of_its_factors():
    # The triangular bipyramid is a triangle and a digon: 3 x 2/3 + 2 x 1/2 = 3 dimensions.
    W = np.zeros((3, 5))
    W[:2, :3], W[2:, 3:] = POLYTOPES["triangle"][0], POLYTOPES["digon"][0]
    expected = [2 / 3, 2 / 3, 2 / 3, 1 / 2, 1 / 2]
    np.testing.assert_allclose(dimensionality(jnp.asarray(W, jnp.float32)), expected, rtol=0, atol=1e-6)


def test_definitions_written_as_loops():
    W = random(4, 9).astype(np.float64)
    norm = np.sqrt((W**2).sum(0))
    overlap = [[(W[:, i] / norm[i] @ W[:, j]) ** 2 for j in range(9)] for i in range(9)]
    others = [sum(row) - row[i] for i, row in enumerate(overlap)]
    with jax.enable_x64(True):
        found = summary(jnp.asarray(W))
    np.testing.assert_allclose(found["norm"], norm, rtol=1e-12)
    np.testing.assert_allclose(found["superposition"], others, rtol=1e-12)
    np.testing.assert_allclose(found["dimensions_per_feature"], 4 / (W**2).sum(), rtol=1e-12)
    np.testing.assert_array_equal(found["represented"], norm > 0.5)
    np.testing.assert_array_equal(found["superposed"], (norm > 0.5) & (np.array(others) > 0.1))
    assert found["rank"] == np.linalg.matrix_rank(W)


def test_dimensionality_is_the_notebooks():
    W = random(5, 12)
    norm = np.linalg.norm(W, axis=0).clip(1e-6)
    expected = norm**2 / (((W / norm).T @ W) ** 2).sum(-1)
    np.testing.assert_allclose(dimensionality(jnp.asarray(W)), expected, rtol=1e-5)


def test_a_rotation_of_the_hidden_space_changes_nothing_but_the_alignment():
    W = random(6, 10)
    before, after = summary(jnp.asarray(W)), summary(jnp.asarray(rotation(6) @ W))
    for name in geometry.VARIABLES.keys() - {"basis_aligned"}:
        np.testing.assert_allclose(after[name], before[name], rtol=2e-5, atol=2e-6, err_msg=name)


def test_permuting_features_permutes_their_measures():
    W, order = random(4, 7), np.random.default_rng(2).permutation(7)
    before, after = summary(jnp.asarray(W)), summary(jnp.asarray(W[:, order]))
    for name, (dims, _, _) in geometry.VARIABLES.items():
        expected = before[name][order] if dims else before[name]
        np.testing.assert_allclose(after[name], expected, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize(("m", "n"), [(4, 7), (5, 3), (3, 12)])
def test_dimensionalities_sum_to_at_most_the_rank(m, n):
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(st.integers(0, min(m, n)), st.integers(0, 2**32 - 1), st.lists(st.floats(-6, 2), min_size=n, max_size=n))
    def check(inner, seed, powers):
        rng = np.random.default_rng(seed)
        W = rng.normal(size=(m, inner)) @ rng.normal(size=(inner, n)) * 10 ** np.array(powers)
        with jax.enable_x64(True):
            D = np.asarray(dimensionality(jnp.asarray(W, jnp.float64)))
        assert (D >= 0).all() and (D <= 1).all()
        assert D.sum() <= inner + 1e-9

    check()


def test_scale_does_not_matter_where_it_should_not():
    W = random(4, 9)
    D = dimensionality(jnp.asarray(W))
    for scale in (1e-30, 1e-6, 1e30):  # the squares of the first and the last are outside float32
        np.testing.assert_allclose(dimensionality(jnp.asarray(W * np.float32(scale))), D, rtol=2e-5)
    np.testing.assert_array_equal(dimensionality(jnp.diag(jnp.array([1.0, 1e-30]))), [1, 1])
    np.testing.assert_array_equal(dimensionality(jnp.array([[1.0, 1e-30]])), [1, 0])


def test_zero_columns_give_zero():
    found = summary(jnp.array([[1.0, 0.0, -1.0], [0.0, 0.0, 0.0]]))
    np.testing.assert_array_equal(found["norm"], [1, 0, 1])
    np.testing.assert_array_equal(found["superposition"], [1, 0, 1])
    np.testing.assert_array_equal(found["dimensionality"], [0.5, 0, 0.5])
    nothing = summary(jnp.zeros((2, 3)))
    assert all(
        not nothing[name].any() for name in ("norm", "superposition", "dimensionality", "represented", "superposed")
    )
    assert nothing["rank"] == 0 and nothing["dimensions_per_feature"] == jnp.inf
    assert nothing["features_independent"] and not nothing["gram_invertible"] and nothing["basis_aligned"] == 0


@pytest.mark.parametrize(
    ("W", "invertible", "independent", "aligned"),
    [
        (np.eye(3), True, True, 2),  # every feature has its hidden unit
        (
            np.array([[2, -1, 2], [2, 2, -1], [-1, 2, 2]]) / 3,
            True,
            True,
            0,
        ),  # a rotated basis: decomposable, linear, no superposition, no alignment
        (
            np.eye(3)[:, [0, 1, 2, 2]] * [1, 1, 1, 0],
            False,
            True,
            2,
        ),  # a feature ignored: W^T W loses a rank, none shares
        (np.eye(3)[:, [0, 1, 2, 2]] * [1, 1, 1, -1], False, False, 2),  # a digon along a hidden unit
        (POLYTOPES["pentagon"][0], False, False, 1),  # its first corner is (1, 0); and .95 = sin 72 > .9 in the next
        (POLYTOPES["tetrahedron"][0], False, False, 0),  # every entry is 1 / sqrt 3 = .58
        (np.eye(3) * [1, 1, 0.4], True, True, 2),  # 0.4 is not represented, and has a direction
    ],
)
def test_hierarchy_of_properties(W, invertible, independent, aligned):
    W = jnp.asarray(W, jnp.float32)
    assert bool(geometry.gram_invertible(W)) is invertible
    assert bool(geometry.features_independent(W)) is independent
    assert int(geometry.basis_aligned(W)) == aligned


@pytest.mark.parametrize("inner", range(5))
def test_rank_of_a_product(inner):
    assert geometry.rank(jnp.asarray(random(5, inner, 3) @ random(inner, 8, 4))) == inner


def test_rank_ignores_a_thousandth():
    assert geometry.rank(jnp.diag(jnp.array([2.0, 0.0022]))) == 2
    assert geometry.rank(jnp.diag(jnp.array([2.0, 0.0018]))) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_diverged_model_is_data(bad):
    W = random(3, 4)
    W[1, 2] = bad
    found = summary(jnp.asarray(W))
    assert found["rank"] == -1 and found["basis_aligned"] == -1
    assert not found["gram_invertible"] and not found["features_independent"]
    numbers = ("norm", "superposition", "dimensionality", "dimensions_per_feature")
    assert all(np.isnan(found[name]).all() for name in numbers)
    assert not found["represented"].any() and not found["superposed"].any()


def test_a_sweep_of_models_matches_what_is_declared():
    Ws = jnp.asarray(np.stack([random(3, 6, seed) for seed in range(4)]))
    swept = jax.jit(jax.vmap(geometry.summary))(Ws)
    assert swept.keys() == geometry.VARIABLES.keys()
    for name, (dims, dtype, attributes) in geometry.VARIABLES.items():
        assert swept[name].shape == (4, *{"feature": (6,)}[dims[0]]) if dims else (4,), name
        assert swept[name].dtype == dtype and {"long_name", "units"} <= attributes.keys(), name
        alone = np.stack([summary(W)[name] for W in Ws])
        np.testing.assert_allclose(swept[name], alone, rtol=1e-5, atol=1e-6, err_msg=name)
