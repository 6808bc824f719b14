"""Files that a run left in its workspace, as far as they may be looked at: regular files inside it,
reached by no link, and only so many."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from aq.core.globs import matches

MAX_ENTRIES = 50_000
_WILD = "*?["


def find_files(root: Path, patterns: Iterable[str], most: int = MAX_ENTRIES) -> list[str]:
    """The paths below a folder that fit any of the patterns, each relative to it, in order. A pattern
    is anchored there; one that names a folder stands for all that is in it."""
    found: set[str] = set()
    left = most
    for pattern in patterns:
        for path in _below(root, _literal(pattern)):
            left -= 1
            if left < 0:
                return sorted(found)
            if matches(f"./{pattern}", path):
                found.add(path)
    return sorted(found)


def _literal(pattern: str) -> str:
    """The folders that a pattern begins with, before its first wildcard."""
    parts = []
    for part in pattern.split("/"):
        if any(sign in part for sign in _WILD):
            break
        if part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _below(root: Path, start: str) -> Iterator[str]:
    """Every regular file at or below a path, without following a link."""
    place = root
    for part in start.split("/") if start else ():
        place /= part
        if place.is_symlink() or part == "..":
            return
    if start and place.is_file():
        yield start
        return
    for folder, names, files in os.walk(place):
        names[:] = sorted(name for name in names if name != ".git")
        for name in sorted(files):
            path = Path(folder) / name
            if stat.S_ISREG(_mode(path)):
                yield path.relative_to(root).as_posix()


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:
        return 0


def read_regular(path: Path, most: int) -> bytes | None:
    """The content of a regular file of at most so many bytes, else None. Never follows a link, and
    never waits: a pipe by that name is no file."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(path, flags)
        with open(handle, "rb") as file:
            facts = os.fstat(handle)
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > most:
                return None
            data = file.read(most + 1)
            return data if len(data) <= most else None
    except OSError:
        return None
