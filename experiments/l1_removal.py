"""An L1 penalty on hidden activations: how far it removes superposition, which features it kills, and what that costs.

Paper: "Strategic Picture", Approach 1. Training minimises L + lambda E ||h||_1, lambda being the
axis `l1`; the loss shown is L.

    python -m superpose.run experiment=l1_removal

You should see: superposition falls as the penalty grows, and is gone in the end, at a loss several times as high. The
features that matter least are no longer represented, one after another.
"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from superpose import statistics, strengths
from superpose.experiment import Experiment, Verdict
from superpose.strengths import Curves, told

SOURCE = "Strategic Picture"
AXIS = "l1"
FREE, MARGIN = 0.01, 0.05
"""By how much the loss may rise and count as not risen, and superposition must fall until then to speak of a margin."""


def figure(tree: xr.DataTree) -> Figure:
    """Models over the strength of the penalty."""
    return strengths.figure(tree, AXIS, r"strength of the penalty, $\lambda$", "loss / that without penalty")


def gone(found: Curves) -> Verdict:
    k = found.removed
    words = "never gone" if k is None else f"at {found.strength[k]:.3g}: {told(found, k)}"
    return Verdict(k is not None, words, "gone at some strength, features being left", seeds=found.loss.shape[1])


def costs(found: Curves) -> Verdict | None:
    k = found.removed
    if k is None:
        return None
    ratio = found.loss[k] / np.median(found.loss[0])
    low, high = statistics.bootstrap(xr.DataArray(ratio, dims="seed"))
    words = f"{np.median(ratio):.2f} times the loss without penalty"
    ends = float(low), float(high)
    return Verdict(bool(ends[0] > 1 + FREE), words, "more than 1% above it", ends, len(ratio))


def threshold(found: Curves) -> Verdict | None:
    """Are the features left the most important ones, at each strength at which some are killed and some are left?"""
    if np.ptp(found.importance) == 0:
        return None
    order = np.argsort(-found.importance, kind="stable")
    first = np.all(np.diff(found.kept[..., order].astype(int), axis=-1) <= 0, axis=-1)
    counts = np.median(found.represented, axis=1)
    some = (counts < counts[0]) & np.all(found.represented > 0, axis=1)
    words = f"their median number falls from {counts[0]:g} to {counts[-1]:g}"
    if some.any():
        share = first[some].mean(axis=1)
        k = int(np.argmin(share))
        words = f"in {share.mean():.1%} of the models at {some.sum()} such strengths, at least {share[k]:.0%} of the"
        words += f" seeds (at {found.strength[some][k]:g})"
    holds = bool(some.any() and (first[some].mean(axis=1) > strengths.MOST).all())
    expected = "where fewer are left than without, but some, the most important ones, in most seeds at every strength"
    return Verdict(holds, words, expected, seeds=found.loss.shape[1])


def margin(found: Curves) -> Verdict:
    """By how much superposition has fallen at the strongest penalty up to which the loss is within 1%, seed by seed."""
    ratio = np.median(found.loss / found.loss[0], axis=1)
    k = int((ratio <= 1 + FREE).cumprod().sum()) - 1
    fall = 1 - float(strengths.nanmedian((found.superposition[k] / found.superposition[0])[None])[0])
    words = f"by {fall:.1%} at {found.strength[k]:.3g}, the loss {ratio[k]:.4f} times that without"
    return Verdict(bool(fall > MARGIN), words, f"by more than {MARGIN:.0%}", seeds=found.loss.shape[1])


experiment = Experiment(
    figure=figure,
    claims=(
        strengths.said(AXIS, "An L1 penalty on hidden activations gets rid of superposition.", SOURCE, gone),
        strengths.said(AXIS, "It does so at the cost of a higher loss.", SOURCE, costs),
        strengths.said(AXIS, "It kills the features below a threshold of importance.", SOURCE, threshold),
        strengths.said(
            AXIS, "There is some margin: superposition falls before the loss has risen by 1%.", SOURCE, margin
        ),
    ),
)
