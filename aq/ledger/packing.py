"""Keeping a store small. Each object is written and fetched as a file of its own, and a host runs for months:
now and then they become a pack, beside the work. Nothing is dropped here: `aq clean` does that."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from aq.ledger.gitproc import start_beside

# One of the 256 folders is counted, as `git gc --auto` does: some 6 900 objects.
FOLDER, MANY = "17", 27
_LOOK_EVERY = 600.0


class Packing:
    """The packing of one store."""

    def __init__(self, git_dir: Path) -> None:
        self.git_dir = git_dir
        self._due = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Begin to pack when that is worth it. Costs a listing every ten minutes, and never waits: whoever
        ends meanwhile leaves git to finish, as after a `git fetch`."""
        now = time.monotonic()
        if now < self._due or (self._process and self._process.poll() is None):
            return
        self._due = now + _LOOK_EVERY
        if self._many():
            # Packs twice the size of the next: what is packed again grows with the logarithm of all there is.
            self._process = start_beside(
                ["--git-dir", str(self.git_dir), "repack", "-d", "-l", "-q", "--geometric=2"]
            )

    def _many(self) -> bool:
        try:
            return sum(1 for _ in (self.git_dir / "objects" / FOLDER).iterdir()) > MANY
        except OSError:
            return False
