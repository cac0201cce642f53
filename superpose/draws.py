"""Uniform random numbers, written out: those of `jax.random.uniform`, bit for bit.

Threefry-2x32 with 20 rounds (Salmon et al., 2011) of the counters 0, 1, 2, ... under a key, as JAX's partitionable
generator applies it: the two output words are combined by exclusive or, and their 23 high bits become a float in [0, 1)

    u = k / 2^23,    k uniform on 0 ... 2^23 - 1.

JAX lowers its own generator to a rolled loop on a CPU; written out in `jax.numpy` the same numbers come several times
faster there. On a GPU or TPU both are elementwise code.
"""

import math
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt32

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
PRNG = "threefry2x32"
CANDIDATES = 256


def seed_key(seed: int) -> PRNGKeyArray:
    """The threefry key of a seed, whatever generator JAX is set to."""
    return jax.random.key(seed, impl=PRNG)


def as_key(data: UInt32[Array, "2"]) -> PRNGKeyArray:
    """The threefry key of raw data, which a scan can run over."""
    return jax.random.wrap_key_data(data, impl=PRNG)


@jax.jit  # traced once a shape, where a run draws
def threefry(key: UInt32[Array, "2"], count: UInt32[Array, "..."]) -> UInt32[Array, "..."]:
    """32 random bits for each counter: both words of Threefry-2x32(key, (0, count)), combined by exclusive or."""
    keys = key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(PARITY)
    x0, x1 = jnp.broadcast_to(keys[0], count.shape), count + keys[1]
    for i in range(5):
        for rotation in ROTATIONS[i % 2]:
            x0 = x0 + x1
            x1 = x0 ^ (x1 << rotation | x1 >> 32 - rotation)
        x0 = x0 + keys[(i + 1) % 3]
        x1 = x1 + keys[(i + 2) % 3] + jnp.uint32(i + 1)
    return x0 ^ x1


def uniform(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """The numbers of `jax.random.uniform(key, shape)`: float32 in [0, 1), multiples of 2^-23.

    Args:
        key: a threefry key, as of `seed_key`.
        shape: of fewer than 2^32 numbers.
    """
    count = jax.lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)
    bits = threefry(jax.random.key_data(key), count)
    return jax.lax.bitcast_convert_type(bits >> 9 | jnp.uint32(0x3F800000), jnp.float32) - 1


def lattice(size: int, count: int, *, key: PRNGKeyArray) -> Float[Array, "size count"]:
    """(k z_i / count + U_i) mod 1, k = 0 ... count - 1: points that fill the cube evenly (Cranley and Patterson, 1976).

    Each point is uniform on [0, 1)^size, as the U_i are; so each mean over the points is unbiased. Each coordinate
    fills [0, 1) evenly, that of i = 0 in order, and each pair the square as well as `multipliers` can. Where there are
    too few of these, all coordinates but the first are independent draws.
    """
    shift_key, rest_key = jax.random.split(key)
    z = multipliers(size, count)
    turn = jnp.asarray(z)[:, None] * jnp.arange(count, dtype=jnp.uint32) % count
    u = turn / jnp.float32(count) + uniform(shift_key, (len(z), 1))
    return jnp.concatenate([u - jnp.floor(u), uniform(rest_key, (size - len(z), count))])


@lru_cache
def multipliers(size: int, count: int) -> np.ndarray:
    """The z_i of a lattice, z_0 = 1; that alone where there are fewer than `size`, or size * count^5 >= 2^63.

    They have no factor in common with `count` and lie below its half: z and count - z go together. Each is the one that
    pairs best with those before it (Sloan, Kuo and Joe, 2002): the least sum over j < i of the excess of

        1 / count sum_k (1 + w(k z_i)) (1 + w(k z_j)),    w(k) = 2 pi^2 B_2((k mod count) / count),

    over 1, the squared error of the worst function of two numbers whose derivative is square integrable. Sums are
    of the integers 6 count^2 B_2: many candidates are equally good, and which is taken may not depend on rounding.
    """
    units = np.array([z for z in range(1, max(2, count // 2 + 1)) if math.gcd(z, count) == 1], np.uint32)
    if size * count**5 >= 2**63 or len(units) < size:
        return units[:1]
    units = units[:: max(1, len(units) // max(size, CANDIDATES))]  # of many a part will do
    k = np.arange(count, dtype=np.int64)
    w = (6 * k**2 - 6 * k * count + count**2)[np.outer(units, k) % count]
    chosen, total = [0], w[0].copy()
    while len(chosen) < size:
        excess = w @ total
        excess[chosen] = np.iinfo(np.int64).max
        chosen.append(int(np.argmin(excess)))
        total += w[chosen[-1]]
    return units[chosen].astype(np.uint32)
