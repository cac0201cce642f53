"""From overrides to programs and grids: the schema, and Hydra's composition.

A variant is the same command composed again with its list of overrides appended. What comes out is a `Run`: plain
values, programs and grids, in which Hydra is not seen any more.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from superpose import axes, catalogue, trust
from superpose.arguments import AXES, InputError, rewrite, value_of
from superpose.catalogue import Found
from superpose.components import COMPONENTS, check_numbers, component, fitted
from superpose.experiment import Experiment, load_experiment
from superpose.grid import LARGEST_SEED, Grid
from superpose.program import Program
from superpose.record import Record, log_spaced
from superpose.searching import look_for
from superpose.sweep import Seeding
from superpose.teaching import teach

NOT_OF_THE_PROGRAM = ("output", "name", "plan", "repair", "refine", "swept", "hydra", "compute", *AXES)
OF_THE_KEYS = ("seed.init", "seed.data", "seed.root")


@dataclasses.dataclass
class Compute:
    platform: str | None = None
    devices: int | None = None
    tile: int | str | None = None
    block: int | None = None
    shard: int = 0
    shards: int = 1
    distributed: bool = False
    memory_fraction: float | None = None
    cache: Any = None


@dataclasses.dataclass
class Recorded:
    steps: Any = None
    preset: Any = None
    state: bool = False
    curve: bool = True


@dataclasses.dataclass
class Schema:
    """Every key that a run may have at the top, and the types of those that are no component."""

    experiment: dict[str, Any] = dataclasses.field(default_factory=dict)
    scale: dict[str, Any] = dataclasses.field(default_factory=dict)
    variants: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    axes: dict[str, Any] = dataclasses.field(default_factory=dict)
    path: dict[str, Any] | None = None
    swept: list[str] = dataclasses.field(default_factory=list)
    record: Recorded = dataclasses.field(default_factory=Recorded)
    compute: Compute = dataclasses.field(default_factory=Compute)
    model: Any = None
    features: Any = None
    weighting: Any = None
    target: Any = None
    penalty: Any = None
    objective: Any = None
    optimizer: Any = None
    schedule: Any = None
    init: Any = None
    polish: Any = None
    sparsity: Any = None
    importance: Any = None
    learning_rate: Any = None
    weight_decay: Any = None
    seed: Any = None
    name: str | None = None
    output: str = "outputs"
    refine: int | None = None
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
    refine: int | None
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
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise InputError(teach(error)) from error
    except TypeError as error:  # Hydra's, of a list of numbers or lists in the place of an option's name
        told = f"These overrides cannot be composed ({error}). A group takes the name of an option, as model=relu."
        raise InputError(told) from error
    assert isinstance(plain, dict) and isinstance(choices, dict)
    for group in (*AXES, *COMPONENTS):
        if choices.get(group) is None or not isinstance(plain[group], dict):
            raise InputError(f"The group `{group}` has no option, and a run needs one. Leave out `~{group}`.")
    return {str(key): value for key, value in plain.items()} | {"choices": choices}


def recorded(settings: Mapping[str, Any]) -> Record:
    """What to record; a count of snapshots becomes so many log-spaced steps, {linear: [0, 1000, 11]} those.

    Without steps, an experiment's preset: settings of another kind, typed, could not replace those of a yaml.
    """
    last = settings["schedule"]["steps"]
    key = "preset" if settings["record"]["steps"] is None else "steps"
    given = settings["record"][key]
    if isinstance(given, Mapping):
        given = [round(step) for step in axes.numbers(f"record.{key}", given, f"[0,{last}]")]
    steps = given if isinstance(given, list) else [] if given is None else [given]
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        every = log_spaced(last, 64)
        given = min(given, len(every))  # a larger count, be it 10^40, gives all of them too
        steps = sorted({int(every[k * (len(every) - 1) // max(given - 1, 1)]) for k in range(given)})
    for step in steps:
        if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step <= last:
            raise InputError(f"`record.{key}` are integers from 0 to schedule.steps = {last}, got {step!r}.")
    return Record(tuple(sorted(set(steps))), settings["record"]["state"], settings["record"]["curve"])


def seeding(settings: Mapping[str, Any]) -> Seeding:
    """How seeds become keys."""
    for key in ("init", "data", "root"):
        value = settings["seed"][key]
        whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_SEED
        if not whole and (value is not None or key == "root"):
            raise InputError(f"`seed.{key}` is an integer from 0 to {LARGEST_SEED} (2^32 - 1), got {value!r}.")
    return Seeding(settings["seed"]["root"], settings["seed"]["init"], settings["seed"]["data"])


def variant(overrides: Sequence[str], settings: Mapping[str, Any]) -> Variant:
    """The program and grid of a list of overrides, which compose to `settings`."""
    check_numbers(settings)
    settings = fitted(settings, overrides)
    parts = {name: component(settings, name) for name in COMPONENTS}
    program = Program(**parts, record=recorded(settings), path=axes.path_of(settings["path"]))
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
    kept = program.record
    parts["record"] = {"steps": list(kept.snapshots), "state": kept.state, "curve": kept.curve}
    parts["seed"] = {key: settings["seed"][key] for key in ("root", "init", "data")}
    parts["axes"] = swept
    if program.path is not None:
        own = {"start": float(program.path.start), "nudge": float(program.path.nudge)}
        own = {key: value for key, value in own.items() if f"path.{key}" not in swept.values()}
        parts["path"] = {"target": program.path.target, "points": list(program.path.points), **own}
    return parts | {"arithmetic": {"precision": "float32", "matmul": "highest", "prng": "threefry2x32"}}


def run_name(settings: Mapping[str, Any], overrides: Sequence[str]) -> str:
    """The name given, else the experiment's, its scale unless that is `paper`, and what a multirun sweeps."""
    if settings["name"]:
        return settings["name"]
    scale = settings["scale"].get("name")
    if not isinstance(scale, str):
        raise InputError(f"`scale.name` is a word, as smoke, got {scale!r}. Choose a scale: scale=smoke.")
    swept = [key for key in settings["swept"] if key in OF_THE_KEYS or key.split(".")[0] not in NOT_OF_THE_PROGRAM]
    marks = [f"{key}={value_of(overrides, key)}" for key in sorted(swept) if key not in ("experiment", "scale")]
    return "-".join([settings["experiment"]["name"], *([] if scale == "paper" else [scale]), *marks])


