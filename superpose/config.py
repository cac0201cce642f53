"""From overrides to programs and grids: the schema, Hydra's composition, and every check of a value on the host.

A variant is the same command composed again with its list of overrides appended. What comes out is a `Run`: plain
values, programs and grids, in which Hydra is not seen any more.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from superpose import axes, catalogue
from superpose.arguments import AXES, InputError, rewrite, value_of
from superpose.catalogue import Found
from superpose.experiment import Experiment, load_experiment
from superpose.grid import LARGEST_SEED, Grid
from superpose.program import Program
from superpose.record import Record, log_spaced
from superpose.searching import look_for
from superpose.sweep import Seeding
from superpose.teaching import teach

COMPONENTS = ("model", "features", "weighting", "target", "objective", "optimizer", "schedule", "init")
SMALLEST = {
    "model.n": 1,
    "model.m": 1,
    "features.n": 1,
    "objective.batch": 1,
    "schedule.steps": 1,
    "schedule.warmup": 0,
}
NOT_OF_THE_PROGRAM = ("output", "name", "plan", "repair", "swept", "hydra", "compute", *AXES)


@dataclasses.dataclass
class Compute:
    platform: str | None = None
    devices: int | None = None
    tile: int | None = None
    block: int | None = None
    shard: int = 0
    shards: int = 1


@dataclasses.dataclass
class Recorded:
    steps: Any = dataclasses.field(default_factory=list)
    state: bool = False


@dataclasses.dataclass
class Schema:
    """Every key that a run may have at the top, and the types of those that are no component."""

    experiment: dict[str, Any]
    scale: dict[str, Any]
    variants: dict[str, list[str]]
    axes: dict[str, Any]
    swept: list[str]
    record: Recorded
    compute: Compute
    model: Any = None
    features: Any = None
    weighting: Any = None
    target: Any = None
    objective: Any = None
    optimizer: Any = None
    schedule: Any = None
    init: Any = None
    sparsity: Any = None
    importance: Any = None
    learning_rate: Any = None
    weight_decay: Any = None
    seed: Any = None
    name: str | None = None
    output: str = "outputs"
    plan: bool = False
    repair: bool = False


@dataclasses.dataclass(frozen=True)
class Variant:
    """One program of an experiment, its grid, how its seeds become keys, and what its numbers depend on."""

    program: Program
    grid: Grid
    seeding: Seeding
    identity: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Run:
    """What a command asks for."""

    found: Found
    experiment: Experiment
    variants: dict[str, Variant]
    folder: Path
    compute: Compute
    settings: dict[str, Any]
    overrides: tuple[str, ...]
    plan: bool
    repair: bool

    @property
    def identity(self) -> dict[str, dict[str, Any]]:
        """Variant -> its identity."""
        return {label: variant.identity for label, variant in self.variants.items()}


def compose(overrides: Sequence[str]) -> dict[str, Any]:
    """What the overrides compose to, as plain values that fit the schema; `choices` has each group's option."""
    try:
        cfg = hydra.compose("config", list(overrides), return_hydra_config=True)
        choices = OmegaConf.to_container(cfg.hydra.runtime.choices)
        OmegaConf.set_struct(cfg, False)
        del cfg["hydra"]
        checked = OmegaConf.merge(OmegaConf.structured(Schema), cfg)
        plain = OmegaConf.to_container(checked, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(teach(error)) from error
    assert isinstance(plain, dict) and isinstance(choices, dict)
    return {str(key): value for key, value in plain.items()} | {"choices": choices}


def check_numbers(settings: Mapping[str, Any]) -> None:
    """Sizes are integers of at least 1.

    Raises:
        InputError: one is not.
    """
    compute = {
        f"compute.{key}": 1 for key in ("devices", "tile", "block", "shards") if settings["compute"][key] is not None
    }
    for path, smallest in {**SMALLEST, **compute}.items():
        part, key = path.split(".")
        value = settings[part].get(key, smallest)
        if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
            raise InputError(f"`{path}` must be an integer of at least {smallest}, got {value!r}.")
    shard, shards = settings["compute"]["shard"], settings["compute"]["shards"]
    if not 0 <= shard < shards:
        raise InputError(f"`compute.shard` must lie in 0 ... compute.shards - 1 = {shards - 1}, got {shard}.")


def fitted(settings: Mapping[str, Any], typed: Sequence[str]) -> dict[str, Any]:
    """The settings with each component's keys being those that its `_target_` takes.

    A recipe, an experiment or a scale sets keys of the option that it has in mind; with another option chosen they are
    dropped. A key that was typed stays, and is an error when the component is made.
    """
    given = {override.split("=", 1)[0].lstrip("+") for override in typed}
    parts = dict(settings)
    for name in COMPONENTS:
        takes = inspect.signature(hydra.utils.get_object(settings[name]["_target_"])).parameters
        keep = {"_target_", "levels", *takes, *(key.split(".", 1)[1] for key in given if key.startswith(f"{name}."))}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes.values()):
            parts[name] = {key: value for key, value in settings[name].items() if key in keep}
    return parts


