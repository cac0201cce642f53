"""The numbers of a program: found, named and replaced by path."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpose.features import IndependentFeatures
from superpose.leaves import Scalar, is_scalar, part, put, scalar, scalar_paths, vector
from superpose.optimizers import AdamW


class Inner(eqx.Module):
    number: Scalar = eqx.field(converter=scalar)
    numbers: Any = eqx.field(converter=vector)
    matrix: Any = eqx.field(default_factory=lambda: jnp.zeros((2, 2)))
    count: int = eqx.field(static=True, default=3)


class Outer(eqx.Module):
    inner: Inner
    pair: tuple[Inner, Inner]
    table: dict[str, Any]
    whole: Any = eqx.field(default_factory=lambda: jnp.arange(3))

    @property
    def derived(self) -> Any:
        return 2 * self.inner.numbers


@pytest.fixture
def tree() -> Outer:
    a, b, c = (Inner(k, [k, k + 0.5]) for k in range(3))
    return Outer(a, (b, c), {"rate": scalar(7)})


PATHS = ["inner.number", "inner.numbers.0", "inner.numbers.1", "pair.1.number", "pair.0.numbers.1", "table.rate"]


def test_converters_give_float32():
    assert scalar(1).dtype == jnp.float32 and scalar(1).shape == ()
    assert vector([1, 2]).dtype == jnp.float32 and vector(range(3)).shape == (3,)


def test_paths_are_those_of_the_float_numbers(tree):
    """Neither matrices nor integers nor static fields; a vector's elements stand as one."""
    assert scalar_paths(tree) == [
        "inner.number",
        "inner.numbers.0 ... inner.numbers.1",
        "pair.0.number",
        "pair.0.numbers.0 ... pair.0.numbers.1",
        "pair.1.number",
        "pair.1.numbers.0 ... pair.1.numbers.1",
        "table.rate",
    ]


@pytest.mark.parametrize("path", PATHS)
def test_put_replaces_one_number_and_nothing_else(tree, path):
    assert is_scalar(tree, path)
    changed = put(tree, path, jnp.float32(99))
    assert float(part(changed, path.split("."))) == 99
    back = put(changed, path, part(tree, path.split(".")))
    assert eqx.tree_equal(back, tree)
    assert (
        sum(
            int((np.asarray(a) != np.asarray(b)).sum())
            for a, b in zip(*map(jax.tree.leaves, (tree, changed)), strict=True)
        )
        == 1
    )


@pytest.mark.parametrize("path", PATHS)
def test_put_takes_a_traced_number(tree, path):
    found = jax.jit(jax.vmap(lambda value: part(put(tree, path, value), path.split("."))))(jnp.arange(3.0))
    np.testing.assert_array_equal(found, [0, 1, 2])


@pytest.mark.parametrize(
    "path",
    [
        "",
        "inner",
        "inner.numbers",
        "inner.numbers.2",
        "inner.numbers.-1",
        "inner.numbers.x",
        "inner.number.0",
        "inner.matrix.0",
        "inner.count",
        "pair.2.number",
        "table.none",
        "whole.0",
        "derived.0",
        "nothing.at.all",
    ],
)
def test_anything_else_is_no_number(tree, path):
    assert not is_scalar(tree, path)


def test_numbers_of_the_packages_own_modules():
    assert scalar_paths(IndependentFeatures(3)) == ["density", "relative_density.0 ... relative_density.2"]
    assert scalar_paths(AdamW(1e-3, 1e-2)) == ["learning_rate", "weight_decay", "b1", "b2", "eps"]
