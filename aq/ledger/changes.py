"""What commits changed, with the blobs before and after, and what that says of the job they touch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from aq.core.audit.state import place_of
from aq.core.event import Event
from aq.core.layout import JOB_SUFFIX, LEASE_SUFFIX, QUEUE, RECORD_SUFFIX, SETTINGS
from aq.core.lease import Lease
from aq.core.lifecycle import Stage, Trigger
from aq.core.manifest import Manifest
from aq.core.profile import NO_PROFILE, applied, pinned
from aq.core.record import Record
from aq.core.settings import Settings
from aq.core.trust import Changed, Touch
from aq.core.value import Value
from aq.ledger.commits import parse_commit
from aq.ledger.gitproc import run
from aq.ledger.manifests import ParseCache
from aq.ledger.objects import MissingObjectError, Objects
from aq.ledger.trees import FILE_MODE, TREE_MODE, entries_of, is_sound

Made = TypeVar("Made", bound=Value)
_DIFF = ("diff-tree", "--stdin", "--root", "-r", "--raw", "-z", "--no-abbrev", "--no-renames")


def changed_by(git_dir: Path, line: Sequence[tuple[str, str]]) -> dict[str, tuple[Changed, ...]]:
    """What each commit changed, given the one before it. One git process."""
    asked = "".join(f"{oid} {before}\n" if before else f"{oid}\n" for oid, before in line)
    done = run(["--git-dir", str(git_dir), *_DIFF], data=asked.encode())
    if done.code:
        raise MissingObjectError(f"the store cannot tell what changed: {done.err.strip()[:200]}")
    found: dict[str, dict[str, Changed]] = {}
    fields = iter(done.out.split(b"\0"))
    here: dict[str, Changed] = {}
    for field in fields:
        if field.startswith(b":"):
            old_mode, new_mode, old, new, _ = field[1:].split()
            path = next(fields).decode("utf-8", "surrogateescape")
            here[path] = Changed(path, _blob(old_mode, old), _blob(new_mode, new))
        elif field:
            here = found.setdefault(field.decode(), {})
    return {oid: tuple(changes.values()) for oid, changes in found.items()}


def _blob(mode: bytes, oid: bytes) -> str:
    """The blob of a plain file. A link or a program with the same content is something else."""
    if mode == FILE_MODE:
        return oid.decode()
    return f"{mode.decode()} {oid.decode()}" if mode.strip(b"0") else ""


class _Sides(Value):
    """The files of one job in a commit's changes: the folder that it leaves and the one that it is in then,
    and its blobs there by kind."""

    job: str
    source: str
    target: str
    old: Mapping[str, str]
    new: Mapping[str, str]
    changed: frozenset[str]
    tangled: str


def _sides(job: str, changes: Sequence[Changed]) -> _Sides:
    mine = [(place, each) for each in changes if (place := place_of(each.path)) and place[1] == job]
    left = {place[0] for place, each in mine if each.old}
    came = {place[0] for place, each in mine if each.new}
    moved = [
        (place[0], each) for place, each in mine if place[2] == "md" and bool(each.old) != bool(each.new)
    ]
    source = next((folder for folder, each in moved if each.old), "")
    target = next((folder for folder, each in moved if each.new), "")
    if not moved and len(left | came) == 1:
        source = target = next(iter(left | came))
    straight = (source or target) and left <= {source} and came <= {target}
    return _Sides(
        job,
        source,
        target,
        {place[2]: each.old for place, each in mine if each.old and place[0] == source},
        {place[2]: each.new for place, each in mine if each.new and place[0] == target},
        frozenset(place[2] for place, _ in mine),
        "" if straight else "its files are in several folders",
    )


@dataclass
class Looking:
    """Reads what commits say of jobs, in one store."""

    objects: Objects
    cache: ParseCache
    oid_size: int = 20

    def touch(
        self, event: Event | None, changes: Sequence[Changed], before: str, settings: str | None = None
    ) -> Touch | None:
        """What a commit did to the one job that it touches; None when it touches none, or several.
        `settings` is the blob of the settings that count, when it is not that of the commit before."""
        jobs = {place[1] for each in changes if (place := place_of(each.path))}
        if event is None or len(jobs) != 1:
            return None
        sides = _sides(jobs.pop(), changes)
        lease = "" if "lease" in sides.changed else self._beside(before, sides, LEASE_SUFFIX)
        held, holds = sides.old.get("lease", lease), sides.new.get("lease", lease)
        was, now = (self._value(Record, blob) or Record() for blob in self._records(before, sides))
        run, file = now.last_run, sides.new.get("md", "")
        added = Counter(note.by for note in now.approvals) - Counter(note.by for note in was.approvals)
        return Touch(
            sides.job,
            _stage(sides.source),
            _stage(sides.target),
            written="md" in sides.changed and file != sides.old.get("md", ""),
            copied=bool(file) and file == self._schedule(event, before),
            before=self._value(Lease, held),
            after=self._value(Lease, holds),
            approved=tuple(added.elements()),
            ran_on=run.host if run else "",
            auto=event.op == Trigger.SHIP and bool(event.host) and self._auto(file, now, before, settings),
            was=was,
            now=now,
            file=file or (self._beside(before, sides, JOB_SUFFIX) if was.blob != now.blob else ""),
            tangled=sides.tangled or self._unreadable(sides),
        )

    def unsound(self, commit: str, before: str) -> bool:
        """Whether a commit has a tree that git cannot have written: what changed there cannot be told."""
        trees = [parse_commit(self.objects.read(oid)).tree if oid else "" for oid in (commit, before)]
        return self._unsound(trees[0], trees[1])

    def _unsound(self, tree: str, before: str) -> bool:
        if not tree or tree == before:
            return not tree
        raw = self.objects.tree(tree)
        if not is_sound(raw, self.oid_size):
            return True
        old = entries_of(self.objects.tree(before), self.oid_size) if before else {}
        trees = {name: oid for name, (mode, oid) in old.items() if mode == TREE_MODE}
        new = entries_of(raw, self.oid_size).items()
        return any(self._unsound(oid, trees.get(name, "")) for name, (mode, oid) in new if mode == TREE_MODE)

    def _beside(self, before: str, sides: _Sides, suffix: str) -> str:
        """The blob of a file of the job before the commit."""
        path = f"{QUEUE}/{sides.source}/{sides.job}{suffix}"
        return self._at(before, path) if sides.source else ""

    def _records(self, before: str, sides: _Sides) -> tuple[str, str]:
        """The blobs of the job's record before and after. One that is left behind by a move is lost."""
        old = sides.old.get("record") or self._beside(before, sides, RECORD_SUFFIX)
        stays = sides.source == sides.target and "record" not in sides.changed
        return old, old if stays else sides.new.get("record", "")

    def _schedule(self, event: Event, before: str) -> str:
        name = event.get("Aq-Schedule")
        return self._at(before, f"{QUEUE}/{Stage.INBOX}/{name}{JOB_SUFFIX}") if name else ""

    def _unreadable(self, sides: _Sides) -> str:
        kinds: tuple[tuple[str, type[Record] | type[Lease]], ...] = (("record", Record), ("lease", Lease))
        for kind, cls in kinds:
            blob = sides.new.get(kind, "")
            if blob and self._value(cls, blob) is None:
                return f"its {kind} cannot be read"
        return ""

    def _value(self, cls: type[Made], blob: str) -> Made | None:
        if not blob or " " in blob:
            return None
        value = self.cache.value(cls, blob, None, cls.__name__.lower())
        return None if isinstance(value, str) else value

    def _at(self, commit: str, path: str) -> str:
        """The blob at a path of a commit, or nothing."""
        *folders, name = path.split("/")
        tree = parse_commit(self.objects.read(commit)).tree if commit else ""
        for folder in folders:
            mode, below = self._entry(tree, folder)
            tree = below if mode == TREE_MODE else ""
        mode, blob = self._entry(tree, name)
        return blob if mode == FILE_MODE else ""

    def _entry(self, tree: str, name: str) -> tuple[bytes, str]:
        found = entries_of(self.objects.tree(tree), self.oid_size) if tree else {}
        return found.get(name, (b"", ""))

    def _auto(self, file: str, record: Record, before: str, instead: str | None) -> bool:
        """Whether hosts may ship a job: by its own file, its pinned profile or the queue's defaults."""
        asked = self.cache.manifest(file, secret_allowed=record.secret_allowed) if file else Manifest()
        blob = self._at(before, SETTINGS) if instead is None else instead
        settings = self.cache.settings(blob) if blob else Settings()
        if isinstance(asked, str) or isinstance(settings, str):
            return False
        run, name = record.last_run, asked.profile or settings.defaults.profile
        profile = pinned(name, run.profile, self.cache.profile) if run and name else None
        return applied(asked, profile or NO_PROFILE, settings.defaults).review_policy.by_hosts


def _stage(folder: str) -> Stage | None:
    return Stage(folder.split("/")[0]) if folder else None
