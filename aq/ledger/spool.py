"""Operations on disk until the queue has them: nothing that was not pushed is the only copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from aq.core.errors import AqError
from aq.core.sealed import sealed, unsealed
from aq.core.value import Value
from aq.core.values import plain, revive
from aq.ledger.paths import private_dir
from aq.ledger.store import write_atomic

if TYPE_CHECKING:
    from aq.core.operations import Operation


class Spooled(Value):
    """An entry: the operation, the file content it needs, the clone's file it came from, and the
    remote's words if it was refused by policy."""

    operation: Operation
    content: str = ""
    origin: str = ""
    refused: str = ""


class Spool:
    """One folder of entries, oldest first by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, entry: Spooled) -> None:
        """Write an entry down, through to the disk."""
        private_dir(self.folder)
        operation = entry.operation
        data = {
            "op": type(operation).__name__,
            "fields": {**plain(operation), "at": operation.at},
            "content": entry.content,
            "origin": entry.origin,
            "refused": entry.refused,
        }
        write_atomic(self._path(operation), sealed(data), sync=True)

    def remove(self, operation: Operation) -> None:
        """Forget an entry that is settled."""
        self._path(operation).unlink(missing_ok=True)

    def entries(self) -> Iterator[Spooled]:
        """What is waiting. A damaged entry is moved aside, never dropped."""
        paths = sorted(self.folder.glob("*.json")) if self.folder.is_dir() else []
        if not paths:
            return
        for path in paths:
            entry = _read(path)
            if entry:
                yield entry

    def find(self, operation: Operation) -> Spooled | None:
        """The entry of an operation that is waiting; a damaged one is moved aside."""
        return _read(self._path(operation))

    def holds(self, operation: Operation) -> bool:
        """Whether an operation is waiting, by the name of its entry alone."""
        return self._path(operation).exists()

    def _path(self, operation: Operation) -> Path:
        return self.folder / f"{operation.at.replace(':', '')}-{operation.op_id}.json"


def _read(path: Path) -> Spooled | None:
    from aq.core.operations import kind_of  # slow to import, and the spool is mostly empty

    try:
        data = unsealed(path.read_bytes())
        operation = revive(kind_of(data["op"]), data["fields"])
        return Spooled(operation, data["content"], data["origin"], data["refused"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, AqError):
        path.rename(path.with_suffix(".damaged"))
        return None
