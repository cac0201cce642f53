"""What compare.py tells of its timings: medians, ratios and shares, the machine, and sheets of them.

A sheet is a table that is printed to a terminal or written as Markdown; `superpose's multiple` is its median rate over
another program's, a share its median rate over a bound of the machine.
"""

import importlib.util
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import roofline
from jobs import Job, Timing
from rich.table import Table
from worker import cores

LIBRARIES = ("jax", "jaxlib", "equinox", "optax", "numpy", "torch")
SHORT = {
    "superpose": "superpose",
    "torch_loop": "PyTorch loop",
    "torch_loop_20": "loop of 20",
    "torch_compile": "torch.compile",
    "plain_vmap": "jit(vmap)",
    "plain_vmap_20": "vmap of 20",
    "fast_sweep": "fast_sweep",
}
Repeats = dict[Job, dict[str, list[tuple[Timing, float]]]]  # by size and program: each timing, with the peak memory


class Sheet(NamedTuple):
    """Columns and rows of text, the first column a row's name; a row named in `bold` stands out."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    bold: str = ""

    def table(self) -> Table:
        shown = Table(box=None, pad_edge=False, title=self.title, title_justify="left")
        for column in self.columns:
            shown.add_column(column, justify="right", no_wrap=True)
        for row in self.rows:
            shown.add_row(*row, style="bold" if row[0] == self.bold else None)
        return shown

    def markdown(self) -> str:
        lines = [self.columns, ["---", *["---:"] * (len(self.columns) - 1)], *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def middle(numbers: Iterable[float]) -> float:
    return statistics.median(numbers)


def summary(found: Repeats) -> dict[str, Any]:
    """Per size what `size` says, and the ratios' geometric means over the sizes."""
    sizes = {job.label: size(job, of_job) for job, of_job in found.items()}
    others = next(iter(sizes.values()))["multiple"]
    means = {name: statistics.geometric_mean(each["multiple"][name] for each in sizes.values()) for name in others}
    return {"sizes": sizes, "geometric_mean_multiple": means}


def size(job: Job, found: dict[str, list[tuple[Timing, float]]]) -> dict[str, Any]:
    """One size: rates, multiples, superpose's own seconds, the machine's bounds and superpose's shares of them."""
    timings = {name: [timing for timing, _ in of] for name, of in found.items()}
    limits, own = ([timing.more or {} for timing in timings[name]] for name in ("roofline", "superpose"))
    programs = {name: of for name, of in timings.items() if name != "roofline"}
    rate = {name: middle(timing.rate for timing in of) for name, of in programs.items()}
    measured = {name: middle(each[name] for each in limits) for name in limits[0]}
    bounds = roofline.bounds(measured, job.n, job.m, int(own[0]["cells"]))
    binding = min(bounds, key=lambda name: bounds[name])
    return {
        "rate": rate,
        "multiple": {name: rate["superpose"] / rate[name] for name in rate if name != "superpose"},
        "superpose": {key: middle(each[key] for each in own) for key in own[0]} | {"models": job.levels * job.seeds},
        "machine": measured,
        "bounds": bounds,
        "binding": binding,
        "share_of_products": rate["superpose"] / bounds["products"],
        "share_of_roofline": rate["superpose"] / bounds[binding],
        # a later compile may find the first one in a cache
        "compile_seconds": {name: max(timing.compile_seconds for timing in of) for name, of in programs.items()},
        "gigabytes": {name: max(gigabytes for _, gigabytes in found[name]) for name in programs},
        "rates": {name: [timing.rate for timing in of] for name, of in programs.items()},
    }


def machine() -> dict[str, Any]:
    """What ran: the processor, its cores, and the versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    installed = {name: version(name) for name in LIBRARIES if importlib.util.find_spec(name)}
    return {
        "processor": models[0] if models else platform.processor(),
        "avx512": any("avx512f" in line for line in lines),
        "cores": cores(),
        "load_average": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), **installed},
    }


def told(machine: dict[str, Any]) -> str:
    """The machine in a sentence."""
    vectors = " with AVX-512" if machine["avx512"] else ""
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return f"{machine['cores']} cores of {machine['processor']}{vectors}, {machine['system']}; {versions}."


def sheets(result: dict[str, Any]) -> dict[str, Sheet]:
    """The tables, by name."""
    batch, sizes = f"batch {result['work']['batch']:,}", result["sizes"]
    names = list(next(iter(sizes.values()))["rate"])
    others, means = [name for name in names if name != "superpose"], result["geometric_mean_multiple"]

    def rows(cells: Callable[[dict[str, Any]], Sequence[str]]) -> list[list[str]]:
        return [[label, *cells(each)] for label, each in sizes.items()]

    shares = lambda s: (f"{s['share_of_products']:.0%}", f"{s['share_of_roofline']:.0%}", s["binding"])
    multiples = rows(lambda s: [f"{s['multiple'][name]:.3g}" for name in others])
    multiples.append(["geometric mean", *(f"{means[name]:.3g}" for name in others)])
    bounds = lambda s: [f"{s['bounds'][name]:,.0f}" for name in s["bounds"]]
    seconds = lambda own: [f"{own[key]:.1f} s" for key in ("compile", "training", "whole")]
    shorts, jitted = [SHORT[name] for name in names], [name for name in names if not name.startswith("torch_loop")]
    return {
        "rates": Sheet(
            f"Model-steps per second, {batch}",
            ["n, m", *shorts],
            rows(lambda s: [f"{s['rate'][name]:,.0f}" for name in names]),
        ),
        "multiples": Sheet("How many times as fast superpose is", ["n, m", *shorts[1:]], multiples, "geometric mean"),
        "limits": Sheet(
            "Model-steps per second that the machine allows, and superpose's share",
            ["n, m", "products", "passes", "draws", "of products", "of the least", "which is"],
            rows(lambda s: [*bounds(s), *shares(s)]),
        ),
        "runs": Sheet(
            "superpose's run",
            ["n, m", "models", "compile", "training", "whole"],
            rows(lambda s: [f"{s['superpose']['models']:,}", *seconds(s["superpose"])]),
        ),
        "compiles": Sheet(
            "Seconds of the compile",
            ["n, m", *(SHORT[name] for name in jitted)],
            rows(lambda s: [f"{s['compile_seconds'][name]:.1f} s" for name in jitted]),
        ),
        "memory": Sheet(
            "Peak memory of the process",
            ["n, m", *shorts],
            rows(lambda s: [f"{s['gigabytes'][name]:.2f} GB" for name in names]),
        ),
    }
