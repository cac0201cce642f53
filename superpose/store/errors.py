"""What can be wrong with a table on disk, said so that a person knows what to type."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
NO_PERMISSION = (errno.EACCES, errno.EPERM, errno.EROFS)


class StoreError(ValueError):
    """A table that cannot be opened, read or written as asked."""


class DamageError(StoreError):
    """A file that should hold trained models is missing, cut short, or altered."""


class Busy(StoreError):
    """Another process holds the lock."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an `OSError` while working on `path` into a `StoreError` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ELOOP:  # the disk is well: what is asked for is refused
            raise StoreError(
                f"{error.filename or path} is a link, which is not followed: put there what it names."
            ) from None
        raise StoreError(f"{error.filename or path}: {error.strerror or error}. {_advice(error)}") from error


def _advice(error: OSError) -> str:
    if error.errno in NO_SPACE:
        return "Nothing written before is lost: free some space, then give the same command to go on."
    if error.errno in NO_PERMISSION:
        return (
            "Results are written there: choose a folder you may write to, with output=DIR, or change its permissions."
        )
    if isinstance(error, FileNotFoundError | NotADirectoryError | FileExistsError):
        return "Check the path: output=DIR and name=STR say where results are."
    return "Nothing written before is lost: mend this, then give the same command to go on."


def damaged(path: Path, what: str) -> DamageError:
    """The error for a damaged file: its name, what is wrong with it, and the way out."""
    return DamageError(f"{path} {what}. Add repair=true to the command to train again the models it held.")
