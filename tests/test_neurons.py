"""Kinds of neurons and their rescaling, on weights of which the right answers are plain; and how they are stacked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from superpose import neurons, plots, stacks
from superpose.arguments import InputError
from superpose.models import UntiedReLUHidden

W1 = jnp.array(
    [
        [0.0, 0.0, 0.0, 0.0],  # unused
        [0.0, -3.0, 0.5, 0.0],  # 0.5 / 3 is below 0.2
        [2.0, 0.9, 0.0, -0.5],  # 0.45 and 0.25 of the largest
        [0.0, -1.0, 0.6, 0.9],
        [0.05, 0.0, 0.0, 0.05],
    ]
)
W2 = jnp.ones((4, 5)).at[:, 4].set(0.1)  # 0.05 x 0.1 is below 0.01: unused


def test_kinds_features_and_primary():
    found = neurons.summary(W1, W2)
    assert found["neuron_kind"].tolist() == [0, 1, 2, 3, 0]
    assert found["neuron_features"].tolist() == [0, 1, 3, 3, 0]
    assert found["neuron_primary"].tolist()[1:4] == [1, 0, 1]
    assert set(found) == set(neurons.VARIABLES)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_depends_on_the_scale_of_a_neuron(seed):
    scale = jnp.exp(2 * jax.random.normal(jax.random.key(seed), (5,)))[:, None]
    before, after = neurons.summary(W1, W2), neurons.summary(W1 * scale, W2 / scale.T)
    for name in before:
        assert before[name].tolist() == after[name].tolist()
    out = W2.at[:, 0].set(0)  # where nothing comes in, a scale stays
    for one, other in zip(neurons.rescaled(W1, out), neurons.rescaled(W1 * scale, out / scale.T), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_rescaled_weights_are_the_same_model():
    key1, key2, key3 = jax.random.split(jax.random.key(0), 3)
    model = UntiedReLUHidden(4, 5)
    into, out, x = (jax.random.normal(k, s) for k, s in ((key1, (5, 4)), (key2, (4, 5)), (key3, (4, 64))))
    into = into.at[2].set(0)
    call = lambda a, b: jax.nn.relu(b @ jax.nn.relu(a @ x) + model.b[:, None])
    scaled = neurons.rescaled(into, out)
    np.testing.assert_allclose(call(into, out), call(*scaled), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(jnp.abs(scaled[0]).max(axis=1), [1, 1, 0, 1, 1], rtol=1e-6)


def test_the_weights_of_a_stored_model_are_rescaled():
    model = xr.Dataset({"W1": (("feature", "hidden"), W1.T), "W2": (("feature", "hidden"), W2)})
    for found, expected in zip(neurons.weights(model), neurons.rescaled(W1, W2), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_neurons_of_a_tied_model():
    W = jnp.array([[1.0, 0.0, 0.1], [0.0, 0.7, -0.7]])
    assert neurons.kinds(W, W.T).tolist() == [1, 3]


def test_of_a_model_that_diverged():
    found = neurons.summary(W1.at[0, 0].set(jnp.nan), W2)
    assert all(set(values.tolist()) == {-1} for values in found.values())


def test_rectangles_stand_on_the_earlier_ones_of_their_sign():
    W = np.array([[1.0, -2.0, 3.0, -4.0]])
    np.testing.assert_array_equal(stacks.floors(W), [[0, 0, 1, -2]])


def test_a_stack_holds_every_rectangle():
    W = np.array([[1.0, -2.0, 3.0], [0.0, 0.5, 0.0]])
    with plots.style():
        figure = Figure()
        ax = figure.add_subplot()
        stacks.stack(ax, W, stacks.of_features(3), kinds=np.array([3, 1]), labelled=True)
        figure.canvas.draw()
    (drawn,) = ax.collections
    boxes = [path.get_extents() for path in drawn.get_paths()]
    assert sorted((round(b.y0, 6), round(b.y1, 6)) for b in boxes) == [(-2, 0), (0, 0.5), (0, 1), (1, 4)]
    assert ax.get_ylim()[0] < -2 and ax.get_ylim()[1] > 4
    assert {text.get_text() for text in ax.texts} == {"0", "1", "2"}


def test_what_is_not_finite_is_left_out():
    ax = Figure().add_subplot()
    stacks.stack(ax, np.full((2, 3), np.nan), stacks.of_features(3))
    assert not ax.collections[0].get_paths()


def test_features_have_colours_of_their_own():
    assert len({tuple(colour) for colour in stacks.of_features(10)}) == 10
    np.testing.assert_array_equal(stacks.of_features(12)[10], stacks.of_features(12)[0])


def test_stacks_stand_below_the_columns_of_their_matrices():
    kinds = np.array([1, 3], np.int8)
    W = np.array([[0.0, -2.0, 3.0], [0.0, 0.5, 0.0]])
    model = xr.Dataset(
        {"W": (("hidden", "feature"), W), "neuron_kind": ("hidden", kinds[::-1]), "neuron_primary": ("hidden", [2, 1])}
    )
    here = stacks.column(model, "here")
    np.testing.assert_array_equal(here.W, W[::-1])  # the monosemantic neuron first
    assert here.kinds.tolist() == [1, 3]
    there = stacks.column(model, "there", privileged=False)
    assert set(there.kinds.tolist()) == {stacks.NO_NEURON}
    with plots.style():
        figure = Figure()
        stacks.below_matrices(figure, [here, there])
        figure.draw_without_rendering()
    above, _, below, _, bar = figure.axes
    assert above.get_xlim() == below.get_xlim() == (-0.5, 1.5)
    (drawn, under) = (ax.get_window_extent() for ax in (above, below))
    np.testing.assert_allclose([drawn.x0, drawn.x1], [under.x0, under.x1])
    assert bar.get_ylabel() == "$W_{ji}$"


def test_a_model_without_one_matrix_is_told():
    with pytest.raises(InputError, match="UntiedReLUHidden has none"):
        neurons.matrix(UntiedReLUHidden(3, 2))
