"""The console script `superpose`: what there is to run, and what became of a run. `python -m superpose.run` runs."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from superpose.arguments import InputError
from superpose.interrupt import ending
from superpose.printing import printable

MISSING = 3

EXAMPLES = """examples:
  superpose list                              the experiments that can be run
  superpose status outputs/basic_results      how many models are done
  superpose verify outputs/basic_results      whether everything written can be read back
  superpose measure outputs/basic_results     fill in measures that are new, without training
  superpose merge outputs/both outputs/here outputs/there           one run of two
  superpose drop outputs/basic_results sparsity=0.9 seed=0,3        forget models, which the same command trains again
  superpose copy outputs/basic_results s3://bucket/basic_results    its labelled arrays, to an object store or folder
  superpose scorecard                         run every experiment, write its claims and figure as Markdown
  superpose scorecard corr_4_2 --to mine      one of them, into another folder
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 for a run that broke, 2 for bad input, 3 where models are missing or
    damaged or lack measures, 128 + its number for a signal."""
    parser = argparse.ArgumentParser(
        "superpose", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="the experiments that can be run").set_defaults(run=list_experiments)
    for name, function, told in (
        ("status", status, "how many models are done, and how many are missing"),
        ("verify", verify, "read every file back; name those that are damaged"),
        ("measure", measure, "compute measures that trained models lack"),
    ):
        command = commands.add_parser(name, help=told)
        command.add_argument("path", type=Path, help="the run's folder, as outputs/basic_results")
        command.set_defaults(run=function)
        if function is measure:
            command.add_argument("--trust", action="store_true", help="let the settings beside it run any Python code")
    command = commands.add_parser("copy", help="write a run's labelled arrays to an object store or another folder")
    command.add_argument("path", help="the run's folder, as outputs/basic_results")
    command.add_argument("target", help="a URL, as s3://bucket/basic_results, or a folder that is not there yet")
    command.add_argument("--replace", action="store_true", help="write it anew where a copy is there")
    command.set_defaults(run=copy)
    command = commands.add_parser("merge", help="bring the models of several runs of the same settings into one")
    command.add_argument("target", type=Path, help="the run's folder; made where it is not there")
    command.add_argument("sources", nargs="+", type=Path, metavar="source", help="a run's folder; it is only read")
    command.set_defaults(run=merge)
    command = commands.add_parser("drop", help="take models out of a run, by their coordinates; nothing else changes")
    command.add_argument("path", type=Path, help="the run's folder, as outputs/basic_results")
    command.add_argument("points", nargs="+", metavar="AXIS=POINT,...", help="as sparsity=0.9 seed=0,3")
    command.set_defaults(run=drop)
    command = commands.add_parser("scorecard", help="run experiments; write their claims and figures as Markdown")
    command.add_argument("names", nargs="*", metavar="EXPERIMENT", help="all of them, where none is named")
    command.add_argument("--to", type=Path, default=Path("outputs/scorecard"), metavar="FOLDER", help="for the pages")
    command.add_argument("--set", nargs="*", default=[], metavar="OVERRIDE", help="for each run, as scale=smoke")
    command.set_defaults(run=scorecard)
    arguments = parser.parse_args(argv)
    return ending(lambda: carry_out(arguments))


def carry_out(arguments: argparse.Namespace) -> int:
    """The exit code of a command; what goes wrong is told in a few lines, on standard error."""
    try:
        return arguments.run(arguments, Console())
    except Exception as error:
        from superpose import command

        if os.environ.get(command.FULL_ERROR) == "1":
            raise
        command.say(f"error: {command.told(error, [])}")
        return code_of(error)


def code_of(error: Exception) -> int:
    """3 for a damaged file, 2 for what a person can mend, 1 for what broke."""
    import yaml

    from superpose import command
    from superpose.store import DamageError

    if isinstance(error, DamageError):
        return MISSING
    return 2 if isinstance(error, ValueError | OSError | yaml.YAMLError) else command.code_of(error)


def list_experiments(arguments: argparse.Namespace, console: Console) -> int:
    """Every experiment, what it is, and where it comes from."""
    from superpose import catalogue

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("experiment", "what it is", "from"):
        table.add_column(column, overflow="fold")
    for found in catalogue.experiments():
        root = "superpose" if found.root == catalogue.shipped() else str(found.root)
        table.add_row(*map(escape, (found.name, found.summary, root)))
    console.print(table)
    console.print("python -m superpose.run experiment=NAME", style="dim")
    return 0


def status(arguments: argparse.Namespace, console: Console) -> int:
    """Models done, missing, and done but lacking a measure, of each variant."""
    from superpose.store import Store

    store, missing, unmeasured, made = Store.open(arguments.path), 0, 0, Counter()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("variant", "models", "done", "missing", "unmeasured", "blocks"):
        table.add_column(column, justify="left" if column == "variant" else "right")
    for variant in store.variants:
        done, models = store.count_done(variant)
        lacking = store.count_unmeasured(variant)
        missing, unmeasured = missing + models - done, unmeasured + lacking
        made.update({", ".join(map(str, note.values())): count for note, count in store.origins(variant)})
        counts = (models, done, models - done, lacking, store.blocks(variant))
        table.add_row(escape(variant), *(f"{k:,}" for k in counts))
    console.print(table)
    for note, count in made.items() if len(+made) > 1 else ():
        console.print(f"{count:,} models were trained with {printable(note)}", markup=False, highlight=False)
    if missing:
        console.print("The command that made it continues it.")
    elif unmeasured:
        console.print(f"superpose measure {arguments.path}", markup=False, highlight=False, soft_wrap=True)
    else:
        console.print("complete")
    return MISSING if missing or unmeasured else 0


def verify(arguments: argparse.Namespace, console: Console) -> int:
    """Every damaged file, by name."""
    from superpose import store

    damages = store.verify(arguments.path)
    for damage in damages:
        console.print(f"{damage.path}: {damage.what}", markup=False, highlight=False, soft_wrap=True)
    if damages:
        console.print("The command that made it, with repair=true, mends them; only damaged blocks are trained again.")
        return MISSING
    console.print("Every file that should be there is there and reads back.")
    return 0


def measure(arguments: argparse.Namespace, console: Console) -> int:
    """Fill in the measures of every trained model of a run."""
    from superpose import app

    count = app.measure_again(arguments.path, trusted=arguments.trust)
    console.print(f"measured {count} blocks" if count else "every model is measured already")
    return 0


def copy(arguments: argparse.Namespace, console: Console) -> int:
    """The labelled arrays of a run, written to another place, read back and compared."""
    from superpose import store

    tree = store.copy(arguments.path, arguments.target, replace=arguments.replace)
    models = sum(int(node["loss"].notnull().sum()) for node in tree.children.values() if "loss" in node)
    console.print(f"copied {models:,} models, read back and compared", highlight=False)
    console.print(f'superpose.load("{arguments.target}")', markup=False, highlight=False, soft_wrap=True)
    return 0


def merge(arguments: argparse.Namespace, console: Console) -> int:
    """The models of several runs in one, and what it lacks then."""
    from superpose import store

    for variant, count in store.merge(arguments.target, arguments.sources).items():
        console.print(f"{variant}: {count:,} models brought", markup=False, highlight=False)
    return status(argparse.Namespace(path=arguments.target), console)


def drop(arguments: argparse.Namespace, console: Console) -> int:
    """How many models were taken out of each variant."""
    from superpose import store

    for variant, count in store.drop(arguments.path, points_of(arguments.points)).items():
        console.print(f"{variant}: {count:,} models dropped", markup=False, highlight=False)
    console.print("They are no longer loaded. The command that made them trains them again.")
    return 0


def points_of(words: Sequence[str]) -> dict[str, list[float]]:
    """["sparsity=0.9", "seed=0,3"] as {"sparsity": [0.9], "seed": [0.0, 3.0]}. Raises InputError for anything else."""
    points: dict[str, list[float]] = {}
    for word in words:
        axis, _, values = word.partition("=")
        try:
            points[axis] = [float(value) for value in values.strip("[]").split(",")]
        except ValueError as error:
            raise InputError(f"`{word}` names no models. Type an axis and its points: sparsity=0.9 seed=0,3") from error
    return points


def scorecard(arguments: argparse.Namespace, console: Console) -> int:
    """Every experiment's claims in scorecard.md and its figure in gallery.md; 1 where one did not run."""
    from superpose import catalogue, scorecard

    found = [catalogue.find(name) for name in arguments.names] or catalogue.experiments()
    scorecard.check_place(arguments.to, [each.name for each in found], arguments.set)
    cards = []
    for each in found:
        console.rule(each.name)
        cards.append(scorecard.run(each, arguments.set, console))
        if told := scorecard.notice(cards[-1]):
            console.print(told, markup=False, highlight=False, soft_wrap=True)
    arguments.to.mkdir(parents=True, exist_ok=True)
    pages = {"scorecard.md": scorecard.claims_page(cards, arguments.set)}
    pages["gallery.md"] = scorecard.gallery(cards, arguments.to / "gallery.md")
    for name, text in pages.items():
        (arguments.to / name).write_text(text, encoding="utf-8")
        console.print(str(arguments.to / name), highlight=False)
    return int(any(card.error for card in cards))


if __name__ == "__main__":
    sys.exit(main())
