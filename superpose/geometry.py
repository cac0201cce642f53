"""Measures of the geometry of one model's W (m, n), whose column W_i is the direction of feature i.

    ||W_i||                     is the feature represented?                1 yes, 0 no
    sum_{j != i} (u_i . W_j)^2  does it share its direction?               u_i = W_i / ||W_i||
    D_i = ||W_i||^2 / sum_j (u_i . W_j)^2   the share of a dimension it has to itself, with sum_i D_i <= rank W

A column of zeros has 0 in each, never NaN. Of a W that is not finite (a model that diverged), numbers are NaN, flags
False, and `rank` and `basis_aligned` -1; nothing raises. Sections 1.1 (hierarchy of properties) and 1.6 (metrics).
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

VERSION = "1"
"""Changes whenever a number below would, so that stores know which of their measures are old."""

REPRESENTED_NORM = 0.5
SUPERPOSED = 0.1
RANK_TOLERANCE = 1e-3
ALIGNED = 0.9

VARIABLES: dict[str, tuple[tuple[str, ...], str, dict[str, Any]]] = {
    "norm": (("feature",), "float32", {"long_name": "norm of W_i", "units": "1"}),
    "superposition": (("feature",), "float32", {"long_name": "sum over j != i of (u_i . W_j)^2", "units": "1"}),
    "dimensionality": (("feature",), "float32", {"long_name": "feature dimensionality D_i", "units": "1"}),
    "dimensions_per_feature": ((), "float32", {"long_name": "dimensions per feature D*", "units": "1"}),
    "represented": (("feature",), "bool", {"long_name": "norm of W_i > 0.5", "units": "1"}),
    "superposed": (("feature",), "bool", {"long_name": "represented, and superposition > 0.1", "units": "1"}),
    "rank": ((), "int32", {"long_name": "singular values of W > 1e-3 of the largest", "units": "1"}),
    "gram_invertible": ((), "bool", {"long_name": "W^T W is invertible", "units": "1"}),
    "features_independent": ((), "bool", {"long_name": "the represented W_i are linearly independent", "units": "1"}),
    "basis_aligned": (
        (),
        "int8",
        {
            "long_name": "represented W_i along one hidden unit",
            "units": "1",
            "flag_values": [0, 1, 2],
            "flag_meanings": "none partial full",
        },
    ),
}
"""What `summary` returns: name -> (dimensions, type, attributes)."""


def _polar(W: Float[Array, "m n"]) -> tuple[Float[Array, " n"], Float[Array, "m n"]]:
    """Norms and unit columns, all NaN unless W is finite. Dividing a column by its largest entry avoids overflow."""
    W = jnp.where(jnp.isfinite(W).all(), W, jnp.nan)
    peak = jnp.max(jnp.abs(W), axis=0)
    scaled = W / jnp.where(peak < jnp.finfo(W.dtype).tiny, 1, peak)
    length = jnp.sqrt(jnp.sum(scaled**2, axis=0))
    return peak * length, scaled / jnp.where(length == 0, 1, length)


def _interference(W: Float[Array, "m n"], unit: Float[Array, "m n"]) -> Float[Array, "n n"]:
    """u_i . W_j at (i, j), and 0 on the diagonal."""
    products = jnp.matmul(unit.T, W, precision="highest")
    return jnp.where(jnp.eye(W.shape[1], dtype=bool), 0, products)


def norms(W: Float[Array, "m n"]) -> Float[Array, " n"]:
    """||W_i|| of each feature: 1 where it is represented, 0 where it is not ("Basic Results")."""
    return _polar(W)[0]


def superposition(W: Float[Array, "m n"]) -> Float[Array, " n"]:
    """How far other features activate the direction of feature i: sum_{j != i} (u_i . W_j)^2 ("Basic Results").

    Args:
        W: one model's weights.

    Returns:
        One number per feature: 0 where orthogonal to all others, 1 and more where some group of others can activate u_i
        as strongly as the feature itself.
    """
    return jnp.sum(_interference(W, _polar(W)[1]) ** 2, axis=1)


def dimensionality(W: Float[Array, "m n"]) -> Float[Array, " n"]:
    """The share of a hidden dimension that each feature has, D_i = ||W_i||^2 / sum_j (u_i . W_j)^2.

    Paper: "Feature Dimensionality".

    Computed as 1 / (1 + sum_{j != i} (u_i . W_j / ||W_i||)^2), which needs no square of a norm.

    Args:
        W: one model's weights.

    Returns:
        D_i in [0, 1]: d / k for k features in a tight frame of d dimensions, 0 for a column of zeros.
    """
    norm, unit = _polar(W)
    safe = jnp.where(norm == 0, 1, norm)[:, None]
    shares = 1 / (1 + jnp.sum((_interference(W, unit) / safe) ** 2, axis=1))
    return jnp.where(norm == 0, 0, shares)


def dimensions_per_feature(W: Float[Array, "m n"]) -> Float[Array, ""]:
    """D* = m / ||W||_F^2, hidden dimensions per represented feature ("Uniform Superposition"); infinite where W = 0."""
    return W.shape[0] / jnp.sum(norms(W) ** 2)


def rank(W: Float[Array, "m n"]) -> Int[Array, ""]:
    """The number of singular values above 1e-3 of the largest: 0 where W = 0, -1 where W is not finite."""
    values = jnp.linalg.svd(W, compute_uv=False)
    count = jnp.sum(values > RANK_TOLERANCE * jnp.max(values), dtype=jnp.int32)
    return jnp.where(jnp.isfinite(W).all(), count, -1)


def represented(W: Float[Array, "m n"]) -> Bool[Array, " n"]:
    """Which features the model represents: ||W_i|| > 0.5."""
    return norms(W) > REPRESENTED_NORM


def superposed(W: Float[Array, "m n"]) -> Bool[Array, " n"]:
    """Which of the represented features share their direction: superposition > 0.1."""
    return represented(W) & (superposition(W) > SUPERPOSED)


def gram_invertible(W: Float[Array, "m n"]) -> Bool[Array, ""]:
    """Is W^T W (n, n) invertible, which is the paper's "not in superposition"? Never where n > m."""
    return rank(W) == W.shape[1]


