"""The geometry of features in sets: how those of one set, and those of different ones, lie to each other.

    within    cos(W_i, W_j), i and j of one set       1 collapsed, 0 orthogonal, -1 antipodal
    across    cos(W_i, W_j), i and j of two sets

A set has collapsed where the model stores only what its features have in common: all have one direction, that of the
first principal component, (a + b) / sqrt(2) of a pair. Paper: "Correlated and Anticorrelated Features".
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from superpose import geometry
from superpose.arguments import InputError
from superpose.models import AbstractToyModel
from superpose.sets import AbstractSets, AnticorrelatedSets, CorrelatedSets
from superpose.task import Task

COLLAPSED = 0.9
"""The cosine above which features have one direction: 26 degrees, less than half of the 60 between neighbours of a
hexagon, the nearest that features of a set come to each other otherwise."""

RELATIONS = ("independent", "correlated", "anticorrelated")

DIMS: dict[str, tuple[str, ...]] = {
    "within_lowest": ("set",),
    "within_highest": ("set",),
    "collapsed": ("set",),
    "block_error": ("set",),
    "across_lowest": ("feature",),
    "relation": (),
}
ATTRIBUTES: Mapping[str, Mapping[str, Any]] = {
    "within_lowest": {"long_name": "lowest cosine of two features of the set; 1 of a set of one", "units": "1"},
    "within_highest": {"long_name": "highest cosine of two features of the set; -1 of a set of one", "units": "1"},
    "collapsed": {"long_name": "all represented, and within_lowest > 0.9", "units": "1"},
    "block_error": {"long_name": "largest |W_i . W_j - delta_ij| of the set", "units": "1"},
    "across_lowest": {"long_name": "lowest cosine with a feature of another set; 1 where there is none", "units": "1"},
    "relation": {
        "long_name": "how the features of a set depend on each other",
        "units": "1",
        "flag_values": [0, 1, 2],
        "flag_meanings": " ".join(RELATIONS),
    },
}
"""Of what `measure` returns."""


def cosines(W: Float[Array, "m n"]) -> Float[Array, "n n"]:
    """cos(W_i, W_j); 0 where a column is zero, NaN where W is not finite."""
    norm = geometry.norms(W)
    unit = W / jnp.where(norm == 0, 1, norm)
    return jnp.matmul(unit.T, unit, precision="highest")


def blocks(square: Float[Array, "n n"], sets: int) -> Float[Array, "sets k k"]:
    """What a matrix holds of each set by itself: its k = n / sets rows and columns."""
    size, own = square.shape[0] // sets, np.arange(sets)
    return square.reshape(sets, size, sets, size)[own, :, own, :]


def collapsed(W: Float[Array, "m n"], sets: int) -> Bool[Array, " sets"]:
    """Which sets have collapsed: all features represented, in one direction. Never a set of one feature."""
    represented = geometry.represented(W).reshape(sets, -1)
    one_direction = blocks(cosines(W), sets).min((1, 2)) > COLLAPSED
    return represented.all(axis=1) & one_direction & (represented.shape[1] > 1)


def summary(W: Float[Array, "m n"], sets: int) -> dict[str, Array]:
    """Every measure of one model's sets but `relation`, by its name in `DIMS`.

    Args:
        W: one model's weights.
        sets: how many; divides n.
    """
    n = W.shape[1]
    angle, gram = cosines(W), jnp.matmul(W.T, W, precision="highest")
    own, alone = blocks(angle, sets), jnp.eye(n // sets, dtype=bool)
    same = np.kron(np.eye(sets, dtype=bool), np.ones((n // sets, n // sets), bool))
    return {
        "within_lowest": jnp.where(alone, 1.0, own).min((1, 2)),
        "within_highest": jnp.where(alone, -1.0, own).max((1, 2)),
        "collapsed": collapsed(W, sets),
        "block_error": jnp.abs(blocks(gram - jnp.eye(n), sets)).max((1, 2)),
        "across_lowest": jnp.where(same, 1.0, angle).min(axis=1),
    }


def measure(model: AbstractToyModel, task: Task, key: PRNGKeyArray) -> dict[str, Array]:
    """`summary` of a model's W, with `relation`; features in no sets count as a set each. An experiment's `measure`.

    Raises:
        InputError: the model has no one matrix W.
    """
    W: Any = getattr(model, "W", None)
    if W is None:
        raise InputError(
            f"The geometry of sets is that of one matrix W, and {type(model).__name__} has none. Type model=relu."
        )
    features = task.features
    kind = 1 if isinstance(features, CorrelatedSets) else 2 if isinstance(features, AnticorrelatedSets) else 0
    sets = features.sets if isinstance(features, AbstractSets) else features.n
    relation = kind if sets < features.n else 0
    return summary(W, sets) | {"relation": jnp.asarray(relation, jnp.int8)}
