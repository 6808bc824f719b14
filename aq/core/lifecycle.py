"""The one state machine: which trigger moves a job from which stage to which, and what becomes
of its lease. Code, docs and audit all read this table; nothing else may know a legal move."""

from __future__ import annotations

from enum import StrEnum

from aq.core.errors import IllegalTransitionError
from aq.core.value import Value


class Stage(StrEnum):
    """Where a job is. The value is the name of its folder below `queue/`."""

    INBOX = "inbox"
    BUILDING = "building"
    REVIEW = "review"
    TESTING = "testing"
    SHIPPED = "shipped"
    FAILED = "failed"
    DEAD_LETTER = "dead_letter"


LIVE = (Stage.INBOX, Stage.BUILDING, Stage.REVIEW, Stage.TESTING)
# Where a job is that came to no good end.
BROKEN = (Stage.FAILED, Stage.DEAD_LETTER)
ENDED = (Stage.SHIPPED, *BROKEN)


class Trigger(StrEnum):
    """What can happen to a job. The value is the `Aq-Op` of the commit."""

    ADD = "add"
    REVISE = "revise"
    SPAWN = "spawn"
    CLAIM = "claim"
    RELEASE = "release"
    PREEMPT = "preempt"
    RECLAIM = "reclaim"
    LAND = "land"
    VERIFIED = "verified"
    UNVERIFIED = "unverified"
    HOLD = "hold"
    FAIL = "fail"
    VERIFY_CLAIM = "verify-claim"
    PROMOTE = "promote"
    SHIP = "ship"
    REJECT = "reject"
    REQUEUE = "requeue"
    CANCEL = "cancel"
    APPROVE = "approve"
    PAUSE_JOB = "pause-job"
    RESUME_JOB = "resume-job"
    FENCED = "fenced"
    FIX_ROUND = "fix-round"
    DELIVERED = "delivered"
    REPAIR = "repair"


class LeaseRule(StrEnum):
    """What a transition does to the lease."""

    NONE = "no lease"
    TAKEN = "lease taken"
    KEPT = "same lease"
    DROPPED = "lease dropped"
    ANY = "lease dropped if held"
    AS_IS = "lease untouched"


class Transition(Value):
    """One row of the table. `source` is None for a job that is new."""

    trigger: Trigger
    source: Stage | None
    target: Stage
    lease: LeaseRule
    by: str
    meaning: str


