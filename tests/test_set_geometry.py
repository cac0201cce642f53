"""The geometry of sets, against shapes whose angles are known."""

import jax.numpy as jnp
import numpy as np
import pytest
from paired import polar

from superpose import draws, set_geometry
from superpose.arguments import InputError
from superpose.features import IndependentFeatures
from superpose.models import ReLUOutput, UntiedReLUHidden
from superpose.sets import AnticorrelatedSets, CorrelatedSets
from superpose.task import Identity, Task


def of(W: np.ndarray, sets: int) -> dict[str, np.ndarray]:
    return {name: np.asarray(a) for name, a in set_geometry.summary(jnp.asarray(W, jnp.float32), sets).items()}


def near(found: np.ndarray, *numbers: float) -> None:
    np.testing.assert_allclose(found, numbers, atol=1e-6)


def test_a_hexagon_of_neighbours():
    found = of(polar([0, 60, 120, 180, 240, 300]), 3)
    near(found["within_lowest"], *[0.5] * 3)
    near(found["within_highest"], *[0.5] * 3)
    near(found["across_lowest"], *[-1.0] * 6)
    near(found["block_error"], *[0.5] * 3)
    assert not found["collapsed"].any()


def test_two_orthogonal_pairs_antipodal_to_each_other():
    found = of(polar([0, 90, 180, 270]), 2)
    near(found["within_lowest"], 0, 0)
    near(found["across_lowest"], -1, -1, -1, -1)
    near(found["block_error"], 0, 0)


def test_antipodal_pairs():
    found = of(polar([0, 180, 90, 270]), 2)
    near(found["within_highest"], -1, -1)
    near(found["across_lowest"], 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("degrees", "norms", "holds"), [(0, 0.7, True), (25, 0.7, True), (27, 0.7, False), (0, 0.4, False)]
)
def test_a_pair_has_collapsed_in_one_direction_where_both_are_represented(degrees, norms, holds):
    W = polar([10, 10 + degrees, 200, 290], [0.7, norms, 1, 1])
    assert of(W, 2)["collapsed"].tolist() == [holds, False]


def test_sets_of_three_collapse_together_or_not_at_all():
    assert of(polar([0, 5, 10, 90, 95, 140]), 2)["collapsed"].tolist() == [True, False]


def test_blocks_of_a_local_basis():
    basis = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4))).Q
    found = of(np.concatenate([basis, -basis[:, ::-1]], axis=1), 2)
    near(found["block_error"], 0, 0)
    near(found["across_lowest"], *[-1.0] * 8)
    shorter = of(np.concatenate([basis * [1, 1, 1, 0.5], -basis], axis=1), 2)
    near(shorter["block_error"], 0.75, 0)


def test_features_by_themselves():
    found = of(polar([0, 0, 180]), 3)
    assert not found["collapsed"].any()
    near(found["within_lowest"], 1, 1, 1)
    near(found["within_highest"], -1, -1, -1)
    near(of(np.zeros((2, 4)), 2)["within_lowest"], 0, 0)  # a column of zeros has no direction
    assert not of(np.full((2, 4), np.nan), 2)["collapsed"].any()


@pytest.mark.parametrize(
    ("features", "relation", "sets"),
    [
        (CorrelatedSets(6, 3), "correlated", 3),
        (AnticorrelatedSets(6, 2), "anticorrelated", 2),
        (CorrelatedSets(6, 6), "independent", 6),
        (IndependentFeatures(6), "independent", 6),
    ],
)
def test_a_measure_knows_the_features(features, relation, sets):
    task = Task(features, jnp.ones(6), Identity())
    found = set_geometry.measure(ReLUOutput(6, 2), task, draws.seed_key(0))
    assert set(found) == set(set_geometry.DIMS) == set(set_geometry.ATTRIBUTES)
    assert set_geometry.RELATIONS[int(found["relation"])] == relation
    assert found["collapsed"].shape == (sets,)


def test_a_model_without_one_matrix_is_refused():
    task = Task(CorrelatedSets(6, 3), jnp.ones(6), Identity())
    with pytest.raises(InputError, match="model=relu"):
        set_geometry.measure(UntiedReLUHidden(6, 2), task, draws.seed_key(0))
