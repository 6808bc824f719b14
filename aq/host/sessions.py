"""The engines' sessions of jobs that say `resume: true`: kept in the host's state, so that the next
attempt here goes on where the last one stopped."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from aq.core.engine.usage import Usage
from aq.core.value import Value, field
from aq.core.values import plain, revive

_KEPT = 200


class Session(Value):
    """One session. `usage` is its total so far, by the engine's own count; `branch` and `tip` are the
    work it left."""

    engine: str
    session: str
    usage: Usage = field(default_factory=Usage)
    branch: str = ""
    tip: str = ""


class Sessions:
    """The newest session of each job."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._in_use: set[str] = set()

    def begin(self, job: str) -> bool:
        """Take the job's lasting folder; False while another run of it here still has it."""
        with self._lock:
            free = job not in self._in_use
            self._in_use.add(job)
            return free

    def end(self, job: str) -> None:
        """Give the folder back."""
        with self._lock:
            self._in_use.discard(job)

    def of(self, job: str, engine: str) -> Session | None:
        """The session that this engine may go on with."""
        with self._lock:
            found = self._read().get(job)
        return found if found and found.engine == engine else None

    def keep(self, job: str, session: Session | None) -> None:
        """Remember a job's session, or forget it."""
        with self._lock:
            known = self._read()
            if session is None and job not in known:
                return
            known.pop(job, None)
            if session:
                known[job] = session
            self._write(dict(list(known.items())[-_KEPT:]))

    def _read(self) -> dict[str, Session]:
        try:
            saved = json.loads(self._path.read_text("utf-8"))
            return {str(job): revive(Session, data) for job, data in saved.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _write(self, known: Mapping[str, Session]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self._path.with_suffix(".tmp")
        part.write_text(json.dumps(plain(dict(known))), encoding="utf-8")
        os.replace(part, self._path)
