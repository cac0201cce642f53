"""Guards, with real signals: what waits for a block's end, who is called, and what ends the run."""

import os
import pickle
import signal
import threading

import pytest

from superpose.interrupt import NAMES, Guard, Interrupted, ending, guarded

SIGNALS = [signal.Signals[name] for name in NAMES]


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture
def launcher():
    """A launcher's handlers, which note what they are called with and return."""
    heard: list[int] = []
    before = {number: signal.signal(number, lambda number, frame: heard.append(number)) for number in SIGNALS}
    yield heard
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_run_with_its_code(number, capsys):
    assert ending(lambda: send(number) or 0) == 128 + number
    assert f"Stopped by {number.name}" in capsys.readouterr().err


@pytest.mark.parametrize("number", SIGNALS)
def test_a_shield_is_finished_first(number):
    done = []

    def run() -> int:
        with guarded() as guard:
            with guard.shield():
                send(number)
                done.append("written")
            done.append("after")
        return 0

    assert ending(run) == 128 + number
    assert done == ["written"]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_launchers_handler_is_called_once_and_after_the_shield(number, launcher):
    with guarded(), guarded() as guard:
        with guard.shield():
            send(number)
            assert not launcher
        assert launcher == [number]
        send(number)
    assert launcher == [number, number]
    send(number)  # the launcher has its handler again
    assert launcher == [number, number, number]


def test_signals_that_wait_come_in_their_order(launcher):
    """SLURM sends SIGTERM before the signal on which submitit requeues: none may hide another."""
    with guarded() as guard, guard.shield():
        send(signal.SIGTERM)
        send(signal.SIGUSR2)
    assert launcher == [signal.SIGTERM, signal.SIGUSR2]


def test_a_launcher_that_ends_the_process_does_so_after_the_shield():
    """As submitit, whose handler calls sys.exit."""
    before = signal.signal(signal.SIGUSR2, lambda number, frame: (_ for _ in ()).throw(SystemExit(-1)))
    done = []
    try:
        with pytest.raises(SystemExit), guarded() as guard:
            with guard.shield():
                send(signal.SIGUSR2)
                done.append("written")
            done.append("after")
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert done == ["written"]


def test_an_error_in_a_shield_is_not_hidden_by_a_signal():
    with pytest.raises(ZeroDivisionError), guarded() as guard, guard.shield():
        send(signal.SIGTERM)
        raise ZeroDivisionError


def test_elsewhere_than_in_the_main_thread_nothing_is_changed():
    before = [signal.getsignal(number) for number in SIGNALS]
    guards: list[Guard] = []

    def run() -> None:
        with guarded() as guard, guard.shield():
            guards.append(guard)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert guards and [signal.getsignal(number) for number in SIGNALS] == before


def test_it_travels_between_processes():
    """A worker of a launcher hands it to the process that started it."""
    made = pickle.loads(pickle.dumps(Interrupted(signal.SIGTERM)))
    assert (made.name, made.code, str(made)) == ("SIGTERM", 143, "SIGTERM")
