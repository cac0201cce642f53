"""The run: plan, sweep, write, draw, judge. `python -m superpose.run` calls `main`, a program calls `run_sweep`."""

import dataclasses
import os
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import xarray as xr
import yaml
from rich.console import Console
from rich.markup import escape

from superpose import config, mapping, store, trust
from superpose.arguments import InputError
from superpose.config import Run
from superpose.console import Bar, duration, log, logged, results, show_claims, show_plan
from superpose.continuing import set_aside
from superpose.devices import devices_of, own_share, start_jax
from superpose.forecast import foretold
from superpose.interrupt import guarded
from superpose.planning import Job, open_store, plan, roomy, where
from superpose.printing import printable
from superpose.store import Store, files, sums
from superpose.store.table import refuse_links
from superpose.work import measure, note, train

ELSEWHERE = re.compile(r"\+*(output|name|compute(\.\w+)*|hydra[/.]launcher(\.\w+)*)=")


def run_sweep(overrides: Sequence[str] = (), *, console: Console | None = None) -> xr.DataTree:
    """Do what `python -m superpose.run OVERRIDES...` does, and give the labelled arrays.

    Of JAX it sets, for the whole process, the devices and the cache of compiled programs (`compute.cache=false`: none).

    Args:
        overrides: as on the command line: ["experiment=basic_results", "scale=smoke"].
        console: where to print; nothing is printed where it is left out.

    Returns:
        What `superpose.load` gives; an empty tree with `plan=true`.

    Raises:
        InputError, StoreError: what was asked for cannot be done.
    """
    with config.session(overrides):
        run = config.build(overrides, start=start_jax)
    execute(run, console or Console(quiet=True))
    return xr.DataTree() if run.plan else store.load(run.folder)


def execute(run: Run, console: Console) -> None:
    """Plan, train what is missing, measure, draw and judge."""
    devices = devices_of(run.compute)
    run, maps = mapping.prepare(dataclasses.replace(run, compute=own_share(run.compute)))
    if run.repair and not run.plan:
        restore(run.folder, console)
    table, earlier = open_store(run)
    if not run.plan:
        earlier = set_aside(earlier) if earlier is not None else None
        for damaged in (table, earlier) if run.repair else ():
            repair(damaged, console)
    jobs = plan(run, table, earlier, devices)
    mapping.check_size(jobs, maps)
    jobs, misfits = foretold(jobs, devices) if run.plan else (jobs, [])
    told = [*(f"{label}: {each.told()}" for label, each in maps.items()), *roomy(jobs), *misfits]
    show_plan(console, run, jobs, devices, told)
    warn(table, console, note(devices))
    if run.plan:
        return
    begun = time.perf_counter()
    writable(run.folder)
    with logged(run.folder / "run.log"), guarded() as guard:
        table = table or create(run, jobs)
        with table.lock_shard(run.compute.shard, run.compute.shards):
            save_settings(run, table)
            bar = Bar(console)
            with bar.progress:
                for k, job in enumerate(jobs):
                    if job.label in maps:
                        jobs[k] = mapping.refine(run, table, job, maps[job.label], devices, guard, bar)
                    else:
                        train(run, table, job, devices, guard, bar)
            left = sum(len(table.missing(job.label, job.rows)) for job in jobs)
            for job in jobs:
                measure(run, table, job, guard, everything=not left)
        log.info("trained and measured in %.1f s", time.perf_counter() - begun)
        if left:
            console.print(f"{left} blocks of other shards are missing; whichever ends last draws the figure.")
            return
        finish(run, table, console)
    console.print(f"[dim]{duration(time.perf_counter() - begun)}[/]")


