"""Replays a hub's history commit by commit with plain git, and checks that each commit of aq is one legal row
of the transition table for one job (DESIGN section 5, invariants I1 to I7 as far as commits show them)."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aq.core.audit.auditor import Auditor, Breach
from aq.core.codec import decode_as
from aq.core.event import Event, parse
from aq.core.lease import Lease
from aq.core.lifecycle import LeaseRule, Stage, Trigger, lease_allowed, transition
from aq.core.record import Record
from aq.ledger.line import BlobReading, Line
from aq.ledger.objects import Objects
from tests.support.fleet import git, wait_until

_JOB_FILE = re.compile(
    r"^queue/(?P<folder>[a-z_]+(?:/\d+/\d+/\d+)?)/(?P<job>[a-z0-9_-]+)\.(?P<kind>md|record\.yaml|lease\.yaml)$"
)
_BY_HAND = re.compile(
    r"^(?:queue/inbox/[^/]+\.md|queue/aq\.yaml|queue/PAUSED|queue/README\.md|queue/[a-z_]+/\.gitkeep|profiles/.*|[^/]+)$"
)
_CLAIMS = (Trigger.CLAIM, Trigger.VERIFY_CLAIM)
_BY_HOLDER = (
    Trigger.LAND,
    Trigger.VERIFIED,
    Trigger.UNVERIFIED,
    Trigger.FAIL,
    Trigger.RELEASE,
    Trigger.PREEMPT,
)
_PERSON_ENDS = (Trigger.SHIP, Trigger.PROMOTE)


@dataclass(frozen=True)
class Commit:
    """One commit of the queue's line: its files that changed, each with its new blob (empty when gone)."""

    oid: str
    parents: tuple[str, ...]
    message: str
    changed: dict[str, str]


@dataclass(frozen=True)
class State:
    """One job at one commit."""

    folder: str
    blob: str
    record: Record
    lease: Lease | None

    @property
    def stage(self) -> Stage:
        return Stage(self.folder.split("/")[0])


@dataclass
class Audit:
    """What the history tells: events in order, and where each job is at the end."""

    events: list[Event] = field(default_factory=list)
    by_hand: int = 0
    jobs: dict[str, State] = field(default_factory=dict)

    def of(self, job: str) -> list[str]:
        """The operations on one job, in order."""
        return [event.op for event in self.events if event.job == job]

    def claims(self) -> Counter[str]:
        """How often each job was claimed."""
        return Counter(event.job for event in self.events if event.op == Trigger.CLAIM)

    def stages(self) -> dict[str, Stage]:
        """Where each job is at the end."""
        return {job: state.stage for job, state in self.jobs.items()}


def commits(hub: Path, branch: str = "main") -> Iterator[Commit]:
    """The history, oldest first."""
    listed = git(
        hub,
        "log",
        "--reverse",
        "--topo-order",
        "--root",
        "--raw",
        "--no-abbrev",
        "--no-renames",
        "--format=%x01%H%x02%P%x02%B%x02",
        branch,
    )
    for entry in listed.split("\x01")[1:]:
        oid, parents, message, raw = entry.split("\x02", 3)
        changed = {}
        for line in raw.strip().splitlines():
            facts, path = line.split("\t", 1)
            blob = facts.split()[3]
            changed[path] = blob if blob.strip("0") else ""
        yield Commit(oid, tuple(parents.split()), message, changed)


def contents(hub: Path, blobs: set[str]) -> dict[str, bytes]:
    """The content of many blobs, read by one process."""
    wanted = sorted(blobs)
    asked = "".join(f"{blob}\n" for blob in wanted).encode()
    out = subprocess.run(
        ["git", "cat-file", "--batch"], cwd=hub, input=asked, capture_output=True, check=True
    ).stdout
    found, at = {}, 0
    for blob in wanted:
        end = out.index(b"\n", at)
        size = int(out[at:end].split()[2])
        found[blob] = out[end + 1 : end + 1 + size]
        at = end + 2 + size
    return found


