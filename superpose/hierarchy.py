"""The paper's hierarchy of properties, read off trained models (paper, "Definitions and Motivation").

    decomposable     h depends on x through features that can be told apart
    linear           h = sum_i x_i W_i
    superposed       the W_i of the represented features are linearly dependent: more of them than dimensions
    basis aligned    each represented W_i along one hidden unit; asked only of a privileged basis

Every toy model here is decomposable: its h is computed from the features, one by one through W. A ReLU in the hidden
layer leaves h linear where no neuron has weights of both signs, since features are not negative; with signed features
it never does. Counted per model; each row of an untied W1 is first divided by its largest weight.
"""

from typing import NamedTuple

import jax
import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Num

from superpose import geometry

PRIVILEGED = ("ReLUHidden", "BiasedReLUHidden", "UntiedReLUHidden")
SIGNED = ("UntiedReLUHidden",)
SIGNIFICANT = 0.2
"""The share of a neuron's largest weight from which a weight counts."""
NEEDED = ("represented", "features_independent", "basis_aligned")


class Properties(NamedTuple):
    """Of the trained models of a variant: how many there are, and how many of them have each property.

    `aligned` counts models none of whose, some of whose and all of whose features lie along a hidden unit; None where
    the basis is not privileged.
    """

    model: str
    models: int
    linear: int
    superposed: int
    aligned: tuple[int, int, int] | None


def properties(ds: xr.Dataset) -> Properties | None:
    """The properties of a variant's models; None where they have neither W nor W1."""
    name = next((name for name in ("W", "W1") if name in ds), None)
    if name is None or "finite" not in ds:
        return None
    finite = ds["finite"].values.ravel().astype(bool)
    shape = (finite.size, ds.sizes["hidden"], ds.sizes["feature"])
    W = ds[name].transpose(*ds["finite"].dims, "hidden", "feature").values.reshape(shape)[finite]
    if not len(W):
        return None
    if name == "W1":  # the scale of an untied neuron means nothing
        W = W / np.maximum(np.abs(W).max(axis=2, keepdims=True), np.finfo(W.dtype).tiny)
    kind = str(ds.attrs.get("model", ""))
    found = measured(W)
    aligned = tuple(int((found["basis_aligned"] == level).sum()) for level in range(3))
    return Properties(
        kind,
        len(W),
        int(linear(W, kind).sum()),
        int((~found["features_independent"]).sum()),
        (aligned[0], aligned[1], aligned[2]) if kind in PRIVILEGED else None,
    )


def measured(W: Float[np.ndarray, "models m n"]) -> dict[str, Num[np.ndarray, "..."]]:
    """`geometry.summary` of each model, what is needed of it."""

    def one(W: Float[jax.Array, "m n"]) -> dict[str, jax.Array]:
        summary = geometry.summary(W)
        return {name: summary[name] for name in NEEDED}

    return {name: np.asarray(values) for name, values in jax.jit(lambda W: jax.lax.map(one, W))(W).items()}


def linear(W: Float[np.ndarray, "models m n"], kind: str) -> Bool[np.ndarray, " models"]:
    """Whether h is a sum over features: always without a ReLU, with one where no neuron has weights of both signs."""
    if kind not in PRIVILEGED:
        return np.ones(len(W), bool)
    if kind in SIGNED:
        return np.zeros(len(W), bool)
    counts = np.abs(W) > SIGNIFICANT * np.abs(W).max(axis=2, keepdims=True)
    both = (counts & (W > 0)).any(axis=2) & (counts & (W < 0)).any(axis=2)
    return ~both.any(axis=1)
