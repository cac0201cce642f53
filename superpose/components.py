"""From a group's settings to the module that its `_target_` names, and every check of a setting on the host."""

import inspect
import math
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import hydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from superpose import axes
from superpose.arguments import InputError
from superpose.features import AbstractFeatures
from superpose.initial import AbstractInit
from superpose.models import AbstractToyModel
from superpose.objective import AbstractObjective
from superpose.optimizers import AbstractOptimizer, AbstractSchedule
from superpose.penalties import AbstractPenalty
from superpose.polishing import AbstractPolish
from superpose.weighting import AbstractWeighting

KINDS: dict[str, Any] = {
    "model": AbstractToyModel,
    "features": AbstractFeatures,
    "weighting": AbstractWeighting,
    "target": Callable,
    "penalty": AbstractPenalty,
    "objective": AbstractObjective,
    "optimizer": AbstractOptimizer,
    "schedule": AbstractSchedule,
    "init": AbstractInit,
    "polish": AbstractPolish,
}
COMPONENTS = tuple(KINDS)
SMALLEST = {
    "model.n": 1,
    "model.m": 1,
    "features.n": 1,
    "objective.batch": 1,
    "schedule.steps": 1,
    "schedule.warmup": 0,
}
SWITCHES = ("objective.zero_free", "objective.even")
SEARCH = "search"  # compute.tile: found by measuring
LEAST = {"init.std": 0, "init.instances": 1, "penalty.strength": axes.LEAST["penalty.strength"]}


def check_numbers(settings: Mapping[str, Any]) -> None:
    """Sizes are integers of at least 1, other numbers lie where they mean something, and switches are on or off.

    Raises:
        InputError: one does not.
    """
    counts = ("devices", "tile", "block", "shards")
    free = {"compute.tile": SEARCH}
    given = {f"compute.{key}": settings["compute"][key] for key in counts}
    compute = {path: 1 for path, value in given.items() if value is not None and value != free.get(path)}
    for path, smallest in {**SMALLEST, **compute}.items():
        part, key = path.split(".")
        value = settings[part].get(key, smallest)
        if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
            more = f" or {SEARCH}" if path == "compute.tile" else ""
            raise InputError(f"`{path}` must be an integer of at least {smallest}{more}, got {value!r}.")
    for path, least in LEAST.items():
        part, key = path.split(".")
        value = settings[part].get(key, least)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < math.inf:
            raise InputError(f"`{path}` must be a finite number of at least {least:g}, got {value!r}.")
    for path in SWITCHES:
        part, key = path.split(".")
        if not isinstance(settings[part].get(key, False), bool):
            raise InputError(f"`{path}` is true or false, got {settings[part][key]!r}.")
    steps, warmup = settings["schedule"].get("steps", 0), settings["schedule"].get("warmup", 0)
    if warmup > steps:
        raise InputError(f"`schedule.warmup` is at most schedule.steps = {steps}, got {warmup}.")
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
        takes = inspect.signature(target_of(name, settings[name])).parameters
        keep = {"_target_", "levels", *takes, *(key.split(".", 1)[1] for key in given if key.startswith(f"{name}."))}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes.values()):
            parts[name] = {key: value for key, value in settings[name].items() if key in keep}
    return parts


def target_of(name: str, node: Mapping[str, Any]) -> Callable[..., Any]:
    """What the `_target_` of a group names.

    Raises:
        InputError: it names nothing that can be imported and called.
    """
    target = node.get("_target_")
    try:
        found = pkgutil.resolve_name(str(target))
        inspect.signature(found)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise InputError(
            f"`{name}._target_` must name a class, as superpose.models.ReLUOutput does, got {target!r}: {error}."
        ) from error
    return found


def component(settings: Mapping[str, Any], name: str) -> Any:
    """The module that a group's `_target_` names, made from its other keys.

    Raises:
        InputError: it cannot be made.
    """
    node = {key: value for key, value in settings[name].items() if key != "levels"}
    try:
        made = hydra.utils.instantiate(node, _convert_="all")
    except (
        HydraException,
        OmegaConfBaseException,
        TypeError,
    ) as error:  # of `_partial_` ...
        cause = error.__cause__ or error
        raise InputError(f"`{name}` cannot be made: {str(cause).splitlines()[0]}") from error
    if not isinstance(made, KINDS[name]):
        kind = KINDS[name].__name__
        raise InputError(f"`{name}._target_` must name a class of the kind {kind}, got {node['_target_']!r}.")
    return made
