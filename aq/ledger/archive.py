"""The shipped jobs: day folders, looked up without being parsed until it pays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import takewhile

from aq.core.errors import AqError
from aq.core.instants import Instant, require_instant
from aq.core.job import Job
from aq.core.layout import JOB_SUFFIX, RECORD_SUFFIX, folder_of
from aq.core.lifecycle import Stage
from aq.ledger.jobs import Folder, JobParser
from aq.ledger.listing import Files, Listing
from aq.ledger.trees import FILE_MODE, TREE_MODE, entries_of, names_of

# After this many look-ups an index of all names is worth making.
_INDEX_AFTER = 50
# A branch that nobody could merge for a week needs a person, and `aq show` says so.
_DELIVERY_DAYS = 7
_STARTED = re.compile(rb"\n  started: '(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)'")
_ATTEMPT = re.compile(rb"\n  attempt: (\d{1,9})(?:\n|\Z)")
Start = tuple[Instant, bool]


class _Day:
    """One day folder: its raw tree, and its names once they are wanted."""

    __slots__ = ("_ids", "_starts", "_wanting", "oid", "path", "raw", "size")

    def __init__(self, path: str, oid: str, raw: bytes, oid_size: int) -> None:
        self.path, self.oid, self.raw, self.size = path, oid, raw, oid_size
        self._ids: frozenset[str] | None = None
        self._wanting: tuple[str, ...] | None = None
        self._starts: tuple[Start, ...] | None = None

    def has(self, job: str) -> bool:
        # A job counts as shipped only with the record that shipping wrote.
        return all(f" {job}{suffix}\0".encode() in self.raw for suffix in (JOB_SUFFIX, RECORD_SUFFIX))

    def wanting(self, parser: JobParser) -> tuple[str, ...]:
        """The jobs whose record says that delivery is wanted. A day folder never changes under its
        own id, so this is found once."""
        if self._wanting is None:
            names = {
                name: oid.hex() for mode, name, oid in names_of(self.raw, self.size) if mode == FILE_MODE
            }
            oids = {name: oid for name, oid in names.items() if name.endswith(RECORD_SUFFIX.encode())}
            fresh = parser.settled.unknown(oids.values())
            contents = dict(zip(fresh, parser.objects.read_many(fresh), strict=True))
            wanting = {oid for oid, content in contents.items() if b"\ndelivery: wanted\n" in content}
            parser.settled.add(set(fresh) - wanting)
            stems = (name[: -len(RECORD_SUFFIX)].decode() for name, oid in oids.items() if oid in wanting)
            self._wanting = tuple(stems)
        return self._wanting

    def starts(self, parser: JobParser) -> tuple[Start, ...]:
        """When the runs of the day's jobs began, and whether each was a retry."""
        if self._starts is None:
            oids = [oid.hex() for mode, name, oid in names_of(self.raw, self.size) if _is_record(mode, name)]
            fresh = [oid for oid in oids if oid not in parser.starts]
            for oid, content in zip(fresh, parser.objects.read_many(fresh), strict=True):
                parser.starts[oid] = tuple(starts_in(content))
            self._starts = tuple(start for oid in oids for start in parser.starts[oid])
        return self._starts

    @property
    def ids(self) -> frozenset[str]:
        """The jobs of the day."""
        if self._ids is None:
            names = {name for mode, name, _ in names_of(self.raw, self.size) if mode == FILE_MODE}
            stems = (name[: -len(RECORD_SUFFIX)] for name in names if name.endswith(RECORD_SUFFIX.encode()))
            self._ids = frozenset(stem.decode() for stem in stems if stem + JOB_SUFFIX.encode() in names)
        return self._ids


def _is_record(mode: bytes, name: bytes) -> bool:
    return mode == FILE_MODE and name.endswith(RECORD_SUFFIX.encode())


def starts_in(content: bytes) -> Iterator[Start]:
    """The starts that a record tells of, without parsing it: there may be thousands of them in a day."""
    for run in (b"\n" + content).partition(b"\nruns:\n")[2].split(b"\n- "):
        began = _STARTED.search(run)
        if began and _exists(began[1].decode()) and b"\n  verify_only: true" not in run:
            attempt = _ATTEMPT.search(run)
            yield began[1].decode(), attempt is not None and int(attempt[1]) > 1


def _exists(at: str) -> bool:
    # Whoever can push can write any digits.
    try:
        require_instant(at)
    except AqError:
        return False
    return True


