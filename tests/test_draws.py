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


@pytest.mark.parametrize("count", [1, 12, 1000, 1024])
def test_a_lattice_fills_each_coordinate_evenly(count):
    """Its sorted numbers are 1 / count apart, those of the first coordinate in order; rounding adds less than 2^-22."""
    size = len(draws.multipliers(2 if count == 12 else min(6, count), count))
    u = np.asarray(draws.lattice(size, count, key=KEYS["split"]), np.float64)
    assert u.min() >= 0 and u.max() < 1
    np.testing.assert_allclose(np.diff(np.sort(u)), 1 / count, atol=2**-22)
    np.testing.assert_allclose((np.diff(u[0]) + 0.5) % 1 - 0.5, 1 / count, atol=2**-22)


@pytest.mark.parametrize(("size", "count"), [(1, 2), (3, 7), (200, 1000), (21, 1024), (256, 1024), (20, 2**11)])
def test_no_two_coordinates_of_a_lattice_go_together(size, count):
    """z_i and z_j are units of the integers modulo `count`, and neither z_i = z_j nor z_i = -z_j."""
    z = draws.multipliers(size, count).astype(int)
    assert z[0] == 1 and len({min(one, count - one) for one in z}) == size
    assert all(np.gcd(one, count) == 1 for one in z)


def test_the_second_multiplier_pairs_best_with_the_first():
    """Of 13 points in the square the best are Fibonacci's lattice: z = 5, as 8 = 13 - 5 (Niederreiter, 1992)."""
    assert draws.multipliers(2, 13)[1] == 5


def test_a_lattice_point_is_uniform():
    """Over keys: within 5 sigma of the moments 1/2 and 1/3, whose variances are 1/12 and 4/45."""
    keys = jax.random.split(jax.random.key(5), 4096)
    u = np.asarray(jax.vmap(lambda key: draws.lattice(3, 8, key=key)[:, 5])(keys), np.float64)
    assert np.abs(u.mean(axis=0) - 1 / 2).max() < 5 * np.sqrt(1 / 12 / 4096)
    assert np.abs((u**2).mean(axis=0) - 1 / 3).max() < 5 * np.sqrt(4 / 45 / 4096)


def test_more_coordinates_than_a_lattice_has_are_independent():
    """Of 16 examples four: 1, 3, 5, 7 are the numbers up to 8 without a common factor with it."""
    u = np.asarray(draws.lattice(5, 16, key=KEYS["split"]))
    expected = draws.uniform(jax.random.split(KEYS["split"])[1], (4, 16))
    assert len(draws.multipliers(4, 16)) == 4 and list(draws.multipliers(5, 16)) == [1]
    np.testing.assert_array_equal(u[1:], expected)
    np.testing.assert_allclose(np.diff(np.sort(u[0])), 1 / 16, atol=2**-22)
