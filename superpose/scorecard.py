"""Every experiment at paper scale: its claims in a table, its figure in a gallery, both as Markdown.

The command of an experiment is that of its yaml's header. What was trained before is not trained again, and a page
that shows all experiments is never replaced by one that shows fewer, or the same at another scale.
"""

import dataclasses
import re
import shlex
import shutil
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
from rich.console import Console

from superpose import app, catalogue, config, store
from superpose.arguments import InputError
from superpose.catalogue import Found
from superpose.config import Run
from superpose.devices import start_jax
from superpose.experiment import Claim, Verdict
from superpose.hierarchy import Properties, properties
from superpose.store import Store

COMMAND = re.compile(r"^# (python -m superpose\.run\b.*)$", re.MULTILINE)
TRAINED = re.compile(r"trained and measured in ([\d.]+) s")
HEAD = ("claim", "source", "", "measured", "expected", "seeds")
OUTCOMES = {True: "holds", False: "**fails**", None: "cannot say"}
LISTED = re.compile(r"^\| \[[^\]]+\]\(#([^)]+)\) \|", re.MULTILINE)
BESIDES = "Besides its own settings, each has these:"
NOTHING = "\N{EN DASH}"


@dataclasses.dataclass(frozen=True)
class Card:
    """What became of an experiment: its claims with their verdicts, or why there are none.

    Args:
        found: the experiment. command: what was run.
        folder: its results; None where it did not come to that.
        seconds: of training and measuring, over all runs into that folder.
        judged: each claim with its verdict.
        error: what went wrong, else empty.
        properties: of the models of each variant, where they have weights.
        others: models in the folder that the command does not ask for; figure and claims are of these, too.
    """

    found: Found
    command: str
    folder: Path | None
    seconds: float
    judged: Sequence[tuple[Claim, Verdict]] = ()
    error: str = ""
    properties: Mapping[str, Properties] = dataclasses.field(default_factory=dict)
    others: int = 0

    def count(self, outcome: bool | None, *, ours: bool = False) -> int:
        """How many claims of the paper, or of our own, have this outcome."""
        return sum(verdict.holds is outcome for claim, verdict in self.judged if claim.ours is ours)

    @property
    def counts(self) -> list[int]:
        """Of the paper's claims how many there are, hold, fail, and cannot be judged; of our own, hold and fail."""
        paper = [self.count(outcome) for outcome in (True, False, None)]
        return [sum(paper), *paper, self.count(True, ours=True), self.count(False, ours=True)]


def command_of(found: Found) -> str:
    """The command in the header of an experiment's yaml.

    Raises:
        InputError: there is none.
    """
    line = COMMAND.search(found.config.read_text(encoding="utf-8"))
    if line is None:
        raise InputError(f"{found.config} gives no command. Add a line: # python -m superpose.run experiment=NAME")
    return line[1].strip()


def overrides_of(found: Found) -> list[str]:
    """The overrides of that command."""
    return shlex.split(command_of(found))[3:]


def check_place(to: Path, names: Sequence[str], more: Sequence[str]) -> None:
    """Raise InputError if the page in a folder has other overrides, or experiments that these names leave out.

    One that is no longer to be found may go.
    """
    page = to / "scorecard.md"
    if not page.is_file():
        return
    text = page.read_text(encoding="utf-8")
    known = {found.name for found in catalogue.experiments()}
    left = sorted(known & set(LISTED.findall(text)) - set(names))
    if left:
        raise InputError(
            f"{page} shows {len(left)} experiments that would be lost, as {left[0]}. Name another folder with --to, or"
            " leave out the names: what is trained already is only judged and drawn."
        )
    if besides(more) not in text or (not more and BESIDES in text):
        raise InputError(f"{page} was written with other overrides (--set). Name another folder with --to.")


def besides(more: Sequence[str]) -> str:
    """The line of the page that names the further overrides; empty without any."""
    return f"{BESIDES} {' '.join(f'`{override}`' for override in more)}" if more else ""


def run(found: Found, more: Sequence[str], console: Console) -> Card:
    """Run an experiment by its own command, with further overrides. What goes wrong is told on its card."""
    command, folder = command_of(found), None
    try:
        overrides = [*overrides_of(found), *more]
        with config.session(overrides):
            asked = config.build(overrides, start=start_jax)
        folder = asked.folder
        app.execute(asked, console)
        tree = store.load(folder)
        judged = asked.experiment.judged(tree)
        pairs = ((label, tree[label].to_dataset(), each.program) for label, each in asked.variants.items())
        told = {label: properties(ds, program) for label, ds, program in pairs}
        extra = others(asked)
    except Exception as error:
        if not isinstance(error, InputError | store.StoreError):
            console.print(traceback.format_exc(), markup=False, highlight=False, soft_wrap=True)
        return Card(found, command, folder, seconds(folder), error=f"{type(error).__name__}: {error}")
    finally:
        jax.clear_caches()
    known = {label: each for label, each in told.items() if each is not None}
    return Card(found, command, folder, seconds(folder), judged, properties=known, others=extra)


def others(asked: Run) -> int:
    """How many trained models of a run's folder are not those that it asks for; an adaptive map asks for any."""
    if asked.refine:
        return 0
    table = Store.open(asked.folder)
    done = sum(table.count_done(label)[0] for label in table.variants)
    return done - sum(table.count_done(label, each.grid.rows())[0] for label, each in asked.variants.items())


