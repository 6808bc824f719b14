"""Taking in what people drop into `queue/inbox/`: copied to the spool first, then submitted. Never
renamed, never lost, submitted once (DESIGN section 4)."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aq.core.errors import InvalidFileError
from aq.core.ids import is_id, slug, suffixed
from aq.core.instants import Instant
from aq.core.job import Job
from aq.core.layout import JOB_SUFFIX, QUEUE
from aq.core.lifecycle import Stage
from aq.core.manifest import Manifest
from aq.core.results import Landed, Refused, Result, Waiting, reason_of
from aq.core.sealed import sealed, unsealed
from aq.core.snapshot import Snapshot
from aq.core.value import Value
from aq.ledger.dropped import (
    content_suffix,
    job_id_for,
    may_be_job,
    new_op_id,
    read_plain_file,
)
from aq.ledger.ledger import Ledger
from aq.ledger.spool import Spool, Spooled
from aq.ledger.store import write_atomic

if TYPE_CHECKING:
    from aq.core.operations import Add, Revise

SETTLE_SECONDS = 2.0
# Time of change, size, and time of the last change of anything about the file.
_Stats = tuple[int, int, int]
# How many files a pass parses, and how many operations it hands on: a host's beat waits for both.
PORTION = 200


class _KeyTakenError(InvalidFileError):
    """What the queue has now speaks against a file that is in order."""


class NotTaken(Value):
    """A file that stays where it is, and why."""

    file: str
    why: str


def _taken(operation: Add | Revise, head: str) -> dict[str, str]:
    """What is kept of a file that was taken in. `head` is what the clone's commit had of it then."""
    return {"blob": operation.blob, "job": operation.job, "head": head}


@dataclass
class Noted:
    """What intake did in one pass, for people, and whether it left files to the next."""

    taken: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)
    not_taken: list[NotTaken] = field(default_factory=list)
    settling: list[str] = field(default_factory=list)
    parsed: int = 0
    more: bool = False


