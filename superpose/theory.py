"""Closed forms that trained models are compared with. Losses are the paper's: sums over features, per example.

Data: independent x_i = 0 with probability 1 - p, else uniform on [0, 1]. So E x = p / 2, E x^2 = p / 3
and a dropped feature, answered by its mean, costs its variance p / 3 - p^2 / 4. Arguments of type `Real`
broadcast, and the results are of their kind: floats, NumPy or JAX arrays.

Two phase diagrams compare configurations of fixed weights, by what becomes of the extra feature, the last one:

    n = 2, m = 1, importances (1, r)       `phase_losses`, `phase_boundary`, `configurations`
    n = 3, m = 2, importances (1, 1, r)    the same names with `_3_2`
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int8

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
"""(r, p) at which the losses of `phase_losses` are equal, and those of `phase_losses_3_2`: where p / 3 - p^2 / 4 =
p^2 / 3 (paper, "Superposition as a Phase Change")."""

PHASES = ("ignored", "dedicated", "antipodal", "others_antipodal")
"""Configurations by the number that `phases` gives them; n = 2 has the first three."""

EXTRA_PHASE = np.array([0, 1, 2, 1], np.int8)
"""What a model shows of its extra feature in each of `PHASES`, as 0 ignored, 1 dedicated, 2 antipodal: it has a
dimension to itself whether another feature is ignored or the others are antipodal. Use: EXTRA_PHASE[phases(losses)]."""


def moments(p: Real) -> tuple[Any, Any]:
    """Mean p / 2 and variance p / 3 - p^2 / 4 of a feature of density p in [0, 1], of any shape."""
    return p / 2, p / 3 - p**2 / 4


class LinearParts(NamedTuple):
    """What the loss of a linear model is made of; the three add up to it."""

    benefit: Any
    interference: Any
    bias: Any


def linear_parts(
    W: Float[Array, "m n"],
    b: Float[Array, " n"],
    importance: Float[Array, " n"],
    mean: Float[Array, " n"],
    variance: Float[Array, " n"],
) -> LinearParts:
    """The exact expected loss of x' = W^T W x + b for independent features, in three parts.

        benefit         sum_i I_i (1 - G_ii)^2 var_i            what is missing of each feature;  G = W^T W
        interference    sum_{i != j} I_i G_ij^2 var_j           what feature j does to output i
        bias            sum_i I_i ((1 - G) mean - b)_i^2        the mean error, which the best b makes 0

    The error x - x' = (1 - G) x - b has in output i the mean ((1 - G) mean - b)_i and, as features are independent, the
    variance sum_j (delta_ij - G_ij)^2 var_j, whose term j = i is the benefit. Paper: "Mathematical Understanding".

    Args:
        W: weights. b: bias.
        importance: I_i >= 0.
        mean: E x_i, whatever the distribution. variance: Var x_i.

    Returns:
        The parts, each summed over features. Works under jit, vmap and grad.
    """
    missed = jnp.eye(W.shape[1], dtype=W.dtype) - jnp.matmul(W.T, W, precision="highest")
    between = jnp.where(jnp.eye(W.shape[1], dtype=bool), 0, missed)
    offset = jnp.matmul(missed, mean, precision="highest") - b
    return LinearParts(
        benefit=jnp.sum(importance * jnp.diagonal(missed) ** 2 * variance),
        interference=jnp.sum(importance * jnp.matmul(between**2, variance, precision="highest")),
        bias=jnp.sum(importance * offset**2),
    )


def linear_loss(
    W: Float[Array, "m n"],
    b: Float[Array, " n"],
    importance: Float[Array, " n"],
    mean: Float[Array, " n"],
    variance: Float[Array, " n"],
) -> Float[Array, ""]:
    """The exact expected loss of x' = W^T W x + b for independent features ("Experiment Setup").

        L = sum_i I_i [ sum_j (delta_ij - G_ij)^2 var_j + ((1 - G) mean - b)_i^2 ],    G = W^T W

    Arguments are those of `linear_parts`, whose sum it is. Works under jit, vmap and grad.
    """
    parts = linear_parts(W, b, importance, mean, variance)
    return parts.benefit + parts.interference + parts.bias


def benefit_and_interference(
    W: Float[Array, "m n"], importance: Float[Array, " n"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The paper's feature benefit and interference of a linear model ("Mathematical Understanding").

        benefit         sum_i I_i (1 - ||W_i||^2)^2
        interference    sum_{i != j} I_j (W_j . W_i)^2

    They are those of `linear_parts` for features of mean 0 and variance 1, and b = 0.
    """
    zeros, ones = jnp.zeros(W.shape[1], W.dtype), jnp.ones(W.shape[1], W.dtype)
    benefit, interference, _ = linear_parts(W, zeros, importance, zeros, ones)
    return benefit, interference


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

    Only examples with both active err, by min(x_i, x_j) each, and E min^2 = 1 / 6. That b is the paper's, not the
    best: as all errors have one sign, the loss falls by p^2 / 3 times I_i for each unit of a small b_i > 0.
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
        Each loss, by name, in the order of `PHASES`, of the weights and biases in `configurations`.
    """
    return {
        "ignored": dropped_loss(p, r),
        "dedicated": dropped_loss(p, 1.0),
        "antipodal": antipodal_loss(p, 1.0, r),
    }


def phase_boundary(r: Real) -> Any:
    """The density below which the antipodal pair is the best of `phase_losses`.

        p* = 4 r / (2 + 5 r) for r <= 1,    4 / (5 + 2 r) for r >= 1:    the same at r and 1 / r, 4 / 7 at r = 1

    Above it the less important of the two features is ignored. For r <= 1 that is the extra one:
    r (p / 3 - p^2 / 4) = (1 + r) p^2 / 6 divided by p / 12 is 4 r - 3 r p = 2 (1 + r) p. For r >= 1 the features swap
    roles: losses at 1 / r, times r, are those at r with the first two exchanged.
    """
    ratio = np.minimum(r, 1 / r)
    return 4 * ratio / (2 + 5 * ratio)


def phase_losses_3_2(p: Real, r: Real) -> dict[str, Any]:
    """The losses of four configurations of n = 3, m = 2, importances (1, 1, r), by what becomes of the extra feature.

        ignored            the others have a dimension each            r (p / 3 - p^2 / 4)
        dedicated          it has one, another is ignored              p / 3 - p^2 / 4
        antipodal          it shares one with another                  (1 + r) p^2 / 6
        others_antipodal   it has one, the others share one            p^2 / 3

    A feature with a dimension to itself costs nothing, so that the other two cost what they do in n = 2. The triangle
    of all three is left out, as in the paper.

    Args:
        p: density of all features, in (0, 1].
        r: importance of the extra feature relative to each other one, > 0.

    Returns:
        Each loss, by name, in the order of `PHASES`, of the weights and biases in `configurations_3_2`.
    """
    return phase_losses(p, r) | {"others_antipodal": antipodal_loss(p, 1.0, 1.0)}


def phase_boundary_3_2(r: Real) -> Any:
    """The density below which two features are antipodal in the best of `phase_losses_3_2`.

        p* = 4 r / (2 + 5 r) for r <= 1,    4 / 7 for r >= 1

    For r <= 1 the extra feature is ignored above it and antipodal below, as in n = 2. For r >= 1 it has a dimension to
    itself on both sides, and the others are to decide: p / 3 - p^2 / 4 = p^2 / 3. Below p* the line r = 1 is a boundary
    too, where (1 + r) p^2 / 6 = p^2 / 3; above it, where r (p / 3 - p^2 / 4) = p / 3 - p^2 / 4.
    """
    return phase_boundary(np.minimum(r, 1.0))


def phases(losses: dict[str, Any]) -> Int8[np.ndarray, "..."]:
    """The number in `PHASES` of the configuration of the lowest loss, the first one among equals.

    Args:
        losses: what `phase_losses` or `phase_losses_3_2` returns, of any shapes that broadcast.
    """
    return np.asarray(np.argmin(np.stack(np.broadcast_arrays(*losses.values())), axis=0), np.int8)


Configurations = dict[str, tuple[Float[np.ndarray, "m n"], Float[np.ndarray, " n"]]]


def _with_biases(weights: dict[str, list[list[int]]], p: float | int) -> Configurations:
    """Adds to each W its b: the mean p / 2 for columns of zeros, else 0."""
    arrays = {name: np.array(rows, np.float64) for name, rows in weights.items()}
    return {name: (W, np.where(W.any(axis=0), 0.0, p / 2)) for name, W in arrays.items()}


def configurations(p: float | int) -> Configurations:
    """The models (W, b) whose losses `phase_losses` gives at density p, by name; float64, the extra feature last.

    A dropped feature has b = p / 2, its best answer. Others have b = 0, the best for a feature that is given back
    exactly, not quite for antipodal ones (`antipodal_loss`).
    """
    return _with_biases({"ignored": [[1, 0]], "dedicated": [[0, 1]], "antipodal": [[1, -1]]}, p)


def configurations_3_2(p: float | int) -> Configurations:
    """The models (W, b) whose losses `phase_losses_3_2` gives, as in `configurations`."""
    weights = {
        "ignored": [[1, 0, 0], [0, 1, 0]],
        "dedicated": [[0, 1, 0], [0, 0, 1]],
        "antipodal": [[1, 0, 0], [0, 1, -1]],
        "others_antipodal": [[1, -1, 0], [0, 0, 1]],
    }
    return _with_biases(weights, p)


def _error_without_bias(own: Any, other: Any, p: Any) -> Any:
    """E (x - ReLU(own (own x + other y)))^2 of `loss_without_bias`, for one output."""
    s, t, same = np.abs(own), np.abs(other), own * other >= 0
    larger = np.maximum(np.maximum(s, t), np.finfo(np.float64).tiny)
    g = s * t
    linear = p / 3 * ((1 - s**2) ** 2 + g**2) - p**2 / 2 * (1 - s**2) * g
    weaker = 1 / 3 - s**3 * (3 - s**2) / (12 * larger)
    stronger = ((1 - s**2) ** 2 + g**2) / 3 + (1 - s**2) * g / 2 - t**3 * (1 + s**2) / (12 * larger)
    clipped = p * (1 - p) * (1 - s**2) ** 2 / 3 + p**2 * np.where(s < t, weaker, stronger)
    return np.where(same, linear, clipped)


def loss_without_bias(W1: Real, W2: Real, p: Real, r: Real) -> Any:
    """The exact expected loss of n = 2, m = 1 without bias, x'_j = ReLU(W_j (W_1 x_1 + W_2 x_2)), importances (1, r).

    Of output j with own weight s = |W_j| and the other one t = |W_k|, the pre-activation is s^2 x_j + W_1 W_2 x_k.

    W_1 W_2 >= 0: nothing is clipped; with g = W_1 W_2 and E x^2 = p / 3, E x_j x_k = p^2 / 4,
        E e_j^2 = ((1 - s^2)^2 + g^2) p / 3 - (1 - s^2) g p^2 / 2.
    W_1 W_2 < 0: x_k alone is clipped to the right answer 0, x_j alone costs p (1 - p) (1 - s^2)^2 / 3, and both, with
    probability p^2, cost E (x - s (s x - t y)_+)^2 over the unit square, where s x > t y has two shapes:
        s <= t: below the line y = s x / t;    1 / 3 - s^3 / (4 t) + s^5 / (12 t)
        s >= t: all but x < t y / s;           the terms without clipping, at g = -s t, less s^2 E (s x - t y)_-^2 =
                s t^3 / 12, less 2 s E x (s x - t y)_- = t^3 / (12 s)

    Paper: McGrath's comment. Its "confused feature", W_1 = W_2 near 1 / sqrt(2), is the minimum at p = 0.9, r = 0.8; a
    model with bias does better there by ignoring the second feature.

    Args:
        W1, W2: weights, of any shapes that broadcast, as a grid does.
        p: density of both features, in [0, 1].
        r: importance of the second feature, >= 0.

    Returns:
        The sum over features, in NumPy's float64. (W1, W2) and (-W1, -W2) are the same model.
    """
    first, second, density = (np.asarray(value, np.float64) for value in (W1, W2, p))
    return _error_without_bias(first, second, density) + r * _error_without_bias(second, first, density)
