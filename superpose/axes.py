"""From what was composed for each axis to the grid: which numbers, and which number of the program each axis sets.

`sparsity` sets the features' density, `importance` the one float of the weighting, `learning_rate` and `weight_decay`
the optimiser's; an axis of `axes` sets its `target`. An axis that nothing consumes, or whose number a path sets, is
dropped when it has one point, and is an error when it has several. Every check of a level is made here, on the host.
"""

import difflib
import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from superpose import following, geometry, leaves
from superpose.following import Path
from superpose.grid import LARGEST_SEED, Axis, Grid
from superpose.program import ATTRIBUTES, Program

COMPONENTS = ("features", "weighting", "model", "target", "penalty", "objective", "optimizer", "path")
NAMED = ("sparsity", "importance", "learning_rate", "weight_decay")
LEAST = {"penalty.strength": 0.0, "path.nudge": 0.0}
"""The least value of a number, wherever it is given: as a setting, on an axis, along a path."""
MOST = 10_000_000
TAKEN = (
    "model",
    "step",
    "snapshot",
    "snapshot_step",
    following.DIM,
    following.POINTS,
    *ATTRIBUTES,
    *geometry.VARIABLES,
)


def numbers(axis: str, given: Any, example: str = "[0.1,0.9]") -> list[float]:
    """The numbers of a list, or of {linear: [start, stop, count]} or {log: [start, stop, count]}.

    Raises:
        ValueError: it is none of these; the message has an example.
    """
    try:
        if isinstance(given, Mapping):
            ((spacing, (start, stop, count)),) = given.items()
            make, start, stop = {"linear": np.linspace, "log": np.geomspace}[spacing], float(start), float(stop)
            if spacing == "log" and not start * stop > 0:
                raise ValueError
            if (count := operator.index(count)) <= MOST:
                return [float(f"{number:.12g}") for number in make(start, stop, count)]
        else:
            return [_number(number) for number in given]
    except (TypeError, ValueError, KeyError):
        above = " with start and stop above 0" if isinstance(given, Mapping) and "log" in given else ""
        raise ValueError(
            f"`{axis}` takes a list of numbers, or {{linear: [start, stop, count]}} or {{log: [start, stop, count]}}"
            f"{above}, got {given!r}. Type '{axis}={example}'."
        ) from None
    raise ValueError(
        f"`{axis}` takes at most {MOST:,} numbers, got {given!r}: a run's table of models is kept in memory."
    )


def _number(value: Any) -> float:
    if isinstance(value, bool | str):
        raise TypeError
    return float(value)


def levels(axis: str, node: Mapping[str, Any], default: float | None) -> list[float] | None:
    """The points of an axis: what was typed, else the preset's, else the program's own value."""
    typed = {key: node[key] for key in ("points", "density") if node.get(key) is not None}
    if len(typed) > 1:
        raise ValueError(f"`{axis}.points` and `{axis}.density` are both given. Leave one out.")
    preset = node.get("preset")
    if not typed and preset is not None:
        typed = preset if isinstance(preset, Mapping) and set(preset) & {"points", "density"} else {"points": preset}
    if not typed:
        return None if default is None else [default]
    ((kind, given),) = typed.items()
    points = numbers(axis, given)
    return [1.0 - density for density in points] if kind == "density" else points


def seeds(node: Mapping[str, Any]) -> tuple[int, ...]:
    """The seeds: `points`, or 0 ... `count` - 1, or the preset's count."""
    if node["points"] is not None and node["count"] is not None:
        raise ValueError("`seed.points` and `seed.count` are both given. Leave one out.")
    points = node["points"]
    if points is not None:
        listed = points if isinstance(points, list) else [points]
        wrong = [point for point in listed if isinstance(point, bool) or not isinstance(point, int)]
        if wrong:
            raise ValueError(f"A seed is an integer from 0 to {LARGEST_SEED} (2^32 - 1), got {wrong[0]!r}.")
        return tuple(listed)
    given = node.get("preset")
    preset = given if isinstance(given, Mapping) else {"count": given}
    count = node["count"] if node["count"] is not None else preset.get("count")
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"`seed` is a count of at least 1, got {count!r}. Type seed=8, or 'seed=[3,5]' for these two.")
    if count > MOST:
        raise ValueError(
            f"`seed` is a count of at most {MOST:,}, got {count:,}: a run's table of models is kept in memory."
        )
    return tuple(range(count))


