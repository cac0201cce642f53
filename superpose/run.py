"""`python -m superpose.run [OVERRIDE ...]`: train, draw and judge an experiment."""

import os
import sys

from superpose.command import main

if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    if code >= 128:
        os._exit(code)  # a device may still be computing; Python's own exit would wait for it
    sys.exit(code)
