"""For every row of the transition table: how to bring a job to where the row begins, and the operation."""

from __future__ import annotations

from collections.abc import Callable

from aq.core.lifecycle import Stage, Trigger
from aq.core.operations import (
    Approve,
    Cancel,
    Delivered,
    Fenced,
    FixRound,
    Hold,
    Operation,
    PauseJob,
    Preempt,
    Promote,
    Reject,
    Repair,
    Requeue,
    ResumeJob,
    Ship,
    Spawn,
    Unverified,
    Verified,
    VerifyClaim,
)
from aq.core.record import CheckResult
from tests.support.fleet import HELLO, Fleet, op
from tests.support.story import FORGED_LEASE, TIP, Story, by_hand, hand_write

Key = tuple[Trigger, Stage | None, Stage]
Scenario = Callable[[Story, Fleet], Operation]
SCENARIOS: dict[Key, Scenario] = {}
T, S = Trigger, Stage
X = "x"
NO_RETRY = "---\nengine: shell\nretry: {max: 0, infra: 0}\n---\nfalse\n"
ONCE = "---\nengine: shell\nretry: {on: [crash]}\n---\nfalse\n"


def row(trigger: Trigger, source: Stage | None, target: Stage) -> Callable[[Scenario], Scenario]:
    """Register the scenario of a row."""

    def keep(scenario: Scenario) -> Scenario:
        SCENARIOS[trigger, source, target] = scenario
        return scenario

    return keep


def spend(tale: Story, give_back: Callable[[], Operation], times: int) -> None:
    """Claim and give back so often that the next time exceeds the bound."""
    for _ in range(times):
        tale.do(give_back())
        tale.building(X)


@row(T.ADD, None, S.INBOX)
def _(tale: Story, fleet: Fleet) -> Operation:
    return tale.add_of(X)


@row(T.REVISE, S.INBOX, S.INBOX)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.inbox(X)
    return tale.revise_of(X, HELLO + "echo more\n")


@row(T.SPAWN, None, S.INBOX)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.inbox("nightly", "---\nengine: shell\nevery: 24h\n---\ntrue\n")
    return Spawn(**op("ada"), schedule="nightly")


@row(T.CLAIM, S.INBOX, S.BUILDING)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.inbox(X)
    return tale.claim_of(X)


@row(T.RELEASE, S.BUILDING, S.INBOX)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.building(X)
    return tale.release_of(X)


@row(T.RELEASE, S.BUILDING, S.DEAD_LETTER)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.building(X, NO_RETRY)
    return tale.release_of(X)


@row(T.RELEASE, S.REVIEW, S.REVIEW)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.verifying(X, tip=TIP)
    return tale.release_of(X)


@row(T.RELEASE, S.REVIEW, S.INBOX)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.verifying(X)
    return tale.release_of(X)


@row(T.RELEASE, S.REVIEW, S.DEAD_LETTER)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.verifying(X, NO_RETRY, TIP)
    return tale.release_of(X)


def _preempt(tale: Story) -> Operation:
    return Preempt(**op("ada"), fence=tale.fence(X), for_job="urgent")


@row(T.PREEMPT, S.BUILDING, S.INBOX)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.building(X)
    return _preempt(tale)


@row(T.PREEMPT, S.BUILDING, S.DEAD_LETTER)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.building(X)
    spend(tale, lambda: _preempt(tale), 3)
    return _preempt(tale)


@row(T.RECLAIM, S.BUILDING, S.INBOX)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.building(X)
    return tale.reclaim_of(X)


@row(T.RECLAIM, S.BUILDING, S.DEAD_LETTER)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.building(X)
    spend(tale, lambda: tale.reclaim_of(X), 3)
    return tale.reclaim_of(X)


@row(T.RECLAIM, S.REVIEW, S.REVIEW)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.verifying(X, tip=TIP)
    return tale.reclaim_of(X)


@row(T.RECLAIM, S.REVIEW, S.INBOX)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.verifying(X)
    return tale.reclaim_of(X)


@row(T.RECLAIM, S.REVIEW, S.DEAD_LETTER)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.building(X)
    spend(tale, lambda: tale.reclaim_of(X), 3)
    tale.do(tale.land_of(X, TIP))
    return tale.reclaim_of(X)


@row(T.LAND, S.BUILDING, S.REVIEW)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.building(X)
    return tale.land_of(X, TIP)


@row(T.VERIFIED, S.REVIEW, S.TESTING)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.verifying(X)
    return Verified(**op("ada"), fence=tale.fence(X))


@row(T.UNVERIFIED, S.REVIEW, S.REVIEW)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.verifying(X)
    return Unverified(**op("ada"), fence=tale.fence(X))


def _hold(stage: Stage) -> None:
    @row(T.HOLD, stage, stage)
    def _(tale: Story, fleet: Fleet) -> Operation:
        if stage is S.REVIEW:
            tale.verifying(X)
            return Hold(**op("ada"), job=X, reason="which database?", fence=tale.fence(X))
        tale.in_stage(stage, X)
        return Hold(**op("ada"), job=X, reason="merge conflict")


for _stage in (S.INBOX, S.REVIEW, S.TESTING, S.SHIPPED):
    _hold(_stage)


