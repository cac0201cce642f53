"""How fast a sampled sweep can be in plain JAX on a CPU: the least program that trains the models, and nothing else.

    python benchmarks/fast_sweep.py N M MODELS TILE [STEPS] [SEGMENT]     e.g.  20 5 256 8 200 20   (TILE is per device)

The yardstick of superpose's own sweep. It has no seeds, no records, no evaluation; what it has is the arrangement:

1. The forward pass is written on the matrix x (n, batch), examples in columns. Under a vmap over examples the second
   product comes out transposed and misses XLA's fast path on a CPU.
2. One CPU device per core, each with its own tiles, through shard_map: 1.2 to 2.9 times one device with all threads.
3. One draw per entry of x, x = where(u < p, u / p, 0), shared by all models. The draws of a segment of steps are made
   before the segment's scan and handed in as what it runs over: inside a step XLA computes them again for each use.
4. Threefry written out: the numbers of jax.random.uniform bit for bit, faster than their lowering on a CPU.
5. A tile goes through all its steps before the next one starts, so that its x stays in the cache.
"""

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding, PartitionSpec

BATCH = 1024
OPTIMIZER = optax.adamw(1e-3, weight_decay=1e-2)
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """jax.random.uniform(key, shape) for fewer than 2^32 numbers; `key` as its raw data (2,)."""
    first, second = key
    keys = first, second, first ^ second ^ jnp.uint32(0x1BD11BDA)
    x0 = jnp.broadcast_to(first, shape)
    x1 = jax.lax.iota(jnp.uint32, x0.size).reshape(shape) + second
    for i in range(5):
        for rotation in ROTATIONS[i % 2]:
            x0 = x0 + x1
            x1 = x0 ^ (x1 << rotation | x1 >> 32 - rotation)
        x0, x1 = x0 + keys[(i + 1) % 3], x1 + keys[(i + 2) % 3] + jnp.uint32(i + 1)
    return jax.lax.bitcast_convert_type((x0 ^ x1) >> 9 | jnp.uint32(0x3F800000), jnp.float32) - 1


def library_uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """The same numbers from JAX itself."""
    return jax.random.uniform(jax.random.wrap_key_data(key), shape)


def loss(params: tuple[jax.Array, jax.Array], x: jax.Array) -> jax.Array:
    """The ReLU output model's loss on x (n, batch), importance 0.9^i."""
    W, b = params
    importance = 0.9 ** jnp.arange(x.shape[0])[:, None]
    return jnp.mean(importance * (x - jax.nn.relu(W.T @ (W @ x) + b[:, None])) ** 2)


def train(p: jax.Array, key: jax.Array, *, n: int, m: int, steps: int, segment: int, draw: Callable = uniform) -> Any:
    """One model (W, b) of feature density p."""
    init_key, data_key = jax.random.split(key)
    params = jax.random.normal(init_key, (m, n)) * (2 / (n + m)) ** 0.5, jnp.zeros(n)
    step_keys = jax.random.key_data(jax.vmap(partial(jax.random.fold_in, data_key))(jnp.arange(steps)))

    def step(carry: Any, u: jax.Array) -> tuple[Any, None]:
        params, state = carry
        x = jnp.where(u < p, u * (1 / p), 0.0)
        updates, state = OPTIMIZER.update(jax.grad(loss)(params, x), state, params)
        return (optax.apply_updates(params, updates), state), None

    def run_segment(carry: Any, keys: jax.Array) -> tuple[Any, None]:
        return jax.lax.scan(step, carry, jax.vmap(lambda key: draw(key, (n, BATCH)))(keys))

    keys = step_keys.reshape(steps // segment, segment, 2)
    return jax.lax.scan(run_segment, (params, OPTIMIZER.init(params)), keys)[0][0]


def compiled(
    n: int, m: int, models: int, *, tile: int, steps: int, segment: int, devices: int
) -> tuple[Callable[[], Any], float]:
    """A sweep of `models` densities from 1 to 0.05, ready to run, and the seconds that its compile took.

    `models` is a multiple of tile * devices, and `steps` one of `segment`.
    """
    mesh = jax.make_mesh((devices,), ("device",))
    tiles, everywhere = PartitionSpec("device"), PartitionSpec()
    one = partial(train, n=n, m=m, steps=steps, segment=segment)

    @partial(jax.shard_map, mesh=mesh, in_specs=(tiles, everywhere), out_specs=tiles, check_vma=False)
    def sweep(p: jax.Array, key: jax.Array) -> Any:
        return jax.lax.map(lambda of_tile: jax.vmap(one, in_axes=(0, None))(of_tile, key), p)

    density = 20.0 ** -jnp.linspace(0, 1, models).reshape(-1, tile)
    p, key = jax.device_put(density, NamedSharding(mesh, tiles)), jax.random.key(0)
    begun = time.perf_counter()
    run = jax.jit(sweep).lower(p, key).compile()
    return lambda: jax.block_until_ready(run(p, key)), time.perf_counter() - begun


def main():
    n, m, models, tile = (int(argument) for argument in sys.argv[1:5])
    steps, segment = (int(sys.argv[k]) if len(sys.argv) > k else default for k, default in ((5, 200), (6, 20)))
    devices = len(jax.devices())
    run, compile_seconds = compiled(n, m, models, tile=tile, steps=steps, segment=segment, devices=devices)
    W, times = jax.device_get(run()[0]).reshape(models, m, n), []
    for _ in range(5):
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    alone = partial(train, n=n, m=m, steps=steps, segment=segment, draw=library_uniform)
    error = abs(W[-1] - jax.jit(alone)(1 / jnp.float32(20), jax.random.key(0))[0]).max()
    rate = models * steps / sorted(times)[2]
    print(
        f"n={n} m={m} models={models} tile={tile} devices={devices}: {rate:,.0f} model-steps/s,"
        f" compiled in {compile_seconds:.1f} s; max |dW| {error:.0e} from a model trained alone on jax.random's numbers"
    )


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    main()
