"""Adversarial vulnerability: the measure against closed forms and NumPy, and each claim on arrays made by hand."""

import sys
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from superpose import plots
from superpose.draws import seed_key
from superpose.experiment import load_experiment
from superpose.features import IndependentFeatures
from superpose.models import ReLUOutput
from superpose.task import Identity, Task

ROOT = Path(__file__).parent.parent
KEY = seed_key(0)


@pytest.fixture(scope="module")
def module():
    load_experiment(ROOT / "experiments/adversarial.py")
    return sys.modules["experiment"]


def model(W: np.ndarray, b: np.ndarray | float = 0.0) -> ReLUOutput:
    m, n = W.shape
    arrays = jnp.asarray(W, jnp.float32), jnp.broadcast_to(jnp.asarray(b, jnp.float32), n)
    return eqx.tree_at(lambda tree: (tree.W, tree.b), ReLUOutput(n, m), arrays)


def task(n: int, p: float) -> Task:
    return Task(IndependentFeatures(n, p), jnp.ones(n), Identity())


@pytest.mark.parametrize("p", [1.0, 0.3, 0.03])
@pytest.mark.parametrize("turn", [False, True])
def test_a_model_of_orthogonal_features_has_a_vulnerability_of_1(module, p, turn):
    """x_i + lambda in the place of x_i: lambda^2 more for every x, at any density, and in any basis."""
    W = np.eye(3, 8)
    W = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0] @ W if turn else W
    found = module.measure(model(W, np.where(np.arange(8) < 3, 0, p / 2)), task(8, p), KEY)
    assert float(found["vulnerability"]) == pytest.approx(1, rel=1e-3)
    assert float(found["vulnerability_per_example"]) == pytest.approx(1, rel=1e-3)
    assert float(found["vulnerability_moving"]) == pytest.approx(0, abs=1e-3)


def test_lambda_is_a_tenth_of_the_mean_norm(module):
    """One feature: E|x| = p / 2."""
    found = module.measure(model(np.ones((1, 1))), task(1, 0.2), KEY)
    assert float(found["attack_norm"]) == pytest.approx(0.1 * 0.2 / 2, rel=0.01)


def test_the_share_of_outputs_that_are_zero(module):
    """Without a bias an output is zero where its feature is not active, a dropped feature's is, and b > 0 never is."""
    found = module.measure(model(np.eye(2, 4), np.array([0, 0, 0, 0.1])), task(4, 0.2), KEY)
    np.testing.assert_allclose(found["zero_outputs"], [0.8, 0.8, 1, 0], atol=0.02)


def test_one_antipodal_pair(module):
    """W = (1, -1): along (1, -1) / sqrt(2) the first output is raised by sqrt(2) lambda, so 2 lambda^2 at x = 0.

    Where both are active, with p^2, the clean error is not 0, and the rise of order lambda: p^2 / lambda is 10 p.
    """
    found = module.measure(model(np.array([[1.0, -1.0]])), task(2, 1e-4), KEY)
    assert float(found["vulnerability"]) == pytest.approx(2, rel=0.01)
    assert float(found["vulnerability_per_example"]) == pytest.approx(2, rel=0.01)


def test_the_measure_of_any_model_against_numpy(module):
    rng = np.random.default_rng(1)
    W, b, n = rng.normal(size=(2, 5)), rng.normal(size=5), 5
    asked = task(n, 0.4)
    found = module.measure(model(W, b), asked, KEY)
    noise = asked.features.nonzero_noise(module.VECTORS, even=True, key=seed_key(module.SEED))
    x = np.asarray(asked.features.nonzero(*noise), np.float64)
    q = 1 - (1 - 0.4) ** n
    length = 0.1 * q * np.linalg.norm(x, axis=0).mean()
    loss = lambda seen, x: ((x - np.maximum(W.T @ (W @ seen) + b[:, None], 0)) ** 2).sum(axis=0)
    gram, zero = W.T @ W, np.zeros((n, 1))
    means, worst, moving = [], [], []
    for i in range(n):
        for sign in (1, -1):
            delta = sign * length * gram[:, [i]] / np.linalg.norm(gram[:, i])
            rises = [loss(own + delta, own) - loss(own, own) for own in (x, zero)]
            means.append(q * rises[0].mean() + (1 - q) * rises[1][0])
            worst.append(rises)
            moved = [loss(own + delta, own + delta) - loss(own, own) for own in (x, zero)]
            moving.append(q * moved[0].mean() + (1 - q) * moved[1][0] if sign > 0 else -np.inf)
    each = q * np.max([rises[0] for rises in worst], axis=0).mean() + (1 - q) * max(rises[1][0] for rises in worst)
    assert float(found["attack_norm"]) == pytest.approx(length, rel=1e-4)
    assert float(found["vulnerability"]) == pytest.approx(max(means) / length**2, rel=1e-3)
    assert float(found["vulnerability_per_example"]) == pytest.approx(each / length**2, rel=1e-3)
    assert float(found["vulnerability_moving"]) == pytest.approx(max(moving) / length**2, rel=1e-3)


