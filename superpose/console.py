"""What a run shows: the plan, a bar, the table of results, the claims, the paths. And the log, which keeps it."""

import datetime
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from superpose import statistics
from superpose.config import Run
from superpose.experiment import Claim, Verdict
from superpose.planning import Job, expected_seconds, where, working_bytes

MOST_ROWS = 28
MARKS = {True: "[green]holds[/]", False: "[red]does not hold[/]", None: "[yellow]not judgeable here[/]"}
log = logging.getLogger("superpose")


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 2 min 10 s, 3 h 5 min."""
    total = round(seconds)
    if total < 60:
        return f"{max(total, 1)} s"
    if total < 3600:
        return f"{total // 60} min {total % 60} s"
    return f"{total // 3600} h {total % 3600 // 60} min"


@contextmanager
def logged(path: Path) -> Iterator[None]:
    """Everything logged by superpose goes to the end of a file, too."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    except BaseException as error:
        log.error("%s: %s", type(error).__name__, error)
        raise
    finally:
        log.removeHandler(handler)
        handler.close()


def show_plan(console: Console, run: Run, jobs: list[Job], devices: list) -> None:
    """How many models, programs and blocks; memory, time; where it goes and what is there."""
    models, done = sum(len(job.rows) for job in jobs), sum(job.done for job in jobs)
    console.print(f"[bold]{run.found.name}[/] from {where(run.found.root)}: {models:,} models, {done:,} of them done")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("variant", "grid", "models", "done", "to do", "blocks", "tile", "steps"):
        table.add_column(column, justify="left" if column in ("variant", "grid") else "right")
    for job in jobs:
        grid = job.variant.grid
        several = [f"{len(axis.points)} {axis.name}" for axis in grid.axes if len(axis.points) > 1]
        axes = " x ".join([*several, f"{len(grid.seeds)} seed{'s' * (len(grid.seeds) > 1)}"])
        tile = f"{job.schema.tile.seeds} x {job.schema.tile.cells}"
        steps = f"{job.variant.program.schedule.steps:,}"
        table.add_row(
            job.label, axes, *(f"{k:,}" for k in (len(job.rows), job.done, job.missing, job.blocks)), tile, steps
        )
    console.print(table)
    kind = f"{len(devices)} {devices[0].platform} device{'s' * (len(devices) > 1)} ({devices[0].device_kind})"
    programs = sum(job.missing > 0 for job in jobs)
    time = f"about {duration(expected_seconds(jobs))}" if devices[0].platform == "cpu" else "unknown on this device"
    cost = f"{programs} program{'s' * (programs != 1)} to compile, memory about {working_bytes(jobs) / 1e9:.1f} GB"
    console.print(f"on {kind}: {f'{cost}, time {time}' if programs else 'nothing to train'}", soft_wrap=True)
    if run.compute.shards > 1:
        console.print(f"this is shard {run.compute.shard} of {run.compute.shards}")
    for path in dict.fromkeys(job.earlier.table.path for job in jobs if job.earlier and job.missing):
        console.print(f"continuing the models of {where(path)}")
    console.print(f"to [bold]{where(run.folder)}[/]")
    log.info("plan: %s, %d models, %d done, %s", run.found.name, models, done, kind)


class Speed(ProgressColumn):
    """Model-steps per second."""

    def render(self, task: Task) -> Text:
        speed = (task.speed or 0.0) * task.fields["steps"]
        return Text(f"{speed:,.0f} model-steps/s" if speed else "", style="dim")


class Bar:
    """The progress of a run: one line per variant; compile time apart."""

    def __init__(self, console: Console):
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("models"))
        self.progress = Progress(
            *columns, Speed(), TimeRemainingColumn(), TextColumn("{task.fields[note]}", style="dim"), console=console
        )
        self.task = None

    def start(self, job: Job, models: int) -> None:
        self.label, self.steps = job.label, job.variant.program.schedule.steps
        self.task = self.progress.add_task(job.label, total=models, steps=self.steps, note="compiling")

    def compiled_in(self, seconds: float) -> None:
        assert self.task is not None
        self.progress.reset(self.task, steps=self.steps, note=f"compiled in {seconds:.1f} s")
        log.info("%s: compiled in %.1f s", self.label, seconds)

    def advance(self, models: int) -> None:
        assert self.task is not None
        self.progress.advance(self.task, models)


def results(tree: xr.DataTree) -> list[Table]:
    """A table per variant: each cell's best and median loss, and the median over seeds of what its models represent."""
    return [_results(label, node.to_dataset()) for label, node in tree.children.items() if "loss" in node]


def _results(label: str, ds: xr.Dataset) -> Table:
    axes = [str(dim) for dim in ds["loss"].dims if dim != "seed"]
    title = f"{label}: median over {ds.sizes['seed']} seeds, and the best loss"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for name in (*axes, "best loss", "median loss", "represented", "superposed", "D*", "diverged"):
        table.add_column(name, justify="right")
    trained = np.isfinite(ds["loss"]) | (~ds["finite"] & (ds["feature_importance"].notnull().any("feature")))
    geometry = "represented" in ds
    shown = {
        "best loss": ds["loss"].min("seed"),
        "median loss": statistics.median(ds["loss"]),
        "diverged": ds["finite"].where(trained, True).astype(bool).pipe(lambda finite: ~finite).sum("seed"),
    }
    if geometry:
        counted = ds["finite"]
        shown |= {
            name: statistics.median(ds[name].sum("feature").where(counted)) for name in ("represented", "superposed")
        }
        shown["D*"] = statistics.median(ds["dimensions_per_feature"])
    cells = shown["best loss"].stack(cell=axes) if axes else shown["best loss"].expand_dims("cell")
    for k in range(min(cells.sizes["cell"], MOST_ROWS)):
        at = {axis: cells["cell"][axis].values[k] for axis in axes}
        own = {name: float(array.sel(at)) for name, array in shown.items()}
        loss = [f"{own[name]:.4g}" for name in ("best loss", "median loss")]
        form = (
            [f"{own[name]:g}" for name in ("represented", "superposed")] + [f"{own['D*']:.3f}"]
            if geometry
            else ["", "", ""]
        )
        table.add_row(*(f"{value:g}" for value in at.values()), *loss, *form, f"{own['diverged']:g}")
    if cells.sizes["cell"] > MOST_ROWS:
        table.caption = f"and {cells.sizes['cell'] - MOST_ROWS} more cells in arrays.zarr"
    return table


def show_claims(console: Console, judged: list[tuple[Claim, Verdict]]) -> None:
    """Each claim, whether it holds, and the numbers."""
    for claim, verdict in judged:
        interval = f", interval {verdict.interval[0]:.4g} to {verdict.interval[1]:.4g}" if verdict.interval else ""
        expected = f"; expected {verdict.expected}" if verdict.expected else ""
        seeds = f"; {verdict.seeds} seeds" if verdict.seeds else ""
        console.print(f"{MARKS[verdict.holds]}: {claim.text} [dim]({claim.source})[/]")
        console.print(f"    measured {verdict.measured}{interval}{expected}{seeds}", highlight=False)
        log.info(
            "claim %s: %s; measured %s",
            {True: "holds", False: "fails", None: "open"}[verdict.holds],
            claim.text,
            verdict.measured,
        )


def stamp() -> str:
    """Now, to the second."""
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
