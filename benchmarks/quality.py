"""Time to quality: how long until a model's exact loss is within 1% of the best known.

    python benchmarks/quality.py [--problems basic_results ...]      (make bench-quality; about 15 minutes on two cores)

A recipe trains each model for t seconds (the share of a sweep, compile apart, judgement included), and a share s of the
seeds ends within 1% of the lowest exact loss that any recipe here found in that cell. Until one model is as good takes

    T = t / s

on average: seeds are tried one after another. T is told for each density, and its mean over the cells of the phase
diagram. Of a recipe that no seed takes there, T is more than t times the number of seeds.

The notebook's recipe is also told at the speed of its PyTorch loop, where PyTorch is installed: its models are those of
`recipe=notebook`, its seconds are measured here, in turn. `recipe=fast` is chosen from this table.
"""

import argparse
import importlib.util
import json
import statistics
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from report import Sheet, machine
from rich.console import Console
from worker import cores

from superpose import (
    Adam,
    AdamW,
    Axis,
    Constant,
    CosineDecay,
    Exact,
    Geometric,
    Grid,
    IndependentFeatures,
    LastFeature,
    Program,
    ReLUOutput,
    Sampled,
    Uniform,
)
from superpose.estimate import device_memory, tile_budget
from superpose.grid import fit_tile
from superpose.initial import AbstractInit, Normal, Xavier
from superpose.record import Record
from superpose.sweep import sweep
from superpose.weighting import AbstractWeighting

OUTPUT = Path("outputs/bench")
WITHIN = 1.01
NOTEBOOK = "notebook"
TORCH = "notebook, PyTorch loop"
STEPS = 10_000


class Problem(NamedTuple):
    """A grid of cells, each trained with so many seeds."""

    n: int
    m: int
    weighting: AbstractWeighting
    init: AbstractInit
    densities: Sequence[float]
    importances: Sequence[float]
    seeds: int

    def grid(self) -> Grid:
        axes = [Axis("sparsity", tuple(1 - p for p in self.densities), "features.density")]
        if self.importances:
            axes.append(Axis("importance", tuple(self.importances), "weighting.relative"))
        return Grid(tuple(axes), tuple(range(self.seeds)))


class Recipe(NamedTuple):
    """How a model is trained."""

    objective: Any
    optimizer: Any
    schedule: Any


NAMES = ("basic_results", "uniform_geometry", "phase_change")


def problems() -> dict[str, Problem]:
    """By name. JAX must have been told of its devices: modules hold arrays."""
    paper, few = (1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001), (1, 0.3, 0.1, 0.03)
    p, r = np.geomspace(1, 0.01, 12).tolist(), np.geomspace(0.1, 10, 12).tolist()
    found = (
        Problem(20, 5, Geometric(0.7), Xavier(), paper, (), 64),
        Problem(400, 30, Uniform(), Xavier(), few, (), 4),
        Problem(2, 1, LastFeature(1.0), Normal(1.0), p, r, 16),
    )
    return dict(zip(NAMES, found, strict=True))


def recipes(problem: Problem) -> dict[str, Recipe]:
    """The notebook's, the candidates, and where it is fast the exact objective."""
    found = {NOTEBOOK: Recipe(Sampled(1024), AdamW(1e-3, 1e-2), Constant(STEPS))}
    for batch, rate, steps in product((128, 512), (0.01, 0.03), (500, 1000, 2000, 4000)):
        how = Recipe(Sampled(batch, zero_free=True), Adam(rate), CosineDecay(steps))
        found[f"batch {batch}, rate {rate}, {steps} steps"] = how
    return found | ({"exact": Recipe(Exact(), Adam(0.1), CosineDecay(1000))} if problem.n <= 3 else {})


class Found(NamedTuple):
    """The exact losses of a recipe's models, (seed, cell), and the seconds that one of them took."""

    losses: np.ndarray
    seconds: float


