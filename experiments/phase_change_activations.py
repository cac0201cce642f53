"""How the phase diagram of two features in one dimension depends on the activation.

Paper: "Superposition as a Phase Change", and the comment of Redwood Research.

    python -m superpose.run experiment=phase_change_activations

You should see: GELU has the ReLU model's phases at other densities; tanh, which is odd, has no superposition; without
a bias features that matter alike share a dimension even where they are dense. The colours are those of phase_change.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from superpose import charts, diagrams, panels
from superpose.charts import Chart
from superpose.experiment import Claim, Experiment, Verdict

NAMES = {"relu": "ReLU", "gelu": "GELU", "leaky_relu": "leaky ReLU", "relu_without_bias": "ReLU without bias"}
DIFFERENT = 0.1
"""The share of cells in another phase from which a phase diagram looks quite different."""


def all_charts(tree: xr.DataTree) -> dict[str, Chart]:
    """Of each variant that has one."""
    return {label: shown for label in tree.children if (shown := charts.chart(tree, label)) is not None}


def figure(tree: xr.DataTree) -> Figure:
    """The trained map of each variant, with the boundaries of the ReLU model's closed forms, and the colours' key."""
    found = all_charts(tree)
    columns = min(len(found) + 1, 3)
    rows = -(-(len(found) + 1) // columns)
    figure = Figure(figsize=(6.9, 0.4 + 2.4 * rows))
    axes = [figure.add_subplot(rows, columns, k + 1) for k in range(len(found) + 1)]
    for ax, (label, shown) in zip(axes, found.items(), strict=False):
        panels.trained_map(ax, shown, shown.best, NAMES.get(label, label))
        panels.boundaries(ax, shown, color="black", linewidth=0.7, linestyle=":")
    diagrams.key(axes[-1])
    panels.named(axes[:-1:columns], axes[:-1])
    said = dict.fromkeys(panels.caption(shown) for shown in found.values())
    figure.supxlabel("\n".join([*said, "dotted: boundaries of the ReLU model's closed forms"]), fontsize=7)
    return figure


def said(text: str, source: str, expected: str, check: Callable[[dict[str, np.ndarray]], tuple], ours: bool) -> Claim:
    """A sentence judged by check(phases of each variant) -> (holds, measured)."""

    def judged(tree: xr.DataTree) -> Verdict:
        found = all_charts(tree)
        if not {"relu", "gelu", "tanh"} <= set(found) or len({shown.phases.shape for shown in found.values()}) > 1:
            return Verdict(None, "nothing: the arrays lack ReLU, GELU and tanh models over the same cells")
        holds, words = check({label: shown.phases for label, shown in found.items()})
        return Verdict(holds, words, expected, seeds=found["relu"].ds.sizes["seed"])

    return Claim(text, source, judged, ours)


def look_different(phases: dict[str, np.ndarray]) -> tuple[bool, str]:
    share = {label: float((own != phases["relu"]).mean()) for label, own in phases.items() if label != "relu"}
    words = ", ".join(f"{NAMES.get(label, label)} {value:.1%}" for label, value in share.items())
    return min(
        share["gelu"], share["tanh"]
    ) > DIFFERENT, f"phases unlike ReLU's: {words} of {phases['relu'].size} cells"


def never_shares(phases: dict[str, np.ndarray]) -> tuple[bool, str]:
    shared = int((phases["tanh"] == 2).sum())
    return shared == 0, f"superposition in {shared} of {phases['tanh'].size} cells"


experiment = Experiment(
    figure=figure,
    phase=charts.phase,
    claims=(
        said(
            "The phase diagrams look quite different for other activation functions.",
            "Redwood Research's comment",
            f"more than {DIFFERENT:.0%} of the cells in another phase than ReLU's, for GELU and for tanh",
            look_different,
            ours=False,
        ),
        said(
            "tanh, an odd function, has no superposition.",
            "Superposition as a Phase Change",
            "in no cell",
            never_shares,
            ours=True,
        ),
    ),
)
