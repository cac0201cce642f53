"""The tables of simulate.py: what its points say, for the terminal and for docs/scaling.md."""

from collections.abc import Callable, Sequence
from typing import Any

from report import Sheet

UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B"))
Point = dict[str, Any]
Column = tuple[str, Callable[[Point], str]]


def count(key: str) -> Callable[[Point], str]:
    return lambda point: f"{point[key]:,.0f}"


def seconds(key: str) -> Callable[[Point], str]:
    return lambda point: f"{point['seconds'][key] if 'seconds' in point else point[key]:.3g} s"


def size(bytes_of: Callable[[Point], float]) -> Callable[[Point], str]:
    def told(point: Point) -> str:
        number = bytes_of(point)
        unit, name = next((unit, name) for unit, name in UNITS if number >= unit)
        return f"{number / unit:.3g} {name}"

    return told


MODELS: tuple[Column, ...] = (("models", count("models")), ("rows of a block", count("block")))
COLUMNS: dict[str, tuple[str, str, Sequence[Column]]] = {
    "store_files": (
        "table",
        "What lies on the disk",
        (
            *MODELS,
            ("blocks", count("blocks")),
            ("files", count("files")),
            ("bytes", size(lambda point: point["bytes"])),
            ("of these zarr.json", size(lambda point: point["metadata"])),
        ),
    ),
    "store_seconds": (
        "table",
        "What it takes",
        (
            *MODELS,
            ("enter all rows", seconds("plan")),
            ("start of a task", seconds("start")),
            ("when all is done", seconds("again")),
            ("load", seconds("load")),
            ("verify", seconds("verify")),
        ),
    ),
    "store_blocks": (
        "table",
        "Writing",
        (
            *MODELS,
            ("fsyncs to enter all rows", count("plan_fsyncs")),
            ("write a block", seconds("write")),
            ("its fsyncs", count("block_fsyncs")),
            ("its bytes", size(lambda point: point["bytes"] / point["blocks"])),
        ),
    ),
    "store_writers": (
        "writers",
        "Processes that start at once",
        (
            ("writers", count("writers")),
            ("blocks", count("blocks")),
            ("first has started", seconds("first")),
            ("last has started", seconds("last")),
            ("blocks a second", lambda point: f"{point['blocks'] / point['whole']:.3g}"),
        ),
    ),
    "store_tasks": (
        "tasks",
        "One more task",
        (
            ("tasks", count("tasks")),
            ("in the table's lock", seconds("lock")),
            ("times the tasks", lambda point: f"{point['tasks'] * point['lock']:.3g} s"),
            ("start of a task", seconds("start")),
        ),
    ),
    "store_arrays": (
        "arrays",
        "The labelled arrays",
        (
            ("models", count("models")),
            ("shard", lambda point: "2^27 bytes" if point["sharded"] else "none"),
            ("chunk", lambda point: f"2^{point['chunk'].bit_length() - 1} bytes"),
            ("files", count("files")),
            ("write", seconds("write")),
            ("read and check", seconds("read")),
        ),
    ),
}


def sheets(result: dict[str, Any]) -> dict[str, Sheet]:
    """The tables, by name; none of what was not measured."""
    return {
        name: Sheet(title, [head for head, _ in columns], [[cell(p) for _, cell in columns] for p in result[panel]])
        for name, (panel, title, columns) in COLUMNS.items()
        if panel in result
    }
