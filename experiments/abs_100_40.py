"""Computation in superposition: forty neurons compute the absolute values of a hundred features, dense to sparse.

Paper: "Computation in Superposition". n = 100 features in [-1, 1] of importance 0.8^i, m = 40 neurons,
y' = ReLU(W2 ReLU(W1 x) + b), y = |x|, seven densities.

    python -m superpose.run experiment=abs_100_40

You should see a column per neuron, its weights |W1| stacked, scaled so that the largest is 1: when dense one rectangle
each (monosemantic neurons, two for each of the most important features), when sparse many (polysemantic ones). Losses
at different densities are those of different tasks, and cannot be compared: beside each stands that of the best
monosemantic neurons there (`superpose.dedicated`). Where a best model has a quarter more, training got stuck, and what
its neurons are decides nothing.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr
from jaxtyping import Array, PRNGKeyArray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpose import dedicated, geometry, neurons, plots, selection, stacks, statistics
from superpose.experiment import Claim, Experiment, Verdict
from superpose.models import AbstractToyModel
from superpose.task import Task

SOURCE = "Computation in Superposition"
READ_OFF = {
    1.0: (40, 0, 0),
    0.3: (40, 0, 0),
    0.1: (32, 8, 0),
    0.03: (22, 8, 10),
    0.01: (14, 11, 15),
    0.003: (24, 2, 14),
    0.001: (0, 0, 40),
}
"""Density -> mono-, slightly and highly polysemantic neurons in the paper's figure, judged by eye.

Those of 0.003 are doubtful: against the figure's caption, fewer are polysemantic there than at 0.01.
"""

WITHIN = 4  # neurons of 40: a tenth
FEW = 10  # of 40; more are many
FIRST = 0.9  # of pairs of neurons
ABOVE = 1.02  # times the loss of dedicated neurons: what counts as no more
STUCK = 1.25  # times that: training missed better models
ZOOM = 0.01
PANELS = 7
NEEDED = ("loss", "finite", "feature_importance", "W1", "W2", "feature_superposition", *neurons.VARIABLES)

Levels = dict[float, xr.Dataset]


def measure(model: AbstractToyModel, task: Task, key: PRNGKeyArray) -> dict[str, Array]:
    """The kind of each neuron, and each feature's superposition in the rescaled W1, as geometry has it."""
    W1, W2 = (getattr(model, name) for name in ("W1", "W2"))
    return neurons.summary(W1, W2) | {"feature_superposition": geometry.superposition(neurons.rescaled(W1, W2)[0])}


