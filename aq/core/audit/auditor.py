"""The audit itself: takes in commit after commit, and tells what is wrong with each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from aq.core.audit.laws import Past, Step, breaches
from aq.core.audit.state import Reading, Replay, Seen, place_of
from aq.core.event import FLEET_OPS, Event, parse
from aq.core.layout import PAUSED, QUEUE, SIGNERS, SPEND
from aq.core.lifecycle import Trigger
from aq.core.value import Value

# What a person may change with plain git (rule 12).
_BY_HAND = re.compile(
    rf"{QUEUE}/(?:inbox/[^/]+|aq\.yaml|PAUSED|README\.md|[a-z_]+/\.gitkeep|\.[^/]+)|(?!{QUEUE}/).+"
)
_FLEET_FILES: dict[str, list[str]] = {"accept-rewind": [], "accept": [], "signers": [SIGNERS]}


class Commit(Value):
    """One commit of the queue's line. `changes` has each path that differs from the commit before, with
    its new blob, empty when it is gone."""

    oid: str
    message: str
    changes: Mapping[str, str]


class Breach(Value):
    """A broken invariant: where, which, and what is wrong. `by_hand` when no operation of aq did it."""

    commit: str
    subject: str
    clause: str
    what: str
    by_hand: bool = False


def legal_by_hand(changes: Mapping[str, str]) -> bool:
    """Whether a person may make these changes with plain git."""
    return not any(_strange(path, blob) for path, blob in changes.items())


def _strange(path: str, blob: str) -> bool:
    taken_away = not blob and path.startswith(f"{QUEUE}/inbox/") and place_of(path) is not None
    beside = path.endswith((".record.yaml", ".lease.yaml")) and place_of(path) is not None
    return taken_away or beside or not _BY_HAND.fullmatch(path)


@dataclass
class Auditor:
    """Replays a queue. `commits` counts what it took in."""

    reading: Reading
    commits: int = 0
    operations: int = 0
    by_hand: int = 0
    replay: Replay = field(init=False)

    def __post_init__(self) -> None:
        self.replay = Replay(self.reading)
        self._past: dict[str, Past] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._first = True

    def begin(self, files: Mapping[str, str]) -> None:
        """Start from the tree of a commit instead of from nothing."""
        self.replay.put(files)
        for job in self.replay.jobs:
            seen = self.replay.seen(job)
            if seen and seen.record.epoch:
                record = seen.record
                charges = record.attempts + record.infra + record.preempted + record.lost
                self._past[job] = Past(seen.blob, charges)

    def step(self, commit: Commit) -> list[Breach]:
        """Take in one commit; what is wrong with it."""
        self._first, self.commits = (
            not self.commits and not self.replay.jobs and not self.replay.others,
            self.commits + 1,
        )
        event = parse(commit.message)
        touched = sorted({place[1] for path in commit.changes if (place := place_of(path))})
        before = {job: self.replay.seen(job) for job in touched}
        was_paused = PAUSED in self.replay.others
        self.replay.put(commit.changes)
        stray = event is not None and event.op == Trigger.REPAIR and not event.job
        found = [] if stray else list(self._folders(touched, before))
        if event is None:
            self.by_hand += 1
            found += self._hand(commit, touched)
        else:
            self.operations += 1
            found += self._operation(commit, event, before, was_paused=was_paused)
        subject = commit.message.splitlines()[0] if commit.message else ""
        return [Breach(commit.oid, subject, clause, what, event is None) for clause, what in found]

    def _folders(self, touched: list[str], before: Mapping[str, Seen | None]) -> Iterator[tuple[str, str]]:
        for job in touched:
            folders = list(self.replay.folders(job))
            if before[job] and self.replay.seen(job) is None:
                yield "I1", f"{job} has vanished"
            elif len(folders) > 1:
                yield "I1", f"{job} is in {' and in '.join(folders)}"

    def _hand(self, commit: Commit, touched: list[str]) -> Iterator[tuple[str, str]]:
        strange = sorted(path for path, blob in commit.changes.items() if _strange(path, blob))
        if strange and not self._first:
            yield "I3", f"changed by hand: {', '.join(strange[:5])}"
        for job in touched:
            past, seen = self._past.get(job, Past()), self.replay.seen(job)
            if past.claimed and seen and seen.blob != past.claimed:
                yield "I7", f"{job} was changed by hand after its first claim"

    def _operation(
        self, commit: Commit, event: Event, before: Mapping[str, Seen | None], *, was_paused: bool
    ) -> Iterator[tuple[str, str]]:
        others = [path for path in commit.changes if place_of(path) is None]
        if event.op in FLEET_OPS:
            allowed = {"init": others, **_FLEET_FILES}.get(event.op, [PAUSED])
            strange = [path for path in others if path not in allowed]
            if before or strange:
                yield "I3", f"{event.op} touches {', '.join([*before, *strange][:5])}"
            return
        if not event.job:
            # The repair that takes a stray file away.
            if event.op != Trigger.REPAIR or len(commit.changes) != 1:
                yield "I3", f"{event.op} names no job"
            return
        after = self.replay.seen(event.job)
        # A stage folder that was taken away by hand comes back with whatever is put there.
        strange = [
            path for path in others if not path.startswith(f"{SPEND}/") and not path.endswith("/.gitkeep")
        ]
        if list(before) != [event.job] or strange or after is None:
            yield "I3", f"{event.op} of {event.job} touches {', '.join([*before, *strange][:5]) or 'nothing'}"
            return
        past = self._past.setdefault(event.job, Past())
        was = before[event.job]
        if was is None or was.record.submission != after.record.submission:
            past.claims = past.allowed = 0
        yield from breaches(Step(event, was, after, self.replay, past, was_paused))
        yield from self._one_per_key(event, after)
        yield from self._one_per_lock(event, after)

    def _one_per_key(self, event: Event, after: Seen) -> Iterator[tuple[str, str]]:
        key = self.replay.manifest(after.blob).idempotency_key if event.op == Trigger.ADD else ""
        if key:
            other = self._keys.setdefault((key, after.blob), event.job)
            if other != event.job:
                yield "I7", f"{other} has the same idempotency key and content"

    def _one_per_lock(self, event: Event, after: Seen) -> Iterator[tuple[str, str]]:
        lock = (
            self.replay.manifest(after.blob).lock if event.op in (Trigger.CLAIM, Trigger.VERIFY_CLAIM) else ""
        )
        if not lock:
            return
        for job, folders in self.replay.jobs.items():
            leased = any(files.lease for files in folders.values())
            other = self.replay.seen(job) if leased and job != event.job else None
            if other and other.lease and self.replay.manifest(other.blob).lock == lock:
                yield "I8", f"{job} holds the lock {lock!r}"
