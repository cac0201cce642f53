"""Ctrl-C and SIGTERM: a block that is being written is finished, one that is being trained is dropped."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to end; `code` is the exit code, 128 + the signal's number."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.name, self.code = signal.Signals(number).name, 128 + number


class Guard:
    """Turns SIGINT and SIGTERM into `Interrupted`, but not inside `shield`, where they wait until its end."""

    def __init__(self):
        self.shielded = False
        self.waiting: int | None = None

    def receive(self, number: int, frame: FrameType | None) -> None:
        if self.shielded:
            self.waiting = number
        else:
            raise Interrupted(number)

    @contextmanager
    def shield(self) -> Iterator[None]:
        """What runs inside is finished before a signal ends the run."""
        self.shielded = True
        try:
            yield
        finally:
            self.shielded = False
        if self.waiting is not None:
            raise Interrupted(self.waiting)


def ending(function: Callable[[], int]) -> int:
    """The exit code of `function`, or that of the signal that ended it, which is told in a line."""
    try:
        with guarded():
            return function()
    except Interrupted as signalled:
        told = f"Stopped by {signalled.name}. What was written is kept; the same command continues."
        print(told, file=sys.stderr, flush=True)
        return signalled.code


@contextmanager
def guarded() -> Iterator[Guard]:
    """A guard for the time of a run. Outside the main thread, where Python takes no signals, it does nothing."""
    guard = Guard()
    if threading.current_thread() is not threading.main_thread():
        yield guard
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, guard.receive) for number in numbers]
    try:
        yield guard
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
