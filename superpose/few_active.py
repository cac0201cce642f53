"""What examples with no, one or two active features add to L = sum_j I_j E (x_j - f(a_j))^2, in closed form.

    a_j = b_j + sum_i G_ji x_i,    G = W^T W,    f(a) = a for a > 0, slope * a for a < 0

The features are independent: x_i = 0 with probability 1 - p_i, else uniform on [0, 1]. What a set of active features
adds is weighted with the probability that these and no others are active: over all sets it sums to L.

Where one feature is active, a = c + g x is a line, and the error a line on either side of a = 0. Two integrals over x
are all that is needed:

    left_out(c, g)   = int_0^1 f(c + g x)^2 dx            of an output whose own feature is not active
    given_back(c, g) = int_0^1 (x - f(c + g x))^2 dx      of the output whose own feature it is

A second feature y moves c to c + h y. Both are polynomials of degree 3 in y between the places where c + h y or
c + h y + g is 0, so two Gauss-Legendre nodes a piece are exact.

What is differentiated is never clipped by `jnp.maximum` or `jnp.clip`: their derivative asks whether result and
argument are equal, and a compiler that computes the argument twice, with two roundings, says no. `where` asks for the
sign.
"""

import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Real = Float[Array, "..."]
Slope = float | Float[Array, ""]

NODES = tuple((1 + sign / math.sqrt(3)) / 2 for sign in (-1, 1))
"""Gauss-Legendre on [0, 1], both of weight 1/2: exact up to degree 3."""


def gram(W: Float[Array, "m n"]) -> Float[Array, "n n"]:
    """G = W^T W."""
    return jnp.matmul(W.T, W, precision="highest")


def positive_square(c: Real, g: Real) -> Real:
    """int_0^1 relu(c + g x)^2 dx: the line's square over the part of [0, 1] where it is positive."""
    start, end = jax.nn.relu(c), jax.nn.relu(c + g)
    crossing = (c < 0) != (c + g < 0)
    length = jnp.where(crossing, (start + end) / jnp.where(crossing, jnp.abs(g), 1), 1)
    return length * (start**2 + start * end + end**2) / 3


def negative_product(c: Real, g: Real) -> Real:
    """int_0^1 x relu(-(c + g x)) dx for g >= 0: negative as far as x = -c / g."""
    negative, crossing = c < 0, (c < 0) & (c + g > 0)
    root = jnp.where(crossing, -c / jnp.where(crossing, g, 1), jnp.where(negative, 1, 0))
    return -(root**2) * (c / 2 + g * root / 3)


def left_out(c: Real, g: Real, slope: Slope) -> Real:
    """int_0^1 f(c + g x)^2 dx."""
    return positive_square(c, g) + slope**2 * positive_square(-c, -g)


def given_back(c: Real, g: Real, slope: Slope) -> Real:
    """int_0^1 (x - f(c + g x))^2 dx for g >= 0, from that of (x - a)^2: f(a) = a + (1 - slope) relu(-a)."""
    start, end = -c, 1 - g - c
    linear = (start**2 + start * end + end**2) / 3
    return linear - (1 - slope) * (2 * negative_product(c, g) + (1 + slope) * positive_square(-c, -g))


def at_zero(a: Real, slope: Slope) -> Real:
    """f(a)^2: the squared error of an output whose feature is not active."""
    return jnp.where(a > 0, 1, slope**2) * a**2


def log_inactive(p: Float[Array, " n"]) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """log(1 - p_i), with 0 where p_i = 1, and 1 there: their sums over a set say how likely it is inactive."""
    certain = p >= 1
    return jnp.where(certain, 0, jnp.log1p(-jnp.where(certain, 0, p))), certain.astype(p.dtype)


def rest_inactive(p: Float[Array, " n"], count: int) -> Float[Array, "..."]:
    """The probability that all features but `count` (0, 1, 2) are inactive, by which those are; no 1 - p divides."""
    logs, certain = log_inactive(p)
    left = lambda terms: [jnp.sum(terms), jnp.sum(terms) - terms, jnp.sum(terms) - terms - terms[:, None]][count]
    return jnp.where(left(certain) > 0, 0, jnp.exp(jnp.minimum(left(logs), 0)))


def none_active(
    W: Float[Array, "m n"], b: Float[Array, " n"], p: Float[Array, " n"], importance: Float[Array, " n"], slope: Slope
) -> Float[Array, ""]:
    """What the example without any active feature adds to L: prod_i (1 - p_i) sum_j I_j f(b_j)^2."""
    return rest_inactive(p, 0) * jnp.sum(importance * at_zero(b, slope))


def one_active(
    W: Float[Array, "m n"], b: Float[Array, " n"], p: Float[Array, " n"], importance: Float[Array, " n"], slope: Slope
) -> Float[Array, ""]:
    """What the examples with one active feature add to L (arguments as of `series.loss`)."""
    G, alone = gram(W), p * rest_inactive(p, 1)
    others = jnp.where(jnp.eye(len(p), dtype=bool), 0, left_out(b[:, None], G, slope))
    own = given_back(b, jnp.diag(G), slope)
    return jnp.sum(importance * (alone * own + jnp.sum(others * alone, axis=1)))


def two_active(
    W: Float[Array, "m n"], b: Float[Array, " n"], p: Float[Array, " n"], importance: Float[Array, " n"], slope: Slope
) -> Float[Array, ""]:
    """What the examples with two active features add to L (arguments as of `series.loss`).

    It takes time as n^3 and memory as n^2.
    """
    G, n = gram(W), len(p)
    pairs = jnp.where(jnp.eye(n, dtype=bool), 0, p * p[:, None] * rest_inactive(p, 2))

    def output(j: Int[Array, ""]) -> Float[Array, ""]:
        row, own = G[j], G[j, j]
        with_own = over_second(lambda c: given_back(c, own, slope), b[j], own, row)
        without = over_second(lambda c: left_out(c, row[:, None], slope), b[j], row[:, None], row)
        other = jnp.arange(n) != j
        return jnp.sum(pairs[j] * with_own) + jnp.sum(pairs * other * other[:, None] * without) / 2

    return jnp.sum(importance * jax.lax.map(jax.checkpoint(output), jnp.arange(n)))


def over_second(inner: Callable[[Real], Real], c: Real, g: Real, h: Real) -> Real:
    """int_0^1 inner(c + h y) dy for an inner integral with kinks at c = 0 and c = -g, of degree 3 between them."""
    flat = h == 0
    kinks = [jnp.where(flat, 0, jnp.clip(-at / jnp.where(flat, 1, h), 0, 1)) for at in (c, c + g)]
    first, last = jnp.minimum(*kinks), jnp.maximum(*kinks)
    ends = [jax.lax.stop_gradient(end) for end in (jnp.zeros_like(first), first, last, jnp.ones_like(first))]
    total = jnp.zeros_like(first)
    for start, stop in itertools.pairwise(ends):
        for node in NODES:
            total += (stop - start) / 2 * inner(c + h * (start + (stop - start) * node))
    return total
