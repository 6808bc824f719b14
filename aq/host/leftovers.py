"""What killed git processes leave in a mirror: locks, on which every later fetch fails, and halves of packs.
Who calls holds the mirror's own lock, but a git may have outlived the aq that started it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

# Clocks of files and of processes differ by this much at most.
_SLACK = 1.0


def clear_locks(mirror: Path) -> bool:
    """Remove the locks that no live git process can own; whether there were any."""
    deep = (mirror / place for place in ("refs", "objects/info", "objects/pack"))
    found = [path for folder in deep for path in _files(folder) if path.suffix == ".lock"]
    return _clear(mirror, [*mirror.glob("*.lock"), *found])


def clear_packs(mirror: Path) -> None:
    """Remove the packs that no live git process can be writing any more."""
    _clear(mirror, (mirror / "objects" / "pack").glob("tmp_*"))


def _files(folder: Path) -> Iterator[Path]:
    # A walk passes over folders that vanish meanwhile: a command that ends removes the refs that it fetched.
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names)


def _clear(mirror: Path, found: Iterable[Path]) -> bool:
    """Remove files that were last written before any git process that works in the mirror began."""
    paths, cleared = list(found), False
    begun = min(_begun(mirror), default=float("inf")) if paths else 0.0
    for path in paths:
        with suppress(OSError):
            if path.stat().st_mtime + _SLACK < begun:
                path.unlink()
                cleared = True
    return cleared


def _begun(mirror: Path) -> Iterator[float]:
    """When each of the git processes began that may work in a mirror."""
    places = {str(mirror), str(mirror.resolve())}
    owner = mirror.stat().st_uid
    for process in psutil.process_iter(["name"]):
        if not (process.info["name"] or "").startswith("git"):
            continue
        with suppress(psutil.NoSuchProcess):
            if _works_in(process, places, owner):
                yield process.create_time()


def _works_in(process: psutil.Process, places: Iterable[str], owner: int) -> bool:
    try:
        # What another user's process writes has another owner, and may not be written here.
        if os.name == "posix" and process.uids().effective not in (owner, 0):
            return False
        words = [*process.cmdline(), process.cwd(), process.environ().get("GIT_DIR", "")]
    except psutil.NoSuchProcess:
        return False
    except (psutil.Error, OSError):
        return True
    return any(place in word for place in places for word in words)
