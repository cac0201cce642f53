"""Readings of features in sets, on shapes made by hand."""

import numpy as np
import pytest
import xarray as xr
from paired import arrays, polar

from superpose import set_shapes

SQUARE, CROSS = polar([0, 90, 180, 270]), polar([0, 180, 90, 270])


def model(W: np.ndarray, sets: int = 2) -> xr.Dataset:
    return arrays({0.1: [(W, 1.0)]}, sets).isel(sparsity=0, seed=0)


@pytest.mark.parametrize(
    ("W", "own", "other"),
    [(SQUARE, 0, 4), (CROSS, 4, 0), (polar([0, 180, 30, 210]), 0, 0), (polar([0, 90, 180, 270], [1, 1, 1, 0]), 0, 2)],
)
def test_links_with_exactly_one_other_feature(W, own, other):
    assert set_shapes.linked(model(W), own=True) == own and set_shapes.linked(model(W), own=False) == other


def test_orthogonal_side_by_side_and_collapsed():
    """Each kind of pairs is one of the three; antipodal ones are none."""
    kinds = lambda W: [f(model(W)) for f in (set_shapes.orthogonal, set_shapes.side_by_side, set_shapes.collapsed)]
    assert kinds(SQUARE) == [True, False, False]
    assert kinds(polar([0, 60, 180, 240])) == [False, True, False]
    assert kinds(polar([0, 0, 90, 180])) == [False, False, True]
    assert kinds(CROSS) == [False, False, False]


def test_a_variant_is_told_by_its_kind_and_size():
    ds = arrays({0.1: [(SQUARE, 1.0)]}, 2)
    tree = xr.DataTree.from_dict({"bare": ds.drop_vars("relation"), "relu": ds})
    assert set_shapes.variant(tree, "correlated", 4, 2, 2) is not None
    for kind, n, m, sets in (("anticorrelated", 4, 2, 2), ("correlated", 6, 2, 3), ("correlated", 4, 2, 4)):
        assert set_shapes.variant(tree, kind, n, m, sets) is None
    assert set_shapes.relation(ds) == "correlated"