def _fail(source: Stage, target: Stage, text: str) -> None:
    @row(T.FAIL, source, target)
    def _(tale: Story, fleet: Fleet) -> Operation:
        tale.verifying(X, text) if source is S.REVIEW else tale.building(X, text)
        return tale.fail_of(X)


for _source in (S.BUILDING, S.REVIEW):
    _fail(_source, S.INBOX, HELLO)
    _fail(_source, S.FAILED, ONCE)
    _fail(_source, S.DEAD_LETTER, NO_RETRY)


@row(T.VERIFY_CLAIM, S.REVIEW, S.REVIEW)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.to_be_verified(X)
    claim = tale.claim_of(X, "bob")
    names = ("at", "by", "op_id", "job", "host", "boot", "nonce", "engine", "ttl", "slots")
    return VerifyClaim(**{name: getattr(claim, name) for name in names})


@row(T.PROMOTE, S.REVIEW, S.TESTING)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.judged(X)
    return Promote(**op(), job=X)


@row(T.SHIP, S.TESTING, S.SHIPPED)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.testing(X)
    return Ship(**op(), job=X)


def _reject(source: Stage, target: Stage) -> None:
    @row(T.REJECT, source, target)
    def _(tale: Story, fleet: Fleet) -> Operation:
        tale.in_stage(source, X)
        return Reject(**op(), job=X, message="too slow", requeue=target is S.INBOX)


for _source in (S.REVIEW, S.TESTING):
    for _target in (S.FAILED, S.INBOX):
        _reject(_source, _target)


def _requeue(source: Stage) -> None:
    @row(T.REQUEUE, source, S.INBOX)
    def _(tale: Story, fleet: Fleet) -> Operation:
        tale.in_stage(source, X)
        return Requeue(**op(), job=X)


for _source in (S.FAILED, S.DEAD_LETTER):
    _requeue(_source)


def _people(stage: Stage) -> None:
    @row(T.CANCEL, stage, S.FAILED)
    def _(tale: Story, fleet: Fleet) -> Operation:
        tale.in_stage(stage, X)
        return Cancel(**op(), job=X, message="not needed")

    @row(T.PAUSE_JOB, stage, stage)
    def _(tale: Story, fleet: Fleet) -> Operation:
        tale.in_stage(stage, X)
        return PauseJob(**op(), job=X, message="wait")

    @row(T.RESUME_JOB, stage, stage)
    def _(tale: Story, fleet: Fleet) -> Operation:
        tale.in_stage(stage, X)
        tale.do(PauseJob(**op(), job=X, message="wait"))
        return ResumeJob(**op(), job=X)


for _stage in (S.INBOX, S.BUILDING, S.REVIEW, S.TESTING):
    _people(_stage)


@row(T.RESUME_JOB, S.SHIPPED, S.SHIPPED)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.shipped(X)
    tale.do(Hold(**op("ada"), job=X, reason="merge conflict"))
    return ResumeJob(**op(), job=X)


def _approve(stage: Stage) -> None:
    @row(T.APPROVE, stage, stage)
    def _(tale: Story, fleet: Fleet) -> Operation:
        tale.in_stage(stage, X)
        return Approve(**op("bob"), job=X)


for _stage in (S.REVIEW, S.TESTING):
    _approve(_stage)


def _fenced(stage: Stage) -> None:
    @row(T.FENCED, stage, stage)
    def _(tale: Story, fleet: Fleet) -> Operation:
        tale.building(X)
        late = tale.fence(X)
        tale.do(tale.release_of(X))
        if stage is S.DEAD_LETTER:
            tale.building(X)
            spend(tale, lambda: tale.release_of(X), 4)
            tale.do(tale.release_of(X))
        elif stage is not S.INBOX:
            tale.in_stage(stage, X)
        return Fenced(**op("ada"), fence=late, branch=f"aq/x/{late.epoch}", tip=TIP)


for _stage in S:
    _fenced(_stage)


@row(T.FIX_ROUND, S.REVIEW, S.REVIEW)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.verifying(X, tip=TIP)
    failed = (CheckResult("pytest -q", False, "2 failed"),)
    return FixRound(**op("ada"), fence=tale.fence(X), number=1, failed=failed)


@row(T.DELIVERED, S.SHIPPED, S.SHIPPED)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.shipped(X, "---\nengine: shell\ndeliver: merge\n---\ntrue\n", TIP)
    return Delivered(**op("ada"), job=X, oid="cd" * 20)


def _repair(stage: Stage) -> None:
    @row(T.REPAIR, stage, S.INBOX)
    def _(tale: Story, fleet: Fleet) -> Operation:
        you = fleet.you.path
        if stage is S.INBOX:
            tale.inbox(X)
            hand_write(you, "queue/inbox/x.lease.yaml", FORGED_LEASE)
        elif stage is S.SHIPPED:
            tale.testing(X)
            day = you / "queue/shipped/2026/01/02"
            day.mkdir(parents=True)
            names = [
                ("mv", f"queue/testing/x.{end}", "queue/shipped/2026/01/02/") for end in ("md", "record.yaml")
            ]
            by_hand(you, *names)
        else:
            path = tale.in_stage(stage, X).folder
            hand_write(you, f"queue/{path}/x.md", "changed\n")
        tale.ledger.fetch()
        assert tale.job(X).problem
        return Repair(**op(), job=X)


for _stage in S:
    _repair(_stage)
