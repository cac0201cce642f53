"""Basic results: which features a model keeps, and which of them share directions, as features become sparser.

Paper: "Demonstrating Superposition", "Basic Results". n features of falling importance in m < n
dimensions; a linear model x' = W^T W x + b, and the ReLU output model x' = ReLU(W^T W x + b) at densities p = 1 - S.

    python -m superpose.run sparsity=sweep                  n = 20, m = 5, importance 0.7^i
    python -m superpose.run experiment=basic_80_20          n = 80, m = 20, importance 0.9^i

You should see: the linear model keeps the m most important features, orthogonal, at any density. So does the ReLU model
at p = 1. Then the less important features share directions, first as antipodal pairs, while the most important keep
theirs (dark bars); in the end every feature is in superposition, and biases are negative.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from superpose import portraits, selection, sharing, statistics, theory
from superpose.experiment import Claim, Experiment, Verdict

SOURCE = "Basic Results"
TOLERANCE = 0.02
OFF = 0.05  # how far an entry of W^T W, or a bias, may be from where it should be
NEAR = 1.25  # the factor by which a density may differ and still be the one that is meant
SPARSE = 0.03  # the density from which on biases are blue in the paper's figure, and no bar is dark
NAMES = {"linear": "Linear", "relu": "ReLU"}

READ_OFF = {1.0: (5, 0), 0.3: (7, 0), 0.1: (9, 0), 0.03: (10, 2), 0.01: (11, 2), 0.003: (12, 5), 0.001: (12, 7)}
"""Density -> bars in the paper's figure for n = 20, m = 5: full ones, and partial ones or ones that may be either."""

DARK = {1.0: (5, 0), 0.3: (3, 4), 0.1: (1, None), 0.03: (0, None)}
"""Density -> dark bars in that figure, and those in superposition; None: not told."""


def figure(tree: xr.DataTree) -> Figure:
    """A panel for the linear model at its sparsest level, then the ReLU model from dense to sparse; best seed each."""
    return portraits.page(*chosen(tree))


def chosen(tree: xr.DataTree) -> tuple[list[tuple[str, xr.Dataset]], list[str]]:
    """The models of the figure with their titles, and what its caption says."""
    labels = [label for label, node in tree.children.items() if "W" in node]
    shown, said = [], {}
    for label in labels:
        ds, note = selection.one_point(tree[label].to_dataset())
        best = statistics.best(ds)
        trained, every = np.flatnonzero(best["loss"].notnull()), portraits.places(ds.sizes["sparsity"])
        for level in [*every, *trained][-1:] if label == "linear" and len(labels) > 1 else every:
            model = best.isel(sparsity=level)
            shown.append((f"{NAMES.get(label, label)}, $1-S = {float(model['density']):.3g}$", model))
        words = [f"$n$ = {ds.sizes['feature']}, $m$ = {ds.sizes['hidden']}", *filter(None, [note])]
        said[label] = f"{', '.join(words)}; each panel {selection.best_of(ds)}"
    if len(set(said.values())) == 1:
        return shown, [said[labels[0]]]
    return shown, [f"{NAMES.get(label, label)}: {words}" for label, words in said.items()]


def variant(tree: xr.DataTree, label: str) -> xr.Dataset | None:
    """The arrays of a variant, at one point of its further axes."""
    there = label in tree.children and "W" in tree[label]
    return selection.one_point(tree[label].to_dataset())[0] if there else None


def level(ds: xr.Dataset | None, density: float, within: float = 1 + 1e-6) -> xr.Dataset | None:
    """The usable models at a density, best first along `seed`; None where there is none."""
    there = None if ds is None else selection.at_density(ds, density, within)
    models = None if there is None else selection.sorted_by_loss(there)
    return models if models is not None and models.sizes["seed"] else None


def of_size(ds: xr.Dataset | None, n: int, m: int, base: float) -> bool:
    """Are these the sizes and importances of one of the paper's figures?"""
    if ds is None or (ds.sizes["feature"], ds.sizes["hidden"]) != (n, m):
        return False
    importance = ds["feature_importance"].max(["sparsity", "seed"]).values
    return bool(np.allclose(importance / importance[0], base ** np.arange(n), rtol=1e-3))


