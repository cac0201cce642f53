"""What a run shows: the plan, a bar, the table of results, the claims, the paths. And the log, which keeps it."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import xarray as xr
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from superpose import statistics
from superpose.config import Run
from superpose.experiment import Claim, Verdict
from superpose.planning import Job, expected_seconds, where, working_bytes
from superpose.store import files
from superpose.store.errors import explained

MOST_ROWS = 28
MARKS = {True: "[green]holds[/]", False: "[red]does not hold[/]", None: "[yellow]not judgeable here[/]"}
OUTCOMES = {True: "holds", False: "fails", None: "open"}
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
    """Everything logged by superpose goes to the end of a file, too. Raises StoreError: it cannot be, or is a link."""
    with ExitStack() as stack:
        with explained(path):
            handler = logging.StreamHandler(stack.enter_context(open(path, "a", encoding="utf-8", opener=files.opener)))
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        stack.callback(log.removeHandler, handler)
        log.setLevel(logging.INFO)
        log.propagate = False
        try:
            yield
        except BaseException as error:
            log.error("%s: %s", type(error).__name__, error)
            raise


def show_plan(console: Console, run: Run, jobs: list[Job], devices: list, more: Sequence[str] = ()) -> None:
    """How many models, programs and blocks; memory, time; what `more` says; where it goes and what is there."""
    models, done = sum(len(job.rows) for job in jobs), sum(job.done for job in jobs)
    name, root = escape(run.found.name), escape(where(run.found.root))
    console.print(f"[bold]{name}[/] from {root}: {models:,} models, {done:,} of them done", soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("variant", "grid", "models", "done", "to do", "blocks", "tile", "steps"):
        table.add_column(column, justify="left" if column in ("variant", "grid") else "right")
    for job in jobs:
        grid = job.variant.grid
        several = [f"{len(axis.points)} {axis.name}" for axis in grid.axes if len(axis.points) > 1]
        axes = " x ".join([*several, f"{len(grid.seeds)} seed{'s' * (len(grid.seeds) > 1)}"])
        tile = f"{job.schema.tile.lanes} x {job.schema.tile.cells}"
        numbers = [f"{k:,}" for k in (len(job.rows), job.done, job.missing, job.blocks)]
        table.add_row(escape(job.label), axes, *numbers, tile, f"{job.variant.program.updates:,}")
    console.print(table)
    kind = f"{len(devices)} {devices[0].platform} device{'s' * (len(devices) > 1)} ({devices[0].device_kind})"
    programs = sum(job.missing > 0 for job in jobs)
    known = run.plan or devices[0].platform == "cpu"
    time = f"about {duration(expected_seconds(jobs))}" if known else "unknown on this device"
    cost = f"{programs} program{'s' * (programs != 1)} to compile, memory about {working_bytes(jobs) / 1e9:.1f} GB"
    for job in (job for job in jobs if job.tuned):
        told = f"{job.label}: tiles of {job.schema.tile.models} models {job.tuned}"
        console.print(told, markup=False, highlight=False, soft_wrap=True)
    console.print(f"on {kind}: {f'{cost}, time {time}' if programs else 'nothing to train'}", soft_wrap=True)
    if run.compute.shards > 1:
        console.print(f"this is shard {run.compute.shard} of {run.compute.shards}")
    for told in more:
        console.print(told, markup=False, highlight=False, soft_wrap=True)
    if any(job.narrow for job in jobs) and not (run.folder / "models.zarr").exists():
        console.print(
            "A store keeps the tiles of its first run, and these are small: for many models, ask for levels or seeds at"
            " once, or later under a new name=...",
            style="dim",
            soft_wrap=True,
        )
    for path in dict.fromkeys(job.earlier.table.path for job in jobs if job.earlier and job.missing):
        console.print(f"continuing the models of {escape(where(path))}", soft_wrap=True)
    console.print(f"to [bold]{escape(where(run.folder))}[/]", soft_wrap=True)
    log.info("plan: %s, %d models, %d done, %s", run.found.name, models, done, kind)


def models_per_second(task: Task) -> float:
    """Since the compile ended; 0 where no wave is done yet. (rich's own speed forgets what is older than 30 s.)"""
    seconds = task.finished_time if task.finished else task.elapsed
    return task.completed / seconds if seconds else 0.0


class Speed(ProgressColumn):
    """Model-steps per second."""

    def render(self, task: Task) -> Text:
        speed = models_per_second(task) * task.fields["steps"]
        return Text(f"{speed:,.0f} model-steps/s" if speed else "", style="dim")


class TimeLeft(ProgressColumn):
    """The time left; before the first wave is done the time so far, and in the end the time that it took."""

    def render(self, task: Task) -> Text:
        if task.finished:
            return Text(f"in {duration(task.finished_time or 0.0)}", style="dim")
        speed, elapsed = models_per_second(task), task.elapsed or 0.0
        told = f"{duration((task.remaining or 0.0) / speed)} left" if speed else f"{duration(elapsed)} so far"
        return Text(told, style="dim")


class Bar:
    """The progress of a run: one line per variant, and per `level` of its map; compile time apart."""

    def __init__(self, console: Console, get_time: Callable[[], float] | None = None):
        name, note = TextColumn("{task.description}", markup=False), TextColumn("{task.fields[note]}", style="dim")
        columns = (name, BarColumn(bar_width=10), MofNCompleteColumn(), TextColumn("models"), Speed(), TimeLeft(), note)
        self.progress = Progress(*columns, console=console, get_time=get_time)
        self.task = None
        self.level = 0

    def start(self, job: Job, models: int, first: int = 0) -> None:
        """A line for so many models, which train from step `first`."""
        self.label, self.steps = job.label, job.variant.program.updates - first
        if job.tuned:
            log.info("%s: tiles of %d models %s", job.label, job.schema.tile.models, job.tuned)
        name = f"{job.label}, level {self.level}" if self.level else job.label
        self.task = self.progress.add_task(name, total=models, steps=self.steps, note="compiling")

    def compiled_in(self, seconds: float) -> None:
        assert self.task is not None
        self.progress.reset(self.task, steps=self.steps, note=f"compiled in {seconds:.1f} s" if seconds else "")
        if seconds:
            log.info("%s: compiled in %.1f s", self.label, seconds)

    def advance(self, models: int) -> None:
        assert self.task is not None
        self.progress.advance(self.task, models)

    def drop(self) -> None:
        """Take the last line away: what it told of begins anew."""
        if self.task is not None:
            self.progress.remove_task(self.task)
        self.task = None

    def say(self, told: str) -> None:
        """A line above the progress."""
        self.progress.console.print(told, markup=False, highlight=False, soft_wrap=True)
        log.info("%s", told)


def results(tree: xr.DataTree) -> list[Table]:
    """A table per variant: each cell's best and median loss, and the median over seeds of what its models represent.

    The first cells of those that hold a trained model.
    """
    return [_results(label, node.to_dataset()) for label, node in tree.children.items() if "loss" in node]


def _results(label: str, ds: xr.Dataset) -> Table:
    axes = [str(dim) for dim in ds["loss"].dims if dim != "seed"]
    title = f"{escape(label)}: median over {ds.sizes['seed']} seeds, and the best loss"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for name in (*axes, "best loss", "median loss", "represented", "superposed", "D*", "diverged"):
        table.add_column(name, justify="right")
    trained = ds["loss"].notnull() | (~ds["finite"] & (ds["feature_importance"].notnull().any("feature")))
    geometry = "represented" in ds
    places = np.argwhere(trained.any("seed").transpose(*axes).values)
    first = {axis: ("cell", places[:MOST_ROWS, k]) for k, axis in enumerate(axes)}
    ds = ds.assign(trained=trained)
    ds = ds.isel(first) if axes else ds.expand_dims("cell")
    shown = {
        "best loss": ds["loss"].min("seed"),
        "median loss": statistics.median(ds["loss"]),
        "diverged": ds["finite"].where(ds["trained"], True).astype(bool).pipe(lambda finite: ~finite).sum("seed"),
    }
    if geometry:
        counted = ds["finite"]
        shown |= {
            name: statistics.median(ds[name].sum("feature").where(counted)) for name in ("represented", "superposed")
        }
        shown["D*"] = statistics.median(ds["dimensions_per_feature"])
    for k in range(ds.sizes["cell"]):
        own = {name: float(array[k]) for name, array in shown.items()}
        loss = [f"{own[name]:.4g}" for name in ("best loss", "median loss")]
        form = (
            [f"{own[name]:g}" for name in ("represented", "superposed")] + [f"{own['D*']:.3f}"]
            if geometry
            else ["", "", ""]
        )
        at = (f"{ds[axis].values[k]:g}" for axis in axes)
        table.add_row(*at, *loss, *form, f"{own['diverged']:g}")
    if len(places) > MOST_ROWS:
        table.caption = f"and {len(places) - MOST_ROWS:,} more cells in arrays.zarr"
    return table


def show_claims(console: Console, judged: list[tuple[Claim, Verdict]], *, smoke: bool = False) -> None:
    """Each claim, whether it holds, and the numbers; of a smoke run first that they mean little."""
    if smoke and judged:
        told = "scale=smoke trains too little for a claim to mean anything: what holds below is by chance."
        console.print(told, style="dim", soft_wrap=True)
    for claim, verdict in judged:
        interval = f", interval {verdict.interval[0]:.4g} to {verdict.interval[1]:.4g}" if verdict.interval else ""
        expected = f"; expected {verdict.expected}" if verdict.expected else ""
        seeds = f"; {verdict.seeds} seeds" if verdict.seeds else ""
        claimed = f"{MARKS[verdict.holds]}: {escape(claim.text)} [dim]({escape(claim.origin)})[/]"
        console.print(claimed, soft_wrap=True)
        told = f"    measured {verdict.measured}{interval}{expected}{seeds}"
        console.print(told, markup=False, highlight=False, soft_wrap=True)
        log.info("claim %s: %s; measured %s", OUTCOMES[verdict.holds], claim.text, verdict.measured)
