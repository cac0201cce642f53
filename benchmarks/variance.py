"""What ways to draw a batch are worth: the variance of its gradient, the time of its step, and their product.

    python benchmarks/variance.py [--sizes 2 5 20 80 400] [--repeats 5]

For each way of candidates.py, on models at initialisation and after a short training, at four densities: the variance
of a batch's gradient (summed over all its entries), as a ratio to plain sampling at the same batch. The time is that of
training in superpose's sweep, all ways in turn, as the median of the ratios to plain sampling in the same turn.
Variance times time is what a gradient of given accuracy costs, beside plain sampling: 0.5 means half.

Results: a table, outputs/bench/variance.json and sampling.png. Sizes that are left out are those of the last run.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from candidates import candidates
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray
from jobs import BATCH, JOBS, Job
from matplotlib.figure import Figure
from report import cores, machine
from rich.console import Console
from rich.table import Table

from superpose import AdamW, Axis, Constant, Geometric, Grid, IndependentFeatures, Program, ReLUOutput, Xavier, plots
from superpose.draws import seed_key
from superpose.estimate import device_memory, tile_budget
from superpose.grid import fit_tile
from superpose.models import AbstractToyModel
from superpose.objective import AbstractObjective, Sampled
from superpose.record import Record
from superpose.sweep import sweep
from superpose.task import Identity, Task
from superpose.training import TrainResult, train

OUTPUT = Path("outputs/bench")
DENSITIES = (1.0, 0.1, 0.01, 0.001)
WEIGHTS = {"initial": 0, "trained": 2_000}  # steps before the variance is measured
BATCHES = {2: 1_024, 5: 512, 20: 256, 80: 64, 400: 24}
SHARE = 10  # a timing takes the steps of compare.py divided by this

Figures = dict[str, Any]


def task(job: Job, density: Float[Array, ""]) -> Task:
    """Features whose importances fall to 0.12 from the first to the last."""
    features = IndependentFeatures(job.n, density)
    return Task(features, Geometric(0.9 ** (20 / job.n))(job.n), Identity())


def trained(
    job: Job, objective: AbstractObjective, steps: int, density: Float[Array, ""], keys: tuple[PRNGKeyArray, ...]
) -> TrainResult:
    """A ReLU model after so many steps, and what it was at the steps of WEIGHTS where it got there."""
    model = Xavier()(ReLUOutput(job.n, job.m), key=keys[0])
    record = Record(tuple(step for step in WEIGHTS.values() if step <= steps), curve=False)
    how = objective, AdamW(1e-3, 1e-2), Constant(steps)
    return train(model, task(job, density), *how, record=record, key=keys[1])


def models(job: Job) -> dict[str, list[AbstractToyModel]]:
    """By name in WEIGHTS a model for each density, as plain sampling trains it."""
    keys = tuple(jax.random.split(seed_key(0)))
    run = jax.jit(lambda density: trained(job, Sampled(BATCH), max(WEIGHTS.values()), density, keys).snapshots)
    along = [run(jnp.float32(density)) for density in DENSITIES]
    return {name: [jax.tree.map(lambda a, k=k: a[k], of) for of in along] for k, name in enumerate(WEIGHTS)}


def gradient_variance(job: Job, objective: AbstractObjective) -> Callable[[AbstractToyModel, float], float]:
    """(model, density) -> the variance of a batch's gradient, summed over its entries."""

    @jax.jit
    def found(model: AbstractToyModel, density: Float[Array, ""]) -> Float[Array, ""]:
        asked = task(job, density)

        def gradient(key: PRNGKeyArray) -> Float[Array, " number"]:
            noise = objective.noise(asked, key=key)
            return ravel_pytree(jax.grad(lambda model: objective.loss(model, asked, noise))(model))[0]

        each = jax.lax.map(gradient, jax.random.split(jax.random.key(1), BATCHES[job.n]))
        return each.var(axis=0, ddof=1).sum()

    return lambda model, density: float(found(model, jnp.float32(density)))


