"""The exact expected loss of x' = f(W^T W x + b), f of two lines, for any number of independent features.

    L = sum_j I_j E (x_j - f(a_j))^2,    a_j = b_j + sum_i G_ji x_i,    f(a) = a for a > 0, slope * a for a < 0

Examples with no or one active feature stand in closed form (`few_active`): at low density they are nearly everything.
For the rest, what the other features add to a_j, s = sum over i != j of G_ji x_i, is a sum of independent numbers,
whose transform is a product. Given x_j, the squared error is a function F(s) of two parabolas, expanded in cosines on
an interval of length `size` from `low` on that holds s, w_k = k pi / size:

    E F(s) = (polynomial moments, exact) + sum_k c_k Re E exp(i w_k (s - low))

The parabola in s that takes F's slopes away at both ends leaves coefficients that fall as k^-3, times a transform that
falls too. F is chosen so that little cancels. With e = x_j - a, for x_j inactive and for x_j active:

    f(a)^2 = (1 - slope^2) relu(a)^2 + slope^2 a^2
    (x_j - f(a))^2 = e^2 - 2 (1 - slope) x_j relu(-a) - (1 - slope^2) relu(-a)^2

The transform is found by number of active others, 0, 1 and more, feature after feature, so that rare examples are never
a difference of likely ones.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from superpose.few_active import Slope, gram, none_active, one_active

OUTPUTS = 16
FINE = 32
GRID = 64


class Others(NamedTuple):
    """Of s, given how many of the other features are active: its moments by E s^0, E s, E s^2, and its transform."""

    mass: Float[Array, " j"]
    mean: Float[Array, " j"]
    square: Float[Array, " j"]
    real: Float[Array, "j k"]
    imag: Float[Array, "j k"]


def loss(
    W: Float[Array, "m n"],
    b: Float[Array, " n"],
    p: Float[Array, " n"],
    importance: Float[Array, " n"],
    slope: Slope,
    terms: int = 256,
) -> Float[Array, ""]:
    """L = sum_j I_j E (x_j - f(a_j))^2.

    Args:
        W: weights. b: bias. p: densities, in [0, 1]. importance: I_i >= 0.
        slope: of f below 0; 0 for ReLU, 1 for a linear model.
        terms: of each output's series, rounded up to a multiple of 32.

    Returns:
        The sum over features. Works under jit, vmap and (twice) grad with respect to W and b.
    """
    few = none_active(W, b, p, importance, slope) + one_active(W, b, p, importance, slope)
    return few + several_active(W, b, p, importance, slope, terms)


@partial(jax.jit, static_argnames=("terms",))  # traced once, for the plan and for the program
def several_active(
    W: Float[Array, "m n"],
    b: Float[Array, " n"],
    p: Float[Array, " n"],
    importance: Float[Array, " n"],
    slope: Slope,
    terms: int = 256,
) -> Float[Array, ""]:
    """What the examples with two or more active features add to L, some outputs at a time."""
    G, n = gram(W), len(p)
    chunks = math.ceil(n / OUTPUTS)
    size = math.ceil(n / chunks)
    outputs = jnp.arange(chunks * size).reshape(chunks, size)
    each = jax.lax.map(jax.checkpoint(partial(expected, G, b, p, slope, terms)), outputs)
    return jnp.sum(each.ravel()[:n] * importance)


def expected(
    G: Float[Array, "n n"], b: Float[Array, " n"], p: Float[Array, " n"], slope: Slope, terms: int, j: Int[Array, " j"]
) -> Float[Array, " j"]:
    """E[(x_j - f(a_j))^2; two or more active] of the outputs j."""
    j = jnp.minimum(j, len(p) - 1)
    other = jnp.arange(len(p)) != j[:, None]
    row, chance = jnp.where(other, G[j], 0), jnp.where(other, p, 0)
    part, size = support(row, chance)
    one, more = transforms(row, chance, part, size, terms)
    some = jax.tree.map(jnp.add, one, more)
    own = jnp.diag(G)[j]
    inactive = left_out(b[j], -part * size, size, more, slope)
    return (1 - p[j]) * inactive + p[j] * given_back(b[j], own, -part * size, size, some, slope)


def support(row: Float[Array, "j n"], chance: Float[Array, "j n"]) -> tuple[Float[Array, " j"], Float[Array, " j"]]:
    """An interval [-part size, (1 - part) size] that s leaves with a probability too small to matter.

    Its ends are the smallest of all that s can be and of Chernoff's bounds, P(s > high) <= E exp(t s) exp(-t high) for
    every t > 0. `part` is a multiple of 1 / GRID, so that the phase of 0 is known without rounding.
    """
    tiny = float(jnp.finfo(row.dtype).tiny)
    rare = -math.log(0.01 * float(jnp.finfo(row.dtype).eps)) - jnp.log(jnp.mean(chance, axis=1) + tiny)
    scale = jnp.max(jnp.abs(row), axis=1) + math.sqrt(tiny)
    t = jnp.asarray(np.geomspace(0.05, 60, 16), row.dtype)[:, None] / scale

    def upper(row: Float[Array, "j n"]) -> Float[Array, " j"]:
        z = t[:, :, None] * row
        near = jnp.abs(z) < 1e-3
        growth = jnp.where(near, z / 2 + z**2 / 6, jnp.expm1(z) / jnp.where(near, 1, z) - 1)
        bound = (jnp.sum(jnp.log1p(chance * growth), axis=-1) + rare) / t
        return jnp.clip(jnp.min(bound, axis=0), 0, jnp.sum(jnp.maximum(row, 0), axis=1))

    below, above = upper(-row), upper(row)
    part = jnp.clip(jnp.ceil(GRID * below / (below + above + tiny)), 1, GRID - 1) / GRID
    size = (1 + 1e-5) * jnp.maximum(below / part, above / (1 - part)) + 1e-6
    return jax.lax.stop_gradient((part, size))


def transforms(
    row: Float[Array, "j n"],
    chance: Float[Array, "j n"],
    part: Float[Array, " j"],
    size: Float[Array, " j"],
    terms: int,
) -> tuple[Others, Others]:
    """The moments of s and Re E exp(i w_k (s + part size)), one other feature being active, and more than one.

    A feature is active with probability p and has E exp(i w g x) = exp(i u) sin(u) / u, u = w g / 2. Of u = k step, k
    = fine + coarse, the sine and cosine come from two short tables. The sums over features are compensated (Kahan).
    """
    coarse = math.ceil(terms / FINE)
    k = jnp.arange(1, coarse * FINE + 1).astype(row.dtype)
    step = row * (jnp.pi / 2 / size)[:, None]
    near, far = (step.T[:, :, None] * at for at in (k[:FINE], FINE * jnp.arange(coarse).astype(row.dtype)))

    def add(carry: tuple, feature: tuple) -> tuple[tuple, None]:
        (none, one, more), lost = carry
        g, p, step, cos_near, sin_near, cos_far, sin_far = feature
        cosine = cos_far[:, :, None] * cos_near[:, None] - sin_far[:, :, None] * sin_near[:, None]
        sine = sin_far[:, :, None] * cos_near[:, None] + cos_far[:, :, None] * sin_near[:, None]
        u = step[:, None] * k
        ratio = p[:, None] * sinc(u, sine.reshape(u.shape))
        wave = ratio * cosine.reshape(u.shape), ratio * sine.reshape(u.shape)
        both = jax.tree.map(jnp.add, one, more)
        alone = Others(p * none, p * none * g / 2, p * none * g**2 / 3, *(none[:, None] * part for part in wave))
        changes = -p * none, exchanged(one, alone, p), exchanged(more, joined(both, g, p, wave), p)
        return compensated((none, one, more), lost, changes), None

    zero = Others(*[jnp.zeros_like(size)] * 3, *[jnp.zeros((len(size), len(k)), row.dtype)] * 2)
    sums = jnp.ones_like(size), zero, zero
    tables = [f(angle) for angle in (near, far) for f in (jnp.cos, jnp.sin)]
    start = sums, jax.tree.map(jnp.zeros_like, sums)
    ((_, one, more), _), _ = jax.lax.scan(
        jax.checkpoint(add, prevent_cse=False), start, (row.T, chance.T, step.T, *tables)
    )
    turn = jnp.round(GRID * part[:, None] * k).astype(int) % (2 * GRID)
    return turned(one, turn), turned(more, turn)


def joined(others: Others, g: Float[Array, " j"], p: Float[Array, " j"], wave: tuple[Array, Array]) -> Others:
    """`others` with one more active feature, times its probability."""
    mass, mean, square, real, imag = others
    return Others(
        p * mass,
        p * (mean + g / 2 * mass),
        p * (square + g * mean + g**2 / 3 * mass),
        wave[0] * real - wave[1] * imag,
        wave[0] * imag + wave[1] * real,
    )


def exchanged(others: Others, entering: Others, p: Float[Array, " j"]) -> Others:
    """How `others` change when a feature is added: by what enters, less what the feature's activity takes away."""
    return Others(*(e - p.reshape(-1, *[1] * (o.ndim - 1)) * o for o, e in zip(others, entering, strict=True)))


