"""What compare.py tells of its timings: medians and ratios, the machine, a table, a figure."""

import importlib.util
import os
import platform
import statistics
from importlib.metadata import version
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from programs import BATCH, Timing
from rich.table import Table

from superpose import plots

LIBRARIES = ("jax", "jaxlib", "equinox", "optax", "numpy", "torch")
LOOKS = {"superpose": ("#bd1e2d", "o"), "fast_sweep": ("#1b569c", "s"), "notebook_loop_torch": ("#7a7a7a", "D")}
SHORT = {"superpose": "superpose", "fast_sweep": "fast sweep", "notebook_loop_torch": "torch loop"}

Timings = dict[str, dict[str, list[Timing]]]  # by size and program


def cores() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def summary(timings: Timings) -> dict[str, Any]:
    """Per size the rates, their medians, and superpose's median over the others'; and the ratios' geometric means."""
    sizes: dict[str, dict[str, Any]] = {}
    for label, found in timings.items():
        rates = {name: [timing.rate for timing in of_name] for name, of_name in found.items()}
        median = {name: statistics.median(of_name) for name, of_name in rates.items()}
        sizes[label] = {
            "median_rate": median,
            "ratio": {name: median["superpose"] / median[name] for name in median if name != "superpose"},
            "compile_seconds": {name: statistics.median(t.compile_seconds for t in of) for name, of in found.items()},
            "seconds": {name: [timing.seconds for timing in of_name] for name, of_name in found.items()},
            "rates": rates,
        }
    others = next(iter(sizes.values()))["ratio"]
    means = {name: statistics.geometric_mean(size["ratio"][name] for size in sizes.values()) for name in others}
    return {"sizes": sizes, "geometric_mean_ratio": means}


def machine() -> dict[str, Any]:
    """What ran: the processor, its cores, and the versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    installed = {name: version(name) for name in LIBRARIES if importlib.util.find_spec(name)}
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": cores(),
        "load_average": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), **installed},
    }


def table(result: dict[str, Any]) -> Table:
    """The medians and ratios, a row per size."""
    others = list(result["geometric_mean_ratio"])
    shown = Table(box=None, pad_edge=False, title=f"model-steps per second, batch {BATCH:,}, and superpose's multiple")
    names = [SHORT[name] for name in others]
    for column in ("", "superpose", *names, *(f"x {name[:5]}" for name in names), "compile"):
        shown.add_column(column, justify="right", no_wrap=True)
    for label, size in result["sizes"].items():
        rates = [f"{size['median_rate'][name]:,.0f}" for name in ("superpose", *others)]
        ratios = [f"{size['ratio'][name]:.2f}" for name in others]
        shown.add_row(label, *rates, *ratios, f"{size['compile_seconds']['superpose']:.1f} s")
    means = [f"{mean:.2f}" for mean in result["geometric_mean_ratio"].values()]
    shown.add_row("geo. mean", *[""] * (1 + len(others)), *means, style="bold")
    return shown


def draw(result: dict[str, Any]) -> Figure:
    """Rates over sizes, every repeat a dot, the medians joined; and superpose's share of the others."""
    with plots.style():
        figure = Figure(figsize=(6.9, 3.0), layout="constrained")
        ax = figure.add_subplot()
        places = range(len(result["sizes"]))
        for name, (colour, marker) in LOOKS.items():
            sizes = [size for size in result["sizes"].values() if name in size["rates"]]
            if not sizes:
                continue
            medians = [size["median_rate"][name] for size in sizes]
            ax.plot(places, medians, color=colour, marker=marker, markersize=4, linewidth=1, label=SHORT[name])
            for place, size in zip(places, sizes, strict=True):
                repeats = size["rates"][name]
                ax.plot([place] * len(repeats), repeats, ".", color=colour, markersize=2.5, alpha=0.6)
        ax.set_yscale("log")
        ax.set_xticks(list(places), [f"{label}\n{ratios(size)}" for label, size in result["sizes"].items()])
        ax.set_xlim(-0.4, len(places) - 0.6)
        ax.set_ylabel("model-steps per second")
        ax.set_title(
            f"batch {BATCH:,} on {result['machine']['cores']} CPU cores; below, superpose's multiple of the others"
        )
        ax.legend(frameon=False)
    return figure


def ratios(size: dict[str, Any]) -> str:
    """superpose's ratios at one size, a line each."""
    return "\n".join(f"{ratio:.2f} x {SHORT[name]}" for name, ratio in size["ratio"].items())
