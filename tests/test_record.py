"""Which steps are recorded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superpose.record import Record, log_spaced

PROPERTY = settings(deadline=None, derandomize=True)
STEPS = st.integers(0, 10**6)


@PROPERTY
@given(STEPS)
def test_steps_are_distinct_sorted_and_hold_both_ends(last):
    steps = log_spaced(last)
    assert steps[0] == 0 and steps[-1] == last
    assert (np.diff(steps) > 0).all()


@PROPERTY
@given(STEPS, STEPS)
def test_a_longer_run_has_every_entry_of_a_shorter_one_but_its_last(one, other):
    short, long = sorted((one, other))
    np.testing.assert_array_equal(log_spaced(short)[:-1], log_spaced(long)[log_spaced(long) < short])


@PROPERTY
@given(STEPS)
def test_steps_are_round_powers(last):
    """Every step between is round(10^(k / 16)) of a whole k, and every such number below the last is there."""
    expected = {round(10 ** (k / 16)) for k in range(100)}
    assert set(log_spaced(last).tolist()) == {0, last} | {step for step in expected if step < last}


def test_a_short_run():
    assert log_spaced(0).tolist() == [0]
    assert log_spaced(1).tolist() == [0, 1]
    assert log_spaced(10).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 9, 10]  # 10^(14/16) = 7.499, 10^(15/16) = 8.66


@PROPERTY
@given(st.integers(1, 5000), st.sets(st.integers(0, 5000), max_size=6))
def test_curve_and_snapshots_are_found_among_the_recorded_steps(last, snapshots):
    record = Record(tuple(sorted(step for step in snapshots if step <= last)))
    steps = record.steps(last)
    np.testing.assert_array_equal(steps[record.curve_places(last)], log_spaced(last))
    np.testing.assert_array_equal(steps[record.taken(last)], record.snapshots)
    assert set(steps) == {*log_spaced(last), *record.snapshots}


@pytest.mark.parametrize("last", [1, 10_000])
def test_nothing_more_is_recorded_than_asked(last):
    np.testing.assert_array_equal(Record().steps(last), log_spaced(last))
