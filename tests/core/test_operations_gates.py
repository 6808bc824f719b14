"""Promote and ship: what a person accepts, by whom, and what needs an override by name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aq.core.lifecycle import Stage, Trigger
from aq.core.manifest import ReviewPolicy
from aq.core.operations import (
    Approve,
    Hold,
    Operation,
    Promote,
    Reject,
    Ship,
    Unverified,
)
from aq.core.record import Note
from tests.support.builders import NOW, Queue, job

Asker = Callable[..., Operation]


def promote_of(queue: Queue, name: str = "a", override: str = "") -> Promote:
    return Promote(**queue.common(), job=name, override=override)


def ship_of(queue: Queue, name: str = "a", override: str = "") -> Ship:
    return Ship(**queue.common(), job=name, override=override)


def reject_of(queue: Queue, name: str = "a", requeue: bool = False) -> Reject:
    return Reject(**queue.common(), job=name, message="wrong colour", requeue=requeue)


def approve_of(queue: Queue, name: str = "a", by: str = "alice") -> Approve:
    return Approve(**queue.common(by), job=name, message="fine")


def judged(queue: Queue) -> None:
    """A job in review with the verdict `none`."""
    fence = queue.landed()
    queue.do(Unverified(**queue.common("mac-1"), fence=fence))


def held(queue: Queue) -> None:
    """A job in review on hold."""
    fence = queue.landed()
    queue.do(Hold(**queue.common("mac-1"), job="a", fence=fence, reason="conflict"))


def test_promote_accepts_a_verdict() -> None:
    queue = Queue()
    judged(queue)
    change = queue.do(promote_of(queue))
    assert (queue.job().stage, change.event.op, change.event.extra) == (Stage.TESTING, Trigger.PROMOTE, ())


def test_promote_without_a_verdict_needs_an_override_by_name() -> None:
    queue = Queue()
    queue.do(queue.reclaim_of(queue.landed()))
    queue.refused(promote_of(queue), "a has no verdict yet")
    change = queue.do(promote_of(queue, override="tested by hand"))
    assert queue.job().record.feedback[-1] == Note("alice", NOW, "promoted: tested by hand")
    assert change.event.get("Aq-Reason") == "tested by hand"


def test_promote_of_a_held_job_needs_an_override_and_lifts_the_hold() -> None:
    queue = Queue()
    held(queue)
    queue.refused(promote_of(queue), "a is on hold: conflict")
    queue.do(promote_of(queue, override="merged by hand"))
    assert queue.job().record.hold is None


def test_ship_archives_by_utc_day() -> None:
    queue = Queue()
    queue.tested()
    queue.do(ship_of(queue))
    assert (queue.job().stage, queue.job().folder) == (Stage.SHIPPED, "shipped/2026/11/21")
    assert queue.job().record.delivery == ""
    assert queue.now.find("a") is queue.now.archive.get("a")


def test_ship_of_a_job_in_review_says_to_promote_it_first() -> None:
    queue = Queue()
    judged(queue)
    refusal = queue.refused(ship_of(queue), "a is in review, not in testing")
    assert refusal.hint == "accept it with `aq promote a` first"


def test_ship_of_a_broken_job_in_review_says_that_it_is_broken() -> None:
    queue = Queue.having(job("a", Stage.REVIEW, problem="moved by hand"))
    queue.refused(ship_of(queue), "a is in review")


@pytest.mark.parametrize(
    ("deliver", "tip", "expected"),
    [("branch", True, ""), ("merge", True, "wanted"), ("pr", True, "wanted"), ("merge", False, "")],
)
def test_ship_wants_delivery_only_of_work_that_is_to_be_merged(
    deliver: str, tip: bool, expected: str
) -> None:
    queue = Queue()
    queue.do(queue.verified_of(queue.landed(deliver=deliver, land={} if tip else {"branch": "", "tip": ""})))
    queue.do(ship_of(queue))
    assert queue.job().record.delivery == expected


def test_ship_on_hold_needs_an_override_and_lifts_it() -> None:
    queue = Queue()
    queue.tested()
    queue.do(Hold(**queue.common(), job="a", reason="freeze"))
    queue.refused(ship_of(queue), "a is on hold: freeze")
    queue.do(ship_of(queue, override="agreed"))
    assert (queue.job().record.hold, queue.job().record.feedback[-1].text) == (None, "shipped: agreed")


def test_ship_waits_for_the_approvals_of_the_fleet() -> None:
    queue = Queue()
    queue.limit(approvers=2)
    queue.tested()
    queue.do(approve_of(queue))
    queue.refused(ship_of(queue), "a has 1 of 2 approvals")
    queue.refused(approve_of(queue), "alice approved a already", done=True)
    queue.do(approve_of(queue, by="bob"))
    queue.do(ship_of(queue))


def test_ship_waits_for_its_own_reviewers_and_counts_nobody_else() -> None:
    queue = Queue()
    queue.tested(review_policy=ReviewPolicy("manual", ("bob", "carol"), 1))
    queue.do(approve_of(queue))
    queue.refused(ship_of(queue), "a has 0 of 1 approvals of bob, carol")
    queue.do(approve_of(queue, by="carol"))
    queue.do(ship_of(queue))


def test_approvals_of_an_earlier_attempt_do_not_count() -> None:
    queue = Queue()
    queue.limit(approvers=1)
    queue.tested()
    queue.do(approve_of(queue))
    queue.do(reject_of(queue, requeue=True))
    queue.do(queue.land_of(queue.claim()))
    queue.do(queue.verified_of(queue.fence()))
    queue.refused(ship_of(queue), "a has 0 of 1 approvals")
