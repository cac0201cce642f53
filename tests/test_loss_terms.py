"""The terms of the loss: what one active feature does to others, against NumPy, and claims on models made by hand."""

import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from superpose import plots
from superpose.experiment import MODULE, load_experiment

experiment = load_experiment(Path(__file__).parent.parent / "experiments/loss_terms.py")
loss_terms = sys.modules[MODULE]
DENSITIES = np.array([1.0, 0.1, 0.02, 0.01, 0.001])
N, M = 4, 2
PAIRS = np.array([[1, -1, 0, 0], [0, 0, 1, -1.0]])
CROWDED = np.array([[1, -1, 0.6, 0], [0, 0.1, 0.8, -1.0]])  # W_0 . W_2 = 0.6, W_1 . W_2 = -0.52
FEW, SINGLE, FREE_NEGATIVE, FREE_POSITIVE = (claim.text for claim in experiment.claims)


def test_what_one_feature_does_to_the_others_is_the_integral():
    rng = np.random.default_rng(0)
    W, b, importance = rng.normal(size=(3, 6)), rng.normal(size=6), rng.uniform(size=6)
    x = (np.arange(20_000) + 0.5) / 20_000
    output = np.maximum((W.T @ W)[..., None] * x + b[:, None, None], 0)
    expected = importance[:, None] * (output**2).mean(-1) * (1 - np.eye(6))
    np.testing.assert_allclose(loss_terms.single_interference(W, b, importance), expected, rtol=1e-5, atol=1e-8)


def variant(W: np.ndarray, b: float, few: np.ndarray) -> xr.Dataset:
    """One and the same model at each density; `few`: the share of L of examples with one active feature."""
    levels, cell = len(DENSITIES), ("sparsity", "seed")
    loss = np.outer(DENSITIES, [1.0, 1.1])
    whole = lambda a: np.broadcast_to(a, (levels, 2, *a.shape))
    active = loss[..., None] * np.stack([0 * few, few, 0 * few, 1 - few], -1)[:, None]
    data = {"loss": (cell, loss), "finite": (cell, np.ones((levels, 2), bool))}
    data |= {"W": ((*cell, "hidden", "feature"), whole(W)), "b": ((*cell, "feature"), whole(np.full(N, b)))}
    data |= {"represented": ((*cell, "feature"), whole(np.linalg.norm(W, axis=0) > 0.5))}
    data |= {"feature_importance": ((*cell, "feature"), whole(np.ones(N)))}
    data |= {"loss_by_active": ((*cell, "active"), active)}
    data |= {"loss_by_part": ((*cell, "part"), loss[..., None] * np.array([1.0, 0, 0]))}
    coords = {"sparsity": 1 - DENSITIES, "density": ("sparsity", DENSITIES), "seed": [0, 1]}
    return xr.Dataset(data, coords)


SHARES = np.array([0.0, 0.2, 0.4, 0.7, 0.97])


def tree(linear: np.ndarray = np.eye(M, N), relu: np.ndarray = CROWDED, b: float = -0.7, few: np.ndarray = SHARES):
    return xr.DataTree.from_dict({"linear": variant(linear, 0.0, few), "relu": variant(relu, b, few)})


def verdicts(arrays: xr.DataTree) -> dict[str, bool | None]:
    return {claim.text: claim.check(arrays).holds for claim in experiment.claims}


def test_all_claims_hold_of_ideal_models():
    assert set(verdicts(tree()).values()) == {True}


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        (FEW, {"few": np.array([0.0, 0.2, 0.4, 0.7, 0.6])}),
        (FEW, {"few": np.array([0.0, 0.2, 0.4, 0.4, 0.97])}),
        (
            SINGLE,
            {"linear": np.array([[1, 0, 0.6, 0], [0, 1, 0, 0.0]])},
        ),  # three, and no interference in `loss_by_part`
        (FREE_NEGATIVE, {"b": 0.5}),
        (FREE_POSITIVE, {"b": 0.0}),
    ],
)
def test_a_claim_fails_where_its_sentence_does(text, broken):
    assert verdicts(tree(**broken))[text] is False


def test_where_no_pair_is_negative_nothing_is_free():
    assert verdicts(tree(relu=np.abs(CROWDED)))[FREE_NEGATIVE] is False


def test_what_the_arrays_cannot_say_is_left_open():
    dense = tree().isel(sparsity=[0, 1])
    assert verdicts(dense) == {FEW: None, SINGLE: True, FREE_NEGATIVE: None, FREE_POSITIVE: None}
    assert set(verdicts(xr.DataTree()).values()) == {None}


@pytest.mark.parametrize("arrays", [tree(), tree().isel(sparsity=[2]), xr.DataTree()])
def test_figures(arrays):
    with plots.style():
        figure = experiment.figure(arrays)
        figure.canvas.draw()
    assert len(figure.axes) == 3
