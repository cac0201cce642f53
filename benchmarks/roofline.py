"""The machine's limits at one size: how fast any program could go that does the work of a step.

    python benchmarks/roofline.py N M TILE      e.g.  20 5 8      (TILE is the models that a core trains at once)

A step of a model takes x (n, batch) to a gradient. Each of these bounds its speed, in model-steps per second:

    products  rate of products / (10 n m batch)
        W x, W^T h, the gradient of h, and the two terms of that of W: 2 n m batch each.
    passes    rate of passes / (2 n batch)
        An ideal fused step goes twice over the entries. It makes x of the draws (and writes x), and it makes the
        output's gradient of y = W^T h and x (reads both, writes one; bias, ReLU, error, importance and the sums for b
        on the way). What the products read and write is theirs.
    draws     rate of draws * cells / (n batch)
        One uniform number an entry, shared by the cells of a tile.

The rate of products is that of large float32 matrices, on all cores. The rate of passes is that of a loop that reads
two arrays of a tile's size and writes one of them, with a comparison, a product and a sum, each core on arrays of its
own: so it knows in which cache they lie. The rate of draws is that of superpose's generator, writing segments of 20
steps. The roofline is the least of the three: no program that does them at these rates is faster, even one that did all
three at once.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from worker import cores

from superpose import draws

BATCH = 1024
SIZE = 1024  # of the large matrices
SEGMENT = 20
SECONDS = 0.4  # of one measurement, about
SPLIT = PartitionSpec("device")
Measured = Callable[[], float]


def rated(one_device: Callable[[jax.Array], jax.Array], arrays: jax.Array, work: float) -> Measured:
    """Measures the rate of `one_device` on all devices at once; `arrays` (device, ...), `work` of one device."""
    mesh = jax.make_mesh((len(arrays),), ("device",))
    run = partial(jax.shard_map, mesh=mesh, in_specs=SPLIT, out_specs=SPLIT, check_vma=False)
    given = jax.device_put(arrays, NamedSharding(mesh, SPLIT))
    with jax.default_matmul_precision("highest"):
        ready = jax.jit(run(lambda array: one_device(array[0])[None])).lower(given).compile()
    jax.block_until_ready(ready(given))

    def measure() -> float:
        begun = time.perf_counter()
        jax.block_until_ready(ready(given))
        return len(arrays) * work / (time.perf_counter() - begun)

    return measure


def repeated(step: Callable[[jax.Array], jax.Array], first: jax.Array, times: int) -> jax.Array:
    return jax.lax.scan(lambda a, _: (step(a), None), first, None, length=times)[0]


def products(devices: int) -> Measured:
    """Floating-point operations per second of products of large matrices."""
    times = max(1, int(90e9 * SECONDS / (2 * SIZE**3)))
    multiply = lambda a: repeated(lambda x: a @ x, a, times)
    return rated(multiply, jnp.full((devices, SIZE, SIZE), 1 / SIZE), times * 2.0 * SIZE**3)


def passes(n: int, tile: int, devices: int) -> Measured:
    """Entries per second of a pass over arrays (tile, n, batch)."""
    shape = tile, n, BATCH
    times = max(1, int(4e9 * SECONDS / (tile * n * BATCH)))
    go = lambda pair: repeated(lambda a: jnp.where(a > 0.5, pair[1] - 0.5 * a, a + 0.25 * pair[1]), pair[0], times)
    return rated(go, jnp.full((devices, 2, *shape), 0.3), float(times * tile * n * BATCH))


def generated(n: int, devices: int) -> Measured:
    """Uniform numbers per second."""
    segments = max(1, int(0.6e9 * SECONDS / (SEGMENT * n * BATCH)))

    def draw(keys: jax.Array) -> jax.Array:
        uniform = lambda key: draws.uniform(draws.as_key(key), (n, BATCH))
        write = lambda a, keys: (0.5 * a + jax.vmap(uniform)(keys), None)
        return jax.lax.scan(write, jnp.zeros((SEGMENT, n, BATCH)), keys)[0]

    keys = jax.random.split(draws.seed_key(0), (devices, segments, SEGMENT))
    return rated(draw, jax.random.key_data(keys), float(segments * SEGMENT * n * BATCH))


def meters(n: int, tile: int, devices: int) -> dict[str, Measured]:
    """What measures each rate."""
    return {"products": products(devices), "passes": passes(n, tile, devices), "draws": generated(n, devices)}


def bounds(rates: dict[str, float], n: int, m: int, cells: int) -> dict[str, float]:
    """Model-steps per second that each rate allows, for a program whose `cells` models share their draws."""
    work = {"products": 10.0 * n * m * BATCH, "passes": 2.0 * n * BATCH, "draws": n * BATCH / cells}
    return {name: rates[name] / work[name] for name in work}


def main():
    n, m, tile = (int(argument) for argument in sys.argv[1:4])
    rates: dict[str, Any] = {name: measure() for name, measure in meters(n, tile, len(jax.devices())).items()}
    told = ", ".join(f"{name} {rate / 1e9:.1f} G/s" for name, rate in rates.items())
    limits = ", ".join(f"{name} {bound:,.0f}" for name, bound in bounds(rates, n, m, tile).items())
    print(f"n={n} m={m} tile={tile}: {told}; model-steps/s at most: {limits}")


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", cores())
    main()
