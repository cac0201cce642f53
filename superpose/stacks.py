"""Stack plots: what each neuron responds to, a column of rectangles per neuron (paper, "Privileged Basis").

A rectangle is |W_ji| high; those of positive weights stand on the axis, the first feature lowest, those of negative ones
hang below it. Its colour tells the feature (ten colours that colour-blind readers tell apart) or the feature's
superposition; the ground of a column tells whether its neuron is monosemantic, slightly or highly polysemantic.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgba_array
from matplotlib.patches import Patch, Rectangle

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

GROUNDS = ("#ffffff", "#ffffff", "#fbe9d0", "#f5cf9a")
"""Of a column, by kind of neuron: unused, mono, slightly and highly polysemantic."""

GROUND_NAMES = ("", "monosemantic", "slightly polysemantic", "highly polysemantic")
WIDTH = 0.8
PALE = 0.2
SEEN = 0.004
"""The height of the smallest rectangle that is drawn, as a part of the whole axis."""


def of_features(n: int) -> Float[np.ndarray, "n 4"]:
    """RGBA of n features."""
    return to_rgba_array([FEATURES[i % len(FEATURES)] for i in range(n)])


def floors(W: Num[np.ndarray, "m n"]) -> Float[np.ndarray, "m n"]:
    """Where each rectangle starts: the sum of the neuron's earlier entries of the same sign."""
    W = np.asarray(W, np.float64)
    up, down = np.maximum(W, 0), np.minimum(W, 0)
    before = lambda part: np.cumsum(part, axis=1) - part
    return np.where(W > 0, before(up), before(down))


def stack(
    ax: Axes,
    W: Num[np.ndarray, "m n"],
    colours: Float[np.ndarray, "n 4"],
    *,
    kinds: Int[np.ndarray, " m"] | None = None,
    labelled: bool = False,
    faded: Bool[np.ndarray, "m n"] | None = None,
) -> None:
    """A column of rectangles per neuron, in the order of W's rows.

    Args:
        ax: its limits hold all columns, with room above and below.
        W: one model's weights into its neurons (W1), or out of them (W2^T); an entry that is not finite counts as 0.
        colours: RGBA of each feature.
        kinds: of each neuron, the number in `neurons.KINDS`: the column's ground.
        labelled: write the number of its feature into each rectangle that is high enough.
        faded: rectangles that are drawn pale.
    """
    W = np.where(np.isfinite(W), W, 0.0)
    high, low = np.maximum(W, 0).sum(axis=1).max(initial=0), np.minimum(W, 0).sum(axis=1).min(initial=0)
    reach = max(high - low, 1e-12)
    start, pale = floors(W), np.zeros(W.shape, bool) if faded is None else faded
    for j, kind in enumerate([] if kinds is None else kinds.tolist()):
        ax.axvspan(j - 0.5, j + 0.5, color=GROUNDS[max(kind, 0)], linewidth=0, zorder=0)
    rows, columns = np.nonzero(np.abs(W) > SEEN * reach)
    patches = [
        Rectangle((j - WIDTH / 2, start[j, i]), WIDTH, W[j, i]) for j, i in zip(rows, columns, strict=True)
    ]
    drawn = colours[columns]
    drawn[:, 3] *= np.where(pale[rows, columns], PALE, 1.0)
    many = len(W) > 20
    ax.add_collection(
        PatchCollection(patches, facecolor=drawn, edgecolor="white", linewidth=0.1 if many else 0.3, zorder=2)
    )
    for j, i in zip(rows, columns, strict=True) if labelled else ():
        if abs(W[j, i]) > 0.09 * reach and not pale[j, i]:
            middle, dark = start[j, i] + W[j, i] / 2, colours[i, :3] @ [0.299, 0.587, 0.114] < 0.55
            ink = "white" if dark else INK
            ax.text(float(j), float(middle), str(i), ha="center", va="center", fontsize=5.5, color=ink, zorder=3)
    ax.axhline(0, color=INK, linewidth=0.5, zorder=3)
    ax.set(xlim=(-0.6, len(W) - 0.4), ylim=(low - 0.05 * reach, high + 0.05 * reach), xticks=[])
    ax.spines[["top", "right", "bottom"]].set_visible(False)


def ground_key(kinds: Sequence[int] = (1, 2, 3)) -> list[Patch]:
    """Handles of a legend of the columns' grounds."""
    return [Patch(facecolor=GROUNDS[k], edgecolor=FAINT, linewidth=0.5, label=GROUND_NAMES[k]) for k in kinds]


def feature_key(n: int) -> list[Patch]:
    """Handles of a legend of n features' colours."""
    return [Patch(facecolor=colour, label=str(i)) for i, colour in enumerate(of_features(n))]
