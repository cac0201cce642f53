"""The hierarchy of properties on weights whose properties are known."""

import numpy as np
import pytest
import xarray as xr

from superpose.hierarchy import Properties, properties


def dataset(W: list[np.ndarray], kind: str, name: str = "W") -> xr.Dataset:
    data = {name: (("seed", "hidden", "feature"), np.array(W, np.float32)), "finite": ("seed", [True] * len(W))}
    return xr.Dataset(data, {"seed": np.arange(len(W))}, {"model": kind})


ALONE = np.array([[1.0, 0, 0], [0, 1, 0]])
PAIR = np.array([[1.0, 0, 0], [0, 1, -1]])
TURNED = np.array([[0.6, 0.8, 0], [0.8, -0.6, 0]])


def test_a_linear_hidden_layer_has_no_basis():
    assert properties(dataset([ALONE, PAIR, TURNED], "ReLUOutput")) == Properties("ReLUOutput", 3, 3, 1, None)


def test_a_relu_in_the_hidden_layer():
    """The pair and the turned ones have neurons with weights of both signs; only the turned are along no neuron."""
    assert properties(dataset([ALONE, PAIR, TURNED], "ReLUHidden")) == Properties("ReLUHidden", 3, 1, 1, (1, 0, 2))


def test_some_features_along_a_neuron():
    mixed = np.array([[1.0, 0.7, 0], [0, 0.7, 0]])
    assert properties(dataset([mixed], "ReLUHidden")) == Properties("ReLUHidden", 1, 1, 0, (0, 1, 0))


def test_signed_features_are_never_linear_through_a_relu():
    found = properties(dataset([0.01 * ALONE, 0.01 * PAIR], "UntiedReLUHidden", "W1"))
    assert found == Properties("UntiedReLUHidden", 2, 0, 1, (0, 0, 2))


def test_models_that_diverged_are_not_counted():
    ds = dataset([ALONE, PAIR], "ReLUOutput")
    ds["finite"] = ("seed", [False, True])
    found = properties(ds)
    assert found is not None and found.models == found.superposed == 1
    ds["finite"] = ("seed", [False, False])
    assert properties(ds) is None


@pytest.mark.parametrize("name", ["W", "finite"])
def test_without_weights_there_is_nothing_to_say(name):
    assert properties(dataset([ALONE], "ReLUOutput").drop_vars(name)) is None