def train(problem: Problem, recipe: Recipe) -> Found:
    """Every model of a problem by one recipe, on all devices."""
    grid = problem.grid()
    axes = tuple((axis.name, axis.target) for axis in grid.axes)
    program = Program(
        ReLUOutput(problem.n, problem.m),
        IndependentFeatures(problem.n),
        problem.weighting,
        **recipe._asdict(),
        init=problem.init,
        record=Record(curve=False),
        axes=axes,
    )
    devices, compiles = jax.devices(), []
    budget = tile_budget(program, "cpu", device_memory(devices[0], len(devices)))
    tile = fit_tile(grid, budget, reach=program.reach)
    begun = time.perf_counter()
    ((_, arrays),) = sweep(program, [grid.rows()], tile=tile, devices=devices, on_compile=compiles.append)
    seconds = time.perf_counter() - begun - sum(compiles)
    return Found(arrays["loss"].reshape(problem.seeds, grid.cells), seconds / len(grid))


def torch_seconds(problem: Problem) -> float:
    """Seconds in which the notebook's loop trains one model: the median of three short runs of it."""
    import notebook_loop_torch as program

    instances, steps = max(2, min(64, 160 // problem.n)), max(20, 4000 // problem.n)
    run, _ = program.trainer(problem.n, problem.m, instances)
    each = statistics.median(run(steps) for _ in range(3)) / (instances * steps)
    return each * STEPS


def judged(problem: Problem, found: dict[str, Found]) -> dict[str, Any]:
    """For each recipe t, and for each cell the share of the seeds within 1% of the best loss, and T."""
    best = np.nanmin([np.nanmin(each.losses, axis=0) for each in found.values()], axis=0)
    about = {"densities": list(problem.densities), "map": bool(problem.importances), "best_loss": best.tolist()}
    told: dict[str, Any] = {**about, "recipes": {}}
    for name, each in found.items():
        share = np.mean(each.losses <= WITHIN * best, axis=0)
        until = each.seconds / np.maximum(share, 1 / problem.seeds)
        excess = np.nanmin(each.losses, axis=0) / best - 1
        told["recipes"][name] = {
            "seconds": each.seconds,
            "share": share.tolist(),
            "excess": excess.tolist(),
            "until": until.tolist(),
        }
    return told


def sheet(name: str, told: dict[str, Any]) -> Sheet:
    """T of each recipe at each density, with the share of the seeds; of the phase diagram means over the cells."""
    densities = [f"p = {p:g}" for p in told["densities"]] if not told["map"] else ["all cells"]
    rows = []
    for recipe, of in told["recipes"].items():
        until, share = (of[key] if not told["map"] else [float(np.mean(of[key]))] for key in ("until", "share"))
        found = of["share"] if not told["map"] else [min(of["share"])]
        numbers = [f"{'' if f else '> '}{t:.2g} s ({s:.0%})" for f, t, s in zip(found, until, share, strict=True)]
        rows.append([recipe, f"{of['seconds']:.2g} s", *numbers])
    return Sheet(f"{name}: time until a model is within 1% of the best (share of seeds)", ["", "t", *densities], rows)


def sheets(result: dict[str, Any]) -> dict[str, Sheet]:
    """The tables, by name."""
    return {f"quality_{name}": sheet(name, told) for name, told in result["problems"].items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", default=NAMES, choices=NAMES)
    chosen, console = parser.parse_args().problems, Console(highlight=False, width=200)
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", cores())
    result: dict[str, Any] = {"machine": machine(), "within": WITHIN, "problems": {}}
    for name in chosen:
        problem, found = problems()[name], {}
        for recipe, how in recipes(problem).items():
            found[recipe] = train(problem, how)
            console.print(f"{name}: {recipe}, {found[recipe].seconds:.3g} s a model", style="dim")
        told = judged(problem, found)
        if importlib.util.find_spec("torch"):
            slow, mine = torch_seconds(problem), told["recipes"][NOTEBOOK]
            until = [t * slow / mine["seconds"] for t in mine["until"]]
            told["recipes"][TORCH] = mine | {"seconds": slow, "until": until}
        result["problems"][name] = told
        console.print(sheet(name, told).table())
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "quality.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
