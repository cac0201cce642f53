"""How many models a device trains best at once: model-steps per second over the tile, beside the tile by formula.

    python benchmarks/tiles.py [--sizes 20,5 400,30] [--kinds sparsity importance seeds] [--rounds 4]

    sparsity      cells of one seed, which share their draws but not x
    importance    cells of one seed that share x
    seeds         one cell of many seeds, which share nothing

What is timed is training alone, in short runs on all cores; the tiles of a size take turns, and of each the fastest
run counts, since whatever else runs on the machine only slows it down. `share` is the rate of the formula's tile over
that of the best tile measured, and is to be at least 0.85. Results: tables, and outputs/bench/tiles.json. Some 7
minutes.

When the step has changed, the formulas of superpose/estimate.py are fitted anew: run this, then

    python benchmarks/tiles.py --refit

which reads the JSON, and prints the TILE_BYTES and LARGEST_TILE whose worst share is best, and the two constants of
`step_seconds` that fit the best tiles of the sparsity axis. Write them into estimate.py, and run this again.
"""

import argparse
import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import jax
import numpy as np
from report import machine
from rich.console import Console
from rich.table import Table
from worker import cores

from superpose import (
    AdamW,
    Axis,
    Constant,
    Geometric,
    Grid,
    IndependentFeatures,
    Program,
    ReLUOutput,
    Sampled,
    estimate,
)
from superpose.grid import Tile
from superpose.probing import short_training
from superpose.sweep import Seeding

OUTPUT = Path("outputs/bench")
BATCH = 1024
SIZES = ("2,1", "5,2", "20,5", "80,20", "100,20", "400,30")
KINDS = {"sparsity": "features.density", "importance": "weighting.base", "seeds": ""}
TILES = (1, 2, 4, 8, 16, 32, 64, 128)


def program(size: str, kind: str) -> Program:
    """The paper's sampled program of a size, with one axis or none."""
    n, m = map(int, size.split(","))
    axes = ((kind, KINDS[kind]),) if KINDS[kind] else ()
    parts = {"objective": Sampled(BATCH), "optimizer": AdamW(1e-3, 1e-2), "schedule": Constant(10_000)}
    return Program(ReLUOutput(n, m), IndependentFeatures(n, 0.1), Geometric(0.9), axes=axes, **parts)


def grid(kind: str, models: int) -> Grid:
    """So many models of a kind."""
    if kind == "seeds":
        return Grid((), tuple(range(models)))
    return Grid((Axis(kind, tuple(np.linspace(0.0, 0.95, models).tolist()), KINDS[kind]),), (0,))


def by_formula(size: str, kind: str) -> int:
    """The tile that the package chooses, where memory does not limit it."""
    return estimate.tile_budget(program(size, kind), "cpu", 1e12, shared=kind != "seeds")


def rates(size: str, kind: str, rounds: int, devices: Sequence[jax.Device]) -> dict[int, float]:
    """Model-steps per second by tile, the formula's own among them; tiles that take turns, and of each the fastest."""
    whole = program(size, kind)
    own = by_formula(size, kind)
    largest = next((tile for tile in TILES if tile * estimate.example_bytes(whole) > 16e6), TILES[-1])
    shorts = {}
    for models in sorted({own, *(tile for tile in TILES if tile <= largest)}):
        tile = Tile(models, 1) if kind == "seeds" else Tile(1, models)
        rows = grid(kind, models * len(devices)).rows()
        shorts[models] = short_training(whole, rows, tile, devices, Seeding())
    seconds = {models: [] for models in shorts}
    for _ in range(rounds):
        for models, short in shorts.items():
            seconds[models].append(short.step_seconds())
    return {models: models * len(devices) / min(each) for models, each in seconds.items()}


def share(found: dict[int, float], models: float) -> float:
    """The rate of a tile over that of the best, between two that were measured in the logarithm of the tile."""
    tiles = sorted(found)
    return float(np.interp(np.log(models), np.log(tiles), [found[tile] for tile in tiles])) / max(found.values())


def refit(rates: dict[str, dict[str, dict[int, float]]], devices: int, console: Console):
    """Print the constants of estimate.py that fit the rates best, by kind, size and tile."""

    def fit(size: str, kind: str, *given: Any) -> float:
        own = program(size, kind)
        if kind == "seeds":
            return share(rates[kind][size], estimate.drawn_models(estimate.draw_bytes(own), given[0]))
        return share(rates[kind][size], estimate.cached_models(estimate.example_bytes(own), *given))

    worst = {
        given: min(fit(size, kind, *given) for kind in rates for size in rates[kind])
        for given in product((2.0 ** (np.arange(-4, 5) / 2) * 640e3).tolist(), (16, 32, 64, 128))
    }
    best = max(worst, key=lambda given: worst[given])
    console.print(f"TILE_BYTES = {best[0]:.3g}, LARGEST_TILE = {best[1]}: every share at least {worst[best]:.2f}")
    own = rates["sparsity"]
    sizes = np.array([[float(number) for number in size.split(",")] for size in own])
    seconds = np.array([devices / max(of_tile.values()) for of_tile in own.values()])
    terms = np.stack([np.ones(len(sizes)), sizes[:, 1]], axis=1) * (sizes[:, :1] * BATCH * 1e-9)
    one, of_m = np.linalg.lstsq(terms / seconds[:, None], np.ones(len(sizes)), rcond=None)[0]
    errors = " ".join(f"{error:.2f}" for error in terms @ [one, of_m] / seconds)
    console.print(f"step_seconds: ({one:.2f} + {of_m:.3f} m) ns * n * batch; over what was measured: {errors}")


def integers(found: dict[str, float]) -> dict[int, float]:
    """By tile, as JSON keeps it by text."""
    return {int(tile): rate for tile, rate in found.items()}


def table(kind: str, found: dict[str, dict[int, float]], own: dict[str, int]) -> Table:
    """The rates of one kind: a row per size, a column per tile, the best in bold."""
    tiles = sorted({tile for of_size in found.values() for tile in of_size})
    shown = Table(box=None, pad_edge=False, title=f"{kind}: model-steps per second by models of a tile")
    for column in ("", *map(str, tiles), "formula", "share"):
        shown.add_column(column, justify="right", no_wrap=True)
    for label, of_size in found.items():
        best = max(of_size.values())
        told = [f"{of_size[t]:,.0f}" if t in of_size else "" for t in tiles]
        told = [f"[bold]{text}[/]" if of_size.get(t) == best else text for t, text in zip(tiles, told, strict=True)]
        shown.add_row(label, *told, str(own[label]), f"{share(of_size, own[label]):.2f}")
    return shown


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=SIZES, choices=SIZES, metavar="N,M")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--rounds", type=int, default=4, help="times that each tile runs")
    parser.add_argument("--refit", action="store_true", help="fit the formulas to the rates that were measured")
    arguments, console = parser.parse_args(), Console(highlight=False, width=200)
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", cores())
    devices, kept = jax.devices(), OUTPUT / "tiles.json"
    result: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {"rates": {}}
    if arguments.refit:
        whole = {kind: {size: integers(of) for size, of in own.items()} for kind, own in result["rates"].items()}
        return refit(whole, len(devices), console)
    for kind in arguments.kinds:
        found: dict[str, dict[int, float]] = {}
        for size in arguments.sizes:
            found[size] = rates(size, kind, arguments.rounds, devices)
        console.print(table(kind, found, {size: by_formula(size, kind) for size in found}))
        result["machine"] = machine()
        result["rates"].setdefault(kind, {}).update(found)
        OUTPUT.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