def timer(job: Job, objective: AbstractObjective) -> Callable[[], float]:
    """() -> seconds in which superpose's sweep trains the models of the job; compiled once."""
    count, devices = job.models * cores(), jax.devices()
    axis = Axis("density", tuple(20.0 ** (-k / (count - 1)) for k in range(count)), "features.density")
    grid, compiled = Grid((axis,), (0,)), {}
    sizes = Program(ReLUOutput(job.n, job.m), IndependentFeatures(job.n), objective=Sampled(BATCH))
    tile = fit_tile(grid, tile_budget(sizes, "cpu", device_memory(devices[0], len(devices))))

    def model(coordinates: dict[str, Array], *keys: PRNGKeyArray) -> dict[str, Array]:
        model = trained(job, objective, job.steps // SHARE, coordinates["density"], keys).model
        return {"numbers": ravel_pytree(model)[0]}

    def run() -> float:
        compiles: list[float] = []
        begun = time.perf_counter()
        how = {"tile": tile, "devices": devices, "on_compile": compiles.append, "compiled": compiled}
        for _ in sweep(model, [grid.rows()], **how):
            pass
        return time.perf_counter() - begun - sum(compiles)

    return run


def measured(job: Job, repeats: int) -> dict[str, Figures]:
    """For each way the ratios to plain sampling: `time`, and by name in WEIGHTS the variance at each density."""
    ways, at = candidates(job.n, BATCH), models(job)
    timers = {name: timer(job, objective) for name, objective in ways.items()}
    turns = [{name: run() for name, run in timers.items()} for _ in range(repeats + 1)][1:]
    found: dict[str, Figures] = {}
    for name, objective in ways.items():
        variance = gradient_variance(job, objective)
        found[name] = {
            which: [variance(model, p) for model, p in zip(of, DENSITIES, strict=True)] for which, of in at.items()
        }
    ratio = lambda name, which: [a / b for a, b in zip(found[name][which], found["plain"][which], strict=True)]
    return {
        name: {"time": statistics.median(turn[name] / turn["plain"] for turn in turns)}
        | {which: ratio(name, which) for which in WEIGHTS}
        for name in ways
    }


def table(n: int, found: dict[str, Figures]) -> Table:
    """Time, variance at each density, and the product for trained models."""
    shown = Table(box=None, pad_edge=False, title=f"n = {n}: variance of the gradient, p = {DENSITIES}")
    for column in ("", "time", *WEIGHTS, "trained x time"):
        shown.add_column(column, justify="left" if not column else "right", no_wrap=True)
    row = lambda ratios: "  ".join(f"{ratio:7.2g}" for ratio in ratios)
    for name, of in found.items():
        product = row(ratio * of["time"] for ratio in of["trained"])
        shown.add_row(name, f"{of['time']:.2f}", *(row(of[which]) for which in WEIGHTS), product)
    return shown


def draw(sizes: dict[str, dict[str, Figures]]) -> Figure:
    """Variance times time over the density, a column for each n, models at initialisation above trained ones."""
    with plots.style():
        figure = Figure(figsize=(1.7 * len(sizes) + 1.4, 3.8))
        axes = figure.subplots(len(WEIGHTS), len(sizes), sharex=True, sharey=True, squeeze=False)
        for column, (n, found) in enumerate(sizes.items()):
            axes[0, column].set_title(f"n = {n}")
            for row, which in enumerate(WEIGHTS):
                for k, (name, of) in enumerate(found.items()):
                    look = {
                        "color": f"C{k - 1}" if k else plots.INK,
                        "linestyle": "--" if name.startswith("zero-free,") else "-",
                    }
                    product = [ratio * of["time"] for ratio in of[which]]
                    axes[row, column].loglog(DENSITIES, product, marker=".", markersize=3, label=name, **look)
        for row, which in enumerate(WEIGHTS):
            axes[row, 0].set_ylabel(f"variance x time,\n{which} / plain")
        figure.supxlabel("density p", fontsize=8)
        handles = {line.get_label(): line for ax in axes[0] for line in ax.get_lines()}
        figure.legend(handles.values(), handles.keys(), loc="outside right center")
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=int, default=list(BATCHES), choices=list(BATCHES), metavar="N")
    parser.add_argument("--repeats", type=int, default=5, help="times that each way is timed")
    arguments, console = parser.parse_args(), Console(highlight=False, width=200)
    jax.config.update("jax_num_cpu_devices", cores())
    path = OUTPUT / "variance.json"
    sizes = json.loads(path.read_text(encoding="utf-8"))["sizes"] if path.exists() else {}
    for job in JOBS:
        if job.n in arguments.sizes:
            sizes[str(job.n)] = measured(job, max(arguments.repeats, 1))
            console.print(table(job.n, sizes[str(job.n)]))
    sizes = {str(n): sizes[str(n)] for n in BATCHES if str(n) in sizes}
    OUTPUT.mkdir(parents=True, exist_ok=True)
    work = {"batch": BATCH, "densities": DENSITIES, "jobs": [job._asdict() for job in JOBS]}
    path.write_text(json.dumps({"machine": machine(), "work": work, "sizes": sizes}, indent=1) + "\n", encoding="utf-8")
    console.print("written:", str(path), *map(str, plots.save(draw(sizes), OUTPUT, "sampling")), soft_wrap=True)


if __name__ == "__main__":
    main()
