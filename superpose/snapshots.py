"""What the weights that were recorded over the steps of a run say of it: the loss and the geometry at each of them.

`record.steps` keeps W_steps and b_steps. A loss curve is noisy, and has 16 steps a decade; here the loss of every
snapshot is that of one and the same sample, so that a small fall between two of them is one of the model.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Bool, Float, Int

from superpose import geometry, selection
from superpose.draws import seed_key
from superpose.features import AbstractFeatures, draws_nonzero
from superpose.models import AbstractTiedModel
from superpose.objective import Sampled
from superpose.task import Identity, Task

SEED = 2209


class Recorded(NamedTuple):
    """The usable models of a variant with the weights that were recorded over their training.

    Attributes:
        seeds: one each.
        density: p of all of them.
        steps: at which weights were recorded.
        W, b: the weights of each model at each step.
        loss: the judged loss of each model in the end.
    """

    seeds: list[int]
    density: float
    steps: Int[np.ndarray, " snapshot"]
    W: Float[np.ndarray, "seed snapshot m n"]
    b: Float[np.ndarray, "seed snapshot n"]
    loss: Float[np.ndarray, " seed"]


def recorded(tree: xr.DataTree) -> Recorded | None:
    """What was recorded of ReLU output models at one point of all axes but the seed.

    Args:
        tree: labelled arrays, of which the variant `relu` is read.

    Returns:
        None where it is not there, or has fewer than three snapshots.
    """
    ds = tree["relu"].to_dataset() if "relu" in tree.children else xr.Dataset()
    if not {"W_steps", "b_steps"} <= set(ds.variables) or ds.sizes["snapshot"] < 3:
        return None
    ds = selection.one_point(ds, ())[0]
    ds = ds.isel(seed=np.flatnonzero(ds["finite"]))
    W = ds["W_steps"].transpose("seed", "snapshot", "hidden", "feature").values
    b = ds["b_steps"].transpose("seed", "snapshot", "feature").values
    seeds, steps = ds["seed"].values.tolist(), ds["snapshot_step"].values
    return Recorded(seeds, float(ds["density"]), steps, W, b, ds["loss"].values.astype(float))


def share(flags: list[bool] | Bool[np.ndarray, " models"]) -> str:
    """Of how many models something is true: "3 of 8 models"."""
    return f"{int(np.sum(flags))} of {len(flags)} models"


def losses(
    model: AbstractTiedModel,
    features: AbstractFeatures,
    W: Float[np.ndarray, "snapshot m n"],
    b: Float[np.ndarray, "snapshot n"],
    *,
    vectors: int,
) -> Float[np.ndarray, " snapshot"]:
    """The loss sum_i (x_i - x'_i)^2 at every snapshot, of so many vectors that are the same for all.

    Args:
        model: of the class and sizes of the trained one; its W and b are replaced.
        features: what x is drawn from, without zero vectors where it tells how.
        W, b: the snapshots.
        vectors: how many x.
    """
    objective = Sampled(vectors, zero_free=draws_nonzero(features))
    task = Task(features, jnp.ones(W.shape[2]), Identity())
    return np.asarray(_losses(objective, model, task, jnp.asarray(W), jnp.asarray(b)))


@eqx.filter_jit
def _losses(objective: Sampled, model: AbstractTiedModel, task: Task, W: Array, b: Array) -> Array:
    noise = objective.noise(task, key=seed_key(SEED))
    put = lambda arrays: eqx.tree_at(lambda tree: (tree.W, tree.b), model, arrays)
    return jax.lax.map(lambda arrays: objective.loss(put(arrays), task, noise), (W, b))


_dimensionality = jax.jit(jax.vmap(geometry.dimensionality))


def dimensionality(W: Float[np.ndarray, "*models m n"]) -> Float[np.ndarray, "*models n"]:
    """D_i of each of many models (`geometry.dimensionality`)."""
    flat = jnp.asarray(W.reshape(-1, *W.shape[-2:]))
    return np.asarray(_dimensionality(flat)).reshape(*W.shape[:-2], W.shape[-1])


def cosines(W: Float[np.ndarray, "*models m n"]) -> Float[np.ndarray, "*models n n"]:
    """cos(W_i, W_j) of each of many models; 0 where a column is."""
    unit = W / np.maximum(np.linalg.norm(W, axis=-2, keepdims=True), 1e-12)
    return np.swapaxes(unit, -1, -2) @ unit
