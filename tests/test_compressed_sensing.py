"""Compressed sensing: claims on counts of features that follow the bound, and on some that do not."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from superpose import plots
from superpose.experiment import Experiment, load_experiment

N, P = 200, np.geomspace(1, 0.01, 12)
SPARSE = P <= 0.3


@pytest.fixture(scope="module")
def loaded() -> Experiment:
    return load_experiment(Path(__file__).parent.parent / "experiments/compressed_sensing.py")


def tree(counts: dict[int, np.ndarray]) -> xr.DataTree:
    """Features per dimension over the densities, for each m."""
    groups = {}
    for m, values in counts.items():
        one = lambda a: (("sparsity", "seed"), np.asarray(a)[:, None])
        data = {"dimensions_per_feature": one(1 / values), "loss": one(P), "finite": one(P > 0)}
        data["W"] = (("sparsity", "seed", "hidden", "feature"), np.zeros((len(P), 1, m, N)))
        groups[f"m={m}"] = xr.Dataset(data, {"sparsity": 1 - P, "seed": [0], "density": ("sparsity", P)})
    return xr.DataTree.from_dict(groups)


def ideal(m: int) -> np.ndarray:
    """0.9 / (-p log p) where that is more than 1 and less than all."""
    with np.errstate(divide="ignore"):
        many = np.where(SPARSE, 0.9 / (-P * np.log(P)), 1.0)
    return np.minimum(many, N / m)


def verdicts(loaded: Experiment, counts: dict[int, np.ndarray]) -> list[bool | None]:
    return [claim.check(tree(counts)).holds for claim in loaded.claims]


def test_claims(loaded):
    good = {m: ideal(m) for m in (5, 10, 20)}
    assert verdicts(loaded, good) == [True, True, True]
    assert [claim.check(tree(good)).seeds for claim in loaded.claims] == [1, 1, 1]
    assert verdicts(loaded, good | {5: 0.7 * ideal(5)}) == [False, True, True]
    steady = np.where(SPARSE, 2.0 + 0.01 * P, 1.0)
    assert verdicts(loaded, {5: steady, 10: steady}) == [True, False, True]
    steep = np.where(SPARSE, 0.3 / P**1.5, 1.0)
    assert verdicts(loaded, {5: steep, 10: steep}) == [True, True, False]
    assert verdicts(loaded, {5: ideal(5)})[0] is None
    assert verdicts(loaded, {100: ideal(100)}) == [None, None, None]


def test_the_figure_draws(loaded):
    for counts in ({5: ideal(5), 100: ideal(100)}, {100: ideal(100)}):
        with plots.style():
            loaded.figure(tree(counts)).canvas.draw()