DENSITIES = np.array([1.0, 0.9, 0.4, 0.3, 0.2, 0.1, 0.05])
CROWDED = np.array([1.0, 1.0, 2.0, 2.5, 3.0, 3.9, 5.0])
VULNERABLE = np.array([1.0, 1.0, 2.0, 2.4, 2.8, 3.2, 3.5])
ALONE, TOGETHER = np.eye(2, 4), np.array([[1, 0, 0.7, -0.7], [0, 1, 0.7, 0.7]])


def tree(
    vulnerability: np.ndarray = VULNERABLE,
    each: float = 2.5,
    norms: np.ndarray = DENSITIES,
    moving: float = 0.0,
    zero: float = 0.995,
    dense: np.ndarray = ALONE,
) -> xr.DataTree:
    """Models of three seeds, nearly alike, with `CROWDED` features per dimension; W sets only the gram matrices."""
    over = lambda values: (("sparsity", "seed"), np.outer(values, [1.0, 1.01, 0.99]))
    data = {"vulnerability": over(vulnerability), "vulnerability_per_example": over(each * vulnerability)}
    data |= {"attack_norm": over(norms), "dimensions_per_feature": over(1 / CROWDED), "loss": over(DENSITIES)}
    data |= {"finite": (("sparsity", "seed"), np.ones((7, 3), bool))}
    data |= {"vulnerability_moving": over(np.full(7, moving))}
    W = np.array([[dense if p > 0.5 else TOGETHER] * 3 for p in DENSITIES])
    data |= {"W": (("sparsity", "seed", "hidden", "feature"), W)}
    data |= {"zero_outputs": (("sparsity", "seed", "feature"), np.full((7, 3, 4), zero))}
    coords = {"sparsity": 1 - DENSITIES, "density": ("sparsity", DENSITIES), "seed": np.arange(3)}
    return xr.DataTree.from_dict({"relu": xr.Dataset(data, coords)})


def verdicts(module, arrays: xr.DataTree) -> list[bool | None]:
    return [claim.check(arrays).holds for claim in module.experiment.claims]


def test_all_claims_hold_of_ideal_models(module):
    assert verdicts(module, tree()) == [True] * 11


@pytest.mark.parametrize(
    ("broken", "failing"),
    [
        ({"vulnerability": CROWDED**0.5}, 0),
        ({"vulnerability": np.array([1.0, 1.6, 2.0, 2.4, 2.8, 3.2, 3.5])}, 1),
        ({"vulnerability": np.array([1.0, 1.01, 1.02, 1.03, 1.03, 1.04, 9.0])}, 2),
        ({"dense": TOGETHER}, 3),
        ({"zero": 0.98}, 4),
        ({"vulnerability": VULNERABLE + 0.2}, 5),
        ({"vulnerability": np.where(CROWDED == 2, 1.5, VULNERABLE)}, 7),
        ({"vulnerability": CROWDED**1.1}, 8),
        ({"each": 0.9}, 9),
        ({"norms": np.ones(7)}, 10),
        ({"moving": 0.2}, 6),
    ],
)
def test_a_claim_fails_where_its_sentence_does(module, broken, failing):
    assert verdicts(module, tree(**broken))[failing] is False


def test_what_the_arrays_cannot_say_is_left_open(module):
    few = tree()["relu"].to_dataset().isel(sparsity=[3])
    one = xr.DataTree.from_dict({"relu": few})
    for arrays in (xr.DataTree(), one, xr.DataTree.from_dict({"relu": few.isel(sparsity=0)})):
        assert set(verdicts(module, arrays)) == {None}
        with plots.style():
            module.experiment.figure(arrays).canvas.draw()
    with plots.style():
        module.experiment.figure(tree()).canvas.draw()
