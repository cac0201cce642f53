"""Model-steps per second of superpose, of what one would write instead, and of the machine's limits, in one run.

    python benchmarks/compare.py [--sizes 20,5 400,30] [--repeats 3]      (make bench; about 18 minutes on two cores)

    superpose        a run of the command line, with its store, its judgement of every model, its figure and claims
    torch_loop       notebook_loop_torch.py: a PyTorch loop over models batched in one einsum
    torch_compile    the same, its batch and loss through torch.compile; as the loop, only where PyTorch is installed
    plain_vmap       plain_vmap.py: jit(vmap(scan)) in JAX, on one device
    ..._20           the loop, and plain_vmap, with 20 models at once as in the authors' notebook; else with as many as
                     superpose has on its devices, which is near the best for them at each size
    fast_sweep       fast_sweep.py: superpose's arrangement in plain JAX, with nothing around it: the yardstick
    roofline         roofline.py: what the machine's products, passes and draws allow

Speeds drift by a fifth from minute to minute, so only ratios within one run count: the programs take turns, each in a
process of its own for each size, that stays warm and idles while the others run. A rate is the model-steps over the
seconds, compile apart; the median of the repeats counts. superpose's seconds are those of training, judging, measuring
and writing. A judgement (the exact loss, and the gradient on 2^15 vectors) is the work of some 100 steps, once a model;
every model has the 10,000 steps of the paper's, so the share of all this is that of a run at paper scale, or more: what
comes once a run (the store, the compile of the measures) falls here on 10 to 60 seconds of work.

Results: tables, and outputs/bench/bench.json, bench.png and bench.svg. Run it on an idle machine. `make bench-write`
puts them into the README and docs/.
"""

import argparse
import importlib.util
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from drawing import draw
from jobs import BATCH, JOBS, STEPS, Job
from programs import PROGRAMS
from report import Repeats, machine, sheets, summary
from rich.console import Console
from worker import Worker

from superpose import plots

OUTPUT = Path("outputs/bench")
TORCH = ("torch_loop", "torch_loop_20", "torch_compile")


def compare(
    jobs: Sequence[Job], names: Sequence[str], repeats: int, console: Console
) -> tuple[Repeats, dict[str, str]]:
    """Every timing with its process's memory, by size and program; and why a program gave none."""
    found: Repeats = {job: {name: [] for name in names} for job in jobs}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as caches:
        for job in jobs:
            workers = {name: Worker(name, job, Path(caches)) for name in names if name not in failed}
            for repeat in range(repeats):
                for name in [name for name in workers if name not in failed]:
                    try:
                        found[job][name].append(workers[name].repeat())
                    except RuntimeError as error:
                        failed[name] = str(error)
                        console.print(f"{name} is left out: {error}", markup=False)
                told = [f"{name} {of[-1][0].rate:,.0f}" for name, of in found[job].items() if of and of[-1][0].seconds]
                console.print(f"{job.label}, {repeat + 1} of {repeats}:", *told, style="dim", soft_wrap=True)
            for worker in workers.values():
                worker.stop()
    if {"superpose", "roofline"} & set(failed):
        raise SystemExit("Without superpose and roofline there is nothing to compare.")
    return {job: {name: of for name, of in by.items() if name not in failed} for job, by in found.items()}, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [f"{job.n},{job.m}" for job in JOBS]
    parser.add_argument("--sizes", nargs="+", default=known, choices=known, metavar="N,M", help=f"of {' '.join(known)}")
    parser.add_argument("--repeats", type=int, default=3, help="times that each program runs each size")
    arguments, console = parser.parse_args(), Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    jobs, repeats = [job for job in JOBS if f"{job.n},{job.m}" in arguments.sizes], max(arguments.repeats, 1)
    missing = {}
    if not importlib.util.find_spec("torch"):
        missing = dict.fromkeys(TORCH, "PyTorch is not installed; `make torch` adds it")
        console.print("PyTorch is not installed: its loops are left out. `make torch` adds it.")
    about = machine()
    found, failed = compare(jobs, [name for name in PROGRAMS if name not in missing], repeats, console)
    work = {"batch": BATCH, "steps": STEPS, "repeats": repeats, "jobs": [job._asdict() for job in jobs]}
    result = {"machine": about, "work": work, "left_out": missing | failed, **summary(found)}
    for sheet in sheets(result).values():
        console.print(sheet.table(), "")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "bench.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    figures = plots.save(draw(result), OUTPUT, "bench")
    console.print("written:", *(str(path) for path in (OUTPUT / "bench.json", *figures)), soft_wrap=True)


if __name__ == "__main__":
    main()
