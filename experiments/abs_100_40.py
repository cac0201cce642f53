"""Computation in superposition: forty neurons compute the absolute values of a hundred features, dense to sparse.

Paper: "Computation in Superposition". n = 100 features in [-1, 1] of importance 0.8^i, m = 40 neurons,
y' = ReLU(W2 ReLU(W1 x) + b), y = |x|, seven densities.

    python -m superpose.run experiment=abs_100_40

You should see a column per neuron, its weights |W1| stacked, scaled so that the largest is 1: when dense one rectangle
each (monosemantic neurons, two for each of the most important features), when sparse many (polysemantic ones). Losses
at different densities are those of different tasks, and cannot be compared.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, PRNGKeyArray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpose import geometry, neurons, plots, selection, stacks, statistics
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
"""Density -> mono-, slightly and highly polysemantic neurons in the paper's figure, judged by eye."""

WITHIN = 4  # neurons of 40: a tenth
FEW = 10  # of 40
FIRST = 0.9  # of pairs of neurons
MANY = 0.25  # of polysemantic neurons
NEAR = 1.02  # the factor by which a density may differ and still be the one that is meant
ZOOM = 0.01
PANELS = 7

Levels = dict[float, xr.Dataset]


def measure(model: AbstractToyModel, task: Task, key: PRNGKeyArray) -> dict[str, Array]:
    """The kind of each neuron, and each feature's superposition in the rescaled W1, as geometry has it."""
    W1, W2 = (getattr(model, name) for name in ("W1", "W2"))
    return neurons.summary(W1, W2) | {"feature_superposition": geometry.superposition(neurons.rescaled(W1, W2)[0])}


