"""The paper's sentences at the paper's scale: every claim of an experiment is judged on its own full run."""

import pytest

import superpose
from superpose import catalogue
from superpose.experiment import load_experiment


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [["sparsity=sweep"], ["experiment=intro_pentagon"]], ids=["basic", "pentagon"])
def test_every_claim_holds(overrides):
    tree = superpose.run_sweep([*overrides, "name=paper"])
    name = tree["relu"].attrs["experiment"]
    verdicts = {claim.text: claim.check(tree) for claim in load_experiment(catalogue.find(name).module).claims}
    assert {text: verdict.measured for text, verdict in verdicts.items() if not verdict.holds} == {}
