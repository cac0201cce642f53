"""What the phase diagrams cost: seconds and memory of the whole command, beside a plain JAX program, in one run.

    python benchmarks/phase_maps.py [--repeats 3]      (a part of make bench; some minutes on two cores)

    phase_change        python -m superpose.run experiment=phase_change, 23,040 models of n = 2, m = 1
    phase_change_3_2    the same size at n = 3, m = 2, once
    plain               plain_phase_map.py: the first one's training on one device, on nodes that miss the ReLU's kink

Each is a fresh process that compiles anew; they take turns. `training` is training and measuring, compile included;
`whole` is the command from its start to its end, figure and claims included. Results: a table, and
outputs/bench/phase_maps.json.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from report import machine
from rich.console import Console
from rich.table import Table

OUTPUT = Path("outputs/bench")
TRAINED = re.compile(r"trained and measured in ([\d.]+) s")
Timing = dict[str, float]


def timed(command: list[str]) -> tuple[str, Timing]:
    """A command's output, its seconds and its peak memory in GB."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(command, stdout=told, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        told.seek(0)
        text = told.read()
    if status:
        raise RuntimeError(f"{' '.join(command)} failed:\n{text}")
    per_unit = 1 if sys.platform == "darwin" else 1024
    return text, {"whole": seconds, "gigabytes": used.ru_maxrss * per_unit / 1e9}


def run(experiment: str) -> Timing:
    """One of superpose's phase diagrams, dense, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        asked = [
            f"experiment={experiment}",
            "sparsity=dense",
            "importance=dense",
            "seed=10",
            f"output={folder}",
            "compute.cache=false",
        ]
        _, timing = timed([sys.executable, "-m", "superpose.run", *asked])
        log = (Path(folder) / experiment / "run.log").read_text(encoding="utf-8")
    return timing | {"training": float(TRAINED.findall(log)[-1])}


def plain() -> Timing:
    """The plain program."""
    text, timing = timed([sys.executable, str(Path(__file__).with_name("plain_phase_map.py"))])
    return timing | {"training": float(text)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="times that phase_change and the plain program run")
    repeats, console = max(parser.parse_args().repeats, 1), Console(highlight=False)
    found: dict[str, list[Timing]] = {"phase_change": [], "plain": [], "phase_change_3_2": []}
    for _ in range(repeats):
        found["phase_change"].append(run("phase_change"))
        found["plain"].append(plain())
    found["phase_change_3_2"].append(run("phase_change_3_2"))
    shown = Table(box=None, pad_edge=False, title="23,040 models, 1,000 steps each: medians")
    for column in ("", "training", "whole", "memory"):
        shown.add_column(column, justify="right", no_wrap=True)
    medians: dict[str, Any] = {}
    for name, timings in found.items():
        middle = {key: statistics.median(timing[key] for timing in timings) for key in timings[0]}
        medians[name] = middle
        shown.add_row(name, f"{middle['training']:.1f} s", f"{middle['whole']:.1f} s", f"{middle['gigabytes']:.2f} GB")
    ratio = medians["plain"]["training"] / medians["phase_change"]["training"]
    console.print(shown, f"training: {ratio:.2f} times as fast as the plain program", sep="\n")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    result = {"machine": machine(), "medians": medians, "runs": found, "training_ratio": ratio}
    (OUTPUT / "phase_maps.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
