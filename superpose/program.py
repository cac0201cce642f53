"""A program: everything static about a training run. Called on coordinates and keys it gives one model's arrays.

What a model becomes depends on its program, its own coordinates and its keys, and on nothing else. The coordinates are
the points of the axes, traced, so one compile serves all their values.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from superpose import evaluation, following, labels, leaves
from superpose.draws import seed_key
from superpose.exact import Method
from superpose.features import AbstractFeatures
from superpose.following import Path
from superpose.initial import AbstractInit, Xavier
from superpose.labels import Variable
from superpose.models import AbstractToyModel, split_trained, trained
from superpose.objective import AbstractObjective, Exact, Sampled, check_fits
from superpose.optimizers import AbstractOptimizer, AbstractSchedule, AdamW, Constant
from superpose.penalties import AbstractPenalty, NoPenalty, check_scalar
from superpose.polishing import AbstractPolish, NoPolish
from superpose.record import Record
from superpose.task import Identity, Target, Task
from superpose.training import TrainState, train
from superpose.weighting import AbstractWeighting, Uniform

ALONG = f"_{following.DIM}"
Coordinates = dict[str, Float[Array, ""]]

ATTRIBUTES: dict[str, dict[str, Any]] = {
    "loss": {"long_name": "expected loss L, summed over features and weighted by importance", "units": "1"},
    "loss_standard_error": {"long_name": "standard error of loss; 0 where it is exact", "units": "1"},
    "gradient_norm": {"long_name": "norm of the gradient of loss at the trained numbers", "units": "1"},
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
        penalty: what training minimises besides the loss.
        objective: the loss of a training step.
        optimizer, schedule: the optimiser, and for how many steps at which rate.
        init: fills the model's matrices.
        polish: what follows the last step; with an exact objective only.
        record: what is kept besides the trained model.
        path: a line of values of one number, along which the model is followed; see `superpose.following`.
        axes: (axis, path) for each axis of the sweep: the number it sets. The coordinate `sparsity` is given as the
            density p = 1 - S.
    """

    model: AbstractToyModel
    features: AbstractFeatures
    weighting: AbstractWeighting = Uniform()
    target: Target = Identity()
    penalty: AbstractPenalty = NoPenalty()
    objective: AbstractObjective = Sampled(1024)
    optimizer: AbstractOptimizer = eqx.field(default_factory=lambda: AdamW(1e-3, 1e-2))
    schedule: AbstractSchedule = Constant(10_000)
    init: AbstractInit = Xavier()
    polish: AbstractPolish = NoPolish()
    record: Record = Record()
    path: Path | None = None
    axes: tuple[tuple[str, str], ...] = eqx.field(static=True, default=())

    def __check_init__(self):
        beyond = [step for step in self.record.snapshots if not 0 <= step <= self.schedule.steps]
        if beyond:
            raise ValueError(
                f"`record.steps` lie in 0 ... schedule.steps = {self.schedule.steps}, got {str(beyond)[1:-1]}."
            )
        if self.path is not None and (self.record.snapshots or self.record.state):
            raise ValueError(
                "A model that is followed along a path is kept once at each point: there are no snapshots of its steps,"
                " and there is no state to go on from. Leave out record.steps and record.state."
            )
        n = self.features.n
        if self._difference(n) != (n, 1):
            sizes = ", ".join(f"{name} {getattr(self.model, name).shape}" for name in self.model.dims)
            raise ValueError(
                f"The model and the target do not fit features of n = {n}: the model has {sizes}. Give the features and"
                " the model the same n, and a target that gives n numbers of n features."
            )
        check_fits(self.objective, self.model, self.features, self.target, self.penalty)
        check_scalar(self.penalty, self.model, n)
        if not isinstance(self.polish, NoPolish) and not isinstance(self.objective, Exact):
            raise ValueError("A polish needs a loss without noise. Type objective=exact, or polish=none.")
        if not isinstance(self.polish, NoPolish) and self.record.state:
            raise ValueError("A polished model cannot be trained further. Leave out record.state, or type polish=none.")

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
        model = here.init(here.model, key=init_key)
        return here.train(model, data_key) if here.path is None else here.follow(model, data_key)

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
        final = self.polished(result.model, task)
        arrays = dict(zip(model.dims, trained(model)(final), strict=True))
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(array)) for array in arrays.values()]))
        judged = evaluation.evaluate(final, task, self.method)
        arrays |= {"loss": judged.loss, "loss_standard_error": judged.standard_error}
        arrays |= {"gradient_norm": judged.gradient_norm, "finite": finite, "feature_importance": task.importance}
        curve, taken = (places(self.schedule.steps) for places in (self.record.curve_places, self.record.taken))
        if self.record.curve:
            arrays |= {"loss_curve": result.loss_curve[curve]}
        if self.record.snapshots:
            kept = trained(model)(result.snapshots)
            arrays |= {f"{name}_steps": array[taken] for name, array in zip(model.dims, kept, strict=True)}
        if self.record.state:
            arrays |= {f"optimizer_{k}": leaf for k, leaf in enumerate(jax.tree.leaves(result.optimizer))}
        return arrays

    def follow(self, model: AbstractToyModel, data_key: PRNGKeyArray) -> dict[str, Array]:
        """The arrays of the last point walked, and as NAME_path those of every point, in the order of the points."""
        assert self.path is not None
        arrays, constant = split_trained(model)

        def train_at(arrays: PyTree[Array], point: Float[Array, ""], key: PRNGKeyArray) -> tuple:
            found = self.there(point).train(eqx.combine(arrays, constant), key)
            return eqx.tree_at(trained(model), arrays, [found[name] for name in model.dims]), found

        along = self.path.follow(train_at, arrays, key=data_key)
        return self.path.last(along) | {f"{name}{ALONG}": array for name, array in along.items()}

    def polished(self, model: AbstractToyModel, task: Task) -> AbstractToyModel:
        """The model after its polish."""
        arrays, constant = split_trained(model)

        def loss(arrays: PyTree[Array]) -> Float[Array, ""]:
            return self.objective.loss(eqx.combine(arrays, constant), task, ())

        return eqx.combine(self.polish(loss, arrays), constant)

    def at(self, coordinates: Coordinates) -> "Program":
        """This program with its axes' numbers put in."""
        program = self
        for axis, path in self.axes:
            program = leaves.put(program, path, coordinates[axis])
        return program

    def there(self, point: Float[Array, ""]) -> "Program":
        """This program at one point of its path, and without a path; of the steps it records nothing."""
        assert self.path is not None
        return dataclasses.replace(leaves.put(self, self.path.target, point), path=None, record=Record(curve=False))

    @property
    def reach(self) -> tuple[str, ...]:
        """The axes that reach what is drawn: models that agree in them and in their seed train on the same vectors."""
        drawn = not isinstance(self.objective, Exact)
        return tuple(axis for axis, path in self.axes if drawn and path.startswith("features."))

    @property
    def updates(self) -> int:
        """The steps of a model in all: those of the schedule, at each point of its path."""
        return self.schedule.steps * (1 if self.path is None else len(self.path.points))

    @property
    def method(self) -> Method | None:
        """How the exact loss that training minimises is computed; None where it is none."""
        return self.objective.method if isinstance(self.objective, Exact) else None

    def task(self) -> Task:
        return Task(self.features, self.weighting(self.features.n), self.target, self.penalty)

    def restore(self, coordinates: Coordinates, arrays: dict[str, Array]) -> tuple[AbstractToyModel, Task]:
        """The trained model of these coordinates and stored arrays, and its task; of a path those of its last point."""
        here = self.at(coordinates)
        here = here if here.path is None else here.there(here.path.walked[-1])
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
            name: Variable(self.dims(name, a.ndim), a.shape, np.dtype(a.dtype), self.attributes(name))
            for name, a in shapes.items()
        }

    def attributes(self, name: str) -> dict[str, Any]:
        """The attributes of an array of the store; {} where the labels know them."""
        along = self.path is not None and name.endswith(ALONG)
        own = name.removesuffix(ALONG) if along else name
        found = ATTRIBUTES.get(own, labels.TRAINED_ATTRIBUTES.get(own, {}) if along else {})
        if own in ("loss", "gradient_norm"):
            of_loss, of_gradient = evaluation.methods(self.model, self.features, self.target, self.method)
            found = found | {"method": of_loss if own == "loss" else of_gradient}
        return found | {"long_name": f"{found.get('long_name', own)}, at the points of the path"} if along else found

    def dims(self, name: str, ndim: int) -> tuple[str, ...]:
        """The dimensions' names of an array of the store, without `model`."""
        if self.path is not None and name.endswith(ALONG):
            return following.DIM, *self.dims(name.removesuffix(ALONG), ndim - 1)
        known = {"loss_curve": ("step",), "feature_importance": ("feature",), **self.model.dims}
        known |= {f"{array}_steps": ("snapshot", *dims) for array, dims in self.model.dims.items()}
        return known.get(name, tuple(f"{name}_{k}" for k in range(ndim)))

    def steps(self) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
        """The coordinates of the recorded steps, or of the points of the path."""
        if self.path is not None:
            return self.path.coordinates()
        found = {"step": (("step",), self.record.curve_steps(self.schedule.steps))} if self.record.curve else {}
        if self.record.snapshots:
            found["snapshot_step"] = (("snapshot",), np.array(self.record.snapshots, np.int64))
        return found
