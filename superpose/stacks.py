"""Stack plots: what each neuron responds to, a column of rectangles per neuron (paper, "Privileged Basis").

A rectangle is |W_ji| high; those of positive weights stand on the axis, the first feature lowest, those of negative
ones hang below it. Its colour tells the feature (ten colours that colour-blind readers tell apart) or the feature's
superposition; the ground of a column tells whether its neuron is monosemantic, slightly or highly polysemantic.
`below_matrices` draws several models side by side, each as a matrix and, below, as stacks.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float, Int, Num
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from superpose import plots
from superpose.plots import FAINT, INK

FEATURES = (
    "#332288",
    "#ee8866",
    "#117733",
    "#88ccee",
    "#aa4499",
    "#ddcc77",
    "#882255",
    "#44aa99",
    "#cc6677",
    "#999933",
)
"""Colours of the features, after Paul Tol's muted ones; the eleventh feature has the first one's again."""

NO_NEURON = 4
GROUNDS = ("#ffffff", "#ffffff", "#e4e9ef", "#c3cdd8", "#f4ecd8")
"""Of a column, by kind of neuron: unused, mono, slightly and highly polysemantic; NO_NEURON is a dimension without a
privileged basis."""

GROUND_NAMES = {1: "monosemantic", 2: "slightly polysemantic", 3: "highly polysemantic"}
MONO_OR_POLY = {1: "monosemantic neuron", 3: "polysemantic neuron"}
"""Grounds of figures that tell no degrees: `mono_or_poly` gives their kinds."""

WIDTH = 0.8
HIGH_ENOUGH = 0.08
SEEN = 0.004
"""Parts of the whole axis: the smallest height of a rectangle that has a number, and of one that is drawn."""


def of_features(n: int) -> Float[np.ndarray, "n 4"]:
    """RGBA of n features."""
    return to_rgba_array([FEATURES[i % len(FEATURES)] for i in range(n)])


def floors(W: Num[np.ndarray, "m n"]) -> Float[np.ndarray, "m n"]:
    """Where each rectangle starts: the sum of the neuron's earlier entries of the same sign."""
    W = np.asarray(W, np.float64)
    up, down = np.maximum(W, 0), np.minimum(W, 0)
    before = lambda part: np.cumsum(part, axis=1) - part
    return np.where(W > 0, before(up), before(down))


def limits(stacked: Sequence[Num[np.ndarray, "m n"]]) -> tuple[float, float]:
    """The lower and upper limit of an axis that holds all these stacks, with some room beyond; it holds 0."""
    finite = [np.where(np.isfinite(W), W, 0.0) for W in stacked]
    low = min(float(np.minimum(W, 0).sum(axis=1).min(initial=0)) for W in finite)
    high = max(float(np.maximum(W, 0).sum(axis=1).max(initial=0)) for W in finite)
    room = 0.05 * max(high - low, 1e-9)
    return low - room, high + room


def stack(
    ax: Axes,
    W: Num[np.ndarray, "m n"],
    colours: Float[np.ndarray, "n 4"],
    *,
    kinds: Int[np.ndarray, " m"] | None = None,
    span: tuple[float, float] | None = None,
    labelled: bool = False,
) -> None:
    """A column of rectangles per neuron, in the order of W's rows.

    Args:
        ax: its limits hold all columns, with room above and below.
        W: one model's weights into its neurons (W1), or out of them (W2^T); an entry that is not finite counts as 0.
        colours: RGBA of each feature.
        kinds: of each neuron, the number in `neurons.KINDS`, or NO_NEURON: the column's ground.
        span: of the vertical axis, from `limits` of all panels that share one; that of W where left out.
        labelled: write the number of its feature into each rectangle that is high enough.
    """
    W = np.where(np.isfinite(W), W, 0.0)
    low, high = span or limits([W])
    reach, start = high - low, floors(W)
    for j, kind in enumerate([] if kinds is None else kinds.tolist()):
        ax.axvspan(j - 0.5, j + 0.5, color=GROUNDS[max(kind, 0)], linewidth=0, zorder=0)
    rows, columns = np.nonzero(np.abs(W) > SEEN * reach)
    patches = [Rectangle((j - WIDTH / 2, start[j, i]), WIDTH, W[j, i]) for j, i in zip(rows, columns, strict=True)]
    many = len(W) > 20
    ax.add_collection(
        PatchCollection(
            patches, facecolor=colours[columns], edgecolor="white", linewidth=0.2 if many else 0.3, zorder=2
        )
    )
    for j, i in zip(rows, columns, strict=True) if labelled else ():
        if abs(W[j, i]) > HIGH_ENOUGH * reach:
            middle, dark = start[j, i] + W[j, i] / 2, colours[i, :3] @ [0.299, 0.587, 0.114] < 0.55
            ink = "white" if dark else INK
            ax.text(float(j), float(middle), str(i), ha="center", va="center", fontsize=6.5, color=ink, zorder=3)
    ax.axhline(0, color=INK, linewidth=0.5, zorder=3)
    ax.set(xlim=(-0.5, len(W) - 0.5), ylim=(low, high), xticks=[])
    ax.spines[["top", "right", "bottom"]].set_visible(False)


