"""What one writes in JAX today: a model of one example under vmap, a training loop in a scan, jit and vmap over models.

    python benchmarks/plain_vmap.py N M MODELS [STEPS]      e.g.  20 5 16 500

Every model draws its own data inside the step, by two draws of jax.random an entry: whether a feature is active, and
its value. One device, on which XLA uses every core. The work of a step is that of fast_sweep.py: batch 1,024, learning
rate 1e-3, weight decay 1e-2, densities from 1 to 0.05, importance 0.9^i.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

BATCH = 1024
OPTIMIZER = optax.adamw(1e-3, weight_decay=1e-2)
Params = tuple[jax.Array, jax.Array]


def model(params: Params, x: jax.Array) -> jax.Array:
    """The ReLU output model on one example x (n,)."""
    W, b = params
    return jax.nn.relu(W.T @ (W @ x) + b)


def loss(params: Params, x: jax.Array) -> jax.Array:
    """Its loss on x (batch, n)."""
    importance = 0.9 ** jnp.arange(x.shape[1])
    return jnp.mean(importance * (x - jax.vmap(partial(model, params))(x)) ** 2)


def train(p: jax.Array, key: jax.Array, *, n: int, m: int, steps: int) -> Params:
    """One model of feature density p."""
    init_key, data_key = jax.random.split(key)
    params = jax.random.normal(init_key, (m, n)) * (2 / (n + m)) ** 0.5, jnp.zeros(n)

    def step(carry: Any, key: jax.Array) -> tuple[Any, None]:
        params, state = carry
        mask_key, value_key = jax.random.split(key)
        values = jax.random.uniform(value_key, (BATCH, n))
        x = jnp.where(jax.random.bernoulli(mask_key, p, (BATCH, n)), values, 0.0)
        updates, state = OPTIMIZER.update(jax.grad(loss)(params, x), state, params)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(step, (params, OPTIMIZER.init(params)), jax.random.split(data_key, steps))[0][0]


def compiled(n: int, m: int, models: int, *, steps: int) -> tuple[Callable[[], Any], float]:
    """A sweep of `models` densities from 1 to 0.05, ready to run, and the seconds that its compile took."""
    p, keys = 20.0 ** -jnp.linspace(0, 1, models), jax.random.split(jax.random.key(0), models)
    begun = time.perf_counter()
    run = jax.jit(jax.vmap(partial(train, n=n, m=m, steps=steps))).lower(p, keys).compile()
    return lambda: jax.block_until_ready(run(p, keys)), time.perf_counter() - begun


def main():
    n, m, models = (int(argument) for argument in sys.argv[1:4])
    steps = int(sys.argv[4]) if len(sys.argv) > 4 else 500
    run, compile_seconds = compiled(n, m, models, steps=steps)
    begun = time.perf_counter()
    run()
    rate = models * steps / (time.perf_counter() - begun)
    print(f"n={n} m={m} models={models}: {rate:,.0f} model-steps/s, compiled in {compile_seconds:.1f} s")


if __name__ == "__main__":
    main()
