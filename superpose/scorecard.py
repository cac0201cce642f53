"""Every experiment at paper scale: its claims in a table, its figure in a gallery, both as Markdown.

The command of an experiment is that of its yaml's header. What was trained before is not trained again.
"""

import dataclasses
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
from rich.console import Console

from superpose import app, config, store
from superpose.arguments import InputError
from superpose.catalogue import Found
from superpose.devices import start_jax
from superpose.experiment import Claim, Verdict
from superpose.hierarchy import Properties, properties

COMMAND = re.compile(r"^# (python -m superpose\.run\b.*)$", re.MULTILINE)
TRAINED = re.compile(r"trained and measured in ([\d.]+) s")
HEAD = ("claim", "source", "", "measured", "expected", "seeds")
OUTCOMES = {True: "holds", False: "**fails**", None: "cannot say"}


@dataclasses.dataclass(frozen=True)
class Card:
    """What became of an experiment: its claims with their verdicts, or why there are none.

    Args:
        found: the experiment. command: what was run.
        folder: its results.
        seconds: of training and measuring, over all runs into that folder.
        judged: each claim with its verdict.
        properties: of the models of each variant, where they have weights.
        error: what went wrong, else empty.
    """

    found: Found
    command: str
    folder: Path
    seconds: float
    judged: Sequence[tuple[Claim, Verdict]] = ()
    error: str = ""
    properties: Mapping[str, Properties] = dataclasses.field(default_factory=dict)

    def count(self, outcome: bool | None) -> int:
        return sum(verdict.holds is outcome for _, verdict in self.judged)


def command_of(found: Found) -> str:
    """The command in the header of an experiment's yaml.

    Raises:
        InputError: there is none.
    """
    line = COMMAND.search(found.config.read_text(encoding="utf-8"))
    if line is None:
        raise InputError(f"{found.config} gives no command. Add a line: # python -m superpose.run experiment=NAME")
    return line[1].strip()


def run(found: Found, more: Sequence[str], console: Console) -> Card:
    """Run an experiment by its own command, with further overrides. What goes wrong is told on its card."""
    command, folder = command_of(found), Path()
    try:
        overrides = [*shlex.split(command)[3:], *more]
        with config.session(overrides):
            asked = config.build(overrides, start=start_jax)
        folder = asked.folder
        app.execute(asked, console)
        tree = store.load(folder)
        judged = asked.experiment.judged(tree)
        told = {label: properties(node.to_dataset()) for label, node in tree.children.items()}
    except Exception as error:
        return Card(found, command, folder, seconds(folder), error=f"{type(error).__name__}: {error}".splitlines()[0])
    finally:
        jax.clear_caches()
    known = {label: each for label, each in told.items() if each is not None}
    return Card(found, command, folder, seconds(folder), judged, properties=known)


def seconds(folder: Path) -> float:
    """What the runs into a folder took for training and measuring, by their log."""
    log = folder / "run.log"
    return sum(map(float, TRAINED.findall(log.read_text(encoding="utf-8")))) if log.is_file() else 0.0


def claims_page(cards: Sequence[Card]) -> str:
    """The scorecard: counts by experiment, then each experiment's claims."""
    lines = ["# Scorecard", "", *INTRODUCTION, ""]
    counts = [(card.count(True), card.count(False), card.count(None)) for card in cards]
    lines += ["| experiment | claims | hold | fail | cannot say | training |", "|---|---:|---:|---:|---:|---:|"]
    for card, (holds, fails, unsaid) in zip(cards, counts, strict=True):
        name = f"[{card.found.name}](#{card.found.name})"
        lines.append(f"| {name} | {len(card.judged)} | {holds} | {fails} | {unsaid} | {card.seconds:.0f} s |")
    total = [sum(column) for column in zip(*counts, strict=True)] or [0, 0, 0]
    time = sum(card.seconds for card in cards) / 60
    lines.append(f"| **all** | {sum(total)} | {total[0]} | {total[1]} | {total[2]} | {time:.0f} min |")
    lines += ["", *hierarchy(cards)]
    return "\n".join([*lines, *(line for card in cards for line in ("", *section(card)))]) + "\n"


def hierarchy(cards: Sequence[Card]) -> list[str]:
    """The paper's hierarchy of properties over all trained models, a row for each variant."""
    lines = ["## Hierarchy of properties", "", *HIERARCHY, ""]
    lines += ["| experiment | variant | model | models | linear | in superposition | basis aligned: all, some, none |"]
    lines += ["|---|---|---|---:|---:|---:|---:|"]
    for card in cards:
        for label, of in card.properties.items():
            share = lambda count, of=of: f"{count / of.models:.0%}"
            aligned = ", ".join(map(share, reversed(of.aligned))) if of.aligned else "no basis of its own"
            counts = f"{of.models:,} | {share(of.linear)} | {share(of.superposed)} | {aligned}"
            lines.append(f"| {card.found.name} | {label} | {of.model} | {counts} |")
    return lines


INTRODUCTION = (
    "The sentences of the paper that can be checked, each on the arrays of its experiment at `scale=paper`. A claim",
    "that fails stays, with what was measured. `superpose scorecard` runs what is missing and writes this page. An",
    "interval is that of the 95% bootstrap over seeds.",
)


HIERARCHY = (
    "All of these models are decomposable: h is computed from the features. It is linear where h = sum_i x_i W_i; in",
    "superposition where the directions of the represented features are linearly dependent; basis aligned where each",
    "represented feature lies along one hidden unit, which means something only if a ReLU makes these special.",
)


def section(card: Card) -> list[str]:
    """An experiment: its command, and a row for each claim."""
    lines = [f"## {card.found.name}", "", card.found.summary, "", f"    {card.command}", ""]
    if card.error:
        return [*lines, f"It did not run: {card.error}"]
    rows = [HEAD, ["---"] * len(HEAD), *(row(claim, verdict) for claim, verdict in card.judged)]
    return [*lines, *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in rows)]


def row(claim: Claim, verdict: Verdict) -> list[str]:
    ends = f" (interval {verdict.interval[0]:.4g} to {verdict.interval[1]:.4g})" if verdict.interval else ""
    seeds = str(verdict.seeds) if verdict.seeds else ""
    return [claim.text, claim.source, OUTCOMES[verdict.holds], verdict.measured + ends, verdict.expected, seeds]


def gallery(cards: Sequence[Card], page: Path) -> str:
    """The gallery: each figure, copied to `figures/` beside the page, with its command."""
    figures = page.parent / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    lines = ["# Gallery", "", "Every figure, with the command that trains what it shows and draws it.", ""]
    for card in cards:
        drawn = card.folder / "figure.png"
        if card.error or not drawn.is_file():
            continue
        shutil.copy(drawn, figures / f"{card.found.name}.png")
        lines += [f"## {card.found.name}", "", card.found.summary, "", f"    {card.command}", ""]
        lines += [f"![{card.found.name}](figures/{card.found.name}.png)", ""]
    return "\n".join(lines)
