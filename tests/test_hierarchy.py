"""The hierarchy of properties on weights whose properties are known."""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from jaxtyping import Array

from superpose.features import AbstractFeatures, IndependentFeatures, SignedFeatures
from superpose.hierarchy import Properties, properties, signed
from superpose.models import AbstractToyModel, ReLUHidden, ReLUOutput, UntiedLinearHidden, UntiedReLUHidden
from superpose.objective import AbstractObjective, Exact
from superpose.program import Program
from superpose.sets import AnticorrelatedSets


class Squared(AbstractToyModel):
    """h = ReLU(W x)^2: a class of one's own, whose hidden basis is privileged."""

    W: Array
    dims: ClassVar = {"W": ("hidden", "feature")}
    basis_privileged: ClassVar[bool] = True

    def __init__(self, n: int, m: int):
        self.W = jnp.zeros((m, n))

    def encode(self, x: Array) -> Array:
        return jnp.maximum(self.W @ x, 0) ** 2

    def decode(self, h: Array) -> Array:
        return self.W.T @ h


class OfWeights(AbstractObjective):
    """A loss of the weights alone, which draws no features."""

    def noise(self, task, *, key) -> tuple[()]:
        return ()

    def loss(self, model, task, noise: tuple[()]) -> Array:
        return jnp.sum(model.W**2)


def found(W: list[np.ndarray], model: AbstractToyModel, features: AbstractFeatures | None = None) -> Properties | None:
    """The properties of tied models with these W."""
    return properties(dataset(W=W), Program(model, features or IndependentFeatures(3)))


def untied(W1: list[np.ndarray], model: AbstractToyModel, W2: list[np.ndarray] | None = None) -> Properties:
    """The properties of models of |x| with these W1; W2 is its transpose where it is left out."""
    told = properties(dataset(W1=W1, W2=W2 or [W.T for W in W1]), Program(model, SignedFeatures(W1[0].shape[1])))
    assert told is not None
    return told


def dataset(**weights: list[np.ndarray]) -> xr.Dataset:
    dims = {"W2": ("seed", "feature", "hidden")}
    seeds = len(next(iter(weights.values())))
    data = {name: (dims.get(name, ("seed", "hidden", "feature")), np.array(own)) for name, own in weights.items()}
    data = {name: (own, values.astype(np.float32)) for name, (own, values) in data.items()}
    return xr.Dataset({**data, "finite": ("seed", [True] * seeds)}, {"seed": np.arange(seeds)})


ALONE = np.array([[1.0, 0, 0], [0, 1, 0]])
PAIR = np.array([[1.0, 0, 0], [0, 1, -1]])
TURNED = np.array([[0.6, 0.8, 0], [0.8, -0.6, 0]])
SIGNS = np.kron(np.eye(3), [[1.0], [-1.0]])
"""Six neurons, one for either sign of each of three features."""


def test_a_linear_hidden_layer_has_no_basis():
    assert found([ALONE, PAIR, TURNED], ReLUOutput(3, 2)) == Properties("ReLUOutput", 3, 3, 1, None)


@pytest.mark.parametrize("kind", [ReLUHidden, Squared])
def test_a_privileged_basis(kind):
    """The pair and the turned ones have neurons with weights of both signs; only the turned are along no neuron."""
    assert found([ALONE, PAIR, TURNED], kind(3, 2)) == Properties(kind.__name__, 3, 1, 1, (1, 0, 2))


def test_some_features_along_a_neuron():
    mixed = np.array([[1.0, 0.7, 0], [0, 0.7, 0]])
    assert found([mixed], ReLUHidden(3, 2)) == Properties("ReLUHidden", 1, 1, 0, (0, 1, 0))


def test_signed_features_are_never_linear_through_a_relu():
    assert found([ALONE], ReLUHidden(3, 2), SignedFeatures(3)) == Properties("ReLUHidden", 1, 0, 0, (0, 0, 1))
    assert found([ALONE], ReLUOutput(3, 2), SignedFeatures(3)) == Properties("ReLUOutput", 1, 1, 0, None)


def test_which_features_are_signed():
    assert signed(SignedFeatures(3))
    assert not signed(IndependentFeatures(3)) and not signed(AnticorrelatedSets(4, 2))


def test_neurons_of_either_sign_are_aligned_and_say_nothing_of_superposition():
    told = untied([SIGNS, 0.01 * SIGNS], UntiedReLUHidden(3, 6), [SIGNS.T, 100 * SIGNS.T])
    assert told == Properties("UntiedReLUHidden", 2, 0, None, (0, 0, 2))


def test_fewer_neurons_than_features():
    """In either the third feature shares a dimension; in the second it shares a neuron, and one neuron is left mono."""
    apart, shared = np.array([[1.0, 0, 0], [0, 1, 1]]), np.array([[1.0, 0, 0.9], [0, 1, 0]])
    assert untied([ALONE, apart, shared], UntiedReLUHidden(3, 2)) == Properties("UntiedReLUHidden", 3, 0, 2, (0, 2, 1))


def test_a_dead_neuron_does_not_count():
    """Its noise, divided by its largest weight, would be features that are represented, in superposition."""
    dead = np.array([[1.0, 0, 0], [1e-4, -1e-4, 1e-4]])
    assert untied([dead, PAIR], UntiedReLUHidden(3, 2)).superposed == 1
    assert untied([dead], UntiedReLUHidden(3, 2)).aligned == (0, 0, 1)
    alive = untied([dead], UntiedReLUHidden(3, 2), [1e7 * dead.T])
    assert alive.superposed == 1 and alive.aligned == (0, 1, 0)
    assert untied([0 * dead], UntiedReLUHidden(3, 2)).aligned == (1, 0, 0)


def test_an_untied_linear_layer():
    assert untied([PAIR], UntiedLinearHidden(3, 2)) == Properties("UntiedLinearHidden", 1, 1, 1, None)


def test_models_that_diverged_are_not_counted():
    ds, program = dataset(W=[ALONE, PAIR]), Program(ReLUOutput(3, 2), IndependentFeatures(3))
    ds["finite"] = ("seed", [False, True])
    told = properties(ds, program)
    assert told is not None and told.models == told.superposed == 1
    ds["finite"] = ("seed", [False, False])
    assert properties(ds, program) is None


@pytest.mark.parametrize("name", ["W", "finite"])
def test_without_weights_there_is_nothing_to_say(name):
    program = Program(ReLUOutput(3, 2), IndependentFeatures(3))
    assert properties(dataset(W=[ALONE]).drop_vars(name), program) is None


def test_weights_that_no_features_trained_are_no_models_of_them():
    program = Program(ReLUOutput(3, 2), IndependentFeatures(3), objective=OfWeights())
    assert properties(dataset(W=[ALONE]), program) is None
    exact = Program(ReLUOutput(3, 2), IndependentFeatures(3), objective=Exact())
    assert properties(dataset(W=[ALONE]), exact) is not None