def features_independent(W: Float[Array, "m n"]) -> Bool[Array, ""]:
    """Are the represented W_i linearly independent: is their rank their number? True where there is none."""
    kept = represented(W)
    return rank(jnp.where(kept | ~jnp.isfinite(W), W, 0)) == jnp.sum(kept)


def basis_aligned(W: Float[Array, "m n"]) -> Int[Array, ""]:
    """How many represented features lie along one hidden unit, |W_ji| > 0.9 ||W_i|| for some j.

    Args:
        W: one model's weights; the measure means something only where the hidden basis is privileged.

    Returns:
        int8: 0 none, 1 some, 2 all (and at least one), -1 where W is not finite.
    """
    kept = represented(W)
    aligned = kept & (jnp.max(jnp.abs(W), axis=0) > ALIGNED * norms(W))
    level = jnp.any(aligned).astype(jnp.int8) + (jnp.any(aligned) & jnp.all(aligned == kept)).astype(jnp.int8)
    return jnp.where(jnp.isfinite(W).all(), level, -1).astype(jnp.int8)


def summary(W: Float[Array, "m n"]) -> dict[str, Array]:
    """Every measure of one model, by its name in `VARIABLES`."""
    return {
        "norm": norms(W),
        "superposition": superposition(W),
        "dimensionality": dimensionality(W),
        "dimensions_per_feature": dimensions_per_feature(W),
        "represented": represented(W),
        "superposed": superposed(W),
        "rank": rank(W),
        "gram_invertible": gram_invertible(W),
        "features_independent": features_independent(W),
        "basis_aligned": basis_aligned(W),
    }