def compensated(
    sums: PyTree[Array], lost: PyTree[Array], changes: PyTree[Array]
) -> tuple[PyTree[Array], PyTree[Array]]:
    """Kahan's sum: sums + changes, and what rounding added, which the next changes make good."""
    changes = jax.tree.map(jnp.subtract, changes, lost)
    after = jax.tree.map(jnp.add, sums, changes)
    return after, jax.tree.map(lambda new, old, change: (new - old) - change, after, sums, changes)


def turned(others: Others, turn: Int[Array, "j k"]) -> Others:
    """The transform from the interval's lower end: turned by multiples of pi / GRID, exact, as a rounded pi is not."""
    angles = np.pi / GRID * np.arange(2 * GRID)
    cosine, sine = (jnp.asarray(f(angles), others.real.dtype)[turn] for f in (np.cos, np.sin))
    return others._replace(real=cosine * others.real - sine * others.imag)


def sinc(u: Float[Array, "..."], sine: Float[Array, "..."]) -> Float[Array, "..."]:
    """sin(u) / u, with derivatives that hold where u is small."""
    near = jnp.abs(u) < 0.2
    square = jnp.where(near, u, 0) ** 2
    return jnp.where(near, 1 - square / 6 * (1 - square / 20 * (1 - square / 42)), sine / jnp.where(near, 1, u))