def component(settings: Mapping[str, Any], name: str) -> Any:
    """The module that a group's `_target_` names, made from its other keys.

    Raises:
        InputError: it cannot be made.
    """
    node = {key: value for key, value in settings[name].items() if key != "levels"}
    try:
        return hydra.utils.instantiate(node, _convert_="all")
    except HydraException as error:
        cause = error.__cause__ or error
        raise InputError(f"`{name}` cannot be made: {str(cause).splitlines()[0]}") from error


def recorded(settings: Mapping[str, Any]) -> Record:
    """What to record; a count of snapshots becomes so many log-spaced steps."""
    given, last = settings["record"]["steps"], settings["schedule"]["steps"]
    steps = given if isinstance(given, list) else [given]
    if isinstance(given, int) and not isinstance(given, bool):
        every = log_spaced(last, 64)
        steps = sorted({int(every[k * (len(every) - 1) // max(given - 1, 1)]) for k in range(given)})
    for step in steps:
        if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step <= last:
            raise InputError(f"`record.steps` are integers from 0 to schedule.steps = {last}, got {step!r}.")
    return Record(tuple(sorted(set(steps))), settings["record"]["state"])


def seeding(settings: Mapping[str, Any]) -> Seeding:
    """How seeds become keys."""
    for key in ("init", "data", "root"):
        value = settings["seed"][key]
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_SEED
        ):
            raise InputError(f"`seed.{key}` is an integer from 0 to {LARGEST_SEED} (2^32 - 1), got {value!r}.")
    return Seeding(settings["seed"]["root"], settings["seed"]["init"], settings["seed"]["data"])


def variant(overrides: Sequence[str]) -> Variant:
    """The program and grid of a list of overrides."""
    settings = compose(overrides)
    check_numbers(settings)
    settings = fitted(settings, overrides)
    parts = {name: component(settings, name) for name in COMPONENTS}
    program = Program(**parts, record=recorded(settings))
    numbers = {f"{name}.{key}": value for name in COMPONENTS for key, value in settings[name].items()}
    own = {path: float(value) for path, value in numbers.items() if isinstance(value, float | int)}
    try:
        grid = axes.build({name: settings[name] for name in AXES}, settings["axes"], program, own)
    except ValueError as error:
        raise InputError(str(error)) from error
    program = dataclasses.replace(program, axes=tuple((axis.name, axis.target) for axis in grid.axes))
    return Variant(program, grid, seeding(settings), identity(settings, program))


def identity(settings: Mapping[str, Any], program: Program) -> dict[str, Any]:
    """Everything that a model's numbers depend on but its own coordinates: what a store is recognised by."""
    swept = dict(program.axes)
    parts: dict[str, Any] = {}
    for name in COMPONENTS:
        keys = {
            key: value
            for key, value in settings[name].items()
            if key != "levels" and f"{name}.{key}" not in swept.values()
        }
        parts[name] = keys
    parts["record"] = {"steps": list(program.record.snapshots), "state": program.record.state}
    parts["seed"] = {key: settings["seed"][key] for key in ("root", "init", "data")}
    parts["axes"] = swept
    return parts | {"arithmetic": {"precision": "float32", "matmul": "highest", "prng": "threefry2x32"}}


def run_name(settings: Mapping[str, Any], overrides: Sequence[str]) -> str:
    """The name given, else the experiment's, its scale unless that is `paper`, and what a multirun sweeps."""
    if settings["name"]:
        return settings["name"]
    scale = settings["scale"]["name"]
    swept = [key for key in settings["swept"] if key.split(".")[0] not in NOT_OF_THE_PROGRAM]
    marks = [f"{key}={value_of(overrides, key)}" for key in sorted(swept) if key not in ("experiment", "scale")]
    return "-".join([settings["experiment"]["name"], *([] if scale == "paper" else [scale]), *marks])


def build(overrides: Sequence[str], *, start: Callable[[Compute], None]) -> Run:
    """What the overrides ask for. Hydra must have been initialised (`session` does it).

    Args:
        overrides: as typed.
        start: told how to compute before the first number is made.

    Raises:
        InputError: they ask for something that cannot be done.
    """
    try:
        overrides = rewrite(overrides)
        found = catalogue.find(value_of(overrides, "experiment") or catalogue.DEFAULT)
        experiment = load_experiment(found.module)
        settings = compose(overrides)
        start(Compute(**settings["compute"]))
        lists = settings["variants"] or {settings["choices"]["model"]: []}
        variants = {label: variant([*overrides, *rewrite(more)]) for label, more in lists.items()}
    except InputError:
        raise
    except ValueError as error:
        raise InputError(str(error)) from error
    folder = Path(settings["output"]).expanduser() / run_name(settings, overrides)
    compute = Compute(**settings["compute"])
    flags = settings["plan"], settings["repair"]
    return Run(found, experiment, variants, folder, compute, settings, tuple(overrides), *flags)


def session(overrides: Sequence[str]) -> AbstractContextManager[Any]:
    """A context in which `build` may be called; inside a Hydra job there is one already."""
    if GlobalHydra.instance().is_initialized():
        return nullcontext()
    return hydra.initialize_config_dir(look_for(list(overrides)), version_base="1.3")
