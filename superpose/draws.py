"""Uniform random numbers, written out: those of `jax.random.uniform`, bit for bit.

Threefry-2x32 with 20 rounds (Salmon et al., 2011) of the counters 0, 1, 2, ... under a key, as JAX's partitionable
generator applies it: the two output words are combined by exclusive or, and their 23 high bits become a float in [0, 1)

    u = k / 2^23,    k uniform on 0 ... 2^23 - 1.

JAX lowers its own generator to a rolled loop on a CPU; written out in `jax.numpy` the same numbers come several times
faster there. On a GPU or TPU both are elementwise code.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, UInt32

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
PRNG = "threefry2x32"


def seed_key(seed: int) -> PRNGKeyArray:
    """The threefry key of a seed, whatever generator JAX is set to."""
    return jax.random.key(seed, impl=PRNG)


def as_key(data: UInt32[Array, "2"]) -> PRNGKeyArray:
    """The threefry key of raw data, which a scan can run over."""
    return jax.random.wrap_key_data(data, impl=PRNG)


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


def even(count: int, *, key: PRNGKeyArray) -> Float[Array, " count"]:
    """(k + U) / count, k = 0 ... count - 1: each is uniform on [0, 1), and together they fill it evenly.

    One draw U serves all. Rounding adds at most 2^-24.
    """
    return jnp.minimum((jnp.arange(count) + uniform(key, ())) / count, 1 - 2**-24)
