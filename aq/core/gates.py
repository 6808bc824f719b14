"""What keeps work from being shipped, each with what to do about it. One answer for `ship`, `promote`, the
board, `aq review`, the audit, and the hosts that ship by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

from aq.core.change import Refusal
from aq.core.instants import Instant
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.record import Note, Record
from aq.core.risk import Level, few, risk_now
from aq.core.settings import Settings
from aq.core.value import Value

PASSED = "passed"
_LIFT, _BACK = "lift it with `aq resume {}`", "send it back with `aq reject {} MESSAGE`"


class GateName(StrEnum):
    """The gates by name, as the record and the commits have them; a hold for the scope is about its gate."""

    HOLD = "hold"
    SCOPE = "scope"
    VERDICT = "verdict"
    REVIEW = "review"
    APPROVALS = "approvals"


# What `promote` asks for; approvals are for `ship`, and `promote` itself opens the review.
BEFORE_TESTING = (GateName.HOLD, GateName.SCOPE, GateName.VERDICT)


class Gate(Value):
    """One closed gate. `why` goes on from the job's name; `do` says what opens it."""

    name: GateName
    why: str
    do: str


def gates(job: Job, settings: Settings) -> tuple[Gate, ...]:
    """Every gate between a job in review or testing and `shipped`. Empty when it may be shipped."""
    return (*_on_hold(job), *_verdict(job), *_approvals(job, settings))


def refusal(job: Job, closed: Iterable[Gate]) -> Refusal:
    """What a person is told who asks for more than the gates allow."""
    found = tuple(closed)
    todo = ", ".join(dict.fromkeys(gate.do for gate in found))
    return Refusal(
        f"{job.id} {' and '.join(gate.why for gate in found)}", f"{todo}, or give --override REASON"
    )


def overridden(record: Record) -> frozenset[str]:
    """The gates that somebody let this very work pass."""
    epoch = work_epoch(record)
    return frozenset(gate for one in record.overrides if one.epoch == epoch for gate in one.gates)


def work_epoch(record: Record) -> int:
    """The epoch of the run that did the work."""
    return record.work.epoch if record.work else 0


def scope_hold(job: Job, by: str, at: Instant) -> Note | None:
    """The hold that judged work outside its scope is under, or has to be put under; None where it is in
    scope, or somebody let it pass. What is still to be verified must not be kept from that."""
    words = _scope_words(job)
    if not words or not _judged(job.record):
        return None
    hold = job.record.hold
    return hold if hold and hold.about == GateName.SCOPE else Note(by, at, words, GateName.SCOPE.value)


def scope_refusal(job: Job) -> Refusal:
    """What `resume` answers: a hold for the scope is lifted with a reason or not at all."""
    return Refusal(
        f"{job.id} is on hold: {_scope_words(job)}",
        f"accept it with --override REASON on `aq ship` or `aq promote`, or `aq reject {job.id} MESSAGE`",
    )


def _judged(record: Record) -> bool:
    return record.verdict is not None and record.verdict.epoch == record.epoch


def _scope_words(job: Job) -> str:
    work = job.record.work
    waits = job.stage in (Stage.REVIEW, Stage.TESTING)
    if not waits or work is None or not work.outside or GateName.SCOPE in overridden(job.record):
        return ""
    return f"outside its scope: {few(work.outside)}"


def _on_hold(job: Job) -> Iterator[Gate]:
    hold, scope = job.record.hold, _scope_words(job)
    if hold and not (scope and hold.about == GateName.SCOPE):
        yield Gate(GateName.HOLD, f"is on hold: {hold.text}", _LIFT.format(job.id))
    if scope:
        yield Gate(GateName.SCOPE, f"is on hold: {scope}", _BACK.format(job.id))


def _verdict(job: Job) -> Iterator[Gate]:
    record = job.record
    if job.lease:
        yield Gate(GateName.VERDICT, f"is being verified on {job.lease.host}", "wait for the verdict")
    elif not _judged(record):
        if GateName.VERDICT not in overridden(record):
            yield Gate(GateName.VERDICT, "has no verdict yet", _to_a_verdict(job))
    elif job.stage is Stage.REVIEW:
        yield Gate(GateName.REVIEW, "is in review: no check was asked for", f"`aq promote {job.id}`")


def _to_a_verdict(job: Job) -> str:
    if job.to_be_verified:
        return "wait for a host"
    return _LIFT.format(job.id) if job.record.hold else _BACK.format(job.id)


def _approvals(job: Job, settings: Settings) -> Iterator[Gate]:
    """Named reviewers count for the job's own policy, everybody for the fleet's."""
    policy, fleet = job.manifest.review_policy, settings.approvers
    given = {note.by for note in job.record.approvals}
    do = f"`aq approve {job.id}`"
    if policy.reviewers:
        named = given.intersection(policy.reviewers)
        if len(named) < policy.approvals:
            who = ", ".join(policy.reviewers)
            yield Gate(GateName.APPROVALS, f"has {len(named)} of {policy.approvals} approvals of {who}", do)
    needed = fleet if policy.reviewers else max(policy.approvals, fleet)
    if len(given) < needed:
        yield Gate(GateName.APPROVALS, f"has {len(given)} of {needed} approvals", do)


def auto_blockers(job: Job, settings: Settings) -> tuple[str, ...]:
    """Why a host may not ship a job by itself. Empty when it may: the job's policy is auto, verify passed,
    the risk is low, and no gate is closed."""
    record, reasons = job.record, []
    if not job.manifest.review_policy.by_hosts:
        reasons.append("its review-policy is not auto")
    if job.stage is not Stage.TESTING or record.verdict is None or record.verdict.result != PASSED:
        reasons.append("verify did not pass it")
    if record.pause:
        reasons.append(f"paused by {record.pause.by}")
    reasons += [gate.why for gate in gates(job, settings)]
    risk = risk_now(record, settings.risk)
    if risk.level is not Level.LOW:
        reasons.append(f"its risk is {risk}")
    return tuple(reasons)