def build(overrides: Sequence[str], *, start: Callable[[Compute], None], foreign: bool = False) -> Run:
    """What the overrides ask for. Hydra must have been initialised (`session` does it).

    Args:
        overrides: as typed.
        start: told how to compute before the first number is made.
        foreign: somebody else may have written them: only what `trust` allows is made.

    Raises:
        InputError: they ask for something that cannot be done.
    """
    try:
        typed, overrides = overrides, rewrite(overrides)
        found = catalogue.find(value_of(overrides, "experiment") or catalogue.DEFAULT)
        experiment = load_experiment(found.module)
        settings = compose(overrides)
        settings["experiment"] = {"name": found.name, "module": found.module.stem} | settings["experiment"]
        start(Compute(**settings["compute"]))
        lists = settings["variants"] or {settings["choices"]["model"]: []}
        own = {label: rewrite([*typed, *more]) for label, more in lists.items()}
        composed = {label: compose(o) if lists[label] else settings for label, o in own.items()}
        for each in composed.values() if foreign else ():
            trust.check_targets(each)
        variants = {label: variant(o, composed[label]) for label, o in own.items()}
    except InputError:
        raise
    except ValueError as error:
        raise InputError(str(error)) from error
    folder = Path(settings["output"]).expanduser() / run_name(settings, overrides)
    compute = Compute(**settings["compute"])
    flags = settings["refine"], settings["plan"], settings["repair"]
    return Run(found, experiment, variants, folder, compute, settings, tuple(overrides), *flags)


def session(overrides: Sequence[str]) -> AbstractContextManager[Any]:
    """A context in which `build` may be called; inside a Hydra job of superpose there is one already.

    Raises:
        InputError: Hydra is at work for another app.
    """
    initialised = GlobalHydra.instance()
    if not initialised.is_initialized():
        return hydra.initialize_config_dir(look_for(list(overrides)), version_base="1.3")
    paths = [source.path for source in initialised.config_loader().get_search_path().get_path()]
    ours = str(catalogue.shipped() / "conf")
    if not {ours, f"file://{ours}"} & set(paths):
        raise InputError(
            "Hydra is at work for another app in this process, and serves one at a time. Call run_sweep outside of it,"
            " or train with superpose.sweep_grid, which needs no Hydra."
        )
    return nullcontext()
