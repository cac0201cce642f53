"""Closed forms that trained models are compared with. Losses are the paper's: sums over features, per example.

Data: independent x_i = 0 with probability 1 - p, else uniform on [0, 1]. So E x = p / 2, E x^2 = p / 3
and a dropped feature, answered by its mean, costs its variance p / 3 - p^2 / 4. Arguments of type `Real`
broadcast, and the results are of their kind: floats, NumPy or JAX arrays.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Real = float | int | np.floating | Float[np.ndarray, "..."] | Float[Array, "..."]

POLYTOPES = {
    "orthogonal": 1.0,
    "tetrahedron": 3 / 4,
    "triangle": 2 / 3,
    "digon": 1 / 2,
    "pentagon": 2 / 5,
    "square antiprism": 3 / 8,
    "not learned": 0.0,
}
"""D_i of k unit vectors that form a tight frame of d dimensions: d / k (paper, "Uniform Superposition")."""

TRIPLE_POINT = (1.0, 4 / 7)
"""(r, p) at which the three losses of `phase_losses` are equal (paper, "Superposition as a Phase Change")."""


def moments(p: Real) -> tuple[Any, Any]:
    """Mean p / 2 and variance p / 3 - p^2 / 4 of a feature of density p in [0, 1], of any shape."""
    return p / 2, p / 3 - p**2 / 4


def linear_loss(
    W: Float[Array, "m n"],
    b: Float[Array, " n"],
    importance: Float[Array, " n"],
    mean: Float[Array, " n"],
    variance: Float[Array, " n"],
) -> Float[Array, ""]:
    """The exact expected loss of x' = W^T W x + b for independent features (sections 1.3 and 1.4).

        L = sum_i I_i [ sum_j (delta_ij - G_ij)^2 var_j + ((1 - G) mean - b)_i^2 ],    G = W^T W

    Args:
        W: weights. b: bias.
        importance: I_i >= 0.
        mean: E x_i, whatever the distribution. variance: Var x_i.

    Returns:
        The sum over features. Works under jit, vmap and grad.
    """
    missed = jnp.eye(W.shape[1], dtype=W.dtype) - jnp.matmul(W.T, W, precision="highest")
    spread = jnp.matmul(missed**2, variance, precision="highest")
    offset = jnp.matmul(missed, mean, precision="highest") - b
    return jnp.sum(importance * (spread + offset**2))


def linear_optimum(importance: Float[np.ndarray, " n"], p: Real, m: int) -> Any:
    """The lowest loss of a linear model: (p / 3 - p^2 / 4) times the sum of the n - m smallest importances.

    By Eckart-Young on diag(I)^(1/2) (1 - W^T W): the m most important features are kept, the others answered by their
    mean. At p = 1 it is the optimum of the ReLU model too.

    Args:
        importance: I_i >= 0, in any order.
        p: the density of every feature, in [0, 1].
        m: hidden dimensions.
    """
    return dropped_loss(p, float(np.sort(importance)[: max(len(importance) - m, 0)].sum(dtype=np.float64)))


def dropped_loss(p: Real, importance: Real) -> Any:
    """What a feature costs that the model ignores, its bias at the mean: I (p / 3 - p^2 / 4)."""
    return importance * moments(p)[1]


def antipodal_loss(p: Real, importance: Real, other: Real) -> Any:
    """What two features cost in one ReLU dimension, W_j = -W_i of norm 1 and b = 0: (I_i + I_j) p^2 / 6.

    Only examples with both active err, by min(x_i, x_j) each, and E min^2 = 1 / 6.
    """
    return (importance + other) * p**2 / 6


def phase_losses(p: Real, r: Real) -> dict[str, Any]:
    """The losses of the three configurations of n = 2, m = 1, importances (1, r), by what happens to the extra feature.

        ignored    W = (1, 0)     r (p / 3 - p^2 / 4)
        dedicated  W = (0, 1)     p / 3 - p^2 / 4
        antipodal  W = (1, -1)    (1 + r) p^2 / 6

    Args:
        p: density of both features, in (0, 1].
        r: importance of the extra feature relative to the first, > 0.

    Returns:
        Each loss, by name, in the order of the phases 0, 1, 2 (the weights are fixed, the bias optimal).
    """
    return {
        "ignored": dropped_loss(p, r),
        "dedicated": dropped_loss(p, 1.0),
        "antipodal": antipodal_loss(p, 1.0, r),
    }


def phase_boundary(r: Real) -> Any:
    """The density below which the antipodal pair is the best of `phase_losses`.

        p* = 4 r / (2 + 5 r) for r <= 1,    4 / (5 + 2 r) for r >= 1:    the same at r and 1 / r, 4 / 7 at r = 1

    Above it the less important of the two features is ignored.
    """
    ratio = np.minimum(r, 1 / r)
    return 4 * ratio / (2 + 5 * ratio)
