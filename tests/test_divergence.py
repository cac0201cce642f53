"""A model that diverges is data, `finite=False`, and its neighbours in the tile do not feel it: they keep every bit."""

import laboratory
import numpy as np
import pytest
from effort import tries

import superpose as sp
from superpose import run_sweep, statistics

EXPLODES = 1e18
RATES = [1e-3, 3e-3, 5e-3]
STEPS = sp.Constant(30)
FEATURES = sp.IndependentFeatures(4, 0.5)
KINDS = {
    "linear": sp.Linear(4, 2),
    "relu": sp.ReLUOutput(4, 2),
    "leaky": sp.LeakyReLUOutput(4, 2, 0.1),
    "hidden": sp.ReLUHidden(4, 2),
    "untied": sp.UntiedReLUHidden(4, 2),
}
PROGRAMS = {
    **{kind: sp.Program(model, FEATURES, objective=sp.Sampled(16), schedule=STEPS) for kind, model in KINDS.items()},
    "zero free": sp.Program(sp.ReLUOutput(4, 2), FEATURES, objective=sp.Sampled(16, zero_free=True), schedule=STEPS),
    "exact": sp.Program(sp.ReLUOutput(2, 1), sp.IndependentFeatures(2, 0.5), objective=sp.Exact(), schedule=STEPS),
    "sgd": sp.Program(sp.ReLUOutput(4, 2), FEATURES, objective=sp.Sampled(16), optimizer=sp.SGD(0.1), schedule=STEPS),
    "penalty": sp.Program(
        sp.ReLUOutput(4, 2), FEATURES, objective=sp.Sampled(16), schedule=STEPS, penalty=sp.HiddenL1(0.1)
    ),
}


@pytest.mark.parametrize(
    "kind",
    [
        kind if kind == "linear" else pytest.param(kind, marks=pytest.mark.faults)
        for kind in [*PROGRAMS][:: tries(1, 2)]
    ],
)
def test_neighbours_of_a_model_that_diverges_keep_every_bit(kind):
    """The same tile with and without a learning rate that explodes, in the midst of it."""
    quiet, loud = (
        sp.sweep_grid(PROGRAMS[kind], {"learning_rate": [RATES[0], rate, *RATES[1:]], "seed": 2}, tile=4)
        for rate in (1e-2, EXPLODES)
    )
    kept = loud.sel(learning_rate=RATES)
    for name in quiet.data_vars:
        np.testing.assert_array_equal(kept[name], quiet[name].sel(learning_rate=RATES), str(name))
    assert quiet["finite"].all() and kept["finite"].all()
    assert not loud["finite"].sel(learning_rate=EXPLODES).any()


def test_a_run_with_models_that_diverged_ends_with_its_figure_and_claims(tmp_path, capsys):
    """They are told apart in the table of results, counted out of the statistics, and trained once."""
    laboratory.make(tmp_path)
    words = ["experiment=tiny", "learning_rate=[0.001,1e18]", "seed=2", "schedule.steps=20", "optimizer=sgd"]
    tree = run_sweep(words)
    node = tree["linear"].to_dataset()
    assert node["finite"].sel(learning_rate=0.001).all() and not node["finite"].sel(learning_rate=1e18).any()
    assert (tmp_path / "outputs/tiny/figure.png").exists()
    best = statistics.best(node)
    assert np.isfinite(best["loss"].sel(learning_rate=0.001)).all()
    before = laboratory.chunks(tmp_path / "outputs/tiny")
    run_sweep(words)
    assert laboratory.chunks(tmp_path / "outputs/tiny") == before
