"""Points of the hidden plane: what is drawn is what was given."""

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from paired import polar

from superpose import plots, points


def test_a_set_has_one_colour_and_colours_start_again():
    colours = [to_hex(colour) for colour in points.of_sets(8, 2)]
    assert colours[0::2] == colours[1::2] and len(set(colours)) == 6
    assert colours[0] == points.SET_COLOURS[0] == colours[12]


def test_points_at_one_place_are_rings():
    sizes = points.ringed(polar([0, 0, 90, 180]), 2)
    assert sizes[0] > points.SIZE > sizes[1] and sizes[2] == sizes[3] == points.SIZE
    assert points.ringed(polar([0, 0]), 2).tolist() == [points.SIZE] * 2  # sets of one
    assert points.ringed(np.full((2, 4), np.nan), 2).tolist() == [points.SIZE] * 4


def test_points_lie_at_their_columns():
    W = polar([0, 60, 120, 180], [1, 1, 0.5, np.nan])
    with plots.style():
        figure = Figure()
        ax = figure.subplots()
        points.plane(ax, 1.5)
        points.points(ax, W, points.of_sets(2, 2), size=points.ringed(W, 2))
        points.legend_of_sets(figure, ["a", "b"], loc="upper left")
        figure.canvas.draw()
    np.testing.assert_allclose(np.asarray(ax.collections[0].get_offsets()), W.T[:3])
    rays = [line for line in ax.lines if line.get_alpha() is not None]
    assert len(rays) == 3 and ax.get_xlim() == (-1.5, 1.5)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]


def test_a_legend_names_every_set_and_what_rings_are():
    figure = Figure()
    points.legend_of_sets(figure, list("abcdefgh"), "together", loc="upper left")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [*"abcdefgh", "together"]
