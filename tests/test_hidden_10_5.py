"""The claims on ten features in five neurons, on weights made by hand: codes that are right, and each broken."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from superpose import geometry, neurons, plots
from superpose.experiment import MODULE, load_experiment

experiment = load_experiment(Path(__file__).parent.parent / "experiments/hidden_10_5.py")
hidden = sys.modules[MODULE]
PAIRS = [(a, b) for b in range(5) for a in range(b)]


def alone(count: int) -> np.ndarray:
    """The first features, a neuron each."""
    W = np.zeros((5, 10))
    W[np.arange(count), np.arange(count)] = 1
    return W


def binary() -> np.ndarray:
    W = alone(3)
    W[3:, 3:6] = np.array([[0.9, -0.8, 0.8], [0.9, 0.8, -0.8]])
    return W


def complementary(first: int) -> np.ndarray:
    """After `first` features alone: k important ones, each on all but one of the last k neurons, k others on one each.

    The neuron before these k is negative for the former and positive for the latter.
    """
    W, k = alone(first), 4 - first
    high, low = np.arange(first, first + k), np.arange(first + k, first + 2 * k)
    W[first, high], W[first, low] = -0.7, 0.7
    W[first + 1 :, high] = 0.55 - 2.6 * np.eye(k)
    W[first + 1 :, low] = 0.9 * np.eye(k)
    return W


def pairs() -> np.ndarray:
    W = np.zeros((5, 10))
    for i, (a, b) in enumerate(PAIRS):
        W[[a, b], i] = 0.8
    return W


def five_in_three() -> np.ndarray:
    W = alone(2)
    W[2:, 2:7] = np.array([[1.0, 0.8, 0.1, 0.1, -0.8], [-0.5, 0.8, 0.9, -0.9, 0.6], [-0.5, 0.7, -0.9, 0.9, 0.6]])
    return W


IDEAL = {
    0.75: alone(5),
    0.35: binary(),
    0.15: five_in_three(),
    0.12: complementary(1),
    0.06: complementary(0),
    0.03: pairs(),
}


def tree(models: dict[float, np.ndarray], seeds: int = 2) -> xr.DataTree:
    """A tree of these models; other seeds are zero, of a higher loss."""
    levels = sorted(models, reverse=True)
    W = np.zeros((len(levels), seeds, 5, 10), np.float32)
    W[:, 0] = [models[p] for p in levels]
    both = jax.vmap(jax.vmap(lambda W: geometry.summary(W) | neurons.summary(W, W.T)))(jnp.asarray(W))
    dims = {name: dims for name, (dims, *_) in {**geometry.VARIABLES, **neurons.VARIABLES}.items()}
    data = {name: (("sparsity", "seed", *dims[name]), np.asarray(a)) for name, a in both.items()}
    loss = np.broadcast_to(0.1 * (1 + np.arange(seeds)), W.shape[:2])
    data |= {"W": (("sparsity", "seed", "hidden", "feature"), W), "loss": (("sparsity", "seed"), loss)}
    data["loss_standard_error"] = (("sparsity", "seed"), np.full(W.shape[:2], 1e-3))
    data["finite"] = (("sparsity", "seed"), np.ones(W.shape[:2], bool))
    data["feature_importance"] = (
        ("sparsity", "seed", "feature"),
        np.broadcast_to(0.75 ** np.arange(10), W[..., 0, :].shape),
    )
    ds = xr.Dataset(data, {"sparsity": 1 - np.array(levels), "seed": np.arange(seeds)})
    return xr.DataTree.from_dict({"relu_hidden": ds.assign_coords(density=("sparsity", np.array(levels)))})


def verdicts(models: dict[float, np.ndarray]) -> list[bool | None]:
    found = tree(models)
    return [claim.check(found).holds for claim in experiment.claims]


def test_all_claims_hold_of_the_codes():
    assert verdicts(IDEAL) == [True] * 10


def changed(W: np.ndarray, *entries: tuple[int, int, float]) -> np.ndarray:
    W = W.copy()
    for j, i, value in entries:
        W[j, i] = value
    return W


# the place of the claim -> density, and weights that break it there
BROKEN = {
    0: (0.75, changed(alone(5), (0, 5, 0.6))),
    1: (0.35, changed(binary(), (2, 5, 0.6))),
    2: (0.35, changed(binary(), (3, 4, 0.2))),
    3: (0.15, alone(5)),
    4: (0.12, complementary(0)),
    5: (0.12, complementary(1)[:, [0, 4, 2, 3, 1, 5, 6, 7, 8, 9]]),
    6: (0.06, complementary(1)),
    7: (0.06, changed(complementary(0), (1, 4, 0.0), (2, 4, 0.9))),
    8: (0.03, pairs()[:, [0, 0, *range(2, 10)]]),
    9: (0.03, changed(pairs(), (4, 0, -0.8))),
}


@pytest.mark.parametrize("place", BROKEN)
def test_a_claim_fails_where_its_sentence_does(place):
    density, W = BROKEN[place]
    assert verdicts(IDEAL | {density: W})[place] is False


def test_important_and_unimportant_features_must_not_be_mixed():
    """Exchanging an important with an unimportant feature leaves the codes, but not their order."""
    W = IDEAL[0.12][:, [0, 4, 2, 3, 1, 5, 6, 7, 8, 9]]
    assert verdicts(IDEAL | {0.12: W})[4:6] == [True, False]


def test_negative_entries_activate_nothing():
    W = np.array([[1.0, -2.0], [0.1, 0.5], [0.3, -0.1]])
    assert hidden.activated(W).tolist() == [[True, False], [False, True], [True, False]]


def test_what_the_arrays_cannot_say_is_left_open():
    found = verdicts({0.75: IDEAL[0.75]})
    assert found == [True] + [None] * 9
    assert [claim.check(xr.DataTree()).holds for claim in experiment.claims] == [None] * 10


@pytest.mark.parametrize("levels", [1, 6])
def test_the_figure_draws_what_there_is(levels):
    models = dict(list(IDEAL.items())[:levels])
    with plots.style():
        figure = experiment.figure(tree(models))
        figure.canvas.draw()
    assert isinstance(figure, Figure)
    assert [ax.get_title() for ax in figure.axes][:levels] == [f"$1-S = {p:g}$" for p in models]


def test_a_code_of_few_seeds_with_a_close_rival_decides_nothing():
    """Two seeds of losses 0.1 and so on: the second is zero, so that no sentence on a code is true of it."""
    for second, expected in ((0.2, True), (0.1015, None), (0.1004, None)):
        found = tree({0.03: IDEAL[0.03]})
        ds = found["relu_hidden"].to_dataset()
        ds["loss"] = ds["loss"].where(ds["seed"] == 0, second)
        one = experiment.claims[8].check(xr.DataTree.from_dict({"relu_hidden": ds}))
        assert one is not None and one.holds is expected
    many = tree({0.03: IDEAL[0.03]}, seeds=8)["relu_hidden"].to_dataset()
    many["W"] = many["W"].where(many["seed"] > 4, many["W"].isel(seed=0))
    many["represented"] = many["represented"].where(many["seed"] > 4, many["represented"].isel(seed=0))
    many["loss"] = many["loss"].where(many["seed"] > 4, 0.1).where(many["seed"] < 5, 0.1004)
    five = experiment.claims[8].check(xr.DataTree.from_dict({"relu_hidden": many}))
    assert five is not None and five.holds and "8 of 8 seeds" in five.measured
