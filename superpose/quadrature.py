"""The expected loss of a model of few features, by iterated quadrature over the features.

    E f(x_i) = (1 - p_i) f(0) + p_i int_0^1 f(t) dt

`split` is for activations of two lines, f(a) = a for a > 0 and slope * a for a < 0. The pre-activation of output j,
a_j = b_j + sum_i G_ji x_i, is then a polynomial in x on either side of a_j = 0, and so is the error; its integral over
the other features is a polynomial between the places at which a_j = 0 enters or leaves their range. Splitting each
integral there, clip(-c / g, 0, 1) where a_j = c + g x, makes Gauss-Legendre exact to rounding: the integral over x_j,
of a square of two lines, needs three values of the error, the one around it two nodes a piece (degree 3) and the
next three (degree 4). `tensor` is for smooth ones: the same nodes for every model, error falling geometrically.

All is written entry by entry: under `vmap` each number is a vector over models, which a compiler turns into one loop.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

MOST_FEATURES = 3
FLAT = 1e-9
SMOOTH_NODES = {1: 16, 2: 12, 3: 8}

Number = Float[Array, ""]
Activation = Callable[[Float[Array, "..."]], Float[Array, "..."]]


def gauss_legendre(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in [0, 1] and their weights, which sum to 1: exact for polynomials of degree 2 count - 1."""
    x, w = np.polynomial.legendre.leggauss(count)
    return (x + 1) / 2, w / 2


def split(
    W: Float[Array, "m n"],
    b: Float[Array, " n"],
    p: Float[Array, " n"],
    importance: Float[Array, " n"],
    activation: Activation,
    nodes: int | None = None,
) -> Number:
    """L = sum_j I_j E (x_j - f(a_j))^2 for an activation f of two lines, up to three independent features.

    Args:
        W: weights. b: bias. p: densities, in [0, 1]. importance: I_i >= 0.
        activation: f, linear on either side of 0.
        nodes: nodes of a piece; what is exact to rounding where it is left out (fewer are not, at n = 3).

    Returns:
        The sum over features. Works under jit, vmap and (twice) grad.
    """
    n = W.shape[1]
    order = np.array([[*(i for i in range(n) if i != j), j] for j in range(n)])
    slopes = jnp.stack([jnp.stack([jnp.sum(W[:, i] * W[:, j]) for i in order[j]]) for j in range(n)])
    error = lambda a, x: x - activation(a)

    def expect(start: Number, slopes: list[Number], densities: list[Number]) -> Number:
        """E error^2 over these features, a being `start` without them."""
        if len(slopes) == 1:
            return squared(error, start, slopes[0], densities[0])

        def at_node(total: Number, node: tuple[Number, Number]) -> tuple[Number, None]:
            t, weight = node
            return total + weight * expect(start + slopes[0] * t, slopes[1:], densities[1:]), None

        # one node after another: the nodes of a level as arrays would make the models the slow dimension, and without
        # the checkpoint each node's numbers would be kept for the gradient, which costs more than to find them again
        table = rule(start, slopes, densities[0], nodes)
        return jax.lax.scan(jax.checkpoint(at_node), jnp.zeros((), W.dtype), table)[0]

    def output(total: Number, now: tuple[Array, Array, Array, Array]) -> tuple[Number, None]:
        start, weight, slopes, densities = now
        return total + weight * expect(start, list(slopes), list(densities)), None

    return jax.lax.scan(jax.checkpoint(output), jnp.zeros((), W.dtype), (b, importance, slopes, p[order]))[0]


def squared(error: Callable[[Number, Number | float], Number], c: Number, g: Number, p: Number) -> Number:
    """(1 - p) e(0)^2 + p int_0^1 e(t)^2 dt for e(t) = error(c + g t, t), a line on either side of c + g t = 0.

    The integral of the square of a line from u to v over a length d is d (u^2 + u v + v^2) / 3: nothing cancels.
    """
    root, inside = crossing(c, g)
    # not c + g t at the root: the sign of its rounding is f's slope there, and a compiler that finds it twice, with and
    # without a fused multiply-add, may take two slopes
    start, middle, end = error(c, 0.0), error(jnp.where(inside, 0.0, c + g * root), root), error(c + g, 1.0)
    before = root * (start**2 + start * middle + middle**2)
    after = (1 - root) * (middle**2 + middle * end + end**2)
    return (1 - p) * start**2 + p * (before + after) / 3


