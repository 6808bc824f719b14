"""Lock files that killed git processes left behind. A lock does not say whose it is: it counts as left behind
when no git process of this machine that is older than it works in that repository."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

# Clocks of files and of processes differ by this much at most.
_SLACK = 1.0


def sweep_locks(git_dir: Path, tree: Path | None = None, *, age: float = 0.0) -> bool:
    """Remove the locks that killed git processes left in a repository with this work tree; whether none is
    left. A folder that other machines or containers share asks for an `age`: their processes are not seen."""
    if not _old_locks(git_dir, age):
        return True
    from filelock import FileLock, Timeout  # slow to import, and locks are hardly ever left

    try:
        # One sweeper at a time: a second would take the lock that somebody made after the first.
        with FileLock(str(git_dir / "aq-sweep"), timeout=5):
            folders = [git_dir, *([tree] if tree else [])]
            places = {str(place) for folder in folders for place in (folder, folder.resolve())}
            for path, written in _old_locks(git_dir, age):
                if not _in_use(places, written):
                    path.unlink(missing_ok=True)
        return not _old_locks(git_dir, age)
    except (OSError, Timeout):
        return False


def _old_locks(git_dir: Path, age: float) -> list[tuple[Path, float]]:
    """The locks of a repository, each with the time when it was written."""
    found = []
    for path in (*git_dir.glob("*.lock"), *_deep_locks(git_dir)):
        try:
            written = path.stat().st_mtime
        except OSError:
            continue
        if time.time() - written >= age:
            found.append((path, written))
    return found


def _deep_locks(git_dir: Path) -> Iterator[Path]:
    # A walk passes over folders that vanish meanwhile: a command that ends removes the refs that it fetched.
    for place in ("refs", "objects/info", "objects/pack"):
        for folder, _, names in os.walk(git_dir / place):
            yield from (Path(folder, name) for name in names if name.endswith(".lock"))


def _in_use(places: set[str], written: float) -> bool:
    """Whether a git process that may have written a lock at that time works in one of these folders."""
    import psutil

    for process in psutil.process_iter(["name", "create_time"]):
        name, begun = process.info["name"] or "", process.info["create_time"] or 0.0
        if not name.startswith("git") or begun > written + _SLACK or process.pid == os.getpid():
            continue
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            line = process.cmdline()
            words = [] if "cat-file" in line else [process.cwd(), *line, process.environ().get("GIT_DIR", "")]
        except psutil.NoSuchProcess:
            continue
        except (psutil.Error, OSError):
            # Another user's: it may work anywhere.
            return True
        if any(place in word for place in places for word in words):
            return True
    return False
