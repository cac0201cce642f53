"""The phase diagram of n = 2, m = 1 in plain JAX: 48 x 48 cells x 10 seeds on fixed Gauss-Legendre nodes.

The arrangement of a careful notebook: the expectation by 193 nodes on the segment and the square, jit, vmap and a scan,
batches of 64 models. The nodes do not follow the kink of the ReLU, so its loss errs by up to 8e-3. It prints the
seconds that training takes, compile included.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

CELLS, SEEDS, STEPS, LEARNING_RATE, TILE = 48, 10, 1000, 0.03, 64


def nodes() -> tuple[jax.Array, jax.Array, jax.Array]:
    """Feature vectors (2, 193), and the weights of the nodes with one and with two active features."""
    (u, v), (wu, wv) = zip(
        *[((x + 1) / 2, w / 2) for x, w in map(np.polynomial.legendre.leggauss, (24, 12))], strict=True
    )
    square = np.stack([np.repeat(v, v.size), np.tile(v, v.size)])
    points = np.concatenate([np.zeros((2, 1)), [u, 0 * u], [0 * u, u], square], axis=1)
    return (
        jnp.asarray(points, jnp.float32),
        jnp.asarray(wu, jnp.float32),
        jnp.asarray(np.outer(wv, wv).ravel(), jnp.float32),
    )


POINTS, ONE, BOTH = nodes()


def expected_loss(params: tuple[jax.Array, jax.Array], p: jax.Array, importance: jax.Array) -> jax.Array:
    W, b = params
    out = jax.nn.relu(W.T @ (W @ POINTS) + b[:, None])
    weights = jnp.concatenate([(1 - p) ** 2 * jnp.ones(1), p * (1 - p) * ONE, p * (1 - p) * ONE, p**2 * BOTH])
    return (importance[:, None] * (POINTS - out) ** 2).sum(0) @ weights


def train(arguments: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
    key, p, r = arguments
    importance, params = jnp.array([1.0, r]), (jax.random.normal(key, (1, 2)), jnp.zeros(2))
    optim = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, STEPS))

    def step(carry: tuple, _: None) -> tuple[tuple, None]:
        params, state = carry
        updates, state = optim.update(jax.grad(expected_loss)(params, p, importance), state)
        return (optax.apply_updates(params, updates), state), None

    (params, _), _ = jax.lax.scan(step, (params, optim.init(params)), None, length=STEPS)
    return expected_loss(params, p, importance)


if __name__ == "__main__":
    p, r = jnp.meshgrid(jnp.logspace(0, -2, CELLS), jnp.logspace(-1, 1, CELLS), indexing="ij")
    p, r = jnp.repeat(p.ravel(), SEEDS), jnp.repeat(r.ravel(), SEEDS)
    keys = jax.random.split(jax.random.key(0), p.size)
    begun = time.perf_counter()
    jax.block_until_ready(jax.jit(lambda *a: jax.lax.map(train, a, batch_size=TILE))(keys, p, r))
    print(f"{time.perf_counter() - begun:.2f}")
