"""Almost orthogonal vectors: cosines against NumPy, known arrangements, and claims on ideal and broken coherences."""

import sys
from functools import lru_cache
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from superpose import plots
from superpose.experiment import Experiment, load_experiment
from superpose.features import IndependentFeatures
from superpose.task import Identity, Task

RATIOS = (1.5, 2.0, 4.0, 8.0, 16.0, 24.0)
SIZES = (4, 8, 12, 16)


@pytest.fixture(scope="module")
def loaded() -> Experiment:
    return load_experiment(Path(__file__).parent.parent / "experiments/almost_orthogonal.py")


@lru_cache
def module():
    """The experiment's module, loaded once: its classes are one."""
    load_experiment(Path(__file__).parent.parent / "experiments/almost_orthogonal.py")
    return sys.modules["experiment"]


def vectors(W: np.ndarray, per_dimension: float):
    m, n = W.shape
    return eqx.tree_at(lambda v: v.W, module().Vectors(n, m, per_dimension), jnp.asarray(W, jnp.float32))


def test_cosines_are_those_of_the_first_k():
    W = np.random.default_rng(0).normal(size=(3, 10))
    unit = (W / np.linalg.norm(W, axis=0))[:, :6]
    expected = np.abs(unit.T @ unit)
    np.fill_diagonal(expected, 0)
    found = np.asarray(vectors(W, 2.0).cosines())
    np.testing.assert_allclose(found[:6, :6], expected, atol=1e-6)
    assert not found[6:].any() and not found[:, 6:].any()


def test_the_objective_is_nearly_the_maximum():
    """Of the 6 diagonals of an icosahedron each pair has |cos| = 1 / sqrt 5: the sum over 30 pairs gives 30^(1/40)."""
    golden = (1 + 5**0.5) / 2
    icosahedron = np.array(
        [(0, 1, golden), (0, 1, -golden), (1, golden, 0), (1, -golden, 0), (golden, 0, 1), (-golden, 0, 1)]
    )
    model, task = vectors(icosahedron.T, 2.0), Task(IndependentFeatures(6), jnp.ones(6), Identity())
    found = float(module().Coherence().loss(model, task, ()))
    assert found == pytest.approx(5**-0.5 * 30 ** (1 / 40), rel=1e-5)
    measured = module().measure(model, task, jax.random.key(0))
    assert float(measured["coherence"]) == pytest.approx(5**-0.5, rel=1e-6)
    assert 5**-0.5 < float(measured["random_coherence"]) <= 1
    assert float(module().welch(np.array(6.0), 3)) == pytest.approx(5**-0.5)


def tree(coherence: dict[int, np.ndarray]) -> xr.DataTree:
    """The coherence over vectors per dimension, for each m; that of random vectors is 10% more, at least 0.7."""
    groups = {}
    for m, mu in coherence.items():
        at = lambda a: (("sparsity", "per_dimension", "seed"), np.asarray(a)[None, :, None])
        data = {"coherence": at(mu), "random_coherence": at(np.maximum(0.7, 1.1 * mu))}
        data["W"] = (("sparsity", "per_dimension", "seed", "hidden", "feature"), np.zeros((1, len(mu), 1, m, 24 * m)))
        groups[f"m={m}"] = xr.Dataset(data, {"sparsity": [0.0], "per_dimension": list(RATIOS), "seed": [0]})
    return xr.DataTree.from_dict(groups)


def ideal(m: int) -> np.ndarray:
    """k = m exp(1.6 m mu^2), and above Welch's bound."""
    ratios = np.array(RATIOS)
    return np.maximum(np.sqrt(np.log(ratios) / (1.6 * m)), 1.02 * module().welch(ratios * m, m))


def verdicts(loaded: Experiment, coherence: dict[int, np.ndarray]) -> list[bool | None]:
    return [claim.check(tree(coherence)).holds for claim in loaded.claims]


def test_claims(loaded):
    good = {m: ideal(m) for m in SIZES}
    assert verdicts(loaded, good) == [True, True, True]
    few = {m: np.array([0.5, 0.7, 0.8, 0.9, 0.95, 0.97]) for m in SIZES}  # k = 1.5 m at epsilon = 0.5, whatever m
    assert verdicts(loaded, few)[1] is False
    assert verdicts(loaded, good | {8: 0.5 * ideal(8)})[2] is False
    assert verdicts(loaded, {8: np.full(6, 0.9)}) == [None, None, True]
    assert [claim.check(tree(good)).seeds for claim in loaded.claims] == [1, 1, 1]


def test_the_figure_draws(loaded):
    with plots.style():
        loaded.figure(tree({m: ideal(m) for m in SIZES})).canvas.draw()
