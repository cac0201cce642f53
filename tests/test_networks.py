"""Drawings of components: shapes keep their form, nothing overlaps, and each shape has its colour."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from superpose import networks, tegum

ZOO = tegum.product(
    np.ones((1, 1)), tegum.simplex(1), tegum.simplex(2), tegum.simplex(3), tegum.polygon(5), tegum.antiprism()
)


def test_flat_components_are_drawn_as_they_are():
    for k in (3, 5):
        places = networks.layout(np.vstack([np.zeros((4, k)), tegum.polygon(k)]))
        apart = np.linalg.norm(places[:, None] - places, axis=2)
        ratio = apart / np.linalg.norm(tegum.polygon(k)[:, :, None] - tegum.polygon(k)[:, None], axis=0).clip(1e-9)
        np.testing.assert_allclose(ratio[apart > 0], ratio[0, 1], rtol=1e-9)
    np.testing.assert_allclose(np.abs(networks.layout(tegum.simplex(1))), [[1, 0], [1, 0]], atol=1e-12)
    np.testing.assert_array_equal(networks.layout(np.ones((3, 1))), [[0, 0]])


@pytest.mark.parametrize("W", [tegum.simplex(3), tegum.antiprism(), tegum.simplex(9)])
def test_nodes_of_higher_components_keep_apart(W):
    places = networks.layout(W)
    apart = np.linalg.norm(places[:, None] - places, axis=2) + 9 * np.eye(len(places))
    assert np.linalg.norm(places, axis=1).max() == pytest.approx(1)
    assert apart.min() > 1 / len(places)
    np.testing.assert_array_equal(places, networks.layout(W))


def test_squares_are_packed_in_rows_without_overlap():
    sides = [3.0, 2.0, 2.0, 1.0, 1.0, 1.0, 0.6]
    centres = networks.pack(sides, 5.0)
    for i in range(len(sides)):
        assert sides[i] / 2 <= centres[i, 0] <= 5 - sides[i] / 2
        for j in range(i):
            assert np.abs(centres[i] - centres[j]).max() >= (sides[i] + sides[j]) / 2 - 1e-9
    assert networks.pack([], 5.0).shape == (0, 2)


def test_a_network_has_a_node_for_each_feature_and_a_link_for_each_edge():
    ax = Figure().add_subplot()
    networks.network(ax, ZOO, tegum.components(ZOO), aspect=2.0)
    nodes = {to_hex(line.get_color()): np.size(line.get_xdata()) for line in ax.lines}
    sizes = {networks.COLOURS[name]: k for name, (k, _) in tegum.SIZES.items()}
    assert nodes == sizes
    drawn = sum(len(lines.get_segments()) for lines in ax.collections if isinstance(lines, LineCollection))
    assert drawn == tegum.graph(ZOO).sum() // 2


def test_a_model_without_components_is_an_empty_drawing():
    ax = Figure().add_subplot()
    networks.network(ax, np.zeros((2, 3)), [])
    assert not ax.lines and set(networks.COLOURS) == {*tegum.SIZES, tegum.OTHER}


def test_features_in_a_plane_are_numbered_around_it_from_the_longest():
    W = tegum.polygon(5)[:, [3, 1, 0, 4, 2]] * [1, 1, 1, 1, 1.2]
    np.testing.assert_allclose(networks.around(W), tegum.polygon(5) * [1.2, 1, 1, 1, 1], atol=1e-9)


def test_features_in_three_dimensions_stand_upright_component_by_component():
    bipyramid = tegum.product(tegum.simplex(1), tegum.polygon(5))
    frame = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    W = networks.upright((frame @ bipyramid)[:, [4, 0, 6, 2, 1, 3, 5]])
    np.testing.assert_allclose(np.abs(W[2]), [0] * 5 + [1, 1], atol=1e-9)
    turns = np.diff(np.unwrap(np.arctan2(W[1, :5], W[0, :5])))
    np.testing.assert_allclose(turns, 2 * np.pi / 5, atol=1e-9)
    np.testing.assert_allclose(
        networks.tilted(W)[:, 5:], np.cos(networks.TILT) * np.stack([[0, 0], W[2, 5:]]), atol=1e-9
    )
    heights = np.abs(networks.upright(frame @ tegum.antiprism())[2])
    np.testing.assert_allclose(heights, 1 / np.sqrt(3), atol=1e-9)  # two squares


def test_nodes_have_their_features_numbers():
    ax = Figure().add_subplot()
    W = tegum.product(tegum.simplex(1), np.ones((1, 1)))
    networks.network(ax, W, tegum.components(W), numbered=True)
    assert sorted(text.get_text() for text in ax.texts) == ["0", "1", "2"]


def test_fractions_are_those_of_shapes_and_of_the_notebook():
    ax = Figure().add_subplot()
    networks.fractions(ax)
    heights = sorted(line.get_ydata()[0] for line in ax.lines)
    np.testing.assert_allclose(
        heights, [0, 3 / 20, 1 / 4, 2 / 7, 1 / 3, 3 / 8, 2 / 5, 1 / 2, 2 / 3, 3 / 4, 4 / 5, 5 / 6]
    )
    assert {text.get_text() for text in ax.texts} >= {"2/3  triangle", "0  not learned", "3/20"}


def test_dots_are_sorted_from_side_to_side():
    ax = Figure().add_subplot()
    networks.side_by_side(ax, (1.0, 10.0), np.array([3.0, 1.0, 2.0]), np.array(["red", "blue", "black"]))
    x, y = np.asarray(ax.collections[0].get_offsets()).T
    np.testing.assert_allclose(y, [1, 2, 3])
    np.testing.assert_allclose(np.log10(x), [0.1, 0.5, 0.9])
