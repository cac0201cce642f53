"""Model-steps per second of superpose's own sweep beside two other programs, in one alternating run.

    python benchmarks/compare.py [--sizes 20,5 400,30] [--repeats 5]      (make bench; 5 to 10 minutes on two cores)

    superpose              superpose.sweep.sweep over a sparsity axis, with the tile that the package chooses
    fast_sweep             fast_sweep.py: the same arrangement in plain JAX, with nothing around it
    notebook_loop_torch    notebook_loop_torch.py: a PyTorch loop over models batched in one einsum

Speeds drift by a fifth from minute to minute, so only ratios within one run count: the programs take turns, each in a
process of its own that stays warm and idles while the others run. A rate is steady: compile times are told apart.
superpose and fast_sweep train the same models for the same steps. superpose's time includes what fast_sweep does not
do: the loss curve, and the judgement of each trained model, by its exact loss and the gradient on 2^17 vectors. That
is the work of some 150 steps, once a model: about 1.5% of the 10,000 steps of an experiment, but 7% of the 2,000 steps
of n = 80 here.

Results: a table, and outputs/bench/bench.json, bench.png and bench.svg. Run it on an idle machine.
"""

import argparse
import importlib.util
import json
import multiprocessing
from collections.abc import Sequence
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

from programs import BATCH, JOBS, PROGRAMS, Job, Timing
from report import Timings, cores, draw, machine, summary, table
from rich.console import Console

from superpose import plots

OUTPUT = Path("outputs/bench")


def serve(name: str, connection: Connection):
    """A program's own process: it does each job that it is sent, and sends its timing back, until it is sent None."""
    if name != "notebook_loop_torch":
        import jax

        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", cores())
    prepared = cache(PROGRAMS[name])
    while job := connection.recv():
        connection.send(prepared(job, cores())())


class Worker:
    """A process that serves one program."""

    def __init__(self, name: str):
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(name, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def time(self, job: Job) -> Timing:
        self.connection.send(job)
        return self.connection.recv()

    def stop(self):
        self.connection.send(None)
        self.process.join()


def compare(jobs: Sequence[Job], names: Sequence[str], repeats: int, console: Console) -> Timings:
    """Every timing, by job and program; the programs take turns."""
    workers = {name: Worker(name) for name in names}
    timings: Timings = {job.label: {name: [] for name in names} for job in jobs}
    for job in jobs:
        for repeat in range(repeats):
            for name, worker in workers.items():
                timings[job.label][name].append(worker.time(job))
            told = "  ".join(f"{name} {found[-1].rate:,.0f}" for name, found in timings[job.label].items())
            console.print(f"{job.label}, {repeat + 1} of {repeats}: {told}", style="dim", soft_wrap=True)
    for worker in workers.values():
        worker.stop()
    return timings


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [f"{job.n},{job.m}" for job in JOBS]
    parser.add_argument("--sizes", nargs="+", default=known, choices=known, metavar="N,M", help=f"of {' '.join(known)}")
    parser.add_argument("--repeats", type=int, default=5, help="times that each program runs each size")
    arguments, console = parser.parse_args(), Console(highlight=False)
    jobs = [job for job in JOBS if f"{job.n},{job.m}" in arguments.sizes]
    names = [name for name in PROGRAMS if name != "notebook_loop_torch" or importlib.util.find_spec("torch")]
    if "notebook_loop_torch" not in names:
        console.print("PyTorch is not installed: notebook_loop_torch is left out. `make torch` adds it.")
    about = machine()
    timings = compare(jobs, names, max(arguments.repeats, 1), console)
    work = {"batch": BATCH, "jobs": [job._asdict() for job in jobs]}
    result = {"machine": about, "work": work, **summary(timings)}
    console.print(table(result))
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "bench.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    figures = plots.save(draw(result), OUTPUT, "bench")
    console.print("written:", *(str(path) for path in (OUTPUT / "bench.json", *figures)), soft_wrap=True)


if __name__ == "__main__":
    main()