def crossing(c: Number, g: Number) -> tuple[Number, Bool[Array, ""]]:
    """Where c + g t = 0, clipped to [0, 1]; and whether it is 0 there.

    The quotient is found only where it lies there and g is not tiny: derivatives, which have g^2 and g^3 below, would
    not be finite. With |c| <= |g| < 1e-9 either end is right to 1e-9.
    """
    changes = (jnp.sign(c) * jnp.sign(g) <= 0) & (g != 0)
    inside = changes & (jnp.abs(c) <= jnp.abs(g)) & (jnp.abs(g) > FLAT)
    return jnp.where(inside, -c / jnp.where(inside, g, 1.0), jnp.where(changes, 1.0, 0.0)), inside


def rule(c: Number, slopes: Sequence[Number], p: Number, nodes: int | None) -> tuple[Array, Array]:
    """Nodes (k,) and weights (k,) for the feature of slopes[0], whose density is p; the first node is its absence.

    Its pieces end where c + slopes[0] t + (what the other features can add) = 0. They do not depend on the weights as
    far as gradients go: the integrand has no step at their ends.
    """
    g, others = slopes[0], slopes[1:]
    first = jnp.where(g > 0, 0.0, 1.0) * jnp.ones_like(c)
    ends = [first, *(crossing(c + more, g)[0] for more in descending(others)), 1 - first]
    ends = [jax.lax.stop_gradient(end) for end in ends]
    t, w = gauss_legendre(nodes or len(others) + 1)
    places, weights = [jnp.zeros_like(c)], [1 - p]
    for start, stop in itertools.pairwise(ends):
        places += [start + (stop - start) * float(at) for at in t]
        weights += [p * jnp.abs(stop - start) * float(share) for share in w]
    return jnp.stack(places), jnp.stack(weights)


def descending(slopes: Sequence[Number]) -> list[Number]:
    """What one or two features can add at the corners of their range, from the largest to the smallest."""
    if len(slopes) == 1:
        return [jnp.maximum(slopes[0], 0), jnp.minimum(slopes[0], 0)]
    lowest, sizes = jnp.minimum(slopes[0], 0) + jnp.minimum(slopes[1], 0), [jnp.abs(g) for g in slopes]
    small, large = jnp.minimum(*sizes), jnp.maximum(*sizes)
    return [lowest + small + large, lowest + large, lowest + small, lowest]


def split_examples(n: int, nodes: int | None) -> int:
    """How many values of each output's error `split` finds; 0 for more than three features."""
    pieces = {2: 3, 3: 5}
    if n > MOST_FEATURES:
        return 0
    return 3 * math.prod(1 + pieces[k] * (nodes or k) for k in range(2, n + 1))


def tensor(
    losses: Callable[[Float[Array, "n k"]], Float[Array, " k"]], p: Float[Array, " n"], nodes: int | None = None
) -> Number:
    """E losses(x) by the product of Gauss-Legendre rules, each with the node 0 for a feature that is not active.

    Args:
        losses: the loss of each example, smooth in x.
        p: densities, in [0, 1], of up to three features.
        nodes: nodes of a feature; 16, 12 and 8 of one, two and three features where it is left out. With these GELU and
            tanh have a relative error of 1e-7, at n = 3 of 2e-5 (||W_i|| up to 2).
    """
    n = p.shape[0]
    t, w = gauss_legendre(nodes or SMOOTH_NODES[n])
    points = np.stack(np.meshgrid(*[np.append(0.0, t)] * n, indexing="ij")).reshape(n, -1)
    each = [jnp.concatenate([1 - q[None], q * jnp.asarray(w, p.dtype)]) for q in p]
    weights = partial(jnp.einsum, ",".join("abc"[:n]) + "->" + "abc"[:n])(*each).ravel()
    return jnp.sum(losses(jnp.asarray(points, p.dtype)) * weights)