def said_of_the_best(
    text: str, densities: tuple[float, ...], holds: Callable, words: Callable, expected: str, ours: bool = False
) -> Claim:
    """A sentence on the best ReLU model at each of these densities; it counts the seeds of which it is true, too."""

    def check(tree: xr.DataTree) -> Verdict | None:
        ds = variant(tree, "relu")
        if ours and not of_size(ds, 20, 5, 0.7):
            return None  # what is read off a figure is about its models
        found = [each for p in densities if (each := level(ds, p, NEAR)) is not None and sharing.falling(each)]
        if not found:
            return Verdict(None, f"nothing: no such ReLU models at p = {', '.join(f'{p:g}' for p in densities)}")
        seeds = [[holds(models.isel(seed=k)) for k in range(models.sizes["seed"])] for models in found]
        told = "; ".join(f"p = {float(each['density']):.3g}: {words(each.isel(seed=0))}" for each in found)
        agree = f"true of {', '.join(str(sum(each)) for each in seeds)} of {len(seeds[0])} seeds"
        return Verdict(all(each[0] for each in seeds), f"{told}; {agree}", expected, seeds=len(seeds[0]))

    return Claim(text, SOURCE, check, ours)


def usable(tree: xr.DataTree, label: str) -> list[xr.Dataset]:
    """The usable models of each density, best first, where each feature is less important than the one before."""
    ds = variant(tree, label)
    found = [] if ds is None else [level(ds, p) for p in ds["density"].values]
    return [each for each in found if each is not None and sharing.falling(each)]


def linear_keeps_the_first(tree: xr.DataTree) -> Verdict:
    found = usable(tree, "linear")
    models = [each.isel(seed=k) for each in found for k in range(each.sizes["seed"])]
    if not models:
        return Verdict(None, "nothing: the arrays lack a linear model with features of falling importance")
    first = np.arange(models[0].sizes["feature"]) < models[0].sizes["hidden"]
    right = sum(bool((m["represented"].values == first).all()) and not m["superposed"].any() for m in models)
    words, seeds = f"{right} of {len(models)} models", found[0].sizes["seed"]
    return Verdict(right == len(models), words, f"all, at {len(found)} densities", seeds=seeds)


def linear_off(tree: xr.DataTree, measure: Callable[[xr.Dataset, int], float], least: float = 0.0) -> Verdict:
    """How far W^T W or b of linear models are from where they should be; from the density `least` on."""
    found = [each for each in usable(tree, "linear") if float(each["density"]) >= least / NEAR]
    if not found:
        return Verdict(None, "nothing: the arrays lack such linear models")
    m = found[0].sizes["hidden"]
    off = [np.array([measure(each.isel(seed=k), m) for k in range(each.sizes["seed"])]) for each in found]
    words = f"off by {max(each[0] for each in off):.3f} at most in the best models of {len(off)} densities"
    words += f", by less than {OFF:g} in {sum((each < OFF).sum() for each in off)} of {sum(map(len, off))} models"
    return Verdict(all(each[0] < OFF for each in off), words, f"less than {OFF:g}", seeds=len(off[0]))


def linear_is_optimal(tree: xr.DataTree) -> Verdict:
    found = usable(tree, "linear")
    if not found or found[0].sizes["hidden"] >= found[0].sizes["feature"]:
        return Verdict(None, "nothing: the arrays lack a linear model with m < n")
    importance, m = found[0]["feature_importance"][0].values, found[0].sizes["hidden"]
    ratios = [each["loss"] / theory.linear_optimum(importance, float(each["density"]), m) for each in found]
    worst = max(ratios, key=lambda ratio: abs(float(statistics.median(ratio)) - 1))
    median = float(statistics.median(worst))
    words = f"at worst {median:.4f} times the optimum, at p = {float(worst['density']):.3g}"
    return Verdict(abs(median - 1) <= TOLERANCE, words, "0.98 to 1.02", statistics.interval(worst), worst.sizes["seed"])


