"""What the weights that were recorded over the steps of a run say of it: the loss and the geometry at each of them.

`record.steps` keeps W_steps and b_steps. A loss curve is noisy, and has 16 steps a decade; here the loss of every
snapshot is that of one and the same sample, so that a small fall between two of them is one of the model.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from superpose import geometry
from superpose.draws import seed_key
from superpose.features import AbstractFeatures, draws_nonzero
from superpose.models import AbstractTiedModel
from superpose.objective import Sampled
from superpose.task import Identity, Task

VECTORS = 4096
SEED = 2209


def losses(
    model: AbstractTiedModel,
    features: AbstractFeatures,
    W: Float[np.ndarray, "snapshot m n"],
    b: Float[np.ndarray, "snapshot n"],
) -> Float[np.ndarray, " snapshot"]:
    """The loss sum_i (x_i - x'_i)^2 at every snapshot, of 4,096 vectors that are the same for all.

    Args:
        model: of the class and sizes of the trained one; its W and b are replaced.
        features: what x is drawn from, without zero vectors where it tells how.
        W, b: the snapshots.
    """
    task = Task(features, jnp.ones(W.shape[2]), Identity())
    objective = Sampled(VECTORS, zero_free=draws_nonzero(features))
    noise = objective.noise(task, key=seed_key(SEED))

    def one(arrays: tuple) -> jax.Array:
        return objective.loss(eqx.tree_at(lambda tree: (tree.W, tree.b), model, arrays), task, noise)

    return np.asarray(jax.jit(lambda *arrays: jax.lax.map(one, arrays))(jnp.asarray(W), jnp.asarray(b)))


def dimensionality(W: Float[np.ndarray, "*models m n"]) -> Float[np.ndarray, "*models n"]:
    """D_i of each of many models (`geometry.dimensionality`)."""
    flat = jnp.asarray(W.reshape(-1, *W.shape[-2:]))
    return np.asarray(jax.jit(jax.vmap(geometry.dimensionality))(flat)).reshape(*W.shape[:-2], W.shape[-1])


def cosines(W: Float[np.ndarray, "*models m n"]) -> Float[np.ndarray, "*models n n"]:
    """cos(W_i, W_j) of each of many models; 0 where a column is."""
    unit = W / np.maximum(np.linalg.norm(W, axis=-2, keepdims=True), 1e-12)
    return np.swapaxes(unit, -1, -2) @ unit