def stacked(model: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """|W1| with each neuron's largest weight at 1, and the order of neurons by it: the most important feature first.

    Neurons that are not used come last.
    """
    W1 = np.abs(neurons.weights(model)[0])
    return W1, np.lexsort((-W1.sum(axis=1), model["neuron_primary"].values, model["neuron_kind"].values <= 0))


def beside_dedicated(model: xr.Dataset) -> float:
    """The loss as a multiple of that of the best monosemantic neurons."""
    bound = dedicated.loss(float(model["density"]), model["feature_importance"].values, model.sizes["hidden"])
    return float(model["loss"]) / float(bound)


def covered(model: xr.Dataset) -> int:
    """How many features have a neuron for each sign: one that is used, and whose largest weight has it."""
    W1 = neurons.weights(model)[0][model["neuron_kind"].values > 0]
    own = np.abs(W1).argmax(axis=1)
    signs = {(i, bool(W1[j, i] > 0)) for j, i in enumerate(own.tolist())}
    return sum((i, True) in signs and (i, False) in signs for i in range(W1.shape[1]))


def counts(model: xr.Dataset) -> tuple[int, int, int]:
    """Neurons that are mono-, slightly and highly polysemantic."""
    kinds = model["neuron_kind"].values
    return int((kinds == 1).sum()), int((kinds == 2).sum()), int((kinds == 3).sum())


def figure(tree: xr.DataTree) -> Figure:
    """The best model of each density, all neurons in a row; below, the one at p = 0.01 (or the middle one) enlarged."""
    ds, note = selection.one_point(together(tree))
    best = statistics.best(ds)
    levels = selection.evenly(ds.sizes["sparsity"], PANELS)
    models = [best.isel(sparsity=k) for k in levels]
    zoom = int(np.abs(np.log([float(model["density"]) / ZOOM for model in models])).argmin())
    figure = Figure(figsize=(6.9, 0.9 + 0.78 * len(levels) + 1.7))
    axes = figure.subplots(len(levels) + 1, 1, height_ratios=[*np.ones(len(levels)), 2.2])
    for ax, model in zip(axes, models, strict=False):
        row(ax, model)
    row(axes[-1], models[zoom], labelled=True)
    axes[-1].set_title(f"$1-S = {float(models[zoom]['density']):.3g}$, enlarged", fontsize=7, pad=2)
    axes[-1].set_xlabel("neuron, by the importance of its largest feature; number: feature")
    plots.colorbar(list(axes[:-1]), plots.SUPERPOSITION, "superposition of the feature")
    figure.legend(handles=stacks.ground_key(), loc="outside upper center", ncols=3, frameon=False)
    sizes = f"$n = {ds.sizes['feature']}$, $m = {ds.sizes['hidden']}$"
    said = [sizes, note, f"each row {selection.best_of(ds)}, its loss as a multiple of that of dedicated neurons"]
    figure.supxlabel(", ".join(filter(None, said)), fontsize=7)
    return figure


def row(ax: Axes, model: xr.Dataset, *, labelled: bool = False) -> None:
    """One model's neurons."""
    W1, order = stacked(model)
    colours, kinds = plots.SUPERPOSITION.colours(model["feature_superposition"].values), model["neuron_kind"].values
    span = (0.0, stacks.limits([W1])[1])
    stacks.stack(ax, W1[order], colours, kinds=kinds[order], span=span, labelled=labelled)
    told = ", ".join(f"{k} {word}" for k, word in zip(counts(model), neurons.KINDS[1:], strict=True) if k)
    told = f"{told}; loss {beside_dedicated(model):.3g}$\\times$" if told else "no model"
    ax.set_title(f"$1-S = {float(model['density']):.3g}$: {told}", fontsize=7, pad=2)
    ax.set_ylabel("$|W_1|$, stacked" if labelled else "$|W_1|$")


def together(tree: xr.DataTree) -> xr.Dataset:
    """The models of all variants as seeds of one, since they are ways to train the same model; empty without any."""
    known = [ds[list(NEEDED)] for node in tree.children.values() if set(NEEDED) <= set(ds := node.to_dataset())]
    if not known:
        return xr.Dataset()
    whole = xr.concat(known, "seed", coords="minimal", compat="override")
    return whole.assign_coords(seed=np.arange(sum(ds.sizes["seed"] for ds in known)))


def usable(tree: xr.DataTree) -> Levels:
    """Density -> models, best first along `seed`, of those densities of the paper that there are."""
    whole = together(tree)
    if not whole or whole.sizes["hidden"] != 40:
        return {}
    ds, _ = selection.one_point(whole)
    there = {p: at for p in READ_OFF if (at := selection.at_density(ds, p)) is not None}
    found = {p: selection.sorted_by_loss(at) for p, at in there.items()}
    return {p: models for p, models in found.items() if models.sizes["seed"]}


def said_counts(models: xr.Dataset) -> str:
    """The best model's counts, and their range over seeds."""
    every = np.array([counts(models.isel(seed=k)) for k in range(models.sizes["seed"])])
    spread = ", ".join(f"{low} to {high}" for low, high in zip(every.min(0), every.max(0), strict=True))
    return f"{' / '.join(map(str, every[0]))} mono-, slightly, highly polysemantic neurons ({spread} over seeds)"


Check = Callable[[Levels], tuple[bool | None, str]]


def claim(
    text: str, needed: tuple[float, ...], check: Check, expected: str, *, ours: bool = False, stuck: bool = False
) -> Claim:
    """A sentence on the best models at these densities, or at all; open where training got stuck at one of them.

    A sentence on all is judged on those where it did not; with `stuck` it is about these, too.
    """

    def verdict(tree: xr.DataTree) -> Verdict:
        levels = usable(tree)
        if not levels or not set(needed) <= set(levels):
            listed = ", ".join(f"{p:g}" for p in needed)
            return Verdict(None, f"nothing: the arrays lack models of 40 neurons at p = {listed or 'one of the seven'}")
        lost = {p: ratio for p, m in levels.items() if (ratio := beside_dedicated(m.isel(seed=0))) > STUCK}
        lost = {} if stuck else {p: ratio for p, ratio in lost.items() if not needed or p in needed}
        holds, measured = check(levels if needed else {p: m for p, m in levels.items() if p not in lost})
        if lost:
            listed = ", ".join(f"{ratio:.3g} times at p = {p:g}" for p, ratio in lost.items())
            measured += f"; training got stuck, at a loss of {listed} that of dedicated neurons"
        left = None if holds is None or (lost and needed) else bool(holds)
        return Verdict(left, measured, expected, seeds=max(models.sizes["seed"] for models in levels.values()))

    return Claim(text, SOURCE, verdict, ours)


def of_best(p: float, holds: Callable[[int, int, int], bool]) -> Check:
    """Whether it holds of the counts of the best model at a density."""
    return lambda levels: (holds(*counts(levels[p].isel(seed=0))), said_counts(levels[p]))


def ranked_first(levels: Levels, p: float, others: tuple[int, ...]) -> float:
    """Of the pairs of a monosemantic neuron and one of other kinds: in how many the former's feature matters more.

    Equal features count half; NaN where there is no pair.
    """
    model = levels[p].isel(seed=0)
    kinds, primary = model["neuron_kind"].values, model["neuron_primary"].values
    mono, rest = primary[kinds == 1][:, None], primary[np.isin(kinds, others)]
    return float(((mono < rest) + 0.5 * (mono == rest)).mean()) if mono.size and rest.size else np.nan


def small_number_highly(levels: Levels) -> tuple[bool, str]:
    _, _, highly = counts(levels[0.03].isel(seed=0))
    part = ranked_first(levels, 0.03, (3,))
    words = f"{said_counts(levels[0.03])}; monosemantic ones' features matter more in {part:.0%} of pairs"
    return bool(1 <= highly <= FEW and part >= FIRST), words


def grows(first: float, second: float, kinds: slice) -> Check:
    """Whether the best models have more neurons of these kinds at the second density."""

    def check(levels: Levels) -> tuple[bool, str]:
        numbers = [sum(counts(levels[p].isel(seed=0))[kinds]) for p in (first, second)]
        return numbers[1] > numbers[0], f"{numbers[0]} at p = {first:g}, {numbers[1]} at p = {second:g}"

    return check


def mono_first(levels: Levels) -> tuple[bool | None, str]:
    parts = {p: part for p in levels if not np.isnan(part := ranked_first(levels, p, (2, 3)))}
    words = ", ".join(f"{part:.0%} at p = {p:g}" for p, part in parts.items())
    return min(parts.values()) >= FIRST if parts else None, words or "no density has neurons of both kinds"


def pairs(levels: Levels) -> tuple[bool, str]:
    found = [covered(levels[1.0].isel(seed=k)) for k in range(levels[1.0].sizes["seed"])]
    return found[0] == 20, f"{found[0]} features with both signs ({min(found)} to {max(found)} over seeds)"


def not_worse(levels: Levels) -> tuple[bool, str]:
    ratios = {p: beside_dedicated(models.isel(seed=0)) for p, models in levels.items()}
    return max(ratios.values()) <= ABOVE, ", ".join(f"{ratio:.3g} times it at p = {p:g}" for p, ratio in ratios.items())


def as_read_off(levels: Levels) -> tuple[bool | None, str]:
    found = {p: counts(models.isel(seed=0)) for p, models in levels.items()}
    off = max((abs(a - b) for p, each in found.items() for a, b in zip(each, READ_OFF[p], strict=True)), default=None)
    told = ", ".join(
        f"{'/'.join(map(str, each))} (paper {'/'.join(map(str, READ_OFF[p]))})" for p, each in found.items()
    )
    if off is None:
        return None, "no density at which training did not get stuck"
    return off <= WITHIN, f"{told} at p = {', '.join(f'{p:g}' for p in found)}; off by up to {off} neurons"


experiment = Experiment(
    figure=figure,
    measure=measure,
    dims={name: dims for name, (dims, _) in neurons.VARIABLES.items()} | {"feature_superposition": ("feature",)},
    attributes={name: attributes for name, (_, attributes) in neurons.VARIABLES.items()}
    | {"feature_superposition": {"long_name": "superposition in the rescaled W1", "units": "1"}},
    claims=(
        claim("1 - S = 1: all neurons are monosemantic.", (1.0,), of_best(1.0, lambda m, s, h: m == 40), "40"),
        claim("1 - S = 1: they are a pair for each of twenty features.", (1.0,), pairs, "20 features", ours=True),
        claim("0.3: they still are.", (0.3,), of_best(0.3, lambda m, s, h: m == 40), "40"),
        claim(
            "0.1: a few neurons are slightly polysemantic.",
            (0.1,),
            of_best(0.1, lambda m, s, h: 1 <= s <= FEW and h == 0),
            f"1 to {FEW} slightly, none highly",
        ),
        claim(
            "0.03: a small number are highly polysemantic, and represent features of low importance.",
            (0.03,),
            small_number_highly,
            f"1 to {FEW} highly; monosemantic neurons' features matter more in {FIRST:.0%} of pairs with one of these",
        ),
        claim("0.01: their number grows.", (0.03, 0.01), grows(0.03, 0.01, slice(2, 3)), "more highly polysemantic"),
        claim(
            "0.003: more neurons are polysemantic.",
            (0.01, 0.003),
            grows(0.01, 0.003, slice(1, 3)),
            "more, of both degrees",
        ),
        claim("0.001: all are highly polysemantic.", (0.001,), of_best(0.001, lambda m, s, h: h == 40), "40"),
        claim(
            "Monosemantic neurons are those of the most important features.", (), mono_first, f"{FIRST:.0%} of pairs"
        ),
        claim(
            "0.01: many neurons have one primary weight and small others.",
            (ZOOM,),
            of_best(ZOOM, lambda m, s, h: s > FEW),
            f"more than {FEW} slightly polysemantic",
        ),
        claim(
            "0.01, enlarged: mono- and polysemantic neurons exist side by side.",
            (ZOOM,),
            of_best(ZOOM, lambda m, s, h: m > 0 and s + h > 0),
            "some of each",
        ),
        claim(
            "As many neurons of each kind as in the figure.", (), as_read_off, f"each within {WITHIN} of 40", ours=True
        ),
        claim(
            "No choice of dedicated neurons has a lower loss.",
            (),
            not_worse,
            f"at most {ABOVE:g} times their loss at every density",
            ours=True,
            stuck=True,
        ),
    ),
)
