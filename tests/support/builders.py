"""Pure builders: a queue in memory that operations are asked on, and the values that they need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from aq.core.change import Change, Refusal
from aq.core.fleet import Beat, Lapse
from aq.core.instants import Instant
from aq.core.job import Job
from aq.core.lease import Fence, Lease
from aq.core.lifecycle import Stage
from aq.core.manifest import Check, CheckKind, Manifest
from aq.core.operations import (
    Add,
    Cancel,
    Claim,
    Fail,
    Land,
    Operation,
    Reclaim,
    Release,
    Ship,
    Verified,
    VerifyClaim,
)
from aq.core.record import Changes, CheckResult, Record, Run
from aq.core.snapshot import Snapshot
from aq.core.value import replace

Failed = TypeVar("Failed", bound=Exception)
NOW = "2026-11-21T10:00:00Z"
SHELL = {"shell": "shell"}
OFFERS = frozenset({"os:linux", "engine:shell"})
PASSED = (CheckResult("test -f done", True),)
FAILED = (CheckResult("test -f done", False, "exit 1"),)
VERIFY = (Check(CheckKind.COMMAND, "test -f done"),)


def manifest(**keys: Any) -> Manifest:
    """A manifest for the shell engine."""
    return Manifest(**{"engine": "shell", **keys})


def lease(name: str, host: str = "mac-1", epoch: int = 1, nonce: str = "n1", **more: Any) -> Lease:
    return Lease(
        **{
            "job": name,
            "host": host,
            "boot": "b",
            "nonce": nonce,
            "epoch": epoch,
            "attempt": 1,
            "engine": "shell",
            "ttl": 300.0,
            "acquired_at": NOW,
            **more,
        }
    )


def job(
    name: str,
    stage: Stage = Stage.INBOX,
    *,
    host: str = "",
    problem: str = "",
    record: Record | None = None,
    **keys: Any,
) -> Job:
    """A job in a stage; with a `host`, under its lease."""
    held = lease(name, host) if host else None
    stage = Stage.BUILDING if held and stage is Stage.INBOX else stage
    record = record or Record(queued=NOW)
    if held:
        run = Run(1, host, held.nonce, "shell", NOW, 1)
        record = replace(record, stage=stage, epoch=1, attempts=1, runs=(run,), blob=f"blob-{name}")
    else:
        record = replace(record, stage=stage)
    return Job(name, stage, str(stage), f"blob-{name}", manifest(**keys), record, held, problem)


class Shelf:
    """An archive in memory."""

    def __init__(self, jobs: Mapping[str, Job] | None = None) -> None:
        self.jobs = dict(jobs or {})

    def __contains__(self, name: object) -> bool:
        return name in self.jobs

    def __len__(self) -> int:
        return len(self.jobs)

    def get(self, name: str) -> Job | None:
        return self.jobs.get(name)

    def recent(self, limit: int | None) -> list[Job]:
        return sorted(self.jobs.values(), key=lambda job: job.id)[:limit]

    def undelivered(self) -> list[Job]:
        return [found for found in self.jobs.values() if found.record.delivery == "wanted"]

    def starts(self, since: Instant) -> list[tuple[Instant, bool]]:
        del since
        return [start for found in self.jobs.values() for start in found.record.starts]


def snapshot(jobs: Iterable[Job] = (), **more: Any) -> Snapshot:
    """A snapshot of some jobs, the shipped ones in the archive."""
    stages: dict[Stage, dict[str, Job]] = {stage: {} for stage in Stage if stage is not Stage.SHIPPED}
    shelf = Shelf()
    for one in jobs:
        target = shelf.jobs if one.stage is Stage.SHIPPED else stages[one.stage]
        target[one.id] = one
    return Snapshot(**{"tip": "0" * 40, "stages": stages, "archive": shelf, **more})


def beat(host: str, **more: Any) -> Beat:
    """A live host with the shell engine."""
    return Beat(
        **{
            "host": host,
            "incarnation": "i",
            "seq": 1,
            "at": NOW,
            "ttl": 300.0,
            "offers": OFFERS,
            "engines": SHELL,
            **more,
        }
    )


def lapse(fence: Fence, silent: float = 400.0) -> Lapse:
    """The observation that a lease fell silent."""
    return Lapse(fence.key, fence.host, "oid", silent, 300.0, 30.0)


def refusal_of(kind: type[Failed], parse: Callable[[], object]) -> Failed | None:
    """The error of one kind that a parser answers with, or None. Any other error fails the test."""
    try:
        parse()
    except kind as error:
        return error
    return None


def settled(before: Snapshot, change: Change) -> Snapshot:
    """The snapshot after a change, with its shipped jobs in the archive."""
    after = before.apply(change)
    shipped = {edit.after.id: edit.after for edit in change.jobs if edit.after.stage is Stage.SHIPPED}
    if not shipped:
        return after
    assert isinstance(before.archive, Shelf)
    return replace(after, archive=Shelf({**before.archive.jobs, **shipped}))


@dataclass
class Queue:
    """A queue in memory. `do` performs an operation that must apply, `refused` one that must not."""

    now: Snapshot = field(default_factory=snapshot)
    at: Instant = NOW
    changes: list[Change] = field(default_factory=list)
    _ids: Any = field(default_factory=count)

    @classmethod
    def having(cls, *jobs: Job, **more: Any) -> Queue:
        return cls(snapshot(jobs, **more))

    def common(self, by: str = "alice") -> dict[str, Any]:
        """The fields that every operation needs."""
        return {"at": self.at, "by": by, "op_id": f"op-{next(self._ids)}"}

    def ask(self, operation: Operation) -> Change | Refusal:
        answer = operation.decide(self.now)
        if isinstance(answer, Change):
            self.now = settled(self.now, answer)
            self.changes.append(answer)
        return answer

    def do(self, operation: Operation) -> Change:
        answer = self.ask(operation)
        assert isinstance(answer, Change), f"{type(operation).__name__} was refused: {answer}"
        return answer

    def refused(self, operation: Operation, part: str, *, done: bool = False) -> Refusal:
        """The refusal, which must say `part` in its reason."""
        before = self.now
        answer = self.ask(operation)
        assert isinstance(answer, Refusal), f"{type(operation).__name__} was not refused"
        assert part in answer.reason, answer
        assert answer.done is done, answer
        assert self.now is before
        return answer

    def job(self, name: str = "a") -> Job:
        found = self.now.find(name)
        assert found is not None, f"no job {name}"
        return found

    def fence(self, name: str = "a") -> Fence:
        held = self.job(name).lease
        assert held is not None, f"{name} is not held"
        return held.fence

    def limit(self, **settings: Any) -> None:
        """Change fleet settings."""
        self.now = replace(self.now, settings=replace(self.now.settings, **settings))

    def put(self, changed: Job) -> None:
        """Change a job as a hand edit would."""
        stages = {
            stage: {n: j for n, j in jobs.items() if n != changed.id}
            for stage, jobs in self.now.stages.items()
        }
        stages.setdefault(changed.stage, {})[changed.id] = changed
        self.now = replace(self.now, stages=stages)

    def add_of(self, name: str = "a", blob: str = "", **keys: Any) -> Add:
        return Add(**self.common(), job=name, blob=blob or f"blob-{name}", manifest=manifest(**keys))

    def claim_of(self, name: str = "a", host: str = "mac-1", **more: Any) -> Claim:
        return Claim(**{**self._taking(name, host), **more})

    def verify_claim_of(self, name: str = "a", host: str = "mac-2", **more: Any) -> VerifyClaim:
        return VerifyClaim(**{**self._taking(name, host), **more})

    def _taking(self, name: str, host: str) -> dict[str, Any]:
        common = self.common(host)
        return {
            **common,
            "job": name,
            "host": host,
            "boot": "b",
            "nonce": f"nonce-{common['op_id']}",
            "engine": "shell",
            "ttl": 300.0,
            "slots": 8,
            "offers": OFFERS,
            "engines": SHELL,
        }

    def add(self, name: str = "a", **keys: Any) -> Job:
        self.do(self.add_of(name, **keys))
        return self.job(name)

    def claim(self, name: str = "a", host: str = "mac-1", **more: Any) -> Fence:
        self.do(self.claim_of(name, host, **more))
        return self.fence(name)

    def started(self, name: str = "a", host: str = "mac-1", **keys: Any) -> Fence:
        """A new job that a host runs."""
        self.add(name, **keys)
        return self.claim(name, host)

    def land_of(self, fence: Fence, **more: Any) -> Land:
        return Land(
            **{
                **self.common(fence.host),
                "fence": fence,
                "branch": f"aq/{fence.job}/{fence.epoch}",
                "tip": "f" * 40,
                "pushed": True,
                **more,
            }
        )

    def landed(self, name: str = "a", *, land: Mapping[str, Any] | None = None, **keys: Any) -> Fence:
        """A new job in review, under its lease."""
        fence = self.started(name, **keys)
        self.do(self.land_of(fence, **(land or {})))
        return fence

    def fail_of(self, fence: Fence, failure: str = "crash", **more: Any) -> Fail:
        return Fail(
            **{**self.common(fence.host), "fence": fence, "failure": failure, "reason": "it broke", **more}
        )

    def release_of(self, fence: Fence, **more: Any) -> Release:
        return Release(**{**self.common(fence.host), "fence": fence, "reason": "disk full", **more})

    def reclaim_of(self, fence: Fence, by: str = "mac-2", silent: float = 400.0) -> Reclaim:
        return Reclaim(**self.common(by), job=fence.job, lapse=lapse(fence, silent))

    def verified_of(self, fence: Fence) -> Verified:
        return Verified(**self.common(fence.host), fence=fence, checks=PASSED)

    def tested(self, name: str = "a", **keys: Any) -> Job:
        """A new job in testing."""
        self.do(self.verified_of(self.landed(name, **keys)))
        return self.job(name)

    def small(self, name: str = "a", **keys: Any) -> Job:
        """A new job in testing whose work is of low risk."""
        return self.tested(name, land={"changes": Changes(1, 2, 3, ("src/a",))}, **keys)

    def shipped(self, name: str = "a", **keys: Any) -> Job:
        self.tested(name, **keys)
        self.do(Ship(**self.common(), job=name, override="test"))
        return self.job(name)

    def failed(self, name: str = "a", **keys: Any) -> Job:
        self.do(self.fail_of(self.started(name, **keys), "denied"))
        return self.job(name)

    def in_stage(self, stage: Stage, name: str = "a", **keys: Any) -> Job:
        """A new job in any stage, as operations bring it there."""
        if stage is Stage.DEAD_LETTER:
            fence = self.started(name, **keys)
            self.do(self.fail_of(fence, "crash"))
            self.at = self.job(name).record.not_before or self.at
            self.do(self.fail_of(self.claim(name), "crash"))
        else:
            {
                Stage.INBOX: self.add,
                Stage.BUILDING: self.started,
                Stage.REVIEW: self.landed,
                Stage.TESTING: self.tested,
                Stage.SHIPPED: self.shipped,
                Stage.FAILED: self.failed,
            }[stage](name, **keys)
        found = self.job(name)
        assert found.stage is stage
        return found


def cancel_of(queue: Queue, name: str = "a", **more: Any) -> Cancel:
    return Cancel(**queue.common(), job=name, **more)
