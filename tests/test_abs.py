"""Absolute values: detectors on exact solutions, and the claims of abs_3_6 and asym_motif on models made by hand."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import xarray as xr

from superpose import neurons, plots
from superpose.experiment import MODULE, Experiment, load_experiment

ROOT = Path(__file__).parent.parent
Weights = tuple[np.ndarray, np.ndarray, np.ndarray]


def loaded(name: str) -> tuple[Experiment, ModuleType]:
    experiment = load_experiment(ROOT / f"experiments/{name}.py")
    return experiment, sys.modules[MODULE]


small, abs_3_6 = loaded("abs_3_6")
motif, asym_motif = loaded("asym_motif")


def solution(n: int) -> Weights:
    """|x_i| = ReLU(x_i) + ReLU(-x_i) of n features: W1, W2, b."""
    W1 = np.concatenate([np.eye(n), -np.eye(n)])
    return W1, np.concatenate([np.eye(n), np.eye(n)]).T, np.zeros(n)


def paper() -> Weights:
    """Six features, ten neurons: 0 to 4 have a neuron for each sign; two of these carry the signs of feature 5.

    Neuron 0, W_in = [2, -1/2], W_out = [1/2, 2] of features 0 and 5, and neuron 1 of features 1 and 5. What feature 0
    adds to output 5 there, 4 x_0, neuron 2 takes away again, as it takes in x_0 / 2 beside x_2, with -8 out; and
    neuron 7, that of -x_2, for feature 1. Neuron 3 makes output 4 a bit smaller where feature 3 is active.
    """
    W1, W2, b = solution(5)
    W1, W2 = np.pad(W1, ((0, 0), (0, 1))), np.pad(W2, ((0, 1), (0, 0)))
    for j, k, sign in ((0, 2, -1.0), (1, 7, 1.0)):
        W1[j, [j, 5]], W2[[j, 5], j] = (2.0, 0.5 * sign), (0.5, 2.0)
        W1[k, j], W2[5, k] = 0.5, -8.0
    W2[4, 3] = -0.3
    return W1, W2, np.append(b, 0.0)


def tree(models: list[Weights], losses: list[float] | None = None) -> xr.DataTree:
    """Models of S = 0.9, a seed each, of rising loss."""
    W1, W2, b = (np.stack([model[k] for model in models])[None].astype(np.float32) for k in range(3))
    cell, loss = ("sparsity", "seed"), np.array([losses or [1e-9 * 10**k for k in range(len(models))]])
    data = {"W1": ((*cell, "hidden", "feature"), W1), "W2": ((*cell, "feature", "hidden"), W2)}
    data |= {"b": ((*cell, "feature"), b), "loss": (cell, loss), "finite": (cell, np.isfinite(loss))}
    data["feature_importance"] = ((*cell, "feature"), np.ones_like(b))
    ds = xr.Dataset(data, {"sparsity": [0.9], "seed": np.arange(len(models))})
    return xr.DataTree.from_dict({"absolute_value": ds.assign_coords(density=1 - ds["sparsity"])})


def verdicts(experiment: Experiment, found: xr.DataTree) -> list[bool | None]:
    return [claim.check(found).holds for claim in experiment.claims]


def nothing(n: int, m: int) -> Weights:
    return np.zeros((m, n)), np.zeros((n, m)), np.zeros(n)


def scaled(model: Weights, seed: int = 0) -> Weights:
    """The same model, with neurons of other scales and in another order."""
    rng = np.random.default_rng(seed)
    order, scale = rng.permutation(len(model[0])), np.exp(rng.normal(size=len(model[0])))
    return (model[0] * scale[:, None])[order], (model[1] / scale)[:, order], model[2]


def test_abs_3_6_holds_of_the_exact_solution_whatever_its_scales():
    assert abs_3_6.two_for_each(*solution(3)[:2])
    found = tree([scaled(solution(3)), nothing(3, 6)], [1e-9, 0.1])
    assert verdicts(small, found) == [True, True, True]


def test_abs_3_6_fails_without_a_sign_with_a_loss_and_with_all_seeds():
    W1, W2, b = solution(3)
    one_sign = np.abs(W1), W2, b
    leaking = W1, W2 + 0.1, b
    for broken in (one_sign, leaking, nothing(3, 6)):
        assert verdicts(small, tree([broken, solution(3)]))[0] is False
    assert verdicts(small, tree([solution(3), nothing(3, 6)], [1e-6, 0.1]))[1] is False  # of p / 3 * 3 = 0.1: 1e-5
    assert verdicts(small, tree([solution(3)] * 2))[2] is False
    assert verdicts(small, tree([nothing(3, 6)] * 2))[2] is False


def test_the_papers_motif_is_found_twice():
    W1, W2, _ = paper()
    found = asym_motif.motifs(W1, W2)
    assert [(each.shared, each.a, each.b, each.inhibitor) for each in found] == [(0, 0, 5, 2), (1, 1, 5, 7)]
    W1, W2, _ = scaled(paper(), 3)
    assert len(asym_motif.motifs(W1, W2)) == 2
    assert not asym_motif.motifs(*solution(6)[:2])


def test_asym_motif_holds_of_the_paper():
    assert verdicts(motif, tree([paper(), nothing(6, 10)])) == [True] * 8


def changed(model: Weights, into: dict | None = None, out: dict | None = None, bias: float = 0.0) -> Weights:
    W1, W2, b = (part.copy() for part in model)
    for (j, i), value in (into or {}).items():
        W1[j, i] = value
    for (i, j), value in (out or {}).items():
        W2[i, j] = value
    return W1, W2, b + bias


# what is broken -> the model, and the claims that then fail or are left open
BROKEN = {
    "no inhibition": (changed(paper(), out={(5, 2): 0.0, (5, 7): 0.0}), {0: False, 1: False, 2: None, 3: None}),
    "one of two": (changed(paper(), out={(5, 7): 0.0}), {1: False, 6: False}),
    "ratio": (changed(paper(), into={(0, 5): -0.2}, out={(5, 0): 8.0}), {2: False}),
    "symmetric": (changed(paper(), into={(0, 5): -1.0}, out={(5, 0): 1.1}), {3: False}),
    "weak inhibition": (changed(paper(), out={(5, 2): -2.0}), {4: False}),
    "a sign is lacking": (changed(paper(), out={(4, 9): 0.0}), {5: False}),
    "of two features": (changed(paper(), into={(8, 1): 0.5}, out={(5, 7): 0.0, (5, 8): -8.0}), {1: True, 6: False}),
    "no conditional bias": (changed(paper(), out={(4, 3): 0.0}), {7: False}),
    "a large other weight": (changed(paper(), out={(4, 3): -1.5}), {7: False}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_asym_motif_claim_fails_where_its_sentence_does(name):
    model, places = BROKEN[name]
    found = verdicts(motif, tree([model]))
    assert {k: found[k] for k in places} == places


def test_the_parts_of_the_motif_add_up():
    ds = tree([paper()])["absolute_value"].to_dataset().isel(sparsity=0, seed=0)
    W1, W2 = neurons.weights(ds)
    whole, special, rest = asym_motif.parts(ds, asym_motif.motifs(W1, W2))
    for k in range(2):
        np.testing.assert_allclose(special[k] + rest[k], whole[k])
    assert sorted(np.flatnonzero(special[0].any(axis=1))) == [0, 1, 2, 7]


@pytest.mark.parametrize(("experiment", "model"), [(small, solution(3)), (motif, paper()), (motif, nothing(6, 10))])
def test_the_figures_draw(experiment, model):
    with plots.style():
        figure = experiment.figure(tree([model]))
        figure.canvas.draw()
    assert len(figure.axes) in (4, 6)


def test_what_the_arrays_cannot_say_is_left_open():
    for experiment in (small, motif):
        for none in (xr.DataTree(), tree([solution(2)]), tree([solution(3)], [np.nan]), tree([solution(5)])):
            assert set(verdicts(experiment, none)) == {None}
