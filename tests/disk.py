"""A model of a disk that loses power: from traced system calls, the states that it may be found in.

A file keeps what it held when it was last synced; of what was written since, all, a part, zeros or nothing. A folder
keeps the names that it had when it was last synced, and any of the changes since, whatever was written in between.
"""

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

CALLS = "openat,write,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,fsync,fdatasync"
LINE = re.compile(r"^(\d+)\s+(.*)$")
CALL = re.compile(r"^(\w+)\((.*)\)\s+= (-?\d+)(.*)$")
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
OPENED = re.compile(r"^\d+<((?:\\x[0-9a-f]{2}|[^>])*)>")


def trace(script: Path, place: Path, *words: str) -> list[tuple[str, list[str], bytes]]:
    """Run a Python script under strace: of each call its name, its paths, and the bytes that it wrote."""
    log = place / "strace.log"
    command = ["strace", "-f", "-y", "-xx", "-s", "100000000", "-o", str(log), "-e", f"trace={CALLS}"]
    subprocess.run([*command, sys.executable, str(script), *words], check=True, capture_output=True)
    return list(_calls(log.read_text(encoding="ascii", errors="replace").splitlines()))


def _calls(lines: list[str]) -> Iterator[tuple[str, list[str], bytes]]:
    begun: dict[str, str] = {}
    for line in lines:
        found = LINE.match(line)
        process, text = (found[1], found[2]) if found else ("", "")
        if text.endswith("<unfinished ...>"):
            begun[process] = text.removesuffix("<unfinished ...>")
            continue
        if text.startswith("<... "):
            text = begun.pop(process).rstrip() + text.partition(" resumed>")[2]
        call = CALL.match(text)
        if call and int(call[3]) >= 0:
            yield _call(call[1], call[2], call[4])


def _call(name: str, arguments: str, result: str) -> tuple[str, list[str], bytes]:
    texts = [bytes.fromhex(text.replace("\\x", "")) for text in TEXT.findall(arguments)]
    opened = OPENED.match(arguments)
    if name == "write":
        return name, [_plain(opened[1])] if opened else [""], texts[0] if texts else b""
    if name in ("fsync", "fdatasync"):
        return name, [_plain(opened[1]) if opened else ""], b""
    if name == "openat":
        name = "create" if "O_CREAT" in arguments else "truncate" if "O_TRUNC" in arguments else "look"
    return name, [os.fsdecode(text) for text in texts], b""


def _plain(path: str) -> str:
    return os.fsdecode(bytes.fromhex(path.replace("\\x", ""))) if path.startswith("\\x") else path


@final
@dataclass(eq=False)
class File:
    now: bytes = b""
    kept: bytes = b""


@final
@dataclass(eq=False)
class Folder:
    now: dict[str, "File | Folder"] = field(default_factory=dict)
    kept: dict[str, "File | Folder"] = field(default_factory=dict)
    changes: list[dict[str, "File | Folder | None"]] = field(default_factory=list)

    def change(self, names: "dict[str, File | Folder | None]") -> None:
        self.changes.append(names)
        _apply(self.now, names)

    def sync(self) -> None:
        self.kept, self.changes = dict(self.now), []


def _apply(names: "dict[str, File | Folder]", change: "dict[str, File | Folder | None]") -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


@final
class Disk:
    """What lies in the folder `root`, as calls change it."""

    def __init__(self, root: Path):
        self.root, self.top = str(root), Folder()

    def find(self, path: str) -> "tuple[Folder, str] | None":
        """The folder that a path lies in and its name there; None outside of the root."""
        if not path.startswith(self.root + "/"):
            return None
        *parents, name = path[len(self.root) + 1 :].rstrip("/").split("/")
        node: File | Folder | None = self.top
        for parent in parents:
            node = node.now.get(parent) if isinstance(node, Folder) else None
        return (node, name) if isinstance(node, Folder) else None

    def feed(self, call: str, paths: list[str], data: bytes) -> bool:
        """Carry out one call; whether it changed what may be found after a power cut."""
        if paths and paths[0] == self.root and call == "fsync":
            self.top.sync()
            return True
        places = [place for path in paths if (place := self.find(path)) is not None]
        if not places or len(places) < len(paths):
            return False
        (folder, name), (target, other) = places[0], places[-1]
        node = folder.now.get(name)
        if call in ("mkdir", "mkdirat"):
            folder.change({name: Folder()})
        elif call == "create" and node is None:
            folder.change({name: File()})
        elif call in ("create", "truncate") and isinstance(node, File):
            node.now = b""
        elif call == "write" and isinstance(node, File):
            node.now += data
        elif call in ("fsync", "fdatasync"):
            node.sync() if isinstance(node, Folder) else _keep(node)
        elif call.startswith("rename") and node is not None:
            if target is folder:
                folder.change({name: None, other: node})
            else:
                folder.change({name: None})
                target.change({other: node})
        elif call in ("unlink", "unlinkat", "rmdir"):
            folder.change({name: None})
        else:
            return False
        return True

    def cut(self, place: Path, draw: random.Random) -> None:
        """Write to `place` one of the states that a power cut now may leave."""
        _leave(self.top, place, draw, draw.choice([0.0, 0.5, 0.5, 1.0]))


def _keep(node: "File | None") -> None:
    if node is not None:
        node.kept = node.now


def _leave(folder: Folder, place: Path, draw: random.Random, share: float) -> None:
    place.mkdir()
    names = dict(folder.kept)
    for change in folder.changes:
        if draw.random() < share:
            _apply(names, change)
    for name, node in names.items():
        if isinstance(node, Folder):
            _leave(node, place / name, draw, share)
        else:
            (place / name).write_bytes(_found(node, draw))


def _found(file: File, draw: random.Random) -> bytes:
    if file.now == file.kept:
        return file.now
    part = file.now[: draw.randrange(len(file.now) + 1)]
    return draw.choice([file.kept, file.now, part, bytes(len(file.now)), part + bytes(len(file.now) - len(part))])
