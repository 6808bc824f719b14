"""Checkouts made ahead. Writing thousands of files is what a run of a large repository waits for longest:
so a spare one is made after a run, moved into the folder of the next, and brought to its commit there.
Nothing of an agent's ever runs in a spare one."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from aq.core.value import Value

# Below so many files a checkout is quick enough.
WORTH_FILES = 500


class Spare(Value):
    """A checkout of `commit`, already at its place, and the index that knows its files."""

    commit: str
    index: Path

    def discard(self) -> None:
        """Remove what is left of it beside the checkout."""
        shutil.rmtree(self.index.parent, ignore_errors=True)


class Spares:
    """One spare checkout for each mirror, below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def take(self, mirror: Path, run: Path) -> Spare | None:
        """Move the mirror's spare checkout, if there is one, to `run`/work, which must not be there."""
        moved = run / "spare"
        try:
            # Whoever renames it has it: two runs may ask at once.
            os.rename(self.folder / mirror.stem, moved)
            commit = (moved / "commit").read_text("ascii")
            os.rename(moved / "work", run / "work")
        except OSError:
            shutil.rmtree(moved, ignore_errors=True)
            return None
        return Spare(commit, moved / "index")

    def make(self, mirror: Path, commit: str, check_out: Callable[[Path, Path], None]) -> None:
        """Make one unless it is there. `check_out` writes the commit's files into a folder, and the index
        to a path. Nothing waits for it, so whatever goes wrong only costs the next run its time."""
        place = self.folder / mirror.stem
        part = self.folder / f"{mirror.stem}.{secrets.token_hex(4)}.part"
        if place.exists() or any(self.folder.glob(f"{mirror.stem}.*.part")):
            return
        try:
            (part / "work").mkdir(parents=True, mode=0o700)
            check_out(part / "work", part / "index")
            (part / "commit").write_text(commit, "ascii")
            os.rename(part, place)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise

    def sweep(self) -> None:
        """Remove what a killed process left half made."""
        with contextlib.suppress(OSError):
            for part in self.folder.glob("*.part"):
                shutil.rmtree(part, ignore_errors=True)
