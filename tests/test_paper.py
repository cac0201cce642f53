"""The paper's sentences at the paper's scale: every claim comes out as docs/scorecard.md says.

Claims that fail are findings, and stay on the page with what was measured; one that fails anew, or holds again, is
noticed here. Those experiments are run that trained within 15 s when the page was written, a few minutes together; all
of them are judged by `make scorecard`.
"""

import pytest
import scorecard_page

import superpose
from superpose import catalogue, scorecard
from superpose.experiment import load_experiment

LONGEST = 15
QUICK = sorted(name for name, seconds in scorecard_page.times().items() if seconds <= LONGEST)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_claims_come_out_as_on_the_page(name):
    found = catalogue.find(name)
    tree = superpose.run_sweep([*scorecard.overrides_of(found), "name=paper"])
    judged = {claim.text: scorecard.OUTCOMES[v.holds] for claim, v in load_experiment(found.module).judged(tree)}
    assert judged == {text: outcome for text, (_, outcome) in scorecard_page.sections()[name].items()}
