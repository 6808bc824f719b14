"""The queue's line: its commits from the first to the tip, each with what it changed. A merge by a person
is followed to the parent that is the queue's (DESIGN section 5, rule 12), not to git's first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from aq.core.audit.auditor import Commit, legal_by_hand
from aq.core.errors import AqError
from aq.core.event import parse
from aq.core.lease import Lease
from aq.core.manifest import Manifest
from aq.core.profile import ProfileFile
from aq.core.record import Record
from aq.core.settings import Settings, Spend
from aq.ledger.commits import parse_commit
from aq.ledger.gitproc import check, run
from aq.ledger.manifests import ParseCache
from aq.ledger.objects import Objects

_BATCH = 500
_ID = re.compile(r"[0-9a-f]{4,64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:?\d\d)?)?")


class BlobReading:
    """What the files of a store say. Kept in memory only: a whole history would bury the cache on disk."""

    def __init__(self, objects: Objects) -> None:
        self._cache = ParseCache(None, objects.read)

    def manifest(self, blob: str) -> Manifest | str:
        """A job file. One that holds a secret was refused or let pass long before."""
        return self._cache.manifest(blob, secret_allowed=True)

    def record(self, blob: str) -> Record | str:
        """A record."""
        return self._cache.value(Record, blob, None, "record")

    def lease(self, blob: str) -> Lease | str:
        """A lease."""
        return self._cache.value(Lease, blob, None, "lease")

    def settings(self, blob: str) -> Settings | str:
        """The fleet's settings."""
        return self._cache.settings(blob)

    def spend(self, blob: str) -> Spend | str:
        """One day's spend."""
        return self._cache.value(Spend, blob, None, "spend")

    def profile(self, blob: str) -> ProfileFile | str:
        """A profile's file."""
        return self._cache.profile(blob)


class Line:
    """The line that ends at `tip`, in one store."""

    def __init__(self, objects: Objects, git_dir: Path, tip: str) -> None:
        self.objects, self.git_dir, self.tip = objects, git_dir, tip
        # Merges of which more than one side holds operations: no plain git of a person makes one.
        self.split: list[str] = []

    def _git(self, *args: str, data: bytes | None = None) -> bytes:
        done = run(["--git-dir", str(self.git_dir), *args], data=data, timeout=600)
        if done.code:
            check(["--git-dir", str(self.git_dir), *args], data=data, timeout=600)
        return done.out

    def resolve(self, name: str) -> str:
        """The commit of the line that a name means: an id or its beginning, or a time (then the last
        commit before it). Raises AqError for what git does not know."""
        git = ["--git-dir", str(self.git_dir)]
        if _ID.fullmatch(name):
            done = run([*git, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"])
            if done.code:
                raise AqError(f"there is no commit {name} here", "`aq log` lists them")
            return done.out.decode().strip()
        if not _TIME.fullmatch(name):
            # git itself takes any word for now.
            raise AqError(
                f"{name!r} is neither a commit nor a time", "write 2026-11-20T18:00Z, or a commit's id"
            )
        return check([*git, "rev-list", "-1", f"--before={name}", self.tip, "--"])

    def files_at(self, commit: str) -> dict[str, str]:
        """Every file of a commit's tree, by path."""
        found = {}
        for entry in self._git("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0"):
            facts, _, path = entry.partition(b"\t")
            if path:
                found[path.decode("utf-8", "surrogateescape")] = facts.split()[2].decode()
        return found

    def ids(self, since: str = "") -> list[tuple[str, str]]:
        """Each commit of the line with the one before it, oldest first; without those up to `since`."""
        listed = self._git("rev-list", "--parents", self.tip, *([f"^{since}"] if since else []), "--")
        parents = {oid: rest for oid, *rest in map(str.split, listed.decode().splitlines())}
        line: list[tuple[str, str]] = []
        at = self.tip
        while at in parents:
            before = self._queue_parent(at, parents[at])
            line.append((at, before))
            at = before
        return line[::-1]

    def _queue_parent(self, oid: str, parents: list[str]) -> str:
        if len(parents) < 2:
            return parents[0] if parents else ""
        legal = [parent for parent in parents if legal_by_hand(self._diff(parent, oid))]
        # What a person brings along has no operations: a side that has some is the queue, and a merge that
        # leaves it out takes them back.
        acting = [parent for parent in parents if self._has_operations(parent, parents)]
        if len(acting) > 1:
            self.split.append(oid)
        return next((parent for parent in legal if not acting or parent in acting), (acting or parents)[0])

    def _has_operations(self, parent: str, parents: list[str]) -> bool:
        """Whether a side of a merge holds operations that the others do not."""
        others = [f"^{other}" for other in parents if other != parent]
        listed = self._git("log", "--format=%B%x00", parent, *others, "--").decode("utf-8", "replace")
        return any(parse(message.strip("\n")) for message in listed.split("\0"))

    def _diff(self, old: str, new: str) -> dict[str, str]:
        return _changes(self._git("diff-tree", "-r", "--raw", "-z", "--no-abbrev", "--no-renames", old, new))

    def commits(self, since: str = "") -> Iterator[Commit]:
        """The line's commits, oldest first. One git process reads what they changed."""
        line = self.ids(since)
        asked = "".join(f"{oid} {before}\n" if before else f"{oid}\n" for oid, before in line)
        args = ("diff-tree", "--stdin", "--root", "-r", "--raw", "-z", "--no-abbrev", "--no-renames")
        changed = _by_commit(self._git(*args, data=asked.encode()))
        for start in range(0, len(line), _BATCH):
            batch = [oid for oid, _ in line[start : start + _BATCH]]
            for oid, raw in zip(batch, self.objects.read_many(batch), strict=True):
                yield Commit(oid, parse_commit(raw).message, changed.get(oid, {}))


def _by_commit(raw: bytes) -> Mapping[str, dict[str, str]]:
    """The output of `diff-tree --stdin -z`: ids, each followed by its entries; none for an empty commit."""
    found: dict[str, dict[str, str]] = {}
    fields = iter(raw.split(b"\0"))
    here: dict[str, str] = {}
    for field in fields:
        if field.startswith(b":"):
            _entry(here, field, next(fields))
        elif field:
            here = found.setdefault(field.decode(), {})
    return found


def _changes(raw: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    fields = iter(raw.split(b"\0"))
    for field in fields:
        if field:
            _entry(found, field, next(fields))
    return found


def _entry(changes: dict[str, str], facts: bytes, path: bytes) -> None:
    blob = facts.split()[3].decode()
    changes[path.decode("utf-8", "surrogateescape")] = blob if blob.strip("0") else ""
