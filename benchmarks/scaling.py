"""What a run of superpose costs as its work grows: wall seconds over models, n, batch, steps and seeds.

    python benchmarks/scaling.py [--panels models n] [--fewer]      (make bench-scaling; about 8 minutes on two cores)

Each point is a run of the command line in one warm process, one number changed at a time and the others as in PANELS.
`training` is training, judging, measuring and writing, without the compile of the training program; `whole` is the run
from start to end, the compile, the figure and the claims included. A line of slope 1 shows what proportion would be;
the slope that is told is that of `training` between the last two points.

Results: a table, and outputs/bench/scaling.json, scaling.png and scaling.svg. Run it on an idle machine.
"""

import argparse
import json
import math
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from programs import run
from report import Sheet, machine
from rich.console import Console

from superpose import plots

OUTPUT = Path("outputs/bench")


class Panel(NamedTuple):
    """What is varied and over which values, and the size of all else; `levels` densities x `seeds` models."""

    values: tuple[int, ...]
    n: int
    m: int
    levels: int
    seeds: int
    steps: int
    batch: int = 1024


PANELS = {
    "models": Panel((1, 10, 100, 1_000, 10_000, 100_000), n=2, m=1, levels=100, seeds=1, steps=200),
    "n": Panel((2, 5, 10, 20, 50, 100, 200, 400, 800), n=2, m=2, levels=8, seeds=2, steps=1_000),
    "batch": Panel((128, 256, 512, 1_024, 2_048, 4_096, 8_192), n=20, m=5, levels=8, seeds=4, steps=2_000),
    "steps": Panel((100, 1_000, 10_000, 100_000), n=5, m=2, levels=8, seeds=4, steps=1_000),
    "seeds": Panel((1, 10, 100, 1_000), n=5, m=2, levels=8, seeds=1, steps=500),
}


def at(name: str, panel: Panel, value: int) -> Panel:
    """A panel with its number set. Models are levels x seeds: levels up to the panel's, then seeds."""
    if name == "models":
        return panel._replace(levels=min(value, panel.levels), seeds=max(1, value // panel.levels))
    return panel._replace(**{name: value})


def overrides(given: Panel) -> list[str]:
    """The command of one point."""
    model = [f"model.n={given.n}", f"model.m={given.m}", f"scale.levels={given.levels}", f"seed={given.seeds}"]
    return [*model, f"schedule.steps={given.steps}", f"objective.batch={given.batch}", "compute.cache=false"]


def measured(name: str, panel: Panel, console: Console) -> list[dict[str, Any]]:
    """The points of a panel."""
    points: list[dict[str, Any]] = []
    for value in panel.values:
        told = run(overrides(at(name, panel, value)))
        points.append({"value": value, **told})
        shown = f"{name} = {value:,}: {told['whole']:.1f} s, compile {told['compile']:.1f} s of it"
        console.print(shown, style="dim", highlight=False)
    return points


def slope(points: list[dict[str, Any]]) -> float:
    """d log(training) / d log(value) of the last two points."""
    (a, b) = list(pairwise(points))[-1]
    return math.log(b["training"] / a["training"]) / math.log(b["value"] / a["value"])


def others(name: str, panel: Panel) -> str:
    """What stays as it is, in a line."""
    fixed = {"n": panel.n, "m": panel.m, "steps": panel.steps, "batch": panel.batch}
    told = [f"${key}={value:,}$" if key in "nm" else f"{value:,} {key}" for key, value in fixed.items() if key != name]
    models = f"{panel.levels} cells" if name == "seeds" else f"{panel.levels * panel.seeds} models"
    told = [part.replace(f"{panel.batch:,} batch", f"batch {panel.batch:,}") for part in told]
    return ", ".join(told if name == "models" else [*told, models])


def sheet(result: dict[str, Any]) -> Sheet:
    """Panel by panel: what is fixed, the seconds at its ends, the slope at its upper end."""
    rows = []
    for name, points in result["panels"].items():
        fixed = others(name, PANELS[name]).replace("$", "")
        ends = [f"{end['value']:,}: {end['training']:.1f} s, {end['whole']:.1f} s" for end in (points[0], points[-1])]
        rows.append([name, fixed, *ends, f"{slope(points):.2f}"])
    return Sheet("Seconds of training, and of the whole run", ["over", "at", "from", "to", "slope at the end"], rows)


def draw(result: dict[str, Any]) -> Figure:
    """A panel each, both axes logarithmic, the same seconds in all."""
    points = [point for of_panel in result["panels"].values() for point in of_panel]
    seconds = [point[key] for point in points for key in ("training", "whole")]
    with plots.style():
        figure = Figure(figsize=(6.9, 4.3), layout="constrained")
        panels = figure.subplots(2, 3, sharey=True).ravel()
        for ax, (name, points) in zip(panels, result["panels"].items(), strict=False):
            panel(ax, name, points)
        for ax in panels[len(result["panels"]) :]:
            ax.set_axis_off()
        panels[0].set_ylim(min(seconds) / 2, max(seconds) * 2)
        for ax in panels[::3]:
            ax.set_ylabel("seconds")
        handles, labels = panels[0].get_legend_handles_labels()
        panels[-1].legend(handles, labels, loc="center", frameon=False)
    return figure


def panel(ax: Axes, name: str, points: list[dict[str, Any]]) -> None:
    """Seconds over one number, and a line of slope 1 through the last point."""
    values, seconds = [each["value"] for each in points], [each["training"] for each in points]
    ax.plot(
        values,
        [each["whole"] for each in points],
        color="#7fb2d8",
        marker="s",
        markersize=3,
        label="whole run, compile included",
    )
    ax.plot(values, seconds, color="#bd1e2d", marker="o", markersize=3.5, label="training, compile apart")
    guide = [seconds[-1] * value / values[-1] for value in values]
    ax.plot(values, guide, color=plots.INK, linewidth=0.7, linestyle=(0, (4, 2)), label="slope 1")
    ax.set(xscale="log", yscale="log", xlabel={"n": "features $n$", "batch": "batch size"}.get(name, name))
    ax.set_title(others(name, PANELS[name]), fontsize=7)
    ax.spines[["top", "right"]].set_visible(False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--panels", nargs="+", default=list(PANELS), choices=list(PANELS), metavar="NAME")
    parser.add_argument("--fewer", action="store_true", help="leave out the last point of each panel, the longest")
    arguments, console = parser.parse_args(), Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    chosen = {name: PANELS[name] for name in arguments.panels}
    if arguments.fewer:
        chosen = {name: each._replace(values=each.values[:-1]) for name, each in chosen.items()}
    about = machine()
    run(overrides(at("steps", PANELS["steps"], 10)))  # imports, and whatever else comes once a process
    result = {"machine": about, "panels": {name: measured(name, each, console) for name, each in chosen.items()}}
    console.print(sheet(result).table())
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "scaling.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    figures = plots.save(draw(result), OUTPUT, "scaling")
    console.print("written:", *(str(path) for path in (OUTPUT / "scaling.json", *figures)), soft_wrap=True)


if __name__ == "__main__":
    main()
