"""The paper's hierarchy of properties, read off trained models (paper, "Definitions and Motivation").

    decomposable     h depends on x through features that can be told apart
    linear           h = sum_i x_i W_i
    superposed       the W_i of the represented features are linearly dependent: more of them than dimensions
    basis aligned    each represented W_i along one hidden unit; asked only of a privileged basis

Every toy model here is decomposable: its h is computed from the features, one by one through W. A privileged basis is
taken to be that of a ReLU in the hidden layer. It leaves h linear where x has no negative entries and no neuron has
weights of both signs. The paper has superposition where W^T W is not invertible; with n > m it never is, so that only
the represented features are asked. Of a W1 whose way out is another matrix this says something for m < n only. There a
feature may have a neuron for either sign, and basis aligned is counted by neurons: those that serve one feature.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Bool, Float, Int

from superpose import geometry, neurons
from superpose.draws import seed_key
from superpose.features import AbstractFeatures
from superpose.objective import Exact
from superpose.program import Program

EXAMPLES = 1024
LEVELS = 3
Weights = tuple[Float[Array, "m n"], Float[Array, "n m"]]


class Properties(NamedTuple):
    """Of the trained models of a variant: how many there are, and how many of them have each property.

    `linear` is None where a hidden bias decides it, `superposed` where it cannot be read off the weights. `aligned`
    counts models none of whose, some of whose and all of whose features lie along a hidden unit (or neurons serve one
    feature); None where the basis is not privileged.
    """

    model: str
    models: int
    linear: int | None
    superposed: int | None
    aligned: tuple[int, int, int] | None


def properties(ds: xr.Dataset, program: Program) -> Properties | None:
    """The properties of a variant's models; None of models that have neither W nor W1, or that no features trained."""
    tied = "W" in ds
    if not (tied or {"W1", "W2"} <= set(ds)) or "finite" not in ds or not sees_features(program):
        return None
    into = stacked(ds, "W" if tied else "W1", ("hidden", "feature"))
    out = np.swapaxes(into, 1, 2) if tied else stacked(ds, "W2", ("feature", "hidden"))
    if not len(into):
        return None
    found = measured((into, out), tied=tied)
    privileged, told = program.model.basis_privileged, tied or into.shape[1] < into.shape[2]
    biased = privileged and ("hidden",) in program.model.dims.values()
    linear = ~found["mixed"] & (not signed(program.features)) if privileged else np.ones(len(into), bool)
    none, some, every = np.bincount(found["aligned"], minlength=LEVELS).tolist()
    return Properties(
        type(program.model).__name__,
        len(into),
        None if biased else int(linear.sum()),
        int((~found["independent"]).sum()) if told else None,
        (none, some, every) if privileged else None,
    )


def sees_features(program: Program) -> bool:
    """Whether training saw feature vectors: by the expectation over them, or by draws."""
    noise = jax.eval_shape(lambda: program.objective.noise(program.task(), key=seed_key(0)))
    return isinstance(program.objective, Exact) or bool(jax.tree.leaves(noise))


def signed(features: AbstractFeatures) -> bool:
    """Whether features may be negative, by a look at a thousand vectors."""
    return bool(jnp.any(features(features.noise(EXAMPLES, key=seed_key(0))) < 0))


def stacked(ds: xr.Dataset, name: str, own: tuple[str, str]) -> Float[np.ndarray, "models i j"]:
    """The weights of all models that are finite."""
    finite = ds["finite"].values.ravel().astype(bool)
    values = ds[name].transpose(*ds["finite"].dims, *own).values
    return values.reshape(finite.size, *values.shape[-2:])[finite]


def measured(weights: Any, *, tied: bool) -> dict[str, np.ndarray]:
    """`of_tied` or `of_untied` of each model, from its weights into and out of the hidden layer."""
    one: Callable[[Weights], dict[str, Array]] = of_tied if tied else of_untied
    return {name: np.asarray(values) for name, values in jax.jit(lambda of: jax.lax.map(one, of))(weights).items()}


def of_tied(weights: Weights) -> dict[str, Array]:
    """Of W: a feature is aligned where it lies along one hidden unit."""
    W, out = weights
    summary = geometry.summary(W)
    return {
        "mixed": mixed(W, neurons.used(W, out)),
        "independent": summary["features_independent"],
        "aligned": summary["basis_aligned"],
    }


def of_untied(weights: Weights) -> dict[str, Array]:
    """Of W1, with the largest weight of each used neuron at 1 and the others at 0; a neuron is aligned that is mono."""
    into, out = weights
    used = neurons.used(into, out)
    scaled = jnp.where(used[:, None], neurons.rescaled(into, out)[0], 0.0)
    mono = neurons.kinds(into, out) == neurons.KINDS.index("mono")
    return {
        "mixed": mixed(into, used),
        "independent": geometry.features_independent(scaled),
        "aligned": level(mono, used),
    }


def level(has: Bool[Array, " k"], counted: Bool[Array, " k"]) -> Int[Array, ""]:
    """0 where none of those counted has a property, 1 where some do, 2 where all do and there is one."""
    any_has = jnp.any(has & counted)
    return any_has.astype(jnp.int8) + (any_has & ~jnp.any(counted & ~has)).astype(jnp.int8)


def mixed(W: Float[Array, "m n"], used: Bool[Array, " m"]) -> Bool[Array, ""]:
    """Whether a used neuron responds to features by weights of both signs."""
    counts = neurons.responses(W) & used[:, None]
    return jnp.any(jnp.any(counts & (W > 0), axis=1) & jnp.any(counts & (W < 0), axis=1))
