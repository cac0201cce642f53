"""Shapes of features: exact polytopes and their products, rotated, scaled, disturbed, and what has no name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpose import geometry, tegum, theory

SINGLE = np.ones((1, 1))
SHAPES = {
    "single": SINGLE,
    "digon": tegum.simplex(1),
    "triangle": tegum.simplex(2),
    "tetrahedron": tegum.simplex(3),
    "pentagon": tegum.polygon(5),
    "square antiprism": tegum.antiprism(),
}
FRACTIONS = theory.POLYTOPES | {"single": theory.POLYTOPES["orthogonal"]}
PRODUCTS = {
    "square": (tegum.polygon(4), {"digon": 2}),
    "octahedron": (tegum.product(*3 * [tegum.simplex(1)]), {"digon": 3}),
    "triangular bipyramid": (tegum.product(tegum.simplex(2), tegum.simplex(1)), {"digon": 1, "triangle": 1}),
    "pentagonal bipyramid": (tegum.product(tegum.polygon(5), tegum.simplex(1)), {"digon": 1, "pentagon": 1}),
    "orthogonal": (np.eye(3), {"single": 3}),
}


def turned(W: np.ndarray, m: int, seed: int = 0) -> np.ndarray:
    """The same shape in m dimensions, rotated at random."""
    frame = np.linalg.qr(np.random.default_rng(seed).normal(size=(m, m)))[0]
    return frame[:, : W.shape[0]] @ W


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_has_its_fraction_its_size_and_its_name(name):
    """k unit vectors that are a tight frame of d dimensions: sum_j (u_i . W_j)^2 = k / d."""
    W = SHAPES[name]
    d, k = W.shape
    assert tegum.SIZES[name] == (k, d)
    np.testing.assert_allclose(np.linalg.norm(W, axis=0), 1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(tegum.shares(W), FRACTIONS[name], rtol=0, atol=1e-12)
    np.testing.assert_allclose(tegum.shares(W), d / k, rtol=0, atol=1e-12)
    (found,) = tegum.components(turned(W, 9))
    assert (found.name, found.label, found.dims, found.size) == (name, name, d, k)


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_is_its_factors(name):
    W, expected = PRODUCTS[name]
    assert tegum.census(tegum.components(turned(W, 7))) == expected


def test_bipyramids_keep_the_fractions_of_their_factors():
    """3 x 2/3 + 2 x 1/2 = 3 dimensions, not 5 x 3/5; and 5 x 2/5 + 2 x 1/2, not 7 x 3/7."""
    for name, expected in (
        ("triangular bipyramid", [2 / 3] * 3 + [1 / 2] * 2),
        ("pentagonal bipyramid", [2 / 5] * 5 + [1 / 2] * 2),
    ):
        W = turned(PRODUCTS[name][0], 3)
        np.testing.assert_allclose(tegum.shares(W), expected, rtol=0, atol=1e-12)
        np.testing.assert_allclose(tegum.shares(W).sum(), 3, rtol=0, atol=1e-12)


def test_shares_are_those_of_the_geometry_room():
    W = np.random.default_rng(3).normal(size=(4, 9))
    with jax.enable_x64(True):
        found = geometry.dimensionality(jnp.asarray(W, jnp.float64))
    np.testing.assert_allclose(tegum.shares(W), found, rtol=0, atol=1e-12)


def test_a_whole_zoo_among_features_that_are_not_represented():
    """One of each shape in 14 dimensions, the features shuffled, six of them short, in float32."""
    W = tegum.product(*SHAPES.values())
    W = np.concatenate([turned(W, W.shape[0]), 0.3 * np.random.default_rng(1).normal(size=(W.shape[0], 6)) / 4], axis=1)
    order = np.random.default_rng(2).permutation(W.shape[1])
    found = tegum.components((1.1 * W)[:, order].astype(np.float32))
    assert tegum.census(found) == dict.fromkeys(SHAPES, 1)
    assert tegum.features_by_name(found) == {name: W.shape[1] for name, W in SHAPES.items()} | {"other": 0}
    assert sorted(np.concatenate([order[one.features] for one in found])) == list(range(23))
    assert [one.features[0] for one in found] == sorted(one.features[0] for one in found)


@pytest.mark.parametrize("name", SHAPES)
def test_a_name_stands_a_little_noise_and_not_much(name):
    W = turned(SHAPES[name], 9)
    noise = np.random.default_rng(0).normal(size=W.shape)
    (found,) = tegum.components(W + 0.01 * noise)
    assert found.name == name
    assert np.abs(found.shares - FRACTIONS[name]).max() < tegum.REGULAR


SIGNS = np.array([[i >> b & 1 for i in range(8)] for b in range(3)]) * 2.0 - 1
UNNAMED = {
    "a cube has the antiprism's D_i": (SIGNS / np.sqrt(3), "8 in 3 dimensions"),
    "a triangle with one corner turned around has a triangle's": (
        tegum.simplex(2) * [1, 1, -1],
        "3 in 2 dimensions",
    ),
    "a hexagon": (tegum.polygon(6), "6 in 2 dimensions"),
    "a simplex of four dimensions": (tegum.simplex(4), "5 in 4 dimensions"),
    "two features at 60 degrees": (np.array([[1, 0.5], [0, np.sqrt(0.75)]]), "2 in 2 dimensions"),
    "three features on a line": (np.array([[1.0, -1.0, 1.0]]), "3 in 1 dimensions"),
    "a pentagon with a long corner": (tegum.polygon(5) * [1.5, 1, 1, 1, 1], "5 in 2 dimensions"),
}


@pytest.mark.parametrize("case", UNNAMED)
def test_what_has_no_name_is_called_by_its_size(case):
    W, label = UNNAMED[case]
    (found,) = tegum.components(turned(W, 6))
    assert (found.name, found.label) == ("other", label)


def test_an_edge_joins_from_its_threshold_on():
    W = np.array([[1.0, 0.09, 0.11, 0.2], [0, 1, 0, 0], [0, 0, 1, 0.1]])  # the last one is short
    np.testing.assert_array_equal(np.argwhere(tegum.graph(W)), [[0, 2], [2, 0]])
    assert [one.tolist() for one in tegum.connected(W)] == [[0, 2], [1]]
    assert [one.tolist() for one in tegum.connected(W, 0.05)] == [[0, 1, 2]]


def test_a_chain_is_one_component_however_long():
    n = 60
    W = np.eye(n) + 0.3 * np.eye(n, k=1)
    order = np.random.default_rng(0).permutation(n)
    assert [len(one) for one in tegum.connected(W[:, order])] == [n]


def test_a_model_that_represents_nothing_or_diverged_has_no_component():
    for W in (np.zeros((2, 3)), np.full((2, 3), np.nan), np.zeros((2, 0))):
        assert tegum.components(W) == [] and tegum.census([]) == {}


def test_the_part_of_the_features_that_is_in_components_of_few_dimensions():
    found = tegum.components(tegum.product(tegum.simplex(1), tegum.simplex(4)))
    assert tegum.part(found, 3) == pytest.approx(2 / 7) and tegum.part(found, 4) == 1
    assert np.isnan(tegum.part([], 3))