def consumer(axis: str, program: Program) -> str | None:
    """The path of the number that one of the named axes sets, or None."""
    if axis == "importance":
        own = leaves.scalar_paths(program.weighting)
        return f"weighting.{own[0]}" if len(own) == 1 and leaves.is_scalar(program.weighting, own[0]) else None
    path = {"sparsity": "features.density"}.get(axis, f"optimizer.{axis}")
    return path if leaves.is_scalar(program, path) else None


def targets(program: Program) -> list[str]:
    """The paths that an axis may set."""
    return [
        path
        for path in leaves.scalar_paths(program)
        if path.split(".")[0] in COMPONENTS and not _trained(program, path)
    ]


def _trained(program: Program, path: str) -> bool:
    return path.split(".")[0] == "model" and path.split(".")[1] in {name.split(".")[0] for name in program.model.dims}


def checked_target(axis: str, target: str, program: Program) -> str:
    """`target`, if an axis, or the path, may set it.

    Raises:
        ValueError: it names no scalar float; the message names those that are.
    """
    allowed = targets(program)
    parts = target.split(".")
    plain = all(part.isidentifier() or (part.isdecimal() and part == str(int(part))) for part in parts)  # 4, never 04
    if plain and parts[0] in COMPONENTS and leaves.is_scalar(program, target) and not _trained(program, target):
        return target
    near = difflib.get_close_matches(target, allowed, 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ValueError(
        f"{axis} has the target {target!r}, which is no single float of this program.{hint} These are:\n  "
        + "\n  ".join(allowed)
    )


def build(
    named: Mapping[str, Mapping[str, Any]],
    opened: Mapping[str, Any],
    program: Program,
    own: Mapping[str, float],
) -> Grid:
    """The grid of a program.

    Args:
        named: the composed nodes of sparsity, importance, learning_rate, weight_decay and seed.
        opened: `axes`, name -> {target, points}.
        program: whose numbers the axes set.
        own: path -> the program's own value in float64, for an axis whose preset is null.
    """
    axes: list[Axis] = []
    for name in NAMED:
        path = free(consumer(name, program), program)
        points = levels(name, named[name], own.get(path) if path else None)
        if path is None and points is not None and len(points) != 1:
            raise ValueError(f"Nothing in this program consumes `{name}` ({len(points)} points). {_why(name, program)}")
        if path is not None and points is not None:
            axes.append(Axis(name, tuple(points), path))
    for name, node in opened.items():
        axes.append(open_axis(name, node, program))
    return checked(Grid(tuple(axes), seeds(named["seed"])), program)


def free(path: str | None, program: Program) -> str | None:
    """The path of a number, unless it is the one along which models are followed."""
    return None if program.path is not None and program.path.target == path else path


def _why(axis: str, program: Program) -> str:
    if consumer(axis, program) is not None:
        return "The path sets its number. Leave one of them out."
    return {
        "importance": "Choose a weighting that takes it: weighting=geometric or weighting=last_feature.",
        "weight_decay": "Choose an optimiser that takes it: optimizer=adamw.",
    }.get(axis, "Leave it out.")


def open_axis(name: str, node: Any, program: Program) -> Axis:
    """An axis of `axes`."""
    unknown = sorted(set(node) - {"target", "points"}) if isinstance(node, Mapping) else []
    if not isinstance(node, Mapping) or unknown or not {"target", "points"} <= set(node):
        raise ValueError(
            f"The axis `{name}` is {{target: PATH, points: [...]}}, got {node!r}. Type"
            f" +axes.{name}='{{target: features.relative_density.4, points: [0.5,1]}}'"
        )
    if not name.isidentifier() or name in (*NAMED, "seed", "density"):
        raise ValueError(f"An axis of one's own needs a name of its own, a Python name, got {name!r}.")
    return Axis(
        name, tuple(numbers(name, node["points"])), checked_target(f"The axis `{name}`", str(node["target"]), program)
    )


def path_of(node: Mapping[str, Any] | None) -> Path | None:
    """The path of a `path` node: null, or target and points, and where wanted start and nudge; typed points beat the
    preset of an experiment.

    Raises:
        ValueError: it is none.
    """
    if node is None:
        return None
    given = {key: value for key, value in node.items() if value is not None}
    points = given.pop("points", given.pop("preset", None))
    if points is None or not {"target"} <= set(given) <= {"target", "start", "nudge", "preset"}:
        raise ValueError(
            f"`path` is {{target: PATH, points: [...]}}, with start and nudge where wanted, got {dict(node)!r}. Type"
            " path='{target: features.density, points: {log: [1.0,0.1,20]}}'"
        )
    more = {key: numbers(f"path.{key}", [given[key]])[0] for key in ("start", "nudge") if key in given}
    return Path(str(given["target"]), tuple(numbers("path.points", points)), **more)


def checked(grid: Grid, program: Program) -> Grid:
    """The grid, if its axes have names of their own and its levels lie where they mean something, and so do a path's.

    Raises:
        ValueError: a sparsity outside [0, 1), a negative rate, decay or importance, a feature's density outside
            [1e-5, 1], a name that an array or a dimension of the results has, a path along a number of an axis.
    """
    if program.path is not None:
        check_path(program.path, grid, program)
    taken = {*TAKEN, *program.model.dims, *(name for dims in program.model.dims.values() for name in dims)}
    for axis in grid.axes:
        if axis.name in taken:
            raise ValueError(
                f"The axis `{axis.name}` needs a name of its own: the results have an array or dimension of it."
            )
        for point in axis.points:
            check_level(axis.name, point)
        check_least(f"`{axis.name}`", axis.target, min(axis.points))
    check_features(grid, program)
    return grid


def check_path(path: Path, grid: Grid, program: Program) -> None:
    """The target of a path, its points, and the axes of its own numbers."""
    if checked_target("The path", path.target, program).startswith("path."):
        raise ValueError(f"A path has no target in itself, got {path.target!r}. Name another, as features.density.")
    for axis in grid.axes:
        if axis.target == path.target:
            raise ValueError(f"`{axis.name}` and the path both set {path.target}. Leave one out.")
        if axis.target == "path.start" and not set(axis.points) <= {0.0, 1.0}:
            raise ValueError(
                f"`{axis.name}` starts a path at its first point, 0, or at its last, 1, got {list(axis.points)}."
            )
    check_least("The path", path.target, min(path.points))
    known = [axis for axis in NAMED if axis != "sparsity" and consumer(axis, program) == path.target]
    for name in known:
        check_level(name, min(path.points))


def check_level(axis: str, point: float) -> None:
    """One level of an axis that is known by name."""
    if axis == "sparsity" and not 0.0 <= point < 1.0:
        raise ValueError(
            f"`sparsity` must lie in [0, 1), got {point!r}. Sparsity is the probability that a feature is zero; for"
            " a density d write sparsity = 1 - d, or type 'sparsity.density=[d]', d in (0, 1]."
        )
    if axis in NAMED and point < 0:
        raise ValueError(f"`{axis}` must be at least 0, got {point:g}.")


def check_least(who: str, target: str, least: float) -> None:
    """The least level of an axis or a path, by the number that it sets."""
    if target in LEAST and least < LEAST[target]:
        raise ValueError(f"{who} sets {target}, which must be at least {LEAST[target]:g}, got {least:g}.")


def check_features(grid: Grid, program: Program) -> None:
    """The levels of the features' numbers, over all axes and the path."""
    path = program.path
    ends = {} if path is None else {path.target: (min(path.points), max(path.points))}
    for axis in grid.axes:
        points = [1.0 - point for point in axis.points] if axis.name == "sparsity" else axis.points
        ends[axis.target] = (min(points), max(points))
    own = {path.removeprefix("features."): of for path, of in ends.items() if path.startswith("features.")}
    told = program.features.refusal(own)
    if told is not None:
        raise ValueError(told)
