"""A program: everything static about a training run. Called on coordinates and keys it gives one model's arrays.

What a model becomes depends on its program, its own coordinates and its keys, and on nothing else. The coordinates are
the points of the axes, traced, so one compile serves all their values.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from superpose import leaves
from superpose import record as records
from superpose.draws import seed_key
from superpose.features import AbstractFeatures
from superpose.initial import AbstractInit, Xavier
from superpose.labels import Variable
from superpose.models import AbstractToyModel, split_trained, trained
from superpose.objective import AbstractObjective, Sampled, evaluate
from superpose.optimizers import AbstractOptimizer, AbstractSchedule, AdamW, Constant
from superpose.record import Record
from superpose.task import Identity, Task
from superpose.training import TrainState, train
from superpose.weighting import AbstractWeighting, Uniform

Coordinates = dict[str, Float[Array, ""]]

ATTRIBUTES: dict[str, dict[str, Any]] = {
    "loss": {"long_name": "expected loss L, summed over features and weighted by importance", "units": "1"},
    "loss_standard_error": {"long_name": "standard error of loss; 0 where it is exact", "units": "1"},
    "loss_curve": {"long_name": "training loss (summed over features) before each step's update", "units": "1"},
    "feature_importance": {"long_name": "importance I_i", "units": "1"},
    "finite": {"long_name": "whether every trained number is finite"},
}


class Program(eqx.Module):
    """The static recipe of a model.

    Args:
        model: a model of the sizes wanted; its values are where an initialisation starts.
        features: the distribution of feature vectors.
        weighting: the importances of the features.
        target: what the model is to give of its features.
        objective: the loss of a training step.
        optimizer, schedule: the optimiser, and for how many steps at which rate.
        init: fills the model's matrices.
        record: what is kept besides the trained model.
        axes: (axis, path) for each axis of the sweep: the number it sets. The coordinate `sparsity` is given as the
            density p = 1 - S.
    """

    model: AbstractToyModel
    features: AbstractFeatures
    weighting: AbstractWeighting = Uniform()
    target: Callable[[Float[Array, "n batch"]], Float[Array, "n batch"]] = Identity()
    objective: AbstractObjective = Sampled(1024)
    optimizer: AbstractOptimizer = eqx.field(default_factory=lambda: AdamW(1e-3, 1e-2))
    schedule: AbstractSchedule = Constant(10_000)
    init: AbstractInit = Xavier()
    record: Record = Record()
    axes: tuple[tuple[str, str], ...] = eqx.field(static=True, default=())

    def __check_init__(self):
        beyond = [step for step in self.record.snapshots if not 0 <= step <= self.schedule.steps]
        if beyond:
            raise ValueError(
                f"`record.steps` lie in 0 ... schedule.steps = {self.schedule.steps}, got {str(beyond)[1:-1]}."
            )
        n = self.features.n
        if self._difference(n) != (n, 1):
            sizes = ", ".join(f"{name} {getattr(self.model, name).shape}" for name in self.model.dims)
            raise ValueError(
                f"The model and the target do not fit features of n = {n}: the model has {sizes}. Give the features and"
                " the model the same n, and a target that gives n numbers of n features."
            )

    def _difference(self, n: int) -> tuple[int, ...] | None:
        """The shape of target(x) - model(x) for one example, found without computing it; None where there is none."""
        x = jax.ShapeDtypeStruct((n, 1), jnp.float32)
        try:
            return jax.eval_shape(lambda x: self.target(x) - self.model(x), x).shape
        except (TypeError, ValueError):
            return None

    def __call__(self, coordinates: Coordinates, init_key: PRNGKeyArray, data_key: PRNGKeyArray) -> dict[str, Array]:
        """One trained model's arrays, by the names of the store.

        Args:
            coordinates: the traced value of each axis.
            init_key: for the initial weights.
            data_key: for the training data; step t draws with fold_in(data_key, t).
        """
        here = self.at(coordinates)
        return here.train(here.init(here.model, key=init_key), data_key)

    def resume(
        self, coordinates: Coordinates, state: TrainState, data_key: PRNGKeyArray, first: int
    ) -> dict[str, Array]:
        """As a call, but from the state before step `first` of a run recorded with `record.state`."""
        here = self.at(coordinates)
        return here.train(here.model, data_key, state, first)

    def train(
        self, model: AbstractToyModel, data_key: PRNGKeyArray, state: TrainState | None = None, first: int = 0
    ) -> dict[str, Array]:
        task, how = self.task(), (self.objective, self.optimizer, self.schedule)
        result = train(model, task, *how, record=self.record, key=data_key, state=state, first=first)
        arrays = dict(zip(model.dims, trained(model)(result.model), strict=True))
        estimate = evaluate(result.model, task)
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(array)) for array in arrays.values()]))
        arrays |= {"loss": estimate.loss, "loss_standard_error": estimate.standard_error, "finite": finite}
        curve, taken = (places(self.schedule.steps) for places in (self.record.curve, self.record.taken))
        arrays |= {"loss_curve": result.loss_curve[curve], "feature_importance": task.importance}
        if self.record.snapshots:
            kept = trained(model)(result.snapshots)
            arrays |= {f"{name}_steps": array[taken] for name, array in zip(model.dims, kept, strict=True)}
        if self.record.state:
            arrays |= {f"optimizer_{k}": leaf for k, leaf in enumerate(jax.tree.leaves(result.optimizer))}
        return arrays

    def at(self, coordinates: Coordinates) -> "Program":
        """This program with its axes' numbers put in."""
        program = self
        for axis, path in self.axes:
            program = leaves.put(program, path, coordinates[axis])
        return program

    def task(self) -> Task:
        return Task(self.features, self.weighting(self.features.n), self.target)

    def restore(self, coordinates: Coordinates, arrays: dict[str, Array]) -> tuple[AbstractToyModel, Task]:
        """The trained model of these coordinates and stored arrays, and its task."""
        here = self.at(coordinates)
        return eqx.tree_at(trained(here.model), here.model, [arrays[name] for name in here.model.dims]), here.task()

    def state(self, arrays: dict[str, np.ndarray]) -> TrainState:
        """The state in which stored models stopped: `arrays` are those of a program that recorded its state, with any
        leading dimensions."""
        like, _ = split_trained(self.model)
        structure = jax.tree.structure(jax.eval_shape(self.optimizer.build(self.schedule).init, like))
        leaves_of = [arrays[f"optimizer_{k}"] for k in range(structure.num_leaves)]
        here = eqx.tree_at(trained(self.model), like, [arrays[name] for name in self.model.dims])
        return TrainState(here, jax.tree.unflatten(structure, leaves_of))

    def state_names(self) -> list[str]:
        """The stored arrays that `state` needs."""
        return [*self.model.dims, *(name for name in self.variables() if name.startswith("optimizer_"))]

    def variables(self) -> dict[str, Variable]:
        """The arrays that a call gives, found without training; each is checked against its dimensions' names."""
        coordinates = {axis: jax.ShapeDtypeStruct((), jnp.float32) for axis, _ in self.axes}
        key = jax.eval_shape(lambda: seed_key(0))
        shapes = eqx.filter_eval_shape(self, coordinates, key, key)
        return {
            name: Variable(self.dims(name, a.ndim), a.shape, np.dtype(a.dtype), ATTRIBUTES.get(name, {}))
            for name, a in shapes.items()
        }

    def dims(self, name: str, ndim: int) -> tuple[str, ...]:
        """The dimensions' names of an array of the store, without `model`."""
        known = {"loss_curve": ("step",), "feature_importance": ("feature",), **self.model.dims}
        known |= {f"{array}_steps": ("snapshot", *dims) for array, dims in self.model.dims.items()}
        return known.get(name, tuple(f"{name}_{k}" for k in range(ndim)))

    def steps(self) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
        """The coordinates of the recorded steps."""
        found = {"step": (("step",), records.log_spaced(self.schedule.steps))}
        if self.record.snapshots:
            found["snapshot_step"] = (("snapshot",), np.array(self.record.snapshots, np.int64))
        return found
