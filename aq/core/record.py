"""What happened to a job so far: the content of `<job>.record.yaml`, which travels beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aq.core.instants import Instant, require_instant
from aq.core.lifecycle import Stage

FULL_RUNS = 20


@dataclass(frozen=True, slots=True)
class Run:
    """One claim of the job. `outcome` is empty while it lasts; `usd` is None when unknown."""

    epoch: int
    host: str
    nonce: str
    engine: str
    started: Instant
    attempt: int = 0
    ended: Instant | None = None
    outcome: str = ""
    reason: str = ""
    branch: str = ""
    tip: str = ""
    usd: float | None = None
    tokens: int | None = None
    reserved: float = 0.0
    spend_day: str = ""
    score: str = ""
    verify_only: bool = False

    def __post_init__(self) -> None:
        require_instant(self.started, self.ended)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One verify step and how it went."""

    check: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verify said about the run of `epoch`: `passed`, or `none` when nothing was asked."""

    epoch: int
    result: str
    at: Instant
    host: str
    checks: tuple[CheckResult, ...] = ()

    def __post_init__(self) -> None:
        require_instant(self.at)


@dataclass(frozen=True, slots=True)
class Note:
    """What a person or a host said: feedback, an approval, a hold or a pause."""

    by: str
    at: Instant
    text: str = ""

    def __post_init__(self) -> None:
        require_instant(self.at)


@dataclass(frozen=True, slots=True)
class Record:
    """The whole history of a job in one value. `stage` and `blob` are what the last operation left:
    a folder or a file that says otherwise was changed by hand."""

    stage: Stage = Stage.INBOX
    since: Instant | None = None
    queued: Instant | None = None
    blob: str = ""
    epoch: int = 0
    submission: int = 1
    attempts: int = 0
    infra: int = 0
    preempted: int = 0
    lost: int = 0
    not_before: Instant | None = None
    branch: str = ""
    tip: str = ""
    verdict: Verdict | None = None
    hold: Note | None = None
    pause: Note | None = None
    feedback: tuple[Note, ...] = ()
    approvals: tuple[Note, ...] = ()
    delivery: str = ""
    delivered: str = ""
    schedule: str = ""
    secret_allowed: bool = False
    runs: tuple[Run, ...] = ()
    older: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_instant(self.since, self.queued, self.not_before)

    @property
    def last_run(self) -> Run | None:
        """The newest run, or None before the first claim."""
        return self.runs[-1] if self.runs else None

    def with_run(self, run: Run) -> Record:
        """The record with one more run; the oldest of more than 20 becomes one line."""
        runs = (*self.runs, run)
        lines = tuple(f"epoch {old.epoch} {old.host} {old.outcome}" for old in runs[:-FULL_RUNS])
        return replace(self, runs=runs[-FULL_RUNS:], older=self.older + lines)

    def with_last_run(self, **changes: object) -> Record:
        """The record with its newest run changed."""
        last = replace(self.runs[-1], **changes)  # type: ignore[arg-type]
        return replace(self, runs=(*self.runs[:-1], last))
