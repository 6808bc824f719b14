"""The person's clone as the runner and the commands use it: intake on one side, the view on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from aq.core.instants import Instant
from aq.core.layout import JOB_SUFFIX, QUEUE
from aq.core.results import Result
from aq.ledger.ignored import ignored
from aq.ledger.intake import Intake, Noted, NotTaken
from aq.ledger.ledger import Ledger
from aq.ledger.paths import QueuePaths
from aq.ledger.spool import Spool, Spooled
from aq.ledger.view import View

if TYPE_CHECKING:
    from aq.core.operations import Operation


class Clone:
    """Intake and view of one clone."""

    def __init__(self, ledger: Ledger, paths: QueuePaths, by: str, now: Callable[[], Instant]) -> None:
        self.spool = Spool(paths.spool)
        self.intake = Intake(ledger, paths.clone, self.spool, by, now, paths.home)
        self.view = View(ledger, paths.clone, paths.home / "edited", self.intake)
        self.not_taken: list[NotTaken] = []
        self.settling: list[str] = []
        self.more = False
        self._said: set[str] = set()

    @property
    def path(self) -> Path:
        """The clone's folder."""
        return self.intake.clone

    def take_in(self) -> list[str]:
        """Copy a portion of the dropped files to the spool; what to tell a person, each thing once."""
        # What a killed move of the view left half written was dropped by nobody.
        noted = self.intake.collect() if self.view.moving.mend() else Noted()
        self.not_taken, self.settling, self.more = noted.not_taken, noted.settling, noted.more
        return self._once([*noted.renamed, *(f"not taken in: {note.why}" for note in noted.not_taken)])

    def ignored(self) -> Iterator[str]:
        """The files in the inbox that may be meant as jobs and are none."""
        return ignored(self.path)

    def submissions(self) -> list[Operation]:
        """The next portion of what waits to be submitted and was not refused before."""
        return [entry.operation for entry in self.intake.pending()]

    def submitted(self, result: Result) -> str:
        """Take in a result; what to tell a person."""
        note = self.intake.settled(result)
        if note is None:
            return ""
        if not note.file.endswith(JOB_SUFFIX):
            return f"{note.file}: {note.why}"
        why = f"{QUEUE}/inbox/{note.file}: {note.why}"
        self.not_taken.append(NotTaken(note.file, why))
        # Said here once; while it stays so, each pass tells it again.
        return next(iter(self._once([f"not taken in: {why}"])), "")

    def refresh(self) -> list[str]:
        """Bring the view to the tip; what to tell a person."""
        report = self.view.refresh()
        return self._once([*report.notes, *([report.behind] if report.behind else [])])

    def _once(self, lines: list[str]) -> list[str]:
        fresh = [line for line in lines if line not in self._said]
        self._said.update(fresh)
        return fresh


class ResultSpool:
    """A host's own results until they are in the queue."""

    def __init__(self, folder: Path) -> None:
        self._spool = Spool(folder)
        self._names: set[str] = set()

    def save(self, operation: Operation) -> None:
        """Write one down."""
        self._spool.put(Spooled(operation))
        self._names.add(operation.op_id)

    def remove(self, operation: Operation) -> None:
        """Forget one."""
        if operation.op_id in self._names:
            self._spool.remove(operation)
            self._names.discard(operation.op_id)

    def waiting(self) -> list[Operation]:
        """What an earlier process left."""
        found = [entry.operation for entry in self._spool.entries()]
        self._names.update(operation.op_id for operation in found)
        return found
