"""At which steps a run is recorded.

The loss curve has the steps round(10^(k / 16)), k = 0, 1, ..., step 0, and the last. The list below the last step
does not depend on how many steps there are, so that a longer run has every entry of a shorter one but its last.
"""

import equinox as eqx
import numpy as np

PER_DECADE = 16


def log_spaced(last: int, per_decade: int = PER_DECADE) -> np.ndarray:
    """0, the distinct values of round(10^(k / per_decade)) below `last`, and `last`."""
    powers = np.arange(int(np.ceil(per_decade * np.log10(max(last, 1)))) + 1)
    steps = np.unique(np.round(10 ** (powers / per_decade)).astype(np.int64))
    return np.concatenate([[0], steps[steps < last], [last]]) if last > 0 else np.zeros(1, np.int64)


class Record(eqx.Module):
    """What is kept of a training run besides the trained model.

    Args:
        snapshots: steps whose weights are kept (before the step's update; the number of steps means: after the last,
            before a polish).
        state: keep the optimiser's state, so that the run can be continued with more steps.
        curve: keep the loss curve.
    """

    snapshots: tuple[int, ...] = eqx.field(static=True, default=())
    state: bool = eqx.field(static=True, default=False)
    curve: bool = eqx.field(static=True, default=True)

    def curve_steps(self, last: int) -> np.ndarray:
        """The steps of the loss curve of a run of `last` steps; the last alone where none is kept."""
        return log_spaced(last) if self.curve else np.array([last], np.int64)

    def steps(self, last: int) -> np.ndarray:
        """Every recorded step: those of the loss curve and of the snapshots."""
        return np.union1d(self.curve_steps(last), np.array(self.snapshots, np.int64))

    def curve_places(self, last: int) -> np.ndarray:
        """The places of the loss curve's steps among the recorded ones."""
        return np.searchsorted(self.steps(last), self.curve_steps(last))

    def taken(self, last: int) -> np.ndarray:
        """The places of the snapshots among the recorded steps."""
        return np.searchsorted(self.steps(last), np.array(self.snapshots, np.int64))
