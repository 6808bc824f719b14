"""Keeping a store small. Each object is written and fetched as a file of its own, and a host runs for months:
now and then they become a pack, beside the work, which drops nothing; `aq clean` has what is old dropped."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from aq.ledger.gitproc import run, start_beside
from aq.ledger.locks import sweep_locks

# One of the 256 folders is counted, as `git gc --auto` does: some 6 900 objects.
FOLDER, MANY = "17", 27
MANY_PACKS = 50
# Whatever the processes of a clone are: none begins to pack sooner after another.
EVERY = 600.0
# What nobody wrote to for so long was left by somebody who was killed.
_LEFT_AFTER = 3600.0
# What git may need besides a copy of all packs.
_ROOM = 256 * 1024 * 1024
_COLLECT_SECONDS = 600.0


def collect(git_dir: Path) -> str:
    """Drop what nothing names and what was packed two weeks ago. Git's words when it could not, or nothing.
    Without a lock, for which hosts would wait: what they write meanwhile is younger."""
    sweep_locks(git_dir)
    _remove_old(git_dir.glob(".*.tmp"))
    done = run(
        ["--git-dir", str(git_dir), "-c", "gc.cruftPacks=true", "gc", "--quiet"], timeout=_COLLECT_SECONDS
    )
    return (done.err.strip() or f"git gc ended with {done.code}") if done.code else ""


class Packing:
    """The packing of one store. Git older than 2.32 cannot do it, and leaves everything as it is."""

    def __init__(self, git_dir: Path) -> None:
        self.objects = git_dir / "objects"
        self.git_dir, self._stamp = git_dir, git_dir / "aq-packing"
        self.process: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Begin to pack when that is worth it. It never waits, and never fails: whoever ends meanwhile leaves
        git to finish, as after a `git fetch`."""
        if self.process is None or self.process.poll() is not None:
            with contextlib.suppress(OSError):
                self._look()

    def _look(self) -> None:
        packs = [path for path in (self.objects / "pack").iterdir() if path.suffix == ".pack"]
        loose = sum(1 for _ in (self.objects / FOLDER).iterdir()) if (self.objects / FOLDER).is_dir() else 0
        if (loose <= MANY and len(packs) <= MANY_PACKS) or self._began_lately():
            return
        self._stamp.touch()
        _remove_old((self.objects / "pack").glob("tmp_*"))
        if shutil.disk_usage(self.objects).free > _ROOM + sum(path.stat().st_size for path in packs):
            # A pack is at least twice as large as the next: what is written again and again stays little.
            packing = ["repack", "-d", "-l", "-q", "--geometric=2", "--no-write-bitmap-index"]
            self.process = start_beside(["--git-dir", str(self.git_dir), *packing])

    def _began_lately(self) -> bool:
        try:
            return abs(time.time() - self._stamp.stat().st_mtime) < EVERY
        except FileNotFoundError:
            return False


def _remove_old(leftovers: Iterable[Path]) -> None:
    """Remove what a killed process was about to write, and nobody writes any more."""
    for path in leftovers:
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _LEFT_AFTER:
                path.unlink()