def _sound(hub: Path) -> bool:
    done = subprocess.run(
        ["git", "fsck", "--strict", "--no-dangling", "--no-progress"],
        cwd=hub,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0 and not done.stdout.strip() and not done.stderr.strip()


def audit(hub: Path, branch: str = "main") -> Audit:
    """Replay everything. Fails the test at the first commit that breaks a law."""
    # Hosts may be pushing: fsck reads refs and objects one after the other, and what moved between the two
    # looks broken. Damage stays.
    wait_until(lambda: _sound(hub), 10, "git fsck to have no complaints")
    history = list(commits(hub, branch))
    yaml = {
        blob
        for commit in history
        for path, blob in commit.changed.items()
        if blob and path.endswith((".record.yaml", ".lease.yaml"))
    }
    replay = _Replay(contents(hub, yaml))
    for commit in history:
        replay.step(commit)
    assert breaches(hub, branch) == [], "aq's own audit disagrees with this one"
    return replay.found


def breaches(hub: Path, branch: str = "main", since: str = "") -> list[Breach]:
    """What aq's own audit finds on a hub."""
    objects = Objects(hub)
    try:
        line = Line(objects, hub, git(hub, "rev-parse", branch))
        auditor = Auditor(BlobReading(objects))
        if since:
            auditor.begin(line.files_at(since))
        return [breach for commit in line.commits(since) for breach in auditor.step(commit)]
    finally:
        objects.close()


class _Replay:
    """The tree so far, and what it says of each job."""

    def __init__(self, yaml: dict[str, bytes]) -> None:
        self.yaml = yaml
        self.tree: dict[str, str] = {}
        self.found = Audit()
        self.claimed_blob: dict[str, str] = {}
        self.last = ""

    def step(self, commit: Commit) -> None:
        assert list(commit.parents) == ([self.last] if self.last else []), (
            f"{commit.oid}: history is not linear"
        )
        self.last = commit.oid
        event = parse(commit.message)
        touched = {match["job"] for path in commit.changed if (match := _JOB_FILE.match(path))}
        before = {job: self.state(job, commit) for job in touched}
        for path, blob in commit.changed.items():
            self.tree.pop(path, None)
            self.tree |= {path: blob} if blob else {}
        after = {job: self.state(job, commit) for job in touched}
        where = f"{commit.oid[:12]} {commit.message.splitlines()[0]!r}"
        if event is None:
            strange = [
                path for path in commit.changed if path.startswith("queue/") and not _BY_HAND.match(path)
            ]
            assert not strange, f"{where}: an illegal edit by hand: {strange}"
            self.found.by_hand += 1
        elif event.job:
            self.found.events.append(event)
            assert touched == {event.job}, f"{where}: touches {touched}"
            self.legal(where, event, before[event.job], after[event.job])
            rest = [
                path
                for path in commit.changed
                if not _JOB_FILE.match(path) and not path.startswith("queue/spend/")
            ]
            assert not rest, f"{where}: touches {rest}"
        else:
            self.found.events.append(event)
            assert not touched, f"{where}: a fleet operation touches {touched}"
        self.found.jobs.update({job: state for job, state in after.items() if state})

    def state(self, job: str, commit: Commit) -> State | None:
        """A job in the tree so far; it must be in one folder."""
        files = {
            path: match for path in self.tree if (match := _JOB_FILE.match(path)) and match["job"] == job
        }
        folders = {match["folder"] for match in files.values()}
        if not folders:
            return None
        assert len(folders) == 1, f"{commit.oid}: {job} is in {folders}"
        folder = folders.pop()
        base = f"queue/{folder}/{job}"
        assert f"{base}.md" in files, f"{commit.oid}: {job} has lost its file"
        return State(
            folder,
            self.tree[f"{base}.md"],
            self.read(Record, f"{base}.record.yaml") or Record(),
            self.read(Lease, f"{base}.lease.yaml"),
        )

    def read(self, kind: type, path: str) -> object:
        blob = self.tree.get(path)
        return decode_as(kind, self.yaml[blob], path) if blob else None

    def legal(self, where: str, event: Event, before: State | None, after: State | None) -> None:
        """One row of the table, kept to the letter."""
        assert after, f"{where}: the job has vanished"
        source = before.stage if before else None
        assert (event.source, event.target) == (source, after.stage), (
            f"{where}: says {event.source} -> {event.target}, did {source} -> {after.stage}"
        )
        row = transition(Trigger(event.op), source, after.stage)
        held, holds = before.lease if before else None, after.lease
        assert lease_allowed(
            row.lease, before=held is not None, after=holds is not None, same=held == holds
        ), f"{where}: {row.lease}"
        assert (
            row.lease is LeaseRule.NONE
            or held != holds
            or row.lease in (LeaseRule.KEPT, LeaseRule.AS_IS, LeaseRule.ANY)
        ), f"{where}: {row.lease}"
        assert holds is None or after.stage in (Stage.BUILDING, Stage.REVIEW), (
            f"{where}: a lease in {after.stage}"
        )
        assert holds is not None or after.stage is not Stage.BUILDING, f"{where}: building without a lease"
        self.epochs(where, event, before, after)
        if event.op in _BY_HOLDER:
            assert held, f"{where}: nobody held it"
            assert event.host == held.host, f"{where}: {held.host} held it"
            assert event.epoch == held.epoch, f"{where}: the lease is of epoch {held.epoch}"
        if event.op in _PERSON_ENDS:
            by_policy = event.op == Trigger.SHIP and event.get("Aq-Policy") == "auto"
            assert by_policy or not event.host, f"{where}: a host may not do this"

    def epochs(self, where: str, event: Event, before: State | None, after: State) -> None:
        """Epoch + 1 per claim and never else; the file never changes once it was claimed."""
        epoch = before.record.epoch if before else 0
        expected = epoch + 1 if event.op in _CLAIMS else epoch
        assert (event.epoch, after.record.epoch) == (expected, expected), (
            f"{where}: epoch {epoch} -> {after.record.epoch}"
        )
        if event.op in _CLAIMS:
            assert after.lease, f"{where}: no lease"
            assert (after.lease.epoch, after.lease.host) == (expected, event.host), f"{where}: {after.lease}"
            self.claimed_blob.setdefault(event.job, after.blob)
        if event.op != Trigger.REPAIR:
            kept = self.claimed_blob.get(event.job, after.blob)
            assert after.blob == kept, f"{where}: the job's file changed after its first claim"
