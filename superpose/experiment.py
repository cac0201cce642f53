"""What an experiment supplies: measures of its models, a figure, and claims that are judged on the arrays.

An experiment is two files of one name: `conf/experiment/NAME.yaml`, what is trained, and `experiments/NAME.py`, which
holds `experiment = Experiment(...)`. The Python file sees arrays only: a DataTree with a group per variant, as
`superpose.load` gives it. Training is never needed again for a new figure or claim.
"""

import dataclasses
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import xarray as xr
from jaxtyping import Array, PRNGKeyArray

from superpose import geometry
from superpose.draws import seed_key
from superpose.labels import Variable
from superpose.models import AbstractToyModel
from superpose.task import Task

MODULE = "experiment"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a claim came to: whether it holds (None: these arrays cannot say), and the numbers that it rests on.

    Args:
        holds: True, False, or None where the arrays lack what the claim speaks of.
        measured: the measured value or values, as a reader wants them.
        expected: what the claim asks for.
        interval: an interval of the measured value over seeds, where there is one.
        seeds: how many seeds it rests on.
    """

    holds: bool | None
    measured: str
    expected: str = ""
    interval: tuple[float, float] | None = None
    seeds: int = 0


@dataclasses.dataclass(frozen=True)
class Claim:
    """A sentence, and its check on the arrays.

    Args:
        text: the sentence.
        source: where the paper has it; of a sentence of our own, the part of the paper that it goes on from.
        check: tree -> verdict; None where the sentence is about other models than these, of another size or kind, as
            experiments that share a module have them: then nothing is said of it.
        ours: the sentence is not the paper's but ours: a closed form, a reading of a figure, a question beyond it.
    """

    text: str
    source: str
    check: Callable[[xr.DataTree], Verdict | None]
    ours: bool = False

    @property
    def origin(self) -> str:
        """Whose sentence it is, and where it stands."""
        return f"ours, after {self.source}" if self.ours else self.source


@dataclasses.dataclass(frozen=True)
class Measure:
    """Numbers computed from trained models: (model, task, key) -> {name: array}.

    Raise `version` when the numbers change: they are computed again in old stores, without training.
    `variables` is name -> (dims, attributes); the dims leave out those of the sweep.
    """

    name: str
    version: str
    function: Callable[[AbstractToyModel, Task, PRNGKeyArray], dict[str, Array]]
    variables: Mapping[str, tuple[tuple[str, ...], Mapping[str, Any]]]


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A figure of the arrays, the claims about them, and measures beyond the geometry that every run has.

    Args:
        figure: tree -> matplotlib figure.
        claims: the paper's sentences, and those of our own.
        measure: (model, task, key) -> {name: array} of one model, computed for all.
        dims: the dimensions of each array of `measure`.
        version: raise it when `measure` changes.
        phase: the phase of each cell, an int8 array (NaN has no place in it), which `refine=` follows. It is given a
            variant's arrays, without what was recorded over the steps, and reduces `seed` (`statistics.best`); a cell
            without a usable seed is -1. It must treat every cell alone and take any cell dimensions: the labelled
            arrays have those of the axes, a level of a map has one, `cell`, with the axes' values along it.
        attributes: of arrays of `measure`, their `long_name` and `units`.
        animation: tree -> matplotlib animation, written as animation.gif beside the figure; None where there is none
            to show.

    Raises:
        ValueError: attributes of an array that `dims` does not name.
    """

    figure: Callable[[xr.DataTree], Any]
    claims: tuple[Claim, ...] = ()
    measure: Callable[[AbstractToyModel, Task, PRNGKeyArray], dict[str, Array]] | None = None
    dims: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    version: str = "1"
    phase: Callable[[xr.Dataset], xr.DataArray] | None = None
    attributes: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    animation: Callable[[xr.DataTree], Any] | None = None

    def __post_init__(self):
        unknown = sorted(set(self.attributes) - set(self.dims))
        if unknown:
            raise ValueError(f"`attributes` are of arrays that `dims` names, got {', '.join(unknown)}.")

    def judged(self, tree: xr.DataTree) -> list[tuple[Claim, Verdict]]:
        """The claims that are about these models, each with its verdict."""
        verdicts = [(claim, claim.check(tree)) for claim in self.claims]
        return [(claim, verdict) for claim, verdict in verdicts if verdict is not None]

    def measures(self) -> tuple[Measure, ...]:
        """The geometry of W, and the experiment's own measure where it has one."""
        if self.measure is None:
            return (GEOMETRY,)
        variables = {name: (dims, self.attributes.get(name, {})) for name, dims in self.dims.items()}
        return (GEOMETRY, Measure("experiment", self.version, self.measure, variables))


def of_geometry(model: AbstractToyModel, task: Task, key: PRNGKeyArray) -> dict[str, Array]:
    """`geometry.summary` of a model's matrix W; of a model without one, nothing."""
    W = getattr(model, "W", None)
    return {} if W is None else geometry.summary(W)


GEOMETRY = Measure(
    "geometry",
    geometry.VERSION,
    of_geometry,
    {name: (dims, attrs) for name, (dims, _, attrs) in geometry.VARIABLES.items()},
)


def measured(measure: Measure, model: AbstractToyModel, task: Task) -> dict[str, Variable]:
    """The arrays of a measure, found without computing them; each is checked against its dimensions' names.

    Raises:
        ValueError: the measure gives an array whose dimensions it does not name.
    """
    shapes = jax.eval_shape(measure.function, model, task, seed_key(0))
    unnamed = sorted(set(shapes) - set(measure.variables))
    if unnamed:
        raise ValueError(
            f"The measure `{measure.name}` gives {', '.join(unnamed)} but names no dims of it. Add them to `dims`."
        )
    return {
        name: Variable(measure.variables[name][0], a.shape, a.dtype, measure.variables[name][1])
        for name, a in shapes.items()
    }


def load_experiment(path: Path) -> Experiment:
    """The experiment of a Python file, which is the module `experiment` from then on: `_target_: experiment.MyModel`.

    Raises:
        ValueError: the file defines no `experiment`.
    """
    spec = importlib.util.spec_from_file_location(MODULE, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[MODULE] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not isinstance(getattr(module, "experiment", None), Experiment):
        raise ValueError(f"{path} defines no experiment. Add: experiment = Experiment(figure=..., claims=(...,))")
    return module.experiment