# trigger, the moves as `from>to`, what becomes of the lease, who asks for it, and what it means
_TABLE_ROWS: tuple[tuple[Trigger, str, LeaseRule, str, str], ...] = (
    (Trigger.ADD, ">inbox", LeaseRule.NONE, "person", "a job file was taken in"),
    (Trigger.REVISE, "inbox>inbox", LeaseRule.NONE, "person", "the file changed before its first claim"),
    (Trigger.SPAWN, ">inbox", LeaseRule.NONE, "host", "a schedule submits a copy of itself"),
    (Trigger.CLAIM, "inbox>building", LeaseRule.TAKEN, "host", "epoch + 1 and one charge"),
    (
        Trigger.RELEASE,
        "building>inbox building>dead_letter review>review review>inbox review>dead_letter",
        LeaseRule.DROPPED,
        "host",
        "the holder gives the job back; charged to infra",
    ),
    (
        Trigger.PREEMPT,
        "building>inbox building>dead_letter",
        LeaseRule.DROPPED,
        "host",
        "a critical job takes the slot; charged to preempted",
    ),
    (
        Trigger.RECLAIM,
        "building>inbox building>dead_letter review>review review>inbox review>dead_letter",
        LeaseRule.DROPPED,
        "host",
        "the holder fell silent; charged to lost",
    ),
    (Trigger.LAND, "building>review", LeaseRule.KEPT, "host", "the engine is done; its branch is pushed"),
    (Trigger.VERIFIED, "review>testing", LeaseRule.DROPPED, "host", "verify passed"),
    (Trigger.UNVERIFIED, "review>review", LeaseRule.DROPPED, "host", "no verify was asked: verdict none"),
    (
        Trigger.HOLD,
        "inbox>inbox testing>testing shipped>shipped",
        LeaseRule.NONE,
        "host",
        "waits for a named human action",
    ),
    (Trigger.HOLD, "review>review", LeaseRule.ANY, "host", "waits for a named human action"),
    (
        Trigger.FAIL,
        "building>failed building>inbox building>dead_letter review>failed review>inbox review>dead_letter",
        LeaseRule.DROPPED,
        "host",
        "the run failed: retry, dead letter, failed if its class is not retried; on hold for a spent budget",
    ),
    (
        Trigger.VERIFY_CLAIM,
        "review>review",
        LeaseRule.TAKEN,
        "host",
        "epoch + 1, no attempt charged: verify a landed branch",
    ),
    (Trigger.PROMOTE, "review>testing", LeaseRule.NONE, "person", "accepts a verdict, or overrides by name"),
    (
        Trigger.SHIP,
        "testing>shipped",
        LeaseRule.NONE,
        "person or host",
        "done; by a host only what `review-policy: auto` lets it",
    ),
    (
        Trigger.REJECT,
        "review>failed review>inbox testing>failed testing>inbox",
        LeaseRule.NONE,
        "person",
        "not good enough; the message goes into the record",
    ),
    (
        Trigger.REQUEUE,
        "failed>inbox dead_letter>inbox",
        LeaseRule.NONE,
        "person",
        "a new submission: counters 0, epoch goes on",
    ),
    (
        Trigger.CANCEL,
        "inbox>failed building>failed review>failed testing>failed",
        LeaseRule.ANY,
        "person",
        "stop it and end it",
    ),
    (Trigger.APPROVE, "review>review testing>testing", LeaseRule.NONE, "person", "record only"),
    (
        Trigger.PAUSE_JOB,
        "inbox>inbox building>building review>review testing>testing",
        LeaseRule.AS_IS,
        "person",
        "record only: this job is not claimed",
    ),
    (
        Trigger.RESUME_JOB,
        "inbox>inbox building>building review>review testing>testing shipped>shipped",
        LeaseRule.AS_IS,
        "person",
        "record only: pause or hold lifted; with a new budget a new submission",
    ),
    (
        Trigger.FENCED,
        " ".join(f"{stage}>{stage}" for stage in Stage),
        LeaseRule.AS_IS,
        "host",
        "record only: a late result was refused; its branch is kept",
    ),
    (
        Trigger.FIX_ROUND,
        "review>review",
        LeaseRule.KEPT,
        "host",
        "record only: the engine gets the failing output",
    ),
    (
        Trigger.DELIVERED,
        "shipped>shipped",
        LeaseRule.NONE,
        "host",
        "record only: the work is in the target branch",
    ),
    (
        Trigger.REPAIR,
        " ".join(f"{stage}>inbox" for stage in Stage),
        LeaseRule.ANY,
        "person",
        "`aq doctor --fix` puts an illegal hand edit right",
    ),
)


def _expanded() -> tuple[Transition, ...]:
    rows = []
    for trigger, moves, lease, by, meaning in _TABLE_ROWS:
        for source, target in (move.split(">") for move in moves.split()):
            rows.append(
                Transition(trigger, Stage(source) if source else None, Stage(target), lease, by, meaning)
            )
    return tuple(rows)


TRANSITIONS = _expanded()
_TABLE = {(row.trigger, row.source, row.target): row for row in TRANSITIONS}


def transition(trigger: Trigger, source: Stage | None, target: Stage) -> Transition:
    """The row for this move. Raises IllegalTransitionError when the table has none."""
    try:
        return _TABLE[trigger, source, target]
    except KeyError:
        raise IllegalTransitionError(
            f"{trigger} may not move a job from {source or 'nowhere'} to {target}"
        ) from None


def lease_allowed(rule: LeaseRule, *, before: bool, after: bool, same: bool) -> bool:
    """Whether a lease that was there `before` and is there `after` (the `same` one) obeys `rule`."""
    return {
        LeaseRule.NONE: not before and not after,
        LeaseRule.TAKEN: not before and after,
        LeaseRule.KEPT: before and after and same,
        LeaseRule.DROPPED: before and not after,
        LeaseRule.ANY: not after,
        LeaseRule.AS_IS: before == after and same,
    }[rule]