def ground_key(names: Mapping[int, str] = GROUND_NAMES) -> list[Patch]:
    """Handles of a legend of the columns' grounds: kind -> what it is called."""
    return [Patch(facecolor=GROUNDS[k], edgecolor=FAINT, linewidth=0.5, label=name) for k, name in names.items()]


def feature_key(n: int) -> list[Patch]:
    """Handles of a legend of n features' colours."""
    return [Patch(facecolor=colour, label=str(i)) for i, colour in enumerate(of_features(n))]


class Column(NamedTuple):
    """One model of `below_matrices`: W (m, n), the ground of each hidden unit, a title, and what a unit is called."""

    W: Float[np.ndarray, "m n"]
    kinds: Int[np.ndarray, " m"]
    title: str
    unit: str = "neuron"


def column(model: xr.Dataset, title: str, *, privileged: bool = True) -> Column:
    """A tied model with its `neurons.summary`: monosemantic neurons first, each group by its largest feature.

    Args:
        model: of labelled arrays; grounds tell mono- from polysemantic neurons, of whatever degree.
        title: above its matrix.
        privileged: whether its hidden units are neurons.
    """
    kinds = model["neuron_kind"].values
    order = np.lexsort((model["neuron_primary"].values, np.maximum(kinds, 1) > 1))
    W = model["W"].transpose("hidden", "feature").values.astype(float)[order]
    if not privileged:
        return Column(W, np.full(len(W), NO_NEURON), title, "dimension")
    return Column(W, np.where(kinds[order] > 1, 3, kinds[order]), title)


def below_matrices(figure: Figure, shown: Sequence[Column]) -> None:
    """Two rows of panels: each W as a matrix, a feature per row; below, its stacks, unit below unit; and the keys."""
    axes = figure.subplots(2, len(shown), squeeze=False, sharex="col", height_ratios=(1.0, 1.1))
    span, n = limits([each.W for each in shown]), shown[0].W.shape[1]
    reach = max(float(np.nanmax(np.abs(each.W), initial=0)) for each in shown)
    scale = plots.WEIGHTS._replace(extend="both" if reach > plots.WEIGHTS.high else "neither")
    for (above, below), each in zip(axes.T, shown, strict=True):
        plots.matrix(above, each.W.T)
        above.set(title=each.title, aspect="auto")
        if not np.isfinite(each.W).all():
            above.text(0.5, 0.5, "no model", transform=above.transAxes, ha="center")
        stack(below, each.W, of_features(n), kinds=each.kinds, span=span, labelled=True)
        below.set_xlabel(each.unit)
        below.tick_params(labelleft=below is axes[1, 0])
    axes[0, 0].set(ylabel="feature", yticks=[0, n - 1])
    axes[1, 0].set_ylabel("weights $W_{ji}$, stacked")
    plots.colorbar(list(axes[0]), scale, "$W_{ji}$")
    axes[1, -1].legend(
        handles=feature_key(n), title="feature", loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False
    )
    none = {NO_NEURON: "hidden dimension, no neuron"} if any(NO_NEURON in each.kinds for each in shown) else {}
    handles = ground_key(MONO_OR_POLY | none)
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
