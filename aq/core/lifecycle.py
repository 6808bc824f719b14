"""The one state machine: which trigger moves a job from which stage to which, and what becomes
of its lease. Code, docs and audit all read this table; nothing else may know a legal move."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aq.core.errors import IllegalTransitionError


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
ENDED = (Stage.SHIPPED, Stage.FAILED, Stage.DEAD_LETTER)


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


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table. `source` is None for a job that is new."""

    trigger: Trigger
    source: Stage | None
    target: Stage
    lease: LeaseRule
    by: str
    meaning: str


def _rows() -> tuple[Transition, ...]:
    inbox, building, review, testing = LIVE
    shipped, failed, dead = ENDED
    t, rule = Trigger, LeaseRule
    rows: list[Transition] = []

    def row(trigger: Trigger, moves: str, lease: LeaseRule, by: str, meaning: str) -> None:
        for move in moves.split():
            source, target = move.split(">")
            start = Stage(source) if source else None
            rows.append(Transition(trigger, start, Stage(target), lease, by, meaning))

    row(t.ADD, ">inbox", rule.NONE, "person", "a job file was taken in")
    row(t.REVISE, "inbox>inbox", rule.NONE, "person", "the file changed before its first claim")
    row(t.SPAWN, ">inbox", rule.NONE, "host", "a schedule submits a copy of itself")
    row(t.CLAIM, "inbox>building", rule.TAKEN, "host", "epoch + 1 and one charge")
    back = f"{building}>{inbox} {building}>{dead}"
    in_review = f"{review}>{review} {review}>{inbox} {review}>{dead}"
    row(
        t.RELEASE,
        f"{back} {in_review}",
        rule.DROPPED,
        "host",
        "the holder gives the job back; charged to infra",
    )
    row(t.PREEMPT, back, rule.DROPPED, "host", "a critical job takes the slot; charged to preempted")
    row(t.RECLAIM, f"{back} {in_review}", rule.DROPPED, "host", "the holder fell silent; charged to lost")
    row(t.LAND, "building>review", rule.KEPT, "host", "the engine is done; its branch is pushed")
    row(t.VERIFIED, "review>testing", rule.DROPPED, "host", "verify passed")
    row(t.UNVERIFIED, "review>review", rule.DROPPED, "host", "no verify was asked: verdict none")
    row(
        t.HOLD,
        f"{inbox}>{inbox} {testing}>{testing} {shipped}>{shipped}",
        rule.NONE,
        "host",
        "waits for a named human action",
    )
    row(t.HOLD, f"{review}>{review}", rule.ANY, "host", "waits for a named human action")
    ends = (failed, inbox, dead)
    row(
        t.FAIL,
        " ".join(f"{s}>{e}" for s in (building, review) for e in ends),
        rule.DROPPED,
        "host",
        "the run failed: retry, dead letter, or failed when its class is not retried",
    )
    row(
        t.VERIFY_CLAIM,
        "review>review",
        rule.TAKEN,
        "host",
        "epoch + 1, no attempt charged: verify a landed branch",
    )
    row(t.PROMOTE, "review>testing", rule.NONE, "person", "accepts a verdict, or overrides by name")
    row(t.SHIP, "testing>shipped", rule.NONE, "person", "done")
    row(
        t.REJECT,
        " ".join(f"{s}>{e}" for s in (review, testing) for e in (failed, inbox)),
        rule.NONE,
        "person",
        "not good enough; the message goes into the record",
    )
    row(
        t.REQUEUE,
        f"{failed}>{inbox} {dead}>{inbox}",
        rule.NONE,
        "person",
        "a new submission: counters 0, epoch goes on",
    )
    row(t.CANCEL, " ".join(f"{s}>{failed}" for s in LIVE), rule.ANY, "person", "stop it and end it")
    row(t.APPROVE, "review>review testing>testing", rule.NONE, "person", "record only")
    same = " ".join(f"{s}>{s}" for s in LIVE)
    row(t.PAUSE_JOB, same, rule.AS_IS, "person", "record only: this job is not claimed")
    row(
        t.RESUME_JOB, f"{same} {shipped}>{shipped}", rule.AS_IS, "person", "record only: pause or hold lifted"
    )
    row(
        t.FENCED,
        " ".join(f"{s}>{s}" for s in Stage),
        rule.AS_IS,
        "host",
        "record only: a late result was refused; its branch is kept",
    )
    row(t.FIX_ROUND, "review>review", rule.KEPT, "host", "record only: the engine gets the failing output")
    row(t.DELIVERED, "shipped>shipped", rule.NONE, "host", "record only: the work is in the target branch")
    row(
        t.REPAIR,
        " ".join(f"{s}>{e}" for s in Stage for e in (inbox, failed)),
        rule.ANY,
        "person",
        "`aq doctor --fix` puts an illegal hand edit right",
    )
    return tuple(rows)


TRANSITIONS = _rows()
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
