"""Models in one frame: with a rotated or reflected hidden layer, or like features exchanged, a model is the same.

    min over orthogonal R of ||R W - V||_F   is at   R = A B^T,    V W^T = A S B^T         (orthogonal Procrustes)

The paper turns and flips the solutions that it shows side by side, without saying how. NumPy only.
"""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, Int

Order = Int[np.ndarray, " n"]


def rotation(W: Float[np.ndarray, "m n"], reference: Float[np.ndarray, "m n"]) -> Float[np.ndarray, "m m"]:
    """The rotation or reflection R that brings R W nearest to `reference`, in the sum of squares.

    Source: Schoenemann (1966), "A generalized solution of the orthogonal Procrustes problem".

    Args:
        W: one model's weights, finite. reference: those of another one.
    """
    left, _, right = np.linalg.svd(reference @ W.T)
    return left @ right


def aligned(
    W: Float[np.ndarray, "m n"], reference: Float[np.ndarray, "m n"], orders: Iterable[Order] = ()
) -> Float[np.ndarray, "m n"]:
    """R W with its columns in that order, of every rotation, reflection and order the one nearest to `reference`.

    Args:
        W: one model's weights.
        reference: those of another one. Where one of the two is not finite, W stays as it is.
        orders: the orders of features to choose from, as `exchanges` gives them; their own alone where left out.

    Returns:
        The weights in the frame of `reference`.
    """
    if not (np.isfinite(W).all() and np.isfinite(reference).all()):
        return W
    choices = [W[:, order] for order in orders] or [W]
    turned = [rotation(choice, reference) @ choice for choice in choices]
    return min(turned, key=lambda choice: float(np.sum((choice - reference) ** 2)))


def in_one_frame(
    weights: Sequence[Float[np.ndarray, "m n"]], orders: Sequence[Order] = (), lead: int = 0
) -> list[Float[np.ndarray, "m n"]]:
    """Models turned towards the first one, one of whose features points along the first hidden dimension.

    Args:
        weights: one model's each, all of one shape.
        orders: as for `aligned`.
        lead: the feature that leads.
    """
    if not weights:
        return []
    first = weights[0]
    if np.isfinite(first).all():
        first = rotation(first[:, lead : lead + 1], np.eye(len(first), 1)) @ first
    return [first, *(aligned(W, first, orders) for W in weights[1:])]


def exchanges(sets: int, size: int) -> list[Order]:
    """The orders of n = sets * size features that exchange sets, or features of a set: sets! size!^sets of them.

    Args:
        sets: how many. Features 0 ... size - 1 are the first one.
        size: features of a set.
    """
    inside = [np.array(order) for order in itertools.permutations(range(size))]
    return [
        np.concatenate([size * one + own for one, own in zip(outside, choice, strict=True)])
        for outside in itertools.permutations(range(sets))
        for choice in itertools.product(inside, repeat=sets)
    ]