class TreeArchive:
    """`queue/shipped` at one tree. Days whose tree did not change are taken over from `old`."""

    def __init__(self, parser: JobParser, oid_size: int, oid: str, old: TreeArchive | None) -> None:
        self._parser, self._size, self.oid = parser, oid_size, oid
        # An archive that nobody looked into knows nothing: keep only the last one that does.
        self._old: TreeArchive | None = old if old is None or old._loaded is not None else old._old
        self._loaded: list[_Day] | None = None
        self._asked = 0
        self._index: set[str] | None = None

    @property
    def days(self) -> list[_Day]:
        """The day folders, newest first."""
        if self._loaded is None:
            known = {day.oid: day for day in self._old._loaded or []} if self._old is not None else {}
            self._old = None
            found = self._walk("", self.oid, 3)
            fresh = [oid for _, oid in found if oid not in known]
            raw = dict(zip(fresh, self._parser.objects.read_many(fresh), strict=True))
            self._loaded = [
                known.get(oid) or _Day(f"{Stage.SHIPPED}/{path}", oid, raw[oid], self._size)
                for path, oid in found
            ]
        return self._loaded

    def _walk(self, path: str, oid: str, depth: int) -> list[tuple[str, str]]:
        if not oid or depth == 0:
            return [(path, oid)] if oid else []
        found: list[tuple[str, str]] = []
        for name, (mode, below) in sorted(
            entries_of(self._parser.objects.tree(oid), self._size).items(), reverse=True
        ):
            if mode == TREE_MODE and name.isdigit():
                found += self._walk(f"{path}/{name}".lstrip("/"), below, depth - 1)
        return found

    def __contains__(self, job: object) -> bool:
        self._asked += 1
        if self._index is None and self._asked > _INDEX_AFTER:
            self._index = set().union(*(day.ids for day in self.days))
        if self._index is not None:
            return job in self._index
        return isinstance(job, str) and any(day.has(job) for day in self.days)

    def __len__(self) -> int:
        # Two files per job; dotfiles are not in day folders.
        return sum(day.raw.count(f"{RECORD_SUFFIX}\0".encode()) for day in self.days)

    def recent(self, limit: int | None) -> list[Job]:
        """The jobs shipped last, at most `limit`; whole days, so that few folders are read."""
        names: list[str] = []
        for day in self.days:
            names += sorted(day.ids)
            if limit is not None and len(names) >= limit:
                break
        return [job for job in map(self.get, names[:limit]) if job]

    def undelivered(self) -> list[Job]:
        """Jobs of the last days whose work is still to be merged into its target. Each record is
        looked at once."""
        found: list[Job] = []
        for day in self.days[:_DELIVERY_DAYS]:
            for job in day.wanting(self._parser):
                shipped = self.get(job)
                if shipped and shipped.record.delivery == "wanted":
                    found.append(shipped)
        return found

    def starts(self, since: Instant) -> Iterator[Start]:
        """When the runs of the jobs began that were shipped on the day of `since` or later, and whether each
        was a retry."""
        for one in takewhile(lambda one: one.path >= folder_of(Stage.SHIPPED, since), self.days):
            yield from one.starts(self._parser)

    def get(self, job: str) -> Job | None:
        """The shipped job with its record, parsed now."""
        for day in self.days:
            if day.has(job):
                blobs = {
                    name: oid
                    for name, (mode, oid) in entries_of(day.raw, day.size).items()
                    if mode == FILE_MODE
                }
                files = Files(blobs.get(f"{job}{JOB_SUFFIX}", ""), blobs.get(f"{job}{RECORD_SUFFIX}", ""))
                return Folder(self._parser, Stage.SHIPPED, day.path, Listing(files={job: files}))[job]
        return None


class Without:
    """An archive without some jobs: they lie in it, and nobody trusts that they were shipped."""

    def __init__(self, archive: TreeArchive, hidden: frozenset[str]) -> None:
        self._archive, self._hidden = archive, hidden

    def __contains__(self, job: object) -> bool:
        return job not in self._hidden and job in self._archive

    def __len__(self) -> int:
        return len(self._archive) - len(self._hidden)

    def get(self, job: str) -> Job | None:
        """The shipped job with its record."""
        return None if job in self._hidden else self._archive.get(job)

    def recent(self, limit: int | None) -> list[Job]:
        """The jobs shipped last."""
        return [job for job in self._archive.recent(limit) if job.id not in self._hidden]

    def undelivered(self) -> list[Job]:
        """Shipped jobs whose work is still to be delivered."""
        return [job for job in self._archive.undelivered() if job.id not in self._hidden]

    def starts(self, since: Instant) -> Iterable[tuple[Instant, bool]]:
        """When runs began: who is trusted makes no difference to how often hosts tried."""
        return self._archive.starts(since)