def equal_when_dense(tree: xr.DataTree) -> Verdict:
    relu, linear = level(variant(tree, "relu"), 1.0), level(variant(tree, "linear"), 1.0)
    if relu is None or linear is None:
        return Verdict(None, "nothing: the arrays lack both models at p = 1")
    ratio = relu["loss"] / float(statistics.median(linear["loss"]))
    same = bool((relu["represented"][0].values == linear["represented"][0].values).all())
    off = sharing.off_mean(relu.isel(seed=0), relu.sizes["hidden"])
    words = f"{float(statistics.median(ratio)):.4f} times the linear loss, {'the same' if same else 'other'} features"
    holds = same and abs(float(statistics.median(ratio)) - 1) <= TOLERANCE and off < OFF
    expected = f"0.98 to 1.02 times, the same features, biases of 0 for these and 1/2 for others within {OFF:g}"
    return Verdict(holds, f"{words}, biases off by {off:.3f}", expected, statistics.interval(ratio), relu.sizes["seed"])


def more_when_sparser(tree: xr.DataTree) -> Verdict:
    found = usable(tree, "relu")
    medians = np.array([float(statistics.median(sharing.features_per_dimension(each))) for each in found])
    if len(medians) < 2:
        return Verdict(None, "nothing: the arrays lack two densities of the ReLU model")
    fall = max(0.0, float(np.max(1 - medians[1:] / medians[:-1])))
    listed = ", ".join(f"{medians[k]:.2f}" for k in selection.evenly(len(medians), 7))
    words = f"median ||W||^2 / m {listed} from dense to sparse; greatest fall {fall:.1%}"
    return Verdict(fall <= TOLERANCE, words, "no fall by more than 2%", seeds=found[0].sizes["seed"])


def from_one_to_above_two(tree: xr.DataTree) -> Verdict:
    dense, sparse = level(variant(tree, "relu"), 1.0), level(variant(tree, "relu"), 0.001)
    if dense is None or sparse is None or dense.sizes["feature"] <= 2 * dense.sizes["hidden"]:
        return Verdict(None, "nothing: the arrays lack the ReLU model with n > 2 m at p = 1 and p = 0.001")
    first, last = map(sharing.features_per_dimension, (dense, sparse))
    ends = [float(statistics.median(each)) for each in (first, last)]
    words = "median ||W||^2 / m {:.3f} at p = 1, {:.2f} at p = 0.001".format(*ends)
    holds = abs(ends[0] - 1) <= TOLERANCE and ends[1] > 2
    return Verdict(holds, words, "0.98 to 1.02, then above 2", statistics.interval(last), sparse.sizes["seed"])


def none_when_dense(tree: xr.DataTree) -> Verdict:
    found = usable(tree, "relu")
    if not found:
        return Verdict(None, "nothing: the arrays lack a ReLU model")
    free = [f"{float(each['density']):.3g}" for each in found if not each["superposed"].any()]
    words = f"no seed has a feature in superposition at p = {', '.join(free) or 'none of them'}"
    holds = True if free else None if level(variant(tree, "relu"), 1.0) is None else False
    return Verdict(holds, words, "a density at which all seeds have none", seeds=found[0].sizes["seed"])


def bars(tree: xr.DataTree, size: tuple[int, int, float], scale: int) -> Verdict | None:
    """The represented features of the best models, over `scale`, beside the bars of the paper's figure."""
    ds = variant(tree, "relu")
    if not of_size(ds, *size):
        return None
    found = {p: models["represented"][0].sum().item() / scale for p in READ_OFF if (models := level(ds, p)) is not None}
    if not found or ds is None:
        return Verdict(None, "nothing: the arrays lack the figure's densities")
    words = f"{', '.join(f'{count:g}' for count in found.values())} at p = {', '.join(f'{p:g}' for p in found)}"
    ranges = ", ".join(f"{full}" + f" to {full + part}" * (part > 0) for full, part in (READ_OFF[p] for p in found))
    within = all(READ_OFF[p][0] <= count <= sum(READ_OFF[p]) for p, count in found.items())
    return Verdict(within, words, ranges, seeds=ds.sizes["seed"])