def frequencies(others: Others, size: Float[Array, " j"]) -> Float[Array, "j k"]:
    """w_k = k pi / size, k = 1, 2, ..."""
    return (jnp.pi / size)[:, None] * jnp.arange(1, others.real.shape[1] + 1).astype(size.dtype)


def left_out(
    b: Float[Array, " j"], low: Float[Array, " j"], size: Float[Array, " j"], others: Others, slope: Slope
) -> Float[Array, " j"]:
    """E[f(b + s)^2] over the others."""
    mass, mean, square, real, _ = others
    high, w = low + size, frequencies(others, size)
    top = jnp.where(b + high > 0, jnp.where(b + low < 0, b + high, size), 0)  # jnp.clip: see `few_active`
    second = square - 2 * low * mean + low**2 * mass
    whole = square + 2 * b * mean + b**2 * mass
    series = jnp.sum(jnp.sin(w * (size - top)[:, None]) * real / w**3, axis=1)
    part = mass * (top**3 / 3 / size - top * size / 3) + top * second / size + 4 / size * series
    above = jnp.where(b + high > 0, jnp.where(b + low < 0, part, whole), 0)
    return (1 - slope**2) * above + slope**2 * whole


def given_back(
    b: Float[Array, " j"],
    g: Float[Array, " j"],
    low: Float[Array, " j"],
    size: Float[Array, " j"],
    others: Others,
    slope: Slope,
) -> Float[Array, " j"]:
    """E[(x - f(b + g x + s))^2] over the others and over x, uniform on [0, 1]."""
    mass, mean, square, real, _ = others
    high, w = low + size, frequencies(others, size)
    centre = (1 - g) / 2 - b
    linear = mass * (1 - g) ** 2 / 12 + square - 2 * centre * mean + centre**2 * mass

    # below x = first, a is negative whatever s is; above x = last it never is
    safe = jnp.maximum(g, math.sqrt(float(jnp.finfo(g.dtype).tiny)))
    first, last = (jax.lax.stop_gradient(jnp.clip(-(b + end) / safe, 0, 1)) for end in (high, low))
    product, squared = jnp.zeros_like(b), jnp.zeros_like(b)
    second = square - 2 * high * mean + high**2 * mass
    for node in ((1 - 1 / math.sqrt(3)) / 2, (1 + 1 / math.sqrt(3)) / 2):
        x = first * node
        y = b + g * x
        product -= first / 2 * x * (mass * y + mean)
        squared += first / 2 * (mass * y**2 + 2 * mean * y + square)
        x = first + (last - first) * node
        z = -(b + g * x) - low
        weight = (last - first) / 2
        product += weight * x * (mass * (z**2 / 2 / size - size / 6) + second / 2 / size)
        squared += weight * (mass * (z**3 / 3 / size - z * size / 3) + z * second / size)
    middle, half = (first + last) / 2, (last - first) / 2
    phase = w * (-(b + g * middle) - low)[:, None]
    u = w * (g * half)[:, None]
    cosine, sine, over = jnp.cos(phase), jnp.sin(phase), sinc(u, jnp.sin(u))
    moment = middle[:, None] * cosine * over + half[:, None] * sine * bessel(u)
    product -= 4 / size * half * jnp.sum(moment * real / w**2, axis=1)
    squared -= 8 / size * half * jnp.sum(sine * over * real / w**3, axis=1)
    return linear - (1 - slope) * (2 * product + (1 + slope) * squared)


def bessel(u: Float[Array, "..."]) -> Float[Array, "..."]:
    """(sin u - u cos u) / u^2, with derivatives that hold where u is small."""
    near = jnp.abs(u) < 0.5
    small, large = jnp.where(near, u, 0), jnp.where(near, 1, u)
    square = small**2
    taylor = small / 3 * (1 - square / 10 * (1 - square / 28 * (1 - square / 54 * (1 - square / 88))))
    return jnp.where(near, taylor, (jnp.sin(large) - large * jnp.cos(large)) / large**2)