def seconds(folder: Path | None) -> float:
    """What the runs into a folder took for training and measuring, by their log."""
    log = folder / "run.log" if folder is not None else None
    return sum(map(float, TRAINED.findall(log.read_text(encoding="utf-8")))) if log and log.is_file() else 0.0


def notice(card: Card) -> str:
    """What is amiss with a card, for the screen; empty where nothing is."""
    if card.error:
        return f"error: {card.error}"
    told = f"warning: {card.folder} holds {card.others:,} models that are not of this command: {card.command}"
    return told if card.others else ""


def claims_page(cards: Sequence[Card], more: Sequence[str] = ()) -> str:
    """The scorecard: counts by experiment, then each experiment's claims. `more` are further overrides of each."""
    lines = ["# Scorecard", "", *INTRODUCTION, *filter(None, [besides(more)]), ""]
    lines += ["| experiment | claims | hold | fail | cannot say | ours hold | ours fail | training |"]
    lines += [f"|---|{'---:|' * 7}"]
    for card in cards:
        counts = [NOTHING] * 6 if card.error else map(str, card.counts)
        time = "**did not run**" if card.error else f"{card.seconds:.0f} s"
        lines.append(f"| [{card.found.name}](#{card.found.name}) | {' | '.join(counts)} | {time} |")
    failed = sum(bool(card.error) for card in cards)
    name = f"all but {failed} that did not run" if failed else "all"
    total = [sum(column) for column in zip(*(card.counts for card in cards), strict=True)] or [0] * 6
    time = sum(card.seconds for card in cards) / 60
    lines.append(f"| **{name}** | {' | '.join(map(str, total))} | {time:.0f} min |")
    lines += ["", *hierarchy(cards)]
    return "\n".join([*lines, *(line for card in cards for line in ("", *section(card)))]) + "\n"


def hierarchy(cards: Sequence[Card]) -> list[str]:
    """The paper's hierarchy of properties over all trained models, a row for each variant."""
    lines = ["## Hierarchy of properties", "", *HIERARCHY, ""]
    lines += ["| experiment | variant | model | models | linear | in superposition | basis aligned: all, some, none |"]
    lines += ["|---|---|---|---:|---:|---:|---:|"]
    for card in cards:
        for label, of in card.properties.items():
            share = lambda count, of=of: NOTHING if count is None else f"{count / of.models:.0%}"
            aligned = ", ".join(map(share, reversed(of.aligned))) if of.aligned else NOTHING
            counts = f"{of.models:,} | {share(of.linear)} | {share(of.superposed)} | {aligned}"
            lines.append(f"| {card.found.name} | {label} | {of.model} | {counts} |")
    return lines


INTRODUCTION = (
    "The sentences of the paper that can be checked, each on the arrays of its experiment. A claim that fails stays,",
    "with what was measured. Sentences of our own, a closed form or a question beyond the paper, are counted apart and",
    "have `ours` as their source. `superpose scorecard` runs what is missing and writes this page. An interval is that",
    "of the 95% bootstrap over seeds.",
)


HIERARCHY = (
    "All of these models are decomposable: h is computed from the features. It is linear where h = sum_i x_i W_i; in",
    "superposition where the directions of the represented features (norm above 0.5) are linearly dependent; basis",
    "aligned where each represented feature lies along one hidden unit, or, in models with a W2, each used neuron",
    "serves one feature. A dash: the question means nothing there, as that of a basis without a hidden ReLU, or of",
    "superposition with a W2 and no fewer neurons than features. Shares are of all trained models of an experiment, at",
    "every level and seed: they describe its grid, and are no sample.",
)


def section(card: Card) -> list[str]:
    """An experiment: its command, and a row for each claim."""
    lines = [f"## {card.found.name}", "", card.found.summary, "", f"    {card.command}", ""]
    if card.error:
        return [*lines, "It did not run:", "", *(f"    {line}" for line in card.error.splitlines())]
    if card.others:
        lines += [f"**{card.others:,} models in its folder are not of this command**; they are judged, too.", ""]
    rows = [HEAD, ["---"] * len(HEAD), *(row(claim, verdict) for claim, verdict in card.judged)]
    return [*lines, *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in rows)]


def row(claim: Claim, verdict: Verdict) -> list[str]:
    ends = f" (interval {verdict.interval[0]:.4g} to {verdict.interval[1]:.4g})" if verdict.interval else ""
    seeds = str(verdict.seeds) if verdict.seeds else ""
    return [claim.text, claim.origin, OUTCOMES[verdict.holds], verdict.measured + ends, verdict.expected, seeds]


def gallery(cards: Sequence[Card], page: Path) -> str:
    """The gallery: each figure, copied to `figures/` beside the page, with its command."""
    figures = page.parent / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    lines = ["# Gallery", "", "Every figure, with the command that trains what it shows and draws it.", ""]
    for card in cards:
        drawn = card.folder / "figure.png" if card.folder is not None else None
        if card.error or drawn is None or not drawn.is_file():
            continue
        shutil.copy(drawn, figures / f"{card.found.name}.png")
        lines += [f"## {card.found.name}", "", card.found.summary, "", f"    {card.command}", ""]
        lines += [f"![{card.found.name}](figures/{card.found.name}.png)", ""]
    return "\n".join(lines)
