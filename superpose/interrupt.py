"""Signals that ask a run to end: a block that is being written is finished, one that is being trained is dropped.

Ctrl-C, SIGTERM, and the SIGUSR1 and SIGUSR2 with which a cluster announces the end of a job. Where a launcher has a
handler of its own for one (submitit's requeues the job), that one is called, after the block.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to end; `code` is the exit code, 128 + the signal's number."""

    def __init__(self, number: int):
        super().__init__(number)
        self.name, self.code = signal.Signals(number).name, 128 + number

    def __str__(self) -> str:
        return self.name


class Guard:
    """Turns signals into `Interrupted`, but not inside `shield`, where they wait until its end.

    Args:
        before: the handlers that were there; one that is a function (a launcher's, a guard's around this) is called
            instead, and the run goes on where it returns.
    """

    def __init__(self, before: dict[int, Any]):
        self.before = before
        self.shielded = False
        self.waiting: list[int] = []

    def receive(self, number: int, frame: FrameType | None) -> None:
        before = self.before.get(number)
        if self.shielded:
            self.waiting.append(number)
        elif callable(before) and before is not signal.default_int_handler:
            before(number, frame)
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
        waiting, self.waiting = self.waiting, []
        for number in waiting:
            self.receive(number, None)


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
    if threading.current_thread() is not threading.main_thread():
        yield Guard({})
        return
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: handler for number, handler in before.items() if handler is not None}  # None: not Python's
    guard = Guard(before)
    try:
        for number in before:
            signal.signal(number, guard.receive)
        yield guard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
