"""What a run shows: the progress of waves of any length, and claims as they were written."""

import dataclasses
import io
from unittest.mock import Mock

import pytest
from rich.console import Console

from superpose.console import Bar, show_claims
from superpose.experiment import Claim, Verdict
from superpose.planning import Job


class Clock:
    """A time that the test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def screen(width: int = 200) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, width=width), file


def job(steps: int) -> Mock:
    variant = Mock()
    variant.program.updates = steps
    return Mock(spec=Job, label="relu [a]", variant=variant, tuned="")


def shown(bar: Bar) -> str:
    console, file = screen()
    console.print(bar.progress.get_renderable())
    return file.getvalue()


def test_speed_and_time_left_of_waves_longer_than_half_a_minute():
    clock = Clock()
    bar = Bar(screen()[0], clock)
    bar.start(job(steps=2000), models=30)
    clock.now += 7.0
    assert "relu [a]" in shown(bar) and "7 s so far compiling" in shown(bar)
    bar.compiled_in(7.0)
    clock.now += 5.0
    assert "5 s so far compiled in 7.0 s" in shown(bar) and "model-steps/s" not in shown(bar)
    clock.now += 95.0
    bar.advance(10)  # 10 models of 2000 steps in 100 s: 200 model-steps/s, and 20 models are left
    assert "10/30 models 200 model-steps/s 3 min 20 s left" in shown(bar)
    clock.now += 100.0
    bar.advance(10)
    assert "20/30 models 200 model-steps/s 1 min 40 s left" in shown(bar)


def test_the_speed_of_a_single_wave_stays_on_the_screen():
    clock = Clock()
    bar = Bar(screen()[0], clock)
    bar.start(job(steps=1000), models=8)
    clock.now += 3.0
    bar.compiled_in(3.0)
    clock.now += 4.0
    bar.advance(8)
    clock.now += 50.0
    assert "8/8 models 2,000 model-steps/s in 4 s compiled in 3.0 s" in shown(bar)


CLAIM = Claim("of [a] and [b] the first is larger", "section [2]", lambda tree: Verdict(True, ""))


@pytest.mark.parametrize("holds", [True, False, None])
def test_claims_are_shown_as_they_were_written(holds):
    console, file = screen(width=20)
    show_claims(console, [(CLAIM, Verdict(holds, "[nan 0.1] and [a]", "[0, 1]", (0.25, 0.5), 3))])
    mark = {True: "holds", False: "does not hold", None: "not judgeable here"}[holds]
    assert file.getvalue().splitlines() == [
        f"{mark}: of [a] and [b] the first is larger (section [2])",
        "    measured [nan 0.1] and [a], interval 0.25 to 0.5; expected [0, 1]; 3 seeds",
    ]


def test_a_sentence_of_our_own_is_shown_as_one():
    console, file = screen()
    show_claims(console, [(dataclasses.replace(CLAIM, ours=True), Verdict(True, "1"))])
    assert "first is larger (ours, after section [2])" in file.getvalue()


def test_a_smoke_run_says_that_its_claims_mean_little():
    console, file = screen()
    show_claims(console, [(CLAIM, Verdict(False, "0"))], smoke=True)
    first, second, *_ = file.getvalue().splitlines()
    assert first.startswith("scale=smoke trains too little") and second.startswith("does not hold")
    console, file = screen()
    show_claims(console, [], smoke=True)
    assert file.getvalue() == ""
