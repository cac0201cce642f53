"""Adversarial training: superposition and clean loss of models that were trained on attacked inputs.

Paper: "Superposition and Adversarial Robustness". Each example is attacked along (W^T W)_i of one of the features, with
an L2 norm of `attack` times the mean input's, and the clean input is to be given back.

    python -m superpose.run experiment=adversarial_training

You should see: superposition falls as attacks get stronger, and so does the number of features that are represented;
the loss on clean inputs rises. The paper needed attacks of 80% of the input norm to remove superposition.
"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from superpose import strengths
from superpose.experiment import Experiment, Verdict
from superpose.strengths import Curves, told

SOURCE = "Superposition and Adversarial Robustness"
AXIS = "attack"
NEAR = (0.6, 1.0)
"""What counts as about 80% of the input norm."""


def figure(tree: xr.DataTree) -> Figure:
    """Models over the norm of the attacks."""
    return strengths.figure(tree, AXIS, "norm of the attack / mean input norm")


def reduced(found: Curves) -> Verdict:
    """The least median superposition of models that have features."""
    middle = np.where(
        (found.represented > 0).mean(axis=1) > strengths.MOST, strengths.nanmedian(found.superposition), np.inf
    )
    k = int(np.argmin(middle))
    words = f"mean superposition {middle[0]:.3f} without, {middle[k]:.3f} at {found.strength[k]:.3g}"
    return Verdict(bool(middle[k] < middle[0] / 2), words, "less than half of it", seeds=found.loss.shape[1])


def needs_the_norm(found: Curves) -> Verdict:
    k = found.removed
    words = f"at {found.strength.max():g} still there" if k is None else f"at {found.strength[k]:.3g}: {told(found, k)}"
    at = np.flatnonzero(np.isclose(found.strength, 0.8))
    words += "".join(f"; at 0.8: {told(found, int(place))}" for place in at)
    back = [] if k is None else np.flatnonzero((found.without.mean(axis=1) <= strengths.MOST)[k:]) + k
    words += f"; back at {found.strength[back[0]]:.3g}" if len(back) else ""
    holds = k is not None and NEAR[0] <= found.strength[k] <= NEAR[1]
    return Verdict(bool(holds), words, f"gone at a strength of {NEAR[0]:g} to {NEAR[1]:g}", seeds=found.loss.shape[1])


experiment = Experiment(
    figure=figure,
    claims=(
        strengths.said(AXIS, "Adversarial training reduces superposition.", SOURCE, reduced),
        strengths.said(AXIS, "To remove it takes attacks of about 80% of the input norm.", SOURCE, needs_the_norm),
    ),
)
