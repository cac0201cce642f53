"""The numbers of a program: the scalar float leaves of its modules, found and replaced by path.

`features.density` is the leaf `density` of the module `features`; `features.relative_density.4` is element 4 of a
vector. Any of them may be an axis of the sweep. Everything that is no array is static.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Scalar = Float[Array, ""]


def scalar(value: Any) -> Array:
    """A float32 leaf: the converter of a field that a sweep may vary."""
    return jnp.asarray(value, jnp.float32)


def vector(values: Any) -> Array:
    """A float32 vector leaf, each of whose elements a sweep may vary."""
    return jnp.asarray(values, jnp.float32)


def part(tree: Any, path: Sequence[str]) -> Any:
    """What lies at a path of field names, dictionary keys and indices.

    Raises:
        LookupError, ValueError, TypeError: nothing lies there.
    """
    for name in path:
        if isinstance(tree, dict):
            tree = tree[name]
        elif isinstance(tree, tuple | list | jax.Array):
            tree = tree[int(name)] if 0 <= int(name) < len(tree) else ()[int(name)]
        else:
            tree = vars(tree)[name]  # a field: a property is no leaf
    return tree


def put(tree: Any, path: str, value: Scalar) -> Any:
    """`tree` with the number at `path` replaced by `value`, which may be traced."""
    *parents, last = path.split(".")
    parent = part(tree, parents)
    if isinstance(parent, jax.Array):
        return eqx.tree_at(lambda t: part(t, parents), tree, parent.at[int(last)].set(value))
    return eqx.tree_at(lambda t: part(t, [*parents, last]), tree, value)


def _name(entry: Any) -> str:
    return str(getattr(entry, "name", getattr(entry, "key", getattr(entry, "idx", entry))))


def scalar_paths(tree: Any) -> list[str]:
    """The paths of every number that an axis may vary; a vector's elements stand as one, `path.0 ... path.{n-1}`."""
    found = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if not eqx.is_inexact_array(leaf) or np.ndim(leaf) > 1:
            continue
        name = ".".join(_name(entry) for entry in path)
        found.append(name if np.ndim(leaf) == 0 else f"{name}.0 ... {name}.{len(leaf) - 1}")
    return found


def is_scalar(tree: Any, path: str) -> bool:
    """Whether `path` names one float of `tree`."""
    try:
        leaf = part(tree, path.split("."))
    except (LookupError, ValueError, TypeError):
        return False
    return eqx.is_inexact_array(leaf) and np.ndim(leaf) == 0
