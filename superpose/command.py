"""The command line of `python -m superpose.run`: argv in, exit code out.

Without flags the overrides are composed and run here. With flags (`-m`, `--help`, `--cfg job` ...) Hydra takes over,
and calls the same function for each job, in this process or a launcher's. Exit codes: 0 done, 1 a run that broke, 2 bad
input, 128 + its number for a signal. HYDRA_FULL_ERROR=1 shows where an error comes from.
"""

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from superpose import launching
from superpose.arguments import InputError, rewrite
from superpose.interrupt import ending
from superpose.launching import Failed
from superpose.printing import printable
from superpose.searching import look_for

FULL_ERROR = "HYDRA_FULL_ERROR"
SHORT_ERROR = "SUPERPOSE_SHORT_ERROR"


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was typed. The errors of people are told in a few lines, on standard error."""
    argv = sys.argv[1:] if argv is None else list(argv)
    return ending(lambda: _main(argv))


def _main(argv: Sequence[str]) -> int:
    full = os.environ.get(FULL_ERROR) == "1"
    try:
        if any(word.startswith("-") for word in argv):
            with_flags(argv)
        else:
            launching.check(argv, multirun=False)
            one(argv, Console())
        return 0
    except Exception as error:
        if full:
            raise
        say(f"error: {told(error, argv)}")
        return code_of(error)


def one(overrides: Sequence[str], console: Console) -> None:
    """One run. What is slow to import comes late: `--help` is quick."""
    with kept():
        from superpose import app, config, devices

        with config.session(overrides):
            run = config.build(overrides, start=devices.start_jax)
    app.execute(run, console)


@contextmanager
def kept() -> Iterator[None]:
    """For what stays, as imports: the collector looks for no garbage in it, now or later, a tenth of a start."""
    first = "superpose.app" not in sys.modules
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        if first:
            gc.freeze()


def with_flags(argv: Sequence[str]) -> None:
    """What Hydra does with its flags; each job of a multirun is one run."""
    flags = [word for word in argv if word.startswith("-") or not is_override(word)]
    overrides = rewrite([word for word in argv if is_override(word)])
    folder, launcher = look_for(overrides), launching.launcher(overrides)
    if multirun := "-m" in flags or "--multirun" in flags:
        launching.check(overrides, multirun=True)
        overrides += launching.shards(overrides)
        parsed = OverridesParser.create().parse_overrides(overrides)
        swept = [each.key_or_group for each in parsed if each.is_sweep_override()]
        overrides = [*overrides, f"swept=[{','.join(swept)}]"]
    before = dict(os.environ)
    if os.environ.get(FULL_ERROR) != "1":
        os.environ |= {FULL_ERROR: "1", SHORT_ERROR: "1"}  # Hydra hands its errors on, for `main` and `_job` to tell
    sys.argv = [sys.argv[0], *flags, *overrides]
    if multirun and launcher != "basic":
        say(launching.hint(launcher))
    try:
        hydra.main(config_path=folder, config_name="config", version_base="1.3")(_job)()
    finally:
        os.environ.clear()
        os.environ |= before


def is_override(word: str) -> bool:
    """Whether a word of the command line is an override; else it is a flag or the value of one."""
    return word.startswith("~") or ("=" in word and not word.startswith("-"))


def _job(cfg: Any) -> None:
    launcher = HydraConfig.get().runtime.choices["hydra/launcher"]
    if launcher != "basic":
        return _task(launcher)
    try:
        one(list(HydraConfig.get().overrides.task), Console())
    except Exception as error:
        if SHORT_ERROR not in os.environ:
            raise
        say(f"error: {told(error, [])}")
        raise SystemExit(code_of(error)) from error


def _task(launcher: str) -> None:
    """A job in a process of a launcher's: no moving bar, and its error goes to the process that waits for it."""
    console = Console(force_terminal=False)
    overrides = list(HydraConfig.get().overrides.task)
    try:
        if code := ending(lambda: one(overrides, console) or 0):
            raise SystemExit(code)
    except Exception as error:
        if SHORT_ERROR not in os.environ:
            raise
        failed = Failed(told(error, []), code_of(error))
        if "submitit" in launcher:  # its task's log; those of the others are this terminal
            say(f"error: {failed}")
        raise failed from None


def told(error: Exception, overrides: Sequence[str]) -> str:
    """An error in a few lines."""
    if isinstance(error, HydraException | OmegaConfBaseException):
        from superpose.config import session
        from superpose.teaching import teach

        with session([word for word in overrides if is_override(word)]):
            return teach(error)
    if isinstance(error, InputError | Failed) or _of_the_store(error):
        return str(error)
    lines = str(error).strip().splitlines() or [""]
    if isinstance(error, MemoryError):
        return (
            f"The machine's memory is full{f' ({lines[0]})' if lines[0] else ''}. What was written is kept. Ask for"
            " fewer levels or seeds at once, less to record (record.curve=false), or compute.devices=1."
        )
    return f"{type(error).__name__}: {' '.join(lines[:3])}\n{FULL_ERROR}=1 shows where it comes from."


def code_of(error: Exception) -> int:
    """2 for bad input, 1 for a run that broke (a damaged store, a full disk)."""
    if isinstance(error, Failed):
        return error.code
    if _of_the_store(error):
        from superpose.store import DamageError

        return 1 if isinstance(error, DamageError) or isinstance(error.__cause__, OSError) else 2
    return 2 if isinstance(error, InputError | HydraException | OmegaConfBaseException) else 1


def _of_the_store(error: Exception) -> bool:
    return type(error).__module__.startswith("superpose.store")


def say(text: str) -> None:
    print(printable(text), file=sys.stderr, flush=True)
