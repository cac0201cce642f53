"""Geometric transformations: stages and claims on courses made by hand; the animation."""

import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from superpose import plots
from superpose.experiment import load_experiment

ROOT = Path(__file__).parent.parent
P = 0.1
OCTAHEDRON = np.concatenate([np.eye(3), -np.eye(3)], axis=1)
AXIS = np.ones(3) / 3**0.5


@pytest.fixture(scope="module")
def module():
    load_experiment(ROOT / "experiments/geom_transform.py")
    return sys.modules["experiment"]


def directions(one: np.ndarray, other: np.ndarray, norm: float = 0.577) -> np.ndarray:
    """All features of a set in one direction, of length 1/sqrt(3), where their sum is kept."""
    return norm * np.stack([one, one, one, other, other, other], axis=1)


def path(*moves: np.ndarray) -> np.ndarray:
    """W (snapshot, 3, 6): four snapshots of each."""
    return np.repeat(np.stack(moves), 4, axis=0)


SMALL, LINEAR = 0.01 * OCTAHEDRON, directions(np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))
ENDS = directions(AXIS, -AXIS)
THREE = np.array([[1, 0, 0.5**0.5], [0, 1, 0.5**0.5], [0, 0, 0]])
OPENED = np.concatenate([THREE, -THREE], axis=1)  # 45, 45 and 90 degrees: not equilateral
NARROW = np.concatenate([0.6 * (np.eye(3) + 0.3), -0.6 * (np.eye(3) + 0.3)], axis=1)


def tree(*models: np.ndarray, loss: float = P**2) -> xr.DataTree:
    W = np.stack(models).astype(np.float32)
    seeds, count = W.shape[:2]
    cell = ("seed", "snapshot")
    data = {
        "W_steps": ((*cell, "hidden", "feature"), W),
        "b_steps": ((*cell, "feature"), np.zeros((seeds, count, 6), "f4")),
    }
    data |= {"loss": ("seed", np.full(seeds, loss)), "finite": ("seed", np.ones(seeds, bool))}
    coords = {"seed": np.arange(seeds), "snapshot_step": ("snapshot", np.arange(count) * 50), "density": P}
    return xr.DataTree.from_dict({"relu": xr.Dataset(data, coords)})


def verdicts(module, arrays: xr.DataTree) -> list[bool | None]:
    return [claim.check(arrays).holds for claim in module.experiment.claims]


def test_stages_of_a_path_made_by_hand(module):
    W = path(SMALL, ENDS, NARROW, OCTAHEDRON)
    assert module.stages(W) == {"A": 3, "B": 6, "C": 8, "D": 12}
    assert module.stages(path(SMALL, OCTAHEDRON)) == {"A": 3, "D": 4}
    assert module.stages(path(NARROW, ENDS)) == {"C": 0, "B": 6}  # the order is not put in
    assert "C" not in module.stages(path(SMALL, ENDS, OPENED, OCTAHEDRON))
    assert "C" not in module.stages(path(NARROW * [1, 1, 0.8, 1, 1, 1]))
    assert module.stages(path(LINEAR)) == {"B": 2}
    collapsed = directions(AXIS, AXIS)
    assert module.stages(path(collapsed)) == {}  # one direction for both sets is no separation


def test_measures_of_an_octahedron(module):
    cosines = module.snapshots.cosines(OCTAHEDRON)
    assert not module.within(cosines).any() and (module.partners(cosines) == -1).all()


def test_a_model_is_turned_to_the_axes(module):
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    course = module.courses(tree(turn @ path(SMALL, LINEAR, OCTAHEDRON)))[0]
    np.testing.assert_allclose(module.turned(course)[-1], OCTAHEDRON, atol=1e-6)


def test_claims_hold_of_models_that_go_the_papers_way(module):
    """One goes by way of an antiprism: at right angles within each set, the second set a quarter turn off."""
    quarter = np.concatenate([np.eye(3), -turned_about_axis(np.pi / 3)], axis=1)
    ways = path(SMALL, ENDS, NARROW, quarter, OCTAHEDRON), path(SMALL, ENDS, OPENED, NARROW, OCTAHEDRON)
    found = verdicts(module, tree(*ways, ways[0]))
    # the weights of B here, +-1 / sqrt(3) on one axis, cost more than p / 3 by what one set does to the other
    assert found[:4] == [True] * 4 and found[5:] == [True] * 3


def turned_about_axis(angle: float) -> np.ndarray:
    """The rotation by an angle about (1, 1, 1) (Rodrigues)."""
    K = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / 3**0.5
    return np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * K @ K


def test_the_linear_solution_costs_a_third_of_p(module):
    """Two orthogonal directions keep each set's sum, b the mean of what is lost: p/3 within what ReLU changes."""
    found = verdicts(module, tree(path(SMALL, LINEAR, NARROW, OCTAHEDRON)))
    assert found[4] is True and found[5] is False


def test_each_claim_fails_where_its_sentence_does(module):
    stuck = verdicts(module, tree(*[path(SMALL, ENDS, NARROW)] * 3, loss=2 * P**2))
    assert stuck[:4] == [False] * 4 and stuck[6] is True
    back = verdicts(module, tree(path(SMALL, OCTAHEDRON, ENDS, OCTAHEDRON)))
    assert back[3] is False
    assert verdicts(module, tree(path(SMALL, 3 * LINEAR, NARROW, OCTAHEDRON)))[4] is False
    assert verdicts(module, tree(path(SMALL, OCTAHEDRON)))[6:] == [None, None]
    assert verdicts(module, tree(path(SMALL, OCTAHEDRON, ENDS, NARROW)))[6:] == [False, False]
    assert verdicts(module, tree(path(SMALL, ENDS, OPENED, OCTAHEDRON)))[6:] == [False, None]
    assert verdicts(module, tree(path(SMALL, ENDS, NARROW, OCTAHEDRON)))[6:] == [True, False]  # one way alone
    assert set(verdicts(module, xr.DataTree())) == {None}


def test_figure_and_animation(module, tmp_path):
    W = np.repeat(path(SMALL, ENDS, NARROW, OCTAHEDRON), 2, axis=0)
    with plots.style():
        module.experiment.figure(tree(W)).canvas.draw()
        module.experiment.figure(xr.DataTree()).canvas.draw()
        files = [plots.save_animation(module.animation(tree(W)), tmp_path, name) for name in ("one", "two")]
    assert module.animation(xr.DataTree()) is None
    assert files[0].name == "one.gif" and files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes()[:6] == b"GIF89a" and sorted(p.name for p in tmp_path.iterdir()) == [
        "one.gif",
        "two.gif",
    ]
