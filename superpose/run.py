"""`python -m superpose.run [OVERRIDE ...]`: train, draw and judge an experiment."""

import os
import sys

from superpose.interrupt import ending


def main() -> int:
    """The command line. Its import takes a moment, in which a signal is told as at any other time."""
    from superpose.command import main

    return main()


if __name__ == "__main__":
    code = ending(main)
    sys.stdout.flush()
    sys.stderr.flush()
    if code >= 128:
        os._exit(code)  # a device may still be computing; Python's own exit would wait for it
    sys.exit(code)