class Intake:
    """Watches one clone's inbox and spool."""

    def __init__(
        self, ledger: Ledger, clone: Path, spool: Spool, by: str, now: Callable[[], Instant], state: Path
    ) -> None:
        self.ledger, self.spool, self.by, self.now = ledger, spool, by, now
        self.inbox = clone / QUEUE / Stage.INBOX
        self.clone = clone
        self.state = state / "intake.json"
        self._copies = self._spooled()
        copied = {name: _taken(op, getattr(op, "base", "")) for name, op in self._copies.items()}
        self.taken = self._load() | copied
        self._unsaved = False
        self._seen = state / "intake-seen.json"
        self._stats = self._looked_at()
        self._kept = dict(self._stats)
        self._first_seen: dict[str, tuple[_Stats, float]] = {}
        # Refused in this state of the file, on this tip or (without one) on any: asked again when it changes.
        self._refused: dict[str, tuple[_Stats, str, str]] = {}
        # Where the next pass goes on, so that no file keeps those behind it waiting for ever.
        self._last = ""
        self._head: dict[str, str] | None = None

    def _load(self) -> dict[str, dict[str, str]]:
        try:
            saved = unsealed(self.state.read_bytes())
            return {str(name): {str(k): str(v) for k, v in entry.items()} for name, entry in saved.items()}
        except (OSError, ValueError, AttributeError):
            return {}

    def _looked_at(self) -> dict[str, _Stats]:
        """The files that an earlier process had no question about."""
        try:
            saved = unsealed(self._seen.read_bytes())
            return {name: (changed, size, moved) for name, (changed, size, moved) in saved.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def flush(self) -> None:
        """Write down which files need no second look. Losing it costs only time."""
        if self._stats != self._kept:
            self._kept = dict(self._stats)
            with contextlib.suppress(OSError):
                write_atomic(self._seen, sealed(self._kept))

    def _spooled(self) -> dict[str, Add | Revise]:
        """What was copied to the spool, also when a crash came before it was noted."""
        waiting = [(entry.origin, entry.operation) for entry in self.spool.entries() if entry.origin]
        if not waiting:
            return {}
        from aq.core.operations import Add, Revise

        return {name: op for name, op in waiting if isinstance(op, (Add, Revise))}

    def _copied(self, name: str) -> bool:
        """Whether what was last taken in of this file is still in the spool."""
        return name in self._copies and self.spool.holds(self._copies[name])

    def _save(self) -> None:
        write_atomic(self.state, sealed(self.taken))
        self._unsaved = False

    def collect(self, *, settled_only: bool = True) -> Noted:
        """Copy what was dropped or edited into the spool: a portion, and the next in the next pass."""
        noted = Noted()
        snapshot = self.ledger.snapshot()
        self._head = None
        for name, stats in self._candidates(snapshot):
            if settled_only and not self._settled(name, stats):
                if not self._is_known(name, snapshot):
                    noted.settling.append(f"{QUEUE}/inbox/{name}")
                continue
            asked = self._was_refused(name, stats, snapshot.tip)
            if not asked and noted.parsed >= PORTION:
                noted.more = True
                continue
            if not asked:
                self._look_into(name, stats, snapshot, noted)
            if self._was_refused(name, stats, snapshot.tip):
                noted.not_taken.append(NotTaken(f"{QUEUE}/inbox/{name}", self._refused[name][2]))
        if not noted.more:
            self._last = ""
        # Once for all, and before any of them is submitted. Until then the spool says the same.
        if self._unsaved:
            self._save()
        return noted

    def _was_refused(self, name: str, stats: _Stats, tip: str) -> bool:
        refused = self._refused.get(name)
        return refused is not None and refused[0] == stats and refused[1] in ("", tip)

    def _look_into(self, name: str, stats: _Stats, snapshot: Snapshot, noted: Noted) -> None:
        self._stats.pop(name, None)
        try:
            content = read_plain_file(self.inbox / name)
            if content.strip():
                self._consider(name, content, snapshot, noted)
                self._stats[name] = stats
        except FileNotFoundError:
            return
        except _KeyTakenError as error:
            self._refused[name] = (stats, snapshot.tip, str(error))
        except InvalidFileError as error:
            self._refused[name] = (stats, "", str(error))

    def _candidates(self, snapshot: Snapshot) -> Iterator[tuple[str, _Stats]]:
        """The files to look into: all but those that did not change since they were looked into, and
        whose job is in the queue or on its way there. Those that the last pass left come first."""
        try:
            entries = [entry for entry in os.scandir(self.inbox) if may_be_job(entry.name)]
        except OSError:
            return
        present = {entry.name for entry in entries}
        self._stats = {name: entry for name, entry in self._stats.items() if name in present}
        waiting = snapshot.stages.get(Stage.INBOX, {})
        last = self._last
        for entry in sorted(entries, key=lambda entry: (entry.name <= last, entry.name)):
            name = entry.name
            try:
                info = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            stats = (info.st_mtime_ns, info.st_size, info.st_ctime_ns)
            job = self.taken[name]["job"] if name in self.taken else name.removesuffix(JOB_SUFFIX)
            known = job in waiting or snapshot.known(job) or self._copied(name)
            if self._stats.get(name) != stats or not known:
                yield name, stats

    def _settled(self, name: str, stats: _Stats) -> bool:
        """Unchanged for two seconds: an editor may save a half-written file first. Judged by our own
        clock from when this state was first seen, or by an old enough time stamp."""
        age = time.time() - stats[0] / 1e9
        if SETTLE_SECONDS <= age < 366 * 86400:
            return True
        clock = time.monotonic()
        seen = self._first_seen.get(name)
        if seen is None or seen[0] != stats:
            self._first_seen[name] = (stats, clock)
            return False
        return clock - seen[1] >= SETTLE_SECONDS

    def _is_known(self, name: str, snapshot: Snapshot) -> bool:
        """Whether a young file is only what the queue has: the view wrote it just now."""
        present = snapshot.find(name.removesuffix(JOB_SUFFIX))
        if present is None:
            return False
        try:
            blob = self.ledger.write_blob(read_plain_file(self.inbox / name))
        except (OSError, InvalidFileError):
            return False
        return blob in (present.blob, present.record.blob)

    def _consider(self, name: str, content: bytes, snapshot: Snapshot, noted: Noted) -> None:
        blob = self.ledger.write_blob(content)
        stem = re.sub(r"\.md$", "", name, flags=re.IGNORECASE)
        before = self.taken.get(name)
        # Neither in the queue nor in the spool: its entry is damaged or gone, and the file is all there is.
        if before and before["blob"] == blob and (snapshot.known(before["job"]) or self._copied(name)):
            return
        manifest = None
        wanted = stem
        if not (is_id(stem) and name.endswith(JOB_SUFFIX)):
            wanted = slug(stem)
        present = snapshot.find(wanted)
        if present and blob in (present.blob, present.record.blob):
            return
        if present and blob == self._at_head(name):
            return
        # pydantic is slow to import, and most passes find nothing new.
        from aq.core.submission import checked

        noted.parsed += 1
        self._last = name
        manifest = checked(content, f"{QUEUE}/inbox/{name}")
        wanted = job_id_for(wanted, manifest, fresh=False)
        present = snapshot.find(wanted)
        if present and blob in (present.blob, present.record.blob):
            return
        operation = self._operation(name, wanted, blob, manifest, present, snapshot)
        if operation is None:
            return
        self.spool.put(Spooled(operation, content.decode(), name))
        self._copies[name] = operation
        self.taken[name] = _taken(operation, self._at_head(name))
        self._unsaved = True
        noted.taken.append(operation.job)
        if operation.job != stem:
            why = f": {present.id} is in {present.stage} already" if present else ""
            noted.renamed.append(f"{QUEUE}/inbox/{name} is submitted as {operation.job}{why}")

    def _operation(
        self, name: str, wanted: str, blob: str, manifest: Manifest, present: Job | None, snapshot: Snapshot
    ) -> Add | Revise | None:
        from aq.core.operations import Add, Revise

        common: dict[str, Any] = {
            "at": self.now(),
            "by": self.by,
            "op_id": new_op_id(),
            "blob": blob,
            "manifest": manifest,
        }
        mine = self.taken.get(name, {}).get("job") == wanted or self._at_head(name) != ""
        if present and present.stage is Stage.INBOX and present.record.epoch == 0 and mine:
            superseded = manifest.idempotency_key and name != f"{wanted}{JOB_SUFFIX}"
            return Revise(job=wanted, base="" if superseded else self._base(name, wanted), **common)
        if present and manifest.idempotency_key and (present.stage, present.record.epoch) != (Stage.INBOX, 0):
            key = manifest.idempotency_key
            raise _KeyTakenError(
                f"its idempotency key {key!r} belongs to {present.id}, which was claimed before",
                "use another key for other content",
                file=f"{QUEUE}/inbox/{name}",
                line=1,
            )
        if present and self._at_head(name):
            # A late edit of a job that was claimed: the view keeps it aside and says so.
            return None
        if snapshot.known(wanted) and not manifest.idempotency_key:
            # From the content, so that two processes of this clone that see the file agree.
            wanted = suffixed(wanted, content_suffix(blob))
        return Add(job=wanted, **common)

    def _base(self, name: str, job: str) -> str:
        """What an edit of this file was made from: what was last taken in of it, unless the view brought
        something since."""
        taken, head = self.taken.get(name, {}), self._at_head(name)
        if taken.get("job") == job and head in ("", taken.get("head")):
            return taken["blob"]
        return head

    def _at_head(self, name: str) -> str:
        """The blob of this inbox file in the clone's own commit, or nothing when it is untracked."""
        if self._head is None:
            self._head = self._inbox_at_head()
        return self._head.get(name, "")

    def _inbox_at_head(self) -> dict[str, str]:
        from aq.ledger.gitproc import run

        done = run(["ls-tree", "-z", f"HEAD:{QUEUE}/inbox"], cwd=self.clone)
        lines = done.out.split(b"\0")[:-1] if done.code == 0 else []
        # Like `100644 blob 9daeafb...<tab>name`.
        return {
            os.fsdecode(name): meta.split()[2].decode()
            for meta, _, name in (x.partition(b"\t") for x in lines)
        }

    def pending(self) -> list[Spooled]:
        """The next portion of what waits to be submitted and was not refused before, oldest first, each with
        its content stored again: the store is only a cache."""
        entries = list(islice((entry for entry in self.spool.entries() if not entry.refused), PORTION))
        for entry in entries:
            self.ledger.write_blob(entry.content.encode())
        return entries

    def settled(self, result: Result) -> NotTaken | None:
        """Take in the result of a submission."""
        operation = result.operation
        entry = self.spool.find(operation)
        if entry is None:
            return None
        if isinstance(result, Landed) or (isinstance(result, Refused) and result.refusal.done):
            self._remove(entry)
            return None
        if isinstance(result, Waiting):
            if result.policy:
                self.spool.put(Spooled(entry.operation, entry.content, entry.origin, result.why))
            return NotTaken(entry.origin or operation.about, result.why)
        self._remove(entry)
        before = self.taken.pop(entry.origin, None)
        base = getattr(entry.operation, "base", "")
        if before and base:
            # The file stays, and its edit was made from no newer content for having been refused.
            self.taken[entry.origin] = before | {"blob": base}
        self._save()
        if entry.origin:
            stats = self._stats.pop(entry.origin, (0, 0, 0))
            why = f"{QUEUE}/inbox/{entry.origin}: {reason_of(result)}"
            self._refused[entry.origin] = (stats, self.ledger.tip, why)
        return NotTaken(entry.origin or getattr(operation, "job", ""), reason_of(result))

    def _remove(self, entry: Spooled) -> None:
        self.spool.remove(entry.operation)
        if self._copies.get(entry.origin) == entry.operation:
            del self._copies[entry.origin]
