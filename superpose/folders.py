"""The user's folder for what can be made again: compiled programs, the tiles that a search found."""

import os
import sys
from pathlib import Path


def caches() -> Path:
    """$XDG_CACHE_HOME or ~/.cache, on a Mac ~/Library/Caches, and in it `superpose`. Nothing is made."""
    usual = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or usual).expanduser() / "superpose"