def stacked(model: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """|W1| with each neuron's largest weight at 1, and the order of neurons by it: the most important feature first.

    Neurons that are not used come last.
    """
    into, out = model["W1"].transpose("hidden", "feature").values, model["W2"].transpose("feature", "hidden").values
    W1 = np.abs(np.asarray(neurons.rescaled(jnp.asarray(into), jnp.asarray(out))[0]))
    return W1, np.lexsort((-W1.sum(axis=1), model["neuron_primary"].values, model["neuron_kind"].values <= 0))


def counts(model: xr.Dataset) -> tuple[int, int, int]:
    """Neurons that are mono-, slightly and highly polysemantic."""
    kinds = model["neuron_kind"].values
    return int((kinds == 1).sum()), int((kinds == 2).sum()), int((kinds == 3).sum())


def figure(tree: xr.DataTree) -> Figure:
    """The best model of each density, all neurons in a row; below, the one at p = 0.01 (or the middle one) enlarged."""
    ds, note = selection.one_point(next(iter(tree.children.values())).to_dataset())
    best = statistics.best(ds)
    levels = selection.evenly(ds.sizes["sparsity"], PANELS)
    models = [best.isel(sparsity=k) for k in levels]
    zoom = int(np.abs(np.log([float(model["density"]) / ZOOM for model in models])).argmin())
    figure = Figure(figsize=(6.9, 0.9 + 0.78 * len(levels) + 1.7))
    axes = figure.subplots(len(levels) + 1, 1, height_ratios=[*np.ones(len(levels)), 2.2])
    for ax, model in zip(axes, models, strict=False):
        row(ax, model)
    row(axes[-1], models[zoom], labelled=True)
    axes[-1].set(title=f"$1-S = {float(models[zoom]['density']):.3g}$, enlarged", xlabel="neuron")
    axes[-1].set_ylabel("weights $|W_1|$, stacked")
    plots.colorbar(list(axes[:-1]), plots.SUPERPOSITION, "superposition of the feature")
    figure.legend(handles=stacks.ground_key(), loc="outside upper center", ncols=3, frameon=False)
    said = [f"n = {ds.sizes['feature']}, m = {ds.sizes['hidden']}", note, f"each row {selection.best_of(ds)}"]
    figure.supxlabel(", ".join(filter(None, said)) + "; neurons by the importance of their largest feature", fontsize=7)
    return figure


def row(ax: Axes, model: xr.Dataset, *, labelled: bool = False) -> None:
    """One model's neurons."""
    W1, order = stacked(model)
    colours, kinds = plots.SUPERPOSITION.colours(model["feature_superposition"].values), model["neuron_kind"].values
    low, high = 0.0, stacks.limits([W1])[1]
    stacks.stack(ax, W1[order], colours, kinds=kinds[order], limits=(low, high), labelled=labelled)
    told = ", ".join(f"{k} {word}" for k, word in zip(counts(model), neurons.KINDS[1:], strict=True) if k)
    ax.set_title(f"$1-S = {float(model['density']):.3g}$: {told or 'no model'}", fontsize=7, pad=2)


def usable(tree: xr.DataTree) -> Levels:
    """Density -> models, best first along `seed`, of those densities of the paper that there are."""
    if "absolute_value" not in tree.children or "neuron_kind" not in tree["absolute_value"]:
        return {}
    ds, _ = selection.one_point(tree["absolute_value"].to_dataset())
    ds = ds[["loss", "finite", *neurons.VARIABLES]]
    found: Levels = {}
    for p in READ_OFF if (ds.sizes["hidden"], "W1" in tree["absolute_value"]) == (40, True) else ():
        off = np.abs(np.log(ds["density"].values / p))
        models = ds.isel(sparsity=int(off.argmin()))
        models = models.isel(seed=np.flatnonzero(models["loss"].notnull() & models["finite"])).sortby("loss")
        if off.min() <= np.log(NEAR) and models.sizes["seed"]:
            found[p] = models
    return found


def said_counts(models: xr.Dataset) -> str:
    """The best model's counts, and their range over seeds."""
    every = np.array([counts(models.isel(seed=k)) for k in range(models.sizes["seed"])])
    spread = ", ".join(f"{low} to {high}" for low, high in zip(every.min(0), every.max(0), strict=True))
    return f"{' / '.join(map(str, every[0]))} mono-, slightly, highly polysemantic neurons ({spread} over seeds)"


def claim(text: str, needed: tuple[float, ...], check: Callable[[Levels], tuple[bool, str]], expected: str) -> Claim:
    """A sentence on the best models at these densities."""

    def verdict(tree: xr.DataTree) -> Verdict:
        levels = usable(tree)
        if not levels or not set(needed) <= set(levels):
            listed = ", ".join(f"{p:g}" for p in needed)
            return Verdict(None, f"nothing: the arrays lack models of 40 neurons at p = {listed or 'one of the seven'}")
        holds, measured = check(levels)
        seeds = max(models.sizes["seed"] for models in levels.values())
        return Verdict(bool(holds), measured, expected, seeds=seeds)

    return Claim(text, SOURCE, verdict)


def of_best(p: float, holds: Callable[[int, int, int], bool]) -> Callable[[Levels], tuple[bool, str]]:
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


def grows(first: float, second: float, kinds: slice) -> Callable[[Levels], tuple[bool, str]]:
    """Whether the best models have more neurons of these kinds at the second density."""

    def check(levels: Levels) -> tuple[bool, str]:
        numbers = [sum(counts(levels[p].isel(seed=0))[kinds]) for p in (first, second)]
        return numbers[1] > numbers[0], f"{numbers[0]} at p = {first:g}, {numbers[1]} at p = {second:g}"

    return check


def mono_first(levels: Levels) -> tuple[bool, str]:
    parts = {p: part for p in levels if not np.isnan(part := ranked_first(levels, p, (2, 3)))}
    words = ", ".join(f"{part:.0%} at p = {p:g}" for p, part in parts.items())
    return bool(parts) and min(parts.values()) >= FIRST, words or "no density has neurons of both kinds"


def one_primary(levels: Levels) -> tuple[bool, str]:
    found = {p: counts(models.isel(seed=0)) for p, models in levels.items()}
    slightly, highly = (sum(each[k] for each in found.values()) for k in (1, 2))
    part = slightly / max(1, slightly + highly)
    return part >= MANY, f"{slightly} of {slightly + highly} polysemantic neurons at all densities, {part:.0%}"


def as_read_off(levels: Levels) -> tuple[bool, str]:
    found = {p: counts(models.isel(seed=0)) for p, models in levels.items()}
    off = max(abs(a - b) for p, each in found.items() for a, b in zip(each, READ_OFF[p], strict=True))
    told = ", ".join(
        f"{'/'.join(map(str, each))} (paper {'/'.join(map(str, READ_OFF[p]))})" for p, each in found.items()
    )
    return off <= WITHIN, f"{told} at p = {', '.join(f'{p:g}' for p in found)}; off by up to {off} neurons"


experiment = Experiment(
    figure=figure,
    measure=measure,
    dims={name: dims for name, (dims, _) in neurons.VARIABLES.items()} | {"feature_superposition": ("feature",)},
    attributes={name: attributes for name, (_, attributes) in neurons.VARIABLES.items()}
    | {"feature_superposition": {"long_name": "superposition in the rescaled W1", "units": "1"}},
    claims=(
        claim("1 - S = 1: all neurons are monosemantic.", (1.0,), of_best(1.0, lambda m, s, h: m == 40), "40"),
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
        claim("0.003: more neurons are polysemantic.", (0.01, 0.003), grows(0.01, 0.003, slice(1, 3)), "more of both"),
        claim("0.001: all are highly polysemantic.", (0.001,), of_best(0.001, lambda m, s, h: h == 40), "40"),
        claim(
            "Monosemantic neurons are those of the most important features.", (), mono_first, f"{FIRST:.0%} of pairs"
        ),
        claim("Many neurons have one primary weight and small others.", (), one_primary, f"{MANY:.0%} of polysemantic"),
        claim(
            "0.01, enlarged: mono- and polysemantic neurons exist side by side.",
            (ZOOM,),
            of_best(ZOOM, lambda m, s, h: m > 0 and s + h > 0),
            "some of each",
        ),
        claim("As many neurons of each kind as in the figure.", (), as_read_off, f"each within {WITHIN} of 40"),
    ),
)
