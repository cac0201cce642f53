"""The user's folder for what can be made again: compiled programs, the tiles that a search found."""

import hashlib
import os
import platform
import sys
from pathlib import Path


def caches() -> Path:
    """$XDG_CACHE_HOME or ~/.cache, on a Mac ~/Library/Caches, and in it `superpose`. Nothing is made."""
    usual = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or usual).expanduser() / "superpose"


def processor() -> str:
    """A mark of this kind of processor: programs that are compiled for one may not run on another, which sees the same
    folder."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        told = []
    features = {line for line in told if line.startswith(("model name", "flags", "Features"))}
    marks = [platform.machine(), platform.processor(), *sorted(features)]
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()[:12]