def dark_bars(model: xr.Dataset) -> bool:
    """Has it as many features alone as the figure has dark bars, and as many in superposition, where that is told?"""
    dark, others = next(bars for p, bars in DARK.items() if abs(np.log(float(model["density"]) / p)) < np.log(NEAR))
    alone, shared = sharing.alone_and_shared(model)
    return len(alone) == dark and (others is None or len(shared) == others)


at_03, sparsest, sparse = (0.3,), (0.001,), tuple(p for p in READ_OFF if p <= SPARSE)

experiment = Experiment(
    figure=figure,
    claims=(
        Claim("The linear model keeps the m most important features, orthogonal.", SOURCE, linear_keeps_the_first),
        Claim(
            "The linear model's W^T W is the identity on the m most important features, 0 elsewhere.",
            SOURCE,
            partial(linear_off, measure=sharing.off_identity),
        ),
        Claim(
            "Its bias is 0 for these, and E x = p/2 for the others (judged from p = 0.1 on, where p/2 is not near 0).",
            SOURCE,
            partial(linear_off, measure=sharing.off_mean, least=0.1),
        ),
        Claim("The linear loss is p/3 - p^2/4 times the importances it drops.", SOURCE, linear_is_optimal, ours=True),
        Claim("At p = 1 the ReLU model is the linear one.", SOURCE, equal_when_dense),
        Claim("There is a regime with no superposition at all.", SOURCE, none_when_dense),
        Claim("The ReLU model's features per dimension do not fall as p falls.", SOURCE, more_when_sparser),
        Claim("The ReLU model's features per dimension rise from 1 to above 2.", SOURCE, from_one_to_above_two),
        said_of_the_best(
            "Superposition starts with the less important features.",
            at_03,
            sharing.first_alone,
            sharing.spans,
            "each of the former before each of the latter",
        ),
        said_of_the_best(
            "Superposition starts as antipodal pairs.",
            at_03,
            sharing.all_paired,
            lambda model: "{} features in pairs, greatest cosine {:.3f}".format(*sharing.partners(model)),
            f"all features in superposition, cosines below {sharing.ANTIPODAL}",
        ),
        said_of_the_best(
            "Later it takes other shapes.",
            sparse,
            lambda model: bool(sharing.other_shapes(model)),
            lambda model: ", ".join(f"{k} {name}" for name, k in sharing.other_shapes(model).items()) or "pairs alone",
            f"a tegum component that is no pair, at each p <= {SPARSE:g}",
        ),
        said_of_the_best(
            "At high sparsity all represented features are in superposition.",
            sparsest,
            lambda model: not sharing.alone_and_shared(model)[0].size and bool(model["superposed"].any()),
            sharing.spans,
            "none alone",
        ),
        said_of_the_best(
            "At high sparsity some interference is positive, and biases are negative.",
            sparsest,
            lambda model: sharing.greatest(model)[0] > 0.1 and sharing.greatest(model)[1] < 0,
            lambda model: "cosines up to {:.2f}, biases up to {:.3f}".format(*sharing.greatest(model)),
            "cosines above 0.1, all biases below 0",
        ),
        said_of_the_best(
            "Biases of represented features are negative from p = 0.03 down.",
            sparse,
            lambda model: sharing.greatest(model)[1] < 0,
            lambda model: "{} of {}, up to {:.3f}".format(*sharing.negative(model), sharing.greatest(model)[1]),
            "all below 0, as read off the paper's figure",
            ours=True,
        ),
        said_of_the_best(
            "As many bars are dark, and at p = 0.3 in superposition, as in the paper's figure.",
            tuple(DARK),
            dark_bars,
            lambda model: "{} dark, {} in superposition".format(*map(len, sharing.alone_and_shared(model))),
            "5, 3, 1, 0 dark ones, and 4 in superposition at p = 0.3, as read off it",
            ours=True,
        ),
        Claim(
            "As many features are represented as in the paper's figure.",
            SOURCE,
            partial(bars, size=(20, 5, 0.7), scale=1),
            ours=True,
        ),
        Claim(
            "The figure for n = 80, m = 20 is a rescaled version of that for n = 20, m = 5: a quarter of its bars.",
            SOURCE,
            partial(bars, size=(80, 20, 0.9), scale=4),
        ),
    ),
)
