"""The records of shipped jobs that ask for nothing more, by id: kept on disk, so that looking for work that
is still to be delivered does not mean to read every record of the last days again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from aq.ledger.store import write_atomic


class Settled:
    """A record never changes under its own id. `path` is None for one that is not kept."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._known: set[str] | None = None
        self._asked: set[str] = set()
        self._saved = True

    def unknown(self, records: Iterable[str]) -> list[str]:
        """Those of the records that have to be looked at."""
        known = self._load()
        asked = list(records)
        self._asked.update(asked)
        return [record for record in asked if record not in known]

    def add(self, records: Iterable[str]) -> None:
        """These ask for nothing more."""
        known, before = self._load(), len(self._load())
        known.update(records)
        self._saved = self._saved and len(known) == before

    def _load(self) -> set[str]:
        if self._known is None:
            self._known = set()
            with contextlib.suppress(OSError, ValueError):
                self._known = set(self.path.read_text("ascii").split()) if self.path else set()
        return self._known

    def flush(self) -> None:
        """Write down those that anybody asked about. Losing them costs only time."""
        if self.path and not self._saved:
            self._saved = True
            with contextlib.suppress(OSError):
                write_atomic(self.path, "\n".join(sorted(self._load() & self._asked)).encode())
