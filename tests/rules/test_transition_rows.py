"""Every row of the transition table, made to happen on a real hub."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from aq.core.lifecycle import TRANSITIONS, LeaseRule, Stage, Transition, Trigger
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
from tests.support.fleet import HELLO, Fleet, git, op
from tests.support.story import FORGED_LEASE, TIP, Story, by_hand, hand_write, story

Key = tuple[Trigger, Stage | None, Stage]
Scenario = Callable[[Story, Fleet], Operation]
SCENARIOS: dict[Key, Scenario] = {}
T, S = Trigger, Stage
X = "x"
NO_RETRY = "---\nengine: shell\nretry: {max: 0, infra: 0}\n---\nfalse\n"
ONCE = "---\nengine: shell\nretry: {on: [crash]}\n---\nfalse\n"
# These change the file itself, or bring it in: they are no renames.
NEW_CONTENT = {T.ADD, T.SPAWN, T.REVISE}


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
        {
            S.INBOX: lambda: None,
            S.BUILDING: lambda: tale.building(X),
            S.REVIEW: lambda: tale.judged(X),
            S.TESTING: lambda: tale.testing(X),
            S.SHIPPED: lambda: tale.shipped(X),
            S.FAILED: lambda: tale.failed(X),
            S.DEAD_LETTER: lambda: (
                tale.building(X),
                spend(tale, lambda: tale.release_of(X), 4),
                tale.do(tale.release_of(X)),
            ),
        }[stage]()
        return Fenced(**op("ada"), fence=late, branch=f"aq/x/{late.epoch}", tip=TIP)


for _stage in S:
    _fenced(_stage)


@row(T.FIX_ROUND, S.REVIEW, S.REVIEW)
def _(tale: Story, fleet: Fleet) -> Operation:
    tale.verifying(X, tip=TIP)
    return FixRound(**op("ada"), fence=tale.fence(X), reason="2 tests failed")


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


def _id(transition: Transition) -> str:
    return f"{transition.trigger} {transition.source or 'new'}->{transition.target}"


def test_every_row_of_the_table_has_a_scenario_and_every_scenario_a_row() -> None:
    assert set(SCENARIOS) == {(row.trigger, row.source, row.target) for row in TRANSITIONS}


@pytest.mark.parametrize("transition", TRANSITIONS, ids=_id)
def test_row(transition: Transition, fleet: Fleet) -> None:
    tale = story(fleet)
    operation = SCENARIOS[transition.trigger, transition.source, transition.target](tale, fleet)
    name = X if transition.trigger is not T.SPAWN else ""
    before = tale.snapshot.find(name)
    base = fleet.tip()

    landed = tale.do(operation)

    after = landed.change.jobs[0].after
    assert fleet.tip() == landed.commit
    assert git(fleet.hub, "rev-parse", "main^") == base, "one operation is one commit"
    _event_says(tale, transition, after.id, operation)
    _lease_obeys(transition.lease, bool(before and before.lease), after.lease is not None)
    _files_are_in_one_place(tale, transition, after.id, bool(after.lease))
    _the_move_is_a_pure_rename(fleet, tale, transition, after.id)
    read = tale.job(after.id)
    decided = replace(after, manifest=read.manifest) if transition.trigger is T.REPAIR else after
    assert read == decided, "what the hub has reads back as what was decided"
    tale.fsck()


def _event_says(tale: Story, transition: Transition, job: str, operation: Operation) -> None:
    lines = git(tale.hub, "log", "-1", "--format=%(trailers:only,unfold)", "main").splitlines()
    trailers = dict(line.split(": ", 1) for line in lines)
    wanted = {
        "Aq-Job": job,
        "Aq-Op": str(transition.trigger),
        "Aq-From": str(transition.source or "new"),
        "Aq-To": str(transition.target),
        "Aq-By": operation.by,
        "Aq-Op-Id": operation.op_id,
    }
    assert {name: trailers.get(name) for name in wanted} == wanted
    epoch = tale.job(job).record.epoch
    assert trailers.get("Aq-Epoch") == (str(epoch) if epoch else None)
    if transition.by == "host" and transition.trigger is not T.HOLD:
        assert trailers["Aq-Host"] == operation.by
    assert git(tale.hub, "log", "-1", "--format=%s", "main").startswith(f"{transition.trigger} {job}")


def _lease_obeys(rule: LeaseRule, before: bool, after: bool) -> None:
    legal = {
        LeaseRule.NONE: {(False, False)},
        LeaseRule.TAKEN: {(False, True)},
        LeaseRule.KEPT: {(True, True)},
        LeaseRule.DROPPED: {(True, False)},
        LeaseRule.ANY: {(True, False), (False, False)},
        LeaseRule.AS_IS: {(True, True), (False, False)},
    }
    assert (before, after) in legal[rule]


def _files_are_in_one_place(tale: Story, transition: Transition, job: str, leased: bool) -> None:
    folder = tale.job(job).folder
    assert folder.split("/")[0] == transition.target
    wanted = {f"{folder}/{job}.md"}
    if transition.trigger not in (T.ADD, T.REVISE):
        wanted.add(f"{folder}/{job}.record.yaml")
    if leased:
        wanted.add(f"{folder}/{job}.lease.yaml")
    assert tale.files_of(job) == wanted
    kept = {f"queue/{stage}/.gitkeep" for stage in Stage}
    assert kept <= set(tale.tree()), "every stage folder keeps its .gitkeep"


def _the_move_is_a_pure_rename(fleet: Fleet, tale: Story, transition: Transition, job: str) -> None:
    lines = git(
        fleet.hub, "diff-tree", "-r", "-M100%", "--no-commit-id", "--name-status", "main", "--", "queue"
    ).splitlines()
    changes = [line.split("\t") for line in lines if line.endswith(f"/{job}.md")]
    target = f"queue/{tale.job(job).folder}/{job}.md"
    if transition.trigger in NEW_CONTENT:
        assert changes == [["M" if transition.source else "A", target]]
    elif transition.trigger is T.REPAIR and transition.source is not S.SHIPPED:
        before = (
            tale.tree("main~2").values() if transition.source is not S.INBOX else tale.tree("main^").values()
        )
        assert tale.tree()[target] in before, "a repair brings the job's own file back"
    elif transition.source is transition.target:
        assert changes == []
    else:
        assert changes == [["R100", changes[0][1], target]]
