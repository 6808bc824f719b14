"""What happened to a job so far: the content of `<job>.record.yaml`, which travels beside it."""

from __future__ import annotations

from typing import Any

from aq.core.errors import AqError
from aq.core.instants import Instant, require_instant
from aq.core.lifecycle import Stage
from aq.core.manifest import Budget
from aq.core.value import Value, replace

FULL_RUNS = 20
MAX_ROUNDS = 20
CANCELLED, REJECTED = PERSONS_ENDS = "cancelled", "rejected"
# Far above what engines can report, and far below where sums overflow.
MAX_USD = 1e18


def _require_usd(*values: float | None) -> None:
    """Raise unless each value is an amount that can be added up, or None."""
    for value in values:
        if value is not None and not 0 <= value <= MAX_USD:
            raise AqError(f"{value!r} is not an amount in usd", "write a number such as 5 or 0.50")


class Suite(Value):
    """What the test reports of a check say. `names` are the first tests that failed."""

    total: int = 0
    failed: int = 0
    skipped: int = 0
    names: tuple[str, ...] = ()


class CheckResult(Value):
    """One verify step and how it went."""

    check: str
    passed: bool
    detail: str = ""
    seconds: float = 0.0
    suite: Suite | None = None

    @property
    def words(self) -> str:
        """The check and what was wrong with it."""
        return f"{self.check}: {self.detail}" if self.detail else self.check


class Round(Value):
    """One fix round of a run: which checks failed, what the run had used when this was written, and
    the branch and tip that the engine left, once it is done."""

    number: int
    at: Instant | None = None
    failed: tuple[CheckResult, ...] = ()
    branch: str = ""
    tip: str = ""
    usd: float | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        require_instant(self.at)
        _require_usd(self.usd)


class Changes(Value):
    """What the work of a run changes: files and lines, the first of the paths (both ends of a move) and how
    many `more` there are, and what is no plain text file (`odd`), which has no lines."""

    files: int = 0
    added: int = 0
    removed: int = 0
    paths: tuple[str, ...] = ()
    more: int = 0
    odd: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if min(self.files, self.added, self.removed, self.more) < 0:
            raise AqError("a change has a size below zero", "counts are 0 or more")


class Run(Value):
    """One claim of the job. `outcome` is empty while it lasts; `usd` is None when unknown; `baseline`
    is the check that failed before the engine began; `model` and `version` are the engine's, as it told;
    `outside` are changed paths that the job may not change, `warnings` what to look at in the work;
    `submission` is the one that it belongs to; `changes` is None when nobody could tell; `risk` is that of
    its work when it landed, with its `risks`."""

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
    profile: str = ""
    baseline: str = ""
    rounds: tuple[Round, ...] = ()
    model: str = ""
    version: str = ""
    outside: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    submission: int = 1
    changes: Changes | None = None
    risk: str = ""
    risks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_instant(self.started, self.ended)
        _require_usd(self.usd, self.reserved)

    def rounds_with(self, number: int, **changes: Any) -> tuple[Round, ...]:
        """The rounds with one of them changed, or with it as a new one; the newest are kept."""
        before = next((one for one in self.rounds if one.number == number), Round(number))
        others = tuple(one for one in self.rounds if one.number != number)
        return (*others, replace(before, **changes))[-MAX_ROUNDS:]


class Verdict(Value):
    """What verify said about the run of `epoch`: `passed`, or `none` when nothing was asked."""

    epoch: int
    result: str
    at: Instant
    host: str
    checks: tuple[CheckResult, ...] = ()

    def __post_init__(self) -> None:
        require_instant(self.at)


class Note(Value):
    """What a person or a host said: feedback, an approval, a hold or a pause. `about` is the kind of a hold
    that takes more than a word to lift, or how a person ended the job."""

    by: str
    at: Instant
    text: str = ""
    about: str = ""

    def __post_init__(self) -> None:
        require_instant(self.at)


class Override(Value):
    """Somebody let the work of the run of `epoch` pass in spite of open gates, with a reason."""

    by: str
    at: Instant
    reason: str
    gates: tuple[str, ...]
    epoch: int

    def __post_init__(self) -> None:
        require_instant(self.at)


class Record(Value):
    """The whole history of a job in one value. `stage` and `blob` are what the last operation left:
    a folder or a file that says otherwise was changed by hand. `budget` is what a person gave the job in
    place of what its file asks for."""

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
    overrides: tuple[Override, ...] = ()
    delivery: str = ""
    delivered: str = ""
    schedule: str = ""
    secret_allowed: bool = False
    budget: Budget | None = None
    runs: tuple[Run, ...] = ()
    older: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_instant(self.since, self.queued, self.not_before)
        if self.budget:
            _require_usd(self.budget.usd)
            if not all(0 <= limit <= MAX_USD for limit in (self.budget.tokens or 0, self.budget.wall or 0)):
                raise AqError(f"{self.budget} is not a budget", "its limits are not below 0, and finite")

    @property
    def starts(self) -> tuple[tuple[Instant, bool], ...]:
        """When each run began that was charged, and whether it was a retry."""
        return tuple((run.started, run.attempt > 1) for run in self.runs if not run.verify_only)

    @property
    def last_run(self) -> Run | None:
        """The newest run, or None before the first claim."""
        return self.runs[-1] if self.runs else None

    @property
    def ended_by(self) -> Note | None:
        """The person's word that ended the job, or None when its last run did."""
        said = next((note for note in reversed(self.feedback) if note.about in PERSONS_ENDS), None)
        last = self.last_run
        return said if said and (last is None or not last.ended or said.at >= last.ended) else None

    @property
    def work(self) -> Run | None:
        """The newest run that worked: those after it only verified what it left."""
        return next((run for run in reversed(self.runs) if not run.verify_only), None)

    def with_run(self, run: Run) -> Record:
        """The record with one more run; the oldest of more than 20 becomes one line."""
        runs = (*self.runs, run)
        lines = tuple(f"epoch {old.epoch} {old.host} {old.outcome}" for old in runs[:-FULL_RUNS])
        return replace(self, runs=runs[-FULL_RUNS:], older=self.older + lines)

    def with_last_run(self, **changes: object) -> Record:
        """The record with its newest run changed."""
        last = replace(self.runs[-1], **changes)  # type: ignore[arg-type]
        return replace(self, runs=(*self.runs[:-1], last))
