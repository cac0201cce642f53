"""Local bases: claims on W made of orthogonal bases, and on W in which one is not."""

from pathlib import Path

import numpy as np
import xarray as xr
from paired import arrays

from superpose import plots
from superpose.experiment import load_experiment

EXPERIMENT = load_experiment(Path(__file__).parent.parent / "experiments/local_bases.py")
BASIS = np.linalg.qr(np.random.default_rng(0).normal(size=(10, 10))).Q
LOCAL = np.concatenate([BASIS, -BASIS[:, np.random.default_rng(1).permutation(10)]], axis=1)
DROPPED = LOCAL * (np.arange(20) % 10 != 3)


def tree(sparse: np.ndarray, dense: np.ndarray, sets: int = 2) -> xr.DataTree:
    """The best of two seeds is this one on each side, the other one is the other."""
    models = {
        p: [(dense, 1.0), (sparse, 2.0)] if p > 0.3 else [(sparse, 1.0), (dense, 2.0)] for p in (1.0, 0.5, 0.1, 0.01)
    }
    return xr.DataTree.from_dict({"relu": arrays(models, sets)})


def verdicts(given: xr.DataTree) -> list[bool | None]:
    return [claim.check(given).holds for claim in EXPERIMENT.claims]


def test_claims_tell_local_bases_from_others():
    # bases, in superposition, none when dense
    skewed = LOCAL.copy()
    skewed[:, 1] = 0.95 * BASIS[:, 1] + 0.3 * BASIS[:, 0]
    assert verdicts(tree(LOCAL, DROPPED)) == [True, True, True]
    assert verdicts(tree(DROPPED, DROPPED)) == [False, False, True]
    assert verdicts(tree(LOCAL, LOCAL)) == [True, True, False]
    assert verdicts(tree(skewed, DROPPED)) == [False, True, True]
    assert verdicts(tree(0.8 * LOCAL, DROPPED)) == [False, True, True]


def test_what_the_arrays_cannot_say_is_left_open():
    whole = tree(LOCAL, DROPPED)["relu"].to_dataset()
    assert verdicts(xr.DataTree.from_dict({"relu": whole.isel(sparsity=[0, 1])})) == [None, None, True]
    assert verdicts(tree(LOCAL, DROPPED, sets=4)) == [None] * 3
    assert verdicts(xr.DataTree()) == [None] * 3


def test_the_figure_frames_each_sets_block():
    with plots.style():
        figure = EXPERIMENT.figure(tree(LOCAL, DROPPED))
        figure.canvas.draw()
        EXPERIMENT.figure(xr.DataTree()).canvas.draw()
    panels = figure.axes[:4]
    assert [ax.get_title() for ax in panels] == ["$1-S = 1$", "$1-S = 0.5$", "$1-S = 0.1$", "$1-S = 0.01$"]
    assert all(len(ax.lines) == 2 for ax in panels)
    assert panels[3].get_xlabel() == "off by 0.00" and panels[0].get_xlabel() == "off by 1.00"
