"""The fake remote: commits with ids that their content gives, one branch that moves by compare-and-swap, and
the hosts' beats. Whatever arrives is seen by the laws at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aq.core.change import Change
from aq.core.fleet import Beat
from aq.core.instants import Instant
from aq.core.job import Job
from aq.core.layout import FileEdit
from aq.core.lifecycle import Stage
from aq.core.operations import Operation
from aq.core.snapshot import Snapshot
from aq.core.value import replace
from aq.ledger.commits import CommitInfo
from aq.ledger.remote import Pushed, PushSpec, Verdict

HEAD = "refs/heads/main"
BEATS = "refs/aq/hosts/"


class Shelf:
    """The shipped jobs: a new one for each change, as every part of a snapshot."""

    def __init__(self, jobs: Mapping[str, Job]) -> None:
        self.jobs = jobs
        self._wanted = [job for job in jobs.values() if job.record.delivery == "wanted"]

    def __contains__(self, name: object) -> bool:
        return name in self.jobs

    def __len__(self) -> int:
        return len(self.jobs)

    def get(self, name: str) -> Job | None:
        return self.jobs.get(name)

    def recent(self, limit: int | None) -> list[Job]:
        return list(self.jobs.values())[:limit]

    def undelivered(self) -> list[Job]:
        return self._wanted

    def starts(self, since: Instant) -> list[tuple[Instant, bool]]:
        runs = (
            run for job in self.jobs.values() for run in job.record.runs if run.started[:10] >= since[:10]
        )
        return [(run.started, run.attempt > 1) for run in runs if not run.verify_only]


@dataclass(frozen=True, slots=True, eq=False)
class Commit:
    """One commit of the queue, with the queue that it leaves. `operation` is None for one by hand."""

    oid: str
    parent: Commit | None
    depth: int
    message: str
    changes: Mapping[str, Any]
    snapshot: Snapshot
    at: Instant
    operation: Operation | None = None
    change: Change | None = None

    @property
    def info(self) -> CommitInfo:
        return CommitInfo("", (self.parent.oid,) if self.parent else (), 0, self.message)


def left_by(snapshot: Snapshot, change: Change, tip: str) -> Snapshot:
    """The snapshot after a change. What no edit touches is shared with the one before."""
    stages = dict(snapshot.stages)
    shipped: dict[str, Job] = {}
    gone = set()
    for edit in change.jobs:
        if edit.before:
            gone.add(edit.before.id)
            if edit.before.stage is not Stage.SHIPPED:
                stages[edit.before.stage] = {
                    name: job for name, job in stages[edit.before.stage].items() if name != edit.before.id
                }
        if edit.after.stage is Stage.SHIPPED:
            shipped[edit.after.id] = edit.after
        else:
            stages[edit.after.stage] = {**stages.get(edit.after.stage, {}), edit.after.id: edit.after}
    archive = snapshot.archive
    if shipped or any(name in archive for name in gone):
        kept = {name: job for name, job in archive.jobs.items() if name not in gone}  # type: ignore[attr-defined]
        archive = Shelf({**kept, **shipped})
    pause = change.pause.value if change.pause else snapshot.pause
    spend = {**snapshot.spend, **change.spend} if change.spend else snapshot.spend
    return replace(snapshot, tip=tip, stages=stages, archive=archive, pause=pause, spend=spend)


@dataclass
class Hub:
    """Refs and objects. `on_commit` and `on_beat` see each arrival, `on_line` that the branch was moved."""

    on_commit: Callable[[Commit], None]
    on_beat: Callable[[str, Beat], None]
    on_line: Callable[[set[str]], None]
    commits: dict[str, Commit] = field(default_factory=dict)
    beats: dict[str, str] = field(default_factory=dict)
    said: dict[str, Beat] = field(default_factory=dict)
    refusing: bool = False
    tip: str = ""
    landed: int = 0

    def begin(self, snapshot: Snapshot, changes: Mapping[str, Any], message: str) -> None:
        """The first commit of the queue."""
        root = Commit("0" * 40, None, 0, message, changes, replace(snapshot, tip="0" * 40), "")
        self.commits[root.oid] = root
        self.tip = root.oid
        self.on_commit(root)

    def build(
        self,
        parent: str,
        operation: Operation,
        change: Change,
        edits: list[FileEdit],
        message: str,
        at: Instant,
    ) -> str:
        """A commit on `parent`; nobody else sees it before it is pushed."""
        oid = hashlib.blake2b(f"{parent}\n{at}\n{message}".encode(), digest_size=20).hexdigest()
        if oid not in self.commits:
            before = self.commits[parent]
            changes = {edit.path: edit.content or edit.blob for edit in edits}
            after = left_by(before.snapshot, change, oid)
            self.commits[oid] = Commit(
                oid, before, before.depth + 1, message, changes, after, at, operation, change
            )
        return oid

    def by_hand(self, snapshot: Snapshot, changes: Mapping[str, Any], message: str, at: Instant) -> None:
        """A commit of a person with plain git, on the newest tip."""
        before = self.commits[self.tip]
        oid = hashlib.blake2b(f"{self.tip}\n{at}\n{message}".encode(), digest_size=20).hexdigest()
        after = replace(snapshot, tip=oid)
        self.commits[oid] = Commit(oid, before, before.depth + 1, message, changes, after, at)
        self._advance(oid)

    def new_beat(self, beat: Beat) -> str:
        """A beat as an object."""
        oid = f"b{len(self.said):039x}"
        self.said[oid] = beat
        return oid

    def descends(self, new: str, old: str) -> bool:
        """Whether `old` is `new` or one of its ancestors."""
        goal = self.commits.get(old)
        here: Commit | None = self.commits[new]
        while goal and here and here.depth > goal.depth:
            here = here.parent
        return goal is not None and here is goal

    def between(self, old: str, new: str) -> Iterator[Commit]:
        """The commits of `new` that are not of `old`, newest first."""
        here: Commit | None = self.commits[new]
        while here and not (old and self.descends(old, here.oid)):
            yield here
            here = here.parent

    def receive(self, specs: list[PushSpec]) -> dict[str, Pushed]:
        """A push arrives, all refs or none: the verdict on each ref."""
        verdicts = {spec.ref: self._main(spec) if spec.ref == HEAD else self._beat(spec) for spec in specs}
        fine = (Verdict.OK, Verdict.UP_TO_DATE)
        if any(each.verdict not in fine for each in verdicts.values()):
            together = Pushed(Verdict.TOGETHER, "atomic push failed")
            return {ref: together if each.verdict in fine else each for ref, each in verdicts.items()}
        for spec in specs:
            if verdicts[spec.ref].verdict is Verdict.OK:
                self._take(spec)
        return verdicts

    def _take(self, spec: PushSpec) -> None:
        if spec.ref == HEAD:
            self._advance(spec.oid)
            return
        host = spec.ref.removeprefix(BEATS)
        self.beats[host] = spec.oid
        self.on_beat(host, self.said[spec.oid])

    def _main(self, spec: PushSpec) -> Pushed:
        if spec.oid == self.tip:
            return Pushed(Verdict.UP_TO_DATE)
        if spec.expect is not None and spec.expect != self.tip:
            return Pushed(Verdict.STALE, "stale info")
        if not self.descends(spec.oid, self.tip):
            return Pushed(Verdict.LOST, "fetch first")
        if self.refusing:
            return Pushed(Verdict.POLICY, "pre-receive hook declined")
        return Pushed(Verdict.OK)

    def _advance(self, oid: str) -> None:
        fresh = list(self.between(self.tip, oid))
        self.tip = oid
        self.landed += len(fresh)
        for commit in reversed(fresh):
            self.on_commit(commit)

    def _beat(self, spec: PushSpec) -> Pushed:
        known = self.beats.get(spec.ref.removeprefix(BEATS), "")
        if spec.oid == known:
            return Pushed(Verdict.UP_TO_DATE)
        return Pushed(Verdict.OK) if known == spec.expect else Pushed(Verdict.STALE, "stale info")

    def rewind(self, count: int) -> int:
        """Somebody forces the branch back; by how many commits."""
        here, lost = self.commits[self.tip], set()
        while here.parent and len(lost) < count:
            lost.add(here.oid)
            here = here.parent
        self.tip = here.oid
        if lost:
            self.on_line(lost)
        return len(lost)
