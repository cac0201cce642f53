"""Measures of a hidden layer with a privileged basis: which features each neuron of one model responds to.

    h = ReLU(W1 x), y' = ReLU(W2 h + b)

A neuron's scale means nothing: row j of W1 times a > 0 and column j of W2 divided by a are the same model. So rows are
compared after division by the magnitude of their largest entry, which is then 1 or -1 (its sign does mean something).
A tied model, x' = ReLU(W^T ReLU(W x) + b), has W1 = W and W2 = W^T.

    unused      max_i |W1_ji| max_k |W2_kj| <= 0.01: nothing passes
    mono        one entry of the rescaled row is above 0.2 in magnitude
    slightly    several are, but all except the largest are at most 0.5: one primary feature
    highly      two or more are above 0.5

Of weights that are not finite (a model that diverged) kinds, counts and the primary feature are -1. The paper counts by
eye; these thresholds are ours. Paper: "Superposition in a Privileged Basis" and "Computation in Superposition".
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Bool, Float, Int

from superpose.arguments import InputError
from superpose.models import AbstractToyModel

RESPONDS = 0.2
PRIMARY = 0.5
UNUSED = 0.01
KINDS = ("unused", "mono", "slightly", "highly")

VARIABLES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "neuron_features": (("hidden",), {"long_name": "features of the neuron: entries above 0.2 of its largest"}),
    "neuron_primary": (("hidden",), {"long_name": "feature of the neuron's largest entry"}),
    "neuron_kind": (
        ("hidden",),
        {"long_name": "polysemanticity", "flag_values": list(range(len(KINDS))), "flag_meanings": " ".join(KINDS)},
    ),
}
"""What `summary` returns: name -> (dimensions, attributes)."""


def _peaks(W1: Float[Array, "m n"]) -> Float[Array, "m 1"]:
    """The magnitude of each row's largest entry; 1 of a row of zeros."""
    peaks = jnp.max(jnp.abs(W1), axis=1, keepdims=True)
    return jnp.where(peaks == 0, 1.0, peaks)


def rescaled(W1: Float[Array, "m n"], W2: Float[Array, "n m"]) -> tuple[Float[Array, "m n"], Float[Array, "n m"]]:
    """The same model with the largest entry of every row of W1 at 1 or -1 (footnote 15).

    Args:
        W1, W2: weights into and out of the m neurons. A row of zeros stays, and so does its column.
    """
    peaks = _peaks(W1)
    return W1 / peaks, W2 * peaks.T


def weights(model: xr.Dataset) -> tuple[Float[np.ndarray, "m n"], Float[np.ndarray, "n m"]]:
    """W1 and W2 of one untied model of labelled arrays, `rescaled`."""
    W1 = model["W1"].transpose("hidden", "feature").values.astype(float)
    W2 = model["W2"].transpose("feature", "hidden").values.astype(float)
    peaks = np.abs(W1).max(axis=1, keepdims=True)
    peaks = np.where(peaks == 0, 1.0, peaks)
    return W1 / peaks, W2 * peaks.T


def used(W1: Float[Array, "m n"], W2: Float[Array, "n m"]) -> Bool[Array, " m"]:
    """Which neurons anything passes through: max_i |W1_ji| max_k |W2_kj| > 0.01, whatever their scale."""
    return jnp.max(jnp.abs(W1), axis=1) * jnp.max(jnp.abs(W2), axis=0) > UNUSED


def responses(W1: Float[Array, "m n"]) -> Bool[Array, "m n"]:
    """Which features each neuron responds to: |W1_ji| > 0.2 max_i |W1_ji|."""
    return jnp.abs(W1) > RESPONDS * _peaks(W1)


def kinds(W1: Float[Array, "m n"], W2: Float[Array, "n m"]) -> Int[Array, " m"]:
    """The number in KINDS of each neuron, int8; -1 of weights that are not finite."""
    several = jnp.sum(responses(W1), axis=1) > 1
    rivals = jnp.sum(jnp.abs(W1) > PRIMARY * _peaks(W1), axis=1) > 1
    found = jnp.where(used(W1, W2), 1 + several + rivals, 0)
    return jnp.where(_finite(W1, W2), found, -1).astype(jnp.int8)


def matrix(model: AbstractToyModel) -> Float[Array, "m n"]:
    """W of a model whose way in and way out are one matrix.

    Raises:
        InputError: it has none.
    """
    W = getattr(model, "W", None)
    if W is None:
        raise InputError(
            f"This is about the neurons of one matrix W, and {type(model).__name__} has none. Type model=relu_hidden."
        )
    return W


def summary(W1: Float[Array, "m n"], W2: Float[Array, "n m"]) -> dict[str, Array]:
    """Every measure of one model's neurons, by its name in VARIABLES; an unused neuron has 0 features."""
    finite = _finite(W1, W2)
    count = jnp.where(used(W1, W2), jnp.sum(responses(W1), axis=1), 0)
    primary = jnp.argmax(jnp.abs(W1), axis=1)
    return {
        "neuron_features": jnp.where(finite, count, -1).astype(jnp.int32),
        "neuron_primary": jnp.where(finite, primary, -1).astype(jnp.int32),
        "neuron_kind": kinds(W1, W2),
    }


def _finite(*weights: Array) -> Bool[Array, ""]:
    return jnp.all(jnp.stack([jnp.isfinite(W).all() for W in weights]))
