"""A good key that writes more into a record than its operation is for: the commit is not obeyed, and the
audit names it."""

from __future__ import annotations

from typing import Any

import pytest

from aq.core.change import Change, Refusal
from aq.core.lifecycle import Stage
from aq.core.operations import AutoShip, Cancel, Land, Operation, PauseJob, Requeue, ResumeJob, Ship, Verified
from aq.core.record import Changes, Note
from aq.core.signers import Role
from aq.core.snapshot import Snapshot
from aq.core.value import replace
from tests.support.audit import breaches
from tests.support.fleet import Fleet, git, landed, op, perform
from tests.support.signing import HOST, PERSON, Ring
from tests.support.story import Story

X, TIP, OTHER = "x", "a" * 40, "e" * 40
TEXT = """---
engine: shell
verify: 'true'
deliver: merge
repo: billing
review-policy: auto
allowed-scope: ['src/**']
---
echo
"""


class _Forging(Operation, kw_only=True):
    """An operation, and what else its commit changes in the record and in its newest run."""

    real: Operation
    fields: dict[str, Any]
    run: dict[str, Any]

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        change = self.real.decide(snapshot)
        assert isinstance(change, Change)
        (edit,) = change.jobs
        record = replace(edit.after.record, **self.fields)
        record = record.with_last_run(**self.run) if self.run else record
        return replace(change, jobs=(replace(edit, after=replace(edit.after, record=record)),))


def forged(operation: Operation, run: dict[str, Any] | None = None, **fields: Any) -> _Forging:
    common = {"at": operation.at, "by": operation.by, "op_id": operation.op_id}
    return _Forging(**common, real=operation, run=run or {}, fields=fields)


@pytest.fixture
def ring(fleet: Fleet) -> Ring:
    fleet.audited = False
    return Ring(fleet, alice=PERSON, ada=HOST, sue=frozenset({Role.SUBMIT}))


def reviewed(ring: Ring) -> tuple[Story, Story]:
    """A job in testing, on hold for what it changed outside its scope: alice's view of it, and ada's."""
    alice, ada = (Story(ring.ledger(who), ring.fleet.hub, "ada") for who in ("alice", "ada"))
    alice.do(alice.add_of(X, TEXT))
    ada.ledger.fetch()
    ada.do(replace(ada.claim_of(X), offers=frozenset({"repo:billing"})))
    land = Land(**op("ada"), fence=ada.fence(X), branch="aq/x/1", tip=TIP, pushed=True)
    ada.do(replace(land, outside=(".github/workflows/ci.yml",)))
    ada.do(Verified(**op("ada"), fence=ada.fence(X)))
    alice.ledger.fetch()
    return alice, ada


def problem(story: Story) -> str:
    story.ledger.fetch()
    return story.snapshot.distrust.jobs.get(X, "")


WORK = {"branch": "evil", "tip": OTHER}
HARMLESS = {"outside": (), "changes": Changes(1, 1, 0, ("docs/a",)), "risk": "low", "risks": ()}


@pytest.mark.attack("S3")
def test_who_may_submit_cannot_swap_the_work_that_was_reviewed(ring: Ring) -> None:
    alice, _ = reviewed(ring)
    bad = landed(perform(ring.reckless("sue"), forged(PauseJob(**op("sue"), job=X), WORK, **WORK))).commit
    assert "pause-job changes the record's branch, tip, last run's branch, last run's tip" in problem(alice)
    refused = alice.refusal(Ship(**op("alice"), job=X, override="it must be"))
    assert "out of play" in refused.reason
    (found,) = [breach for breach in breaches(ring.fleet.hub) if breach.commit == bad]
    assert (found.clause, found.by_hand) == ("I3", False)
    assert found.what.startswith("pause-job changes the record's branch, tip")


@pytest.mark.attack("S3")
def test_who_may_submit_cannot_lift_a_hold_or_make_work_look_harmless(ring: Ring) -> None:
    alice, ada = reviewed(ring)
    landed(
        perform(ring.reckless("sue"), forged(PauseJob(**op("sue"), job=X), HARMLESS, hold=None, pause=None))
    )
    assert "pause-job changes the record's hold, last run's outside" in problem(alice)
    ada.ledger.fetch()
    assert "out of play" in ada.refusal(AutoShip(**op("ada"), job=X)).reason


def test_a_cancel_cannot_forge_a_pause(ring: Ring) -> None:
    alice, _ = reviewed(ring)
    alice.do(PauseJob(**op("alice"), job=X))
    lifted = forged(Cancel(**op("sue"), job=X), pause=Note("alice", op("sue")["at"], "mine"))
    landed(perform(ring.reckless("sue"), lifted))
    assert "cancel changes the record's pause" in problem(alice)


def test_a_requeue_cannot_prepare_the_next_verdict(ring: Ring) -> None:
    alice, _ = reviewed(ring)
    alice.do(Cancel(**op("alice"), job=X))
    bad = forged(Requeue(**op("sue"), job=X), attempts=-9, approvals=(Note("alice", op("sue")["at"]),))
    landed(perform(ring.reckless("sue"), bad))
    assert "requeue changes the record's attempts, approvals" in problem(alice)


def test_a_move_cannot_leave_the_record_behind(ring: Ring) -> None:
    """Else the epochs of the job would begin anew."""
    alice, _ = reviewed(ring)
    alice.do(Cancel(**op("alice"), job=X))
    clone = ring.fleet.machine("desk").path
    git(clone, "pull", "-q", "--no-rebase")
    ring.sign_plain_git(clone, "sue")
    git(clone, "mv", "queue/failed/x.md", "queue/inbox/x.md")
    trailers = (
        "Aq-Job: x\nAq-Op: requeue\nAq-From: failed\nAq-To: inbox\nAq-Epoch: 1\nAq-By: sue\nAq-Op-Id: o"
    )
    git(clone, "commit", "-q", "-m", f"requeue x\n\n{trailers}")
    git(clone, "push", "-q", "origin", "HEAD:main")
    assert "requeue changes the record's " in problem(alice)


def test_the_first_word_on_a_job_that_came_by_hand_is_obeyed(ring: Ring) -> None:
    alice = Story(ring.ledger("alice"), ring.fleet.hub)
    clone = ring.fleet.machine("desk").path
    ring.sign_plain_git(clone, "sue")
    (clone / "queue/inbox/x.md").write_text(TEXT)
    git(clone, "add", "queue/inbox/x.md")
    git(clone, "commit", "-q", "-m", "by hand")
    git(clone, "push", "-q", "origin", "HEAD:main")
    alice.ledger.fetch()
    alice.do(PauseJob(**op("alice"), job=X))
    assert problem(alice) == ""
    assert alice.job(X).record.blob == alice.job(X).blob
    landed(perform(ring.reckless("alice"), forged(ResumeJob(**op("alice"), job=X), blob=OTHER)))
    assert "resume-job changes the record's blob" in problem(alice)
    assert alice.job(X).stage is Stage.INBOX
