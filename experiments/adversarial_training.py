"""Adversarial training: superposition and clean loss of models that were trained on attacked inputs.

Paper: "Relationship to Adversarial Robustness". Each example is attacked along (W^T W)_i of one of the features, with
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

SOURCE = "Relationship to Adversarial Robustness"
AXIS = "attack"
PAPER = 0.8
NEAR = (0.6, 1.0)
"""The norm, over that of the mean input, that the paper needed; what counts as about that."""


def figure(tree: xr.DataTree) -> Figure:
    """Models over the norm of the attacks."""
    label = r"norm of the attack / $E\Vert x \Vert$"
    return strengths.figure(tree, AXIS, label, "clean loss /\nthat of ordinary training", PAPER)


def reduced(found: Curves) -> Verdict | None:
    """The least median superposition of models that have features, of those attacked as in the paper or less."""
    there = (found.represented > 0).mean(axis=1) > strengths.MOST
    usable = there & (found.strength <= PAPER * (1 + 1e-6))
    middle = np.where(usable, strengths.nanmedian(found.superposition), np.inf)
    if usable.sum() < 2:
        return None
    k = int(np.argmin(middle))
    words = f"mean superposition {middle[0]:.3f} without, {middle[k]:.3f} at {found.strength[k]:.3g}"
    expected = f"less than half of it, at {PAPER:g} or below"
    return Verdict(bool(middle[k] < middle[0] / 2), words, expected, seeds=found.loss.shape[1])


def mean_norm(n: int, density: float) -> float:
    """E||x||_2 of n features, by 2^14 vectors."""
    drawn = np.random.default_rng(0).uniform(size=(2, 2**14, n))
    return float(np.linalg.norm(np.where(drawn[0] < density, drawn[1], 0), axis=1).mean())


def needs_the_norm(found: Curves) -> Verdict:
    k = found.removed
    words = f"at {found.strength.max():g} still there"
    if k is not None:
        length = found.strength[k] * mean_norm(found.kept.shape[-1], found.density)
        words = f"at {found.strength[k]:.3g}, a length of {length:.2f}: {told(found, k)}"
    at = np.flatnonzero(np.isclose(found.strength, PAPER))
    words += "".join(f"; at {PAPER:g}: {told(found, int(place))}" for place in at)
    after = slice(0, 0) if k is None else slice(k, None)
    for word, there in (("back", found.superposed > 0), ("no features", found.represented == 0)):
        again = found.strength[after][there[after].mean(axis=1) > strengths.MOST]
        words += f"; {word} from {again[0]:.3g} on" if len(again) else ""
    holds = k is not None and NEAR[0] <= found.strength[k] <= NEAR[1]
    return Verdict(bool(holds), words, f"gone at a strength of {NEAR[0]:g} to {NEAR[1]:g}", seeds=found.loss.shape[1])


experiment = Experiment(
    figure=figure,
    claims=(
        strengths.said(AXIS, "Adversarial training reduces superposition.", SOURCE, reduced),
        strengths.said(AXIS, "To remove it takes attacks of about 80% of the input norm.", SOURCE, needs_the_norm),
    ),
)
