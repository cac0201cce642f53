"""The written-out generator against JAX's own, bit for bit, and against the published numbers of Threefry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpose import draws

SHAPES = [(), (0,), (1,), (7,), (3, 5), (2, 3, 4), (5, 1023), (1, 4099)]
KEYS = {
    "zero": jax.random.key(0),
    "largest": jax.random.key(2**32 - 1),
    "split": jax.random.split(jax.random.key(3), 2)[1],
    "folded": jax.random.fold_in(jax.random.key(3), 2**32 - 1),
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_uniform_is_jaxs_bit_for_bit(shape):
    written_out = jax.jit(draws.uniform, static_argnums=1)
    for key in KEYS.values():
        expected = jax.random.uniform(key, shape)
        found = written_out(key, shape)
        assert found.dtype == jnp.float32 and found.shape == shape
        np.testing.assert_array_equal(found, expected)


def test_uniform_is_jaxs_under_vmap():
    keys = jax.random.split(jax.random.key(11), 5)
    found = jax.jit(jax.vmap(lambda key: draws.uniform(key, (3, 7))))(keys)
    np.testing.assert_array_equal(found, np.stack([jax.random.uniform(key, (3, 7)) for key in keys]))


def test_uniform_is_a_multiple_of_two_to_the_minus_23_below_one():
    u = np.asarray(draws.uniform(KEYS["split"], (100_003,)), np.float64)
    assert u.min() >= 0 and u.max() < 1
    np.testing.assert_array_equal(u * 2**23, np.floor(u * 2**23))


def test_threefry_gives_the_published_numbers():
    """Random123's known answer for a key and a counter of zeros is 6b200159 99ba4efe; its words are combined here."""
    found = draws.threefry(jnp.zeros(2, jnp.uint32), jnp.zeros((), jnp.uint32))
    assert int(found) == 0x6B200159 ^ 0x99BA4EFE