def writable(folder: Path) -> None:
    """Make the run's folder, and write to it.

    Raises:
        InputError: it cannot be made or written.
    """
    try:
        files.make(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        told = f"Results cannot be written to {folder}: {error.strerror}. Type output=DIR with a folder that can be."
        raise InputError(told) from error


def create(run: Run, jobs: list[Job]) -> Store:
    """A new store for the run."""
    return Store.create(run.folder, run.identity, {job.label: job.schema for job in jobs})


def warn(table: Store | None, console: Console, now: dict[str, str]) -> None:
    """Say it if the store's models were trained with something else: they are then equal to rounding only."""
    notes = [made for label in table.variants for made in table.notes(label) if made != now] if table else []
    for made in {tuple(sorted(made.items())): made for made in notes}.values():
        told = ", ".join(f"{key} {made[key]} (now {now.get(key)})" for key in made if made[key] != now.get(key))
        console.print(f"[yellow]warning[/]: models there were trained with {escape(printable(told))}", soft_wrap=True)


def restore(folder: Path, console: Console) -> None:
    """Write the metadata of the run's tables again where it cannot be read."""
    for path in sorted(folder.glob("models*.zarr")):
        for mended in Store.restore(path):
            console.print(printable(f"mended: {where(mended)}"), markup=False, highlight=False, soft_wrap=True)


def repair(table: Store | None, console: Console) -> None:
    """Forget damaged blocks, so that they are trained again."""
    if table is None:
        return
    for variant in table.variants:
        damages = table.damage(variant)
        for damage in damages:
            told = f"damaged: {where(Path(damage.path))}: {damage.what}"
            console.print(printable(told), markup=False, highlight=False, soft_wrap=True)
        table.forget(variant, {damage.block for damage in damages})


def measure_again(folder: Path, *, trusted: bool = False) -> int:
    """Fill in the measures of every trained model of a run, from the settings beside it; how many blocks that were.

    Args:
        trusted: whoever wrote the settings may run code here. If not, the experiment is one of the user's own roots
            (the current folder, $SUPERPOSE_PATH, superpose), and `_target_`s are those that `trust` allows.

    Raises:
        InputError, StoreError: there is no run, or it is another experiment's, or it asks for trust.
    """
    table = Store.open(folder)
    if not trusted:
        refuse_links(table.path.parent.resolve())
    root, overrides = written(table.path.parent / "config.yaml", trusted)
    known = os.environ.get("SUPERPOSE_PATH")
    if trusted:
        os.environ["SUPERPOSE_PATH"] = os.pathsep.join(filter(None, [root, known]))
    place = table.path.parent.resolve()
    overrides = [*overrides, f"output={quoted(place.parent)}", f"name={quoted(place.name)}"]
    with config.session(overrides):
        run = config.build(overrides, start=start_jax if trusted else own_cache, foreign=not trusted)
    jobs = plan(run, *open_store(run), devices_of(run.compute))
    jobs = [dataclasses.replace(job, rows=table.all_rows(job.label)) for job in jobs]
    with logged(run.folder / "run.log"), guarded() as guard, table.lock_shard(0, 1):
        count = sum(measure(run, table, job, guard, everything=True) for job in jobs)
    store.write_arrays(table.path, run.folder / "arrays.zarr")
    return count


def written(path: Path, trusted: bool) -> tuple[str, list[str]]:
    """The root and the overrides in a run's config.yaml, but those that say where, and on what, it ran.

    Raises:
        InputError: it is not there, says something else, or asks for trust.
    """
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no plain YAML: {' '.join(str(error).split())}") from error
    root, words = (settings.get(key) for key in ("root", "overrides")) if isinstance(settings, dict) else (None, None)
    if not isinstance(root, str) or not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InputError(f"{path} does not say what was run. Give the command that made the run: it measures, too.")
    overrides = [word for word in words if not ELSEWHERE.match(word)]
    if not trusted:
        trust.check_overrides(overrides, path)
        trust.check_root(root, overrides, path)
    return root, overrides


def quoted(value: str | Path) -> str:
    """A value as Hydra reads it back, whatever is in it."""
    return "'" + re.sub(r"(\\*)('|$)", lambda end: 2 * end[1] + (end[2] and r"\'"), str(value)) + "'"


def own_cache(compute: config.Compute) -> None:
    """Start JAX with compiled programs in the user's own folder: whoever writes to another runs code here."""
    start_jax(dataclasses.replace(compute, cache=None))


def finish(run: Run, table: Store, console: Console) -> None:
    """Write the labelled arrays, judge the claims, draw the figure, and say where everything lies."""
    arrays = run.folder / "arrays.zarr"
    tree = store.write_arrays(table.path, arrays)
    for shown in results(tree):
        console.print(shown)
    paths = [table.path, arrays, run.folder / "config.yaml", run.folder / "run.log"]
    try:
        show_claims(console, run.experiment.judged(tree), smoke=run.settings["scale"]["name"] == "smoke")
        paths += draw(run, tree)
    except Exception as error:
        what = f"{run.found.module.name}: {type(error).__name__}: {error}"
        raise RuntimeError(
            f"The models are trained and kept; their figure or claims failed. Mend {what}; the same command draws then."
        ) from error
    finally:
        console.print("\n".join(where(Path(path)) for path in paths), highlight=False, markup=False)


def draw(run: Run, tree: xr.DataTree) -> tuple[Path, ...]:
    """The experiment's figure, as PNG and SVG in the run's folder, and its animation as GIF where it has one."""
    from superpose import plots

    with plots.style():
        paths = plots.save(run.experiment.figure(tree), run.folder, "figure")
        moving = run.experiment.animation(tree) if run.experiment.animation is not None else None
        return paths if moving is None else (*paths, plots.save_animation(moving, run.folder, "animation"))


def save_settings(run: Run, table: Store) -> None:
    """The composed settings and the command's overrides, in config.yaml; those that all tasks of a command share."""
    settings = {key: value for key, value in run.settings.items() if key != "choices"}
    settings["compute"] = {key: value for key, value in settings["compute"].items() if key != "shard"}
    overrides = [word for word in run.overrides if word.lstrip("+").partition("=")[0] != "compute.shard"]
    content = {"root": str(run.found.root), "overrides": overrides, **settings}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    sums.put(run.folder / "config.yaml", text.encode(), table.path)
