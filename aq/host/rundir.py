"""A run's own folder in the state folder, and what a restart needs to know of the run."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from aq.core.ids import is_id
from aq.core.value import Value, as_dict, replace
from aq.host.ownfiles import clear_away, write_own


class RunNote(Value):
    """What is written down before an engine starts: enough to recognise and clear up an orphan."""

    job: str
    host: str
    epoch: int
    nonce: str
    run_id: str
    pid: int = 0
    started: float = 0.0


class RunDir:
    """The folder of one run: prompt, script, workspace, temp files and the note."""

    def __init__(self, root: Path, job: str, epoch: int) -> None:
        self.path = root / job / str(epoch)
        self.note_path = self.path / "run.json"

    def create(self, note: RunNote) -> None:
        """Make the folder, empty, and write the note."""
        clear_away(self.path)
        (self.path / "tmp").mkdir(parents=True, mode=0o700)
        self.write(note)

    def write(self, note: RunNote) -> None:
        """Write the note, whole or not at all."""
        write_own(self.note_path, json.dumps(as_dict(note)))

    def started(self, note: RunNote, pid: int, started: float) -> None:
        """Add the engine's process."""
        self.write(replace(note, pid=pid, started=started))

    def finish(self) -> None:
        """The run is over: drop the note. The folder stays for a person to look at."""
        with contextlib.suppress(OSError):
            self.note_path.unlink()


def leftover_runs(root: Path) -> Iterator[RunNote]:
    """The notes of runs that never finished."""
    for path in sorted(root.glob("*/*/run.json")):
        note = _read(path)
        if note:
            yield note
        else:
            with contextlib.suppress(OSError):
                path.unlink()


def _read(path: Path) -> RunNote | None:
    """A note, or None when it cannot be one of ours: by what it says, processes are ended."""
    try:
        note = RunNote(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    texts, counts = (note.job, note.host, note.nonce, note.run_id), (note.epoch, note.pid)
    typed = (
        all(isinstance(text, str) and text for text in texts)
        and all(type(count) is int and count >= 0 for count in counts)
        and type(note.started) in (int, float)
    )
    return note if typed and is_id(note.job) else None
