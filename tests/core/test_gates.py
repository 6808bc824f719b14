"""What keeps work from being shipped, who may let it pass, and what a host may ship by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aq.core.gates import GateName, auto_blockers, gates, overridden
from aq.core.lifecycle import Stage
from aq.core.manifest import ReviewPolicy
from aq.core.operations import (
    Approve,
    AutoShip,
    Hold,
    PauseFleet,
    PauseJob,
    Promote,
    Reject,
    ResumeJob,
    Ship,
    Unverified,
)
from aq.core.record import Changes, Note, Override
from tests.support.builders import NOW, Queue, job, snapshot

OUT = ("lib/a", "lib/b", "lib/c", ".github/x")
WORDS = "outside its scope: lib/a, lib/b, lib/c and 1 more"
AUTO = ReviewPolicy("auto")


def names(queue: Queue) -> list[str]:
    return [str(gate.name) for gate in gates(queue.job(), queue.now.settings)]


def ship(queue: Queue, override: str = "") -> Ship:
    return Ship(**queue.common(), job="a", override=override)


def promote(queue: Queue, override: str = "") -> Promote:
    return Promote(**queue.common(), job="a", override=override)


def resume(queue: Queue) -> ResumeJob:
    return ResumeJob(**queue.common(), job="a")


def auto(queue: Queue) -> AutoShip:
    return AutoShip(**queue.common("mac-1"), job="a")


def strayed(**keys: Any) -> Queue:
    """A verified job that changed what it may not."""
    queue = Queue()
    queue.tested(land={"outside": OUT}, **keys)
    return queue


def unverified(**land: Any) -> Queue:
    queue = Queue()
    queue.do(Unverified(**queue.common("mac-1"), fence=queue.landed(land=land)))
    return queue


def reviewed_by(*who: str, fleet: int = 0, policy: ReviewPolicy = ReviewPolicy()) -> Queue:
    queue = Queue()
    queue.limit(approvers=fleet)
    queue.tested(review_policy=policy)
    for by in who:
        queue.do(Approve(**queue.common(by), job="a"))
    return queue


def on_hold() -> Queue:
    queue = Queue()
    queue.tested()
    queue.do(Hold(**queue.common(), job="a", reason="freeze"))
    return queue


def to_be_verified() -> Queue:
    queue = Queue()
    queue.do(queue.reclaim_of(queue.landed()))
    return queue


def verifying() -> Queue:
    queue = Queue()
    queue.landed()
    return queue


NAMED = ReviewPolicy("manual", ("bob", "carol"), 1)
CLOSED: dict[str, tuple[Callable[[], Queue], str, str, str]] = {
    "a hold": (on_hold, "hold", "is on hold: freeze", "lift it with `aq resume a`"),
    "work outside its scope": (
        strayed,
        "scope",
        f"is on hold: {WORDS}",
        "send it back with `aq reject a MESSAGE`",
    ),
    "no verdict": (to_be_verified, "verdict", "has no verdict yet", "wait for a host"),
    "a person who moved it to testing before overrides were kept": (
        lambda: Queue.having(job("a", Stage.TESTING)),
        "verdict",
        "has no verdict yet",
        "send it back with `aq reject a MESSAGE`",
    ),
    "a verify that runs": (verifying, "verdict", "is being verified on mac-1", "wait for the verdict"),
    "no check was asked for": (
        unverified,
        "review",
        "is in review: no check was asked for",
        "`aq promote a`",
    ),
    "an approval too few": (
        lambda: reviewed_by("bob", fleet=2),
        "approvals",
        "has 1 of 2 approvals",
        "`aq approve a`",
    ),
    "the job's own count": (
        lambda: reviewed_by(policy=ReviewPolicy("manual", (), 1)),
        "approvals",
        "has 0 of 1 approvals",
        "`aq approve a`",
    ),
    "an approval of somebody else": (
        lambda: reviewed_by("alice", policy=NAMED),
        "approvals",
        "has 0 of 1 approvals of bob, carol",
        "`aq approve a`",
    ),
}


@pytest.mark.parametrize(("make", "name", "why", "do"), CLOSED.values(), ids=CLOSED)
def test_a_closed_gate_says_why_and_what_to_do(
    make: Callable[[], Queue], name: str, why: str, do: str
) -> None:
    queue = make()
    (gate,) = gates(queue.job(), queue.now.settings)
    assert (str(gate.name), gate.why, gate.do) == (name, why, do)


OPEN: dict[str, Callable[[], Queue]] = {
    "tested work": reviewed_by,
    "a named reviewer": lambda: reviewed_by("carol", policy=NAMED),
    "approvals of anybody for the fleet, and a named one for the job": lambda: reviewed_by(
        "alice", "bob", fleet=2, policy=NAMED
    ),
}


@pytest.mark.parametrize("make", OPEN.values(), ids=OPEN)
def test_with_every_gate_open_a_person_ships_without_a_word(make: Callable[[], Queue]) -> None:
    queue = make()
    assert names(queue) == []
    assert queue.do(ship(queue)).event.get("Aq-Override") == ""


def test_named_reviewers_do_not_make_the_fleet_s_approvals_impossible() -> None:
    queue = reviewed_by("bob", fleet=2, policy=NAMED)
    assert [gate.why for gate in gates(queue.job(), queue.now.settings)] == ["has 1 of 2 approvals"]


def test_a_refusal_names_every_closed_gate_and_what_opens_it() -> None:
    queue = strayed(review_policy=NAMED)
    refusal = queue.refused(ship(queue), f"a is on hold: {WORDS} and has 0 of 1 approvals of bob, carol")
    assert (
        refusal.hint == "send it back with `aq reject a MESSAGE`, `aq approve a`, or give --override REASON"
    )


@pytest.mark.parametrize(
    ("queue", "stage"), [(strayed(), Stage.TESTING), (unverified(outside=OUT), Stage.REVIEW)]
)
def test_work_outside_its_scope_is_held_with_its_verdict(queue: Queue, stage: Stage) -> None:
    found = queue.job()
    assert (found.stage, found.record.hold) == (stage, Note("mac-1", NOW, WORDS, "scope"))
    event = queue.changes[-1].event
    assert (event.detail, event.get("Aq-Reason")) == (WORDS, WORDS)


def test_the_hold_finds_the_run_that_worked_when_another_one_verified() -> None:
    queue = Queue()
    queue.do(queue.reclaim_of(queue.landed(land={"outside": OUT})))
    queue.do(queue.verify_claim_of())
    queue.do(queue.verified_of(queue.fence()))
    assert queue.job().record.hold == Note("mac-2", NOW, WORDS, "scope")
    queue.refused(ship(queue), WORDS)


def test_work_outside_its_scope_ships_only_with_a_name_and_a_reason() -> None:
    queue = strayed()
    queue.refused(ship(queue), f"a is on hold: {WORDS}")
    change = queue.do(ship(queue, "the schema moved"))
    event, record = change.event, queue.job().record
    assert record.overrides == (Override("alice", NOW, "the schema moved", ("scope",), 1),)
    assert (record.hold, record.feedback[-1]) == (None, Note("alice", NOW, "shipped: the schema moved"))
    assert (event.get("Aq-Override"), event.get("Aq-Reason")) == ("scope", "the schema moved")
    assert (event.detail, event.by) == ("alice overrode scope: the schema moved", "alice")


def test_one_override_passes_every_closed_gate_and_names_each() -> None:
    queue = strayed(review_policy=NAMED)
    queue.do(Hold(**queue.common(), job="a", reason="freeze"))
    assert names(queue) == ["hold", "scope", "approvals"]
    assert queue.do(ship(queue, "agreed")).event.get("Aq-Override") == "hold scope approvals"
    assert queue.job().record.overrides[-1].gates == ("hold", "scope", "approvals")


def test_an_override_of_nothing_is_only_a_word() -> None:
    queue = reviewed_by()
    event = queue.do(ship(queue, "well done")).event
    assert (event.get("Aq-Override"), event.get("Aq-Reason"), event.detail) == ("", "well done", "well done")
    assert queue.job().record.overrides == ()


def test_what_a_person_let_pass_at_promote_is_not_asked_for_again() -> None:
    queue = unverified(outside=OUT)
    queue.refused(promote(queue), WORDS)
    change = queue.do(promote(queue, "looked at it"))
    assert change.event.get("Aq-Override") == "scope"
    assert names(queue) == []
    queue.do(ship(queue))


def test_a_job_that_is_promoted_without_a_verdict_may_be_shipped() -> None:
    queue = to_be_verified()
    queue.refused(promote(queue), "a has no verdict yet")
    queue.do(promote(queue, "tried it"))
    assert overridden(queue.job().record) == {GateName.VERDICT}
    queue.do(ship(queue))


def test_an_override_is_for_the_work_that_was_there_and_no_other() -> None:
    queue = unverified(outside=OUT)
    queue.do(promote(queue, "fine"))
    queue.do(Reject(**queue.common(), job="a", message="no", requeue=True))
    queue.do(queue.land_of(queue.claim(), outside=OUT))
    queue.do(queue.verified_of(queue.fence()))
    queue.refused(ship(queue), WORDS)


def test_a_hold_after_an_override_is_a_new_one() -> None:
    queue = unverified(outside=OUT)
    queue.do(promote(queue, "fine"))
    queue.do(Hold(**queue.common(), job="a", reason=WORDS))
    assert names(queue) == ["hold"]


def test_resume_does_not_lift_a_hold_for_the_scope() -> None:
    queue = strayed()
    refusal = queue.refused(resume(queue), f"a is on hold: {WORDS}")
    assert "--override REASON" in refusal.hint
    queue.do(PauseJob(**queue.common(), job="a"))
    queue.do(resume(queue))
    assert (queue.job().record.pause, queue.job().record.hold) == (None, Note("mac-1", NOW, WORDS, "scope"))


def test_resume_of_another_hold_leaves_that_for_the_scope() -> None:
    queue = strayed()
    queue.do(Hold(**queue.common(), job="a", reason="freeze"))
    queue.do(resume(queue))
    assert queue.job().record.hold == Note("alice", NOW, WORDS, "scope")
    queue.refused(resume(queue), WORDS)


def test_resume_lets_a_job_be_verified_whatever_it_changed() -> None:
    queue = Queue()
    fence = queue.landed(land={"outside": OUT})
    queue.do(Hold(**queue.common("mac-1"), job="a", fence=fence, reason="red before"))
    assert names(queue) == ["hold", "scope", "verdict"]
    queue.do(resume(queue))
    assert queue.job().to_be_verified


def test_a_host_ships_small_verified_work_under_its_policy() -> None:
    queue = Queue()
    queue.small(review_policy=AUTO, deliver="merge")
    event = queue.do(auto(queue)).event
    found = queue.job()
    assert (found.stage, found.record.delivery) == (Stage.SHIPPED, "wanted")
    assert (event.by, event.host, event.get("Aq-Policy")) == ("mac-1", "mac-1", "auto")
    assert found.record.feedback[-1] == Note(
        "mac-1", NOW, "shipped by its review-policy: verify passed, the risk is low"
    )
    queue.refused(auto(queue), "a is shipped already", done=True)


def _small(**keys: Any) -> Queue:
    queue = Queue()
    queue.small(**{"review_policy": AUTO, **keys})
    return queue


def _promoted() -> Queue:
    queue = Queue()
    land = {"changes": Changes(1, 1, 0, ("src/a",))}
    queue.do(Unverified(**queue.common("mac-1"), fence=queue.landed(land=land, review_policy=AUTO)))
    queue.do(promote(queue))
    return queue


def _held() -> Queue:
    queue = _small()
    queue.do(Hold(**queue.common(), job="a", reason="freeze"))
    return queue


def _paused() -> Queue:
    queue = _small()
    queue.do(PauseJob(**queue.common(), job="a"))
    return queue


def _unapproved() -> Queue:
    queue = _small()
    queue.limit(approvers=1)
    return queue


def _dependency() -> Queue:
    queue = Queue()
    queue.tested(land={"changes": Changes(1, 1, 0, ("go.mod",))}, review_policy=AUTO)
    return queue


def _unknown() -> Queue:
    queue = Queue()
    queue.tested(review_policy=AUTO)
    return queue


PEOPLE_S: dict[str, tuple[Callable[[], Queue], str]] = {
    "another policy": (lambda: _small(review_policy=ReviewPolicy()), "its review-policy is not auto"),
    "no check": (_promoted, "verify did not pass it"),
    "a hold": (_held, "is on hold: freeze"),
    "work outside its scope": (lambda: strayed(review_policy=AUTO), f"is on hold: {WORDS}"),
    "an approval too few": (_unapproved, "has 0 of 1 approvals"),
    "a pause": (_paused, "paused by alice"),
    "a dependency": (_dependency, "its risk is medium (dependencies: go.mod)"),
    "work that nobody saw": (_unknown, "its risk is high (nobody could tell what it changed)"),
}


@pytest.mark.parametrize(("make", "why"), PEOPLE_S.values(), ids=PEOPLE_S)
def test_a_host_leaves_anything_else_to_a_person_and_says_why(make: Callable[[], Queue], why: str) -> None:
    queue = make()
    assert why in auto_blockers(queue.job(), queue.now.settings)
    queue.refused(auto(queue), why)


def test_a_host_ships_once_the_approvals_are_there() -> None:
    queue = _unapproved()
    queue.do(Approve(**queue.common("bob"), job="a"))
    queue.do(auto(queue))


def test_a_host_ships_nothing_while_the_queue_is_paused() -> None:
    queue = _small()
    queue.do(PauseFleet(**queue.common(), why="fire"))
    queue.refused(auto(queue), "not shipped by a host while the queue is paused")


def test_a_host_ships_nothing_that_is_not_in_testing() -> None:
    queue = verifying()
    queue.refused(auto(queue), "a is in review, not in testing")
    assert "verify did not pass it" in auto_blockers(job("a", review_policy=AUTO), queue.now.settings)


def test_a_decision_about_work_that_was_seen_is_not_one_about_later_work() -> None:
    queue = Queue()
    queue.tested()
    seen = {**queue.common(), "job": "a", "epoch": queue.job().record.epoch}
    queue.do(Reject(**queue.common(), job="a", message="no", requeue=True))
    queue.do(queue.land_of(queue.claim()))
    queue.do(queue.verified_of(queue.fence()))
    for asked in (Ship(**seen), Approve(**seen), Reject(**seen, message="no")):
        queue.refused(asked, "a was run again since you looked")
    queue.do(Ship(**{**seen, "epoch": 2}))


def test_hosts_look_at_what_is_tested_sound_and_left_to_them() -> None:
    jobs = [
        job("mine", Stage.TESTING, review_policy=AUTO),
        job("a-persons", Stage.TESTING),
        job("broken", Stage.TESTING, problem="two files", review_policy=AUTO),
        job("early", Stage.REVIEW, review_policy=AUTO),
    ]
    assert [one.id for one in snapshot(jobs).for_hosts_to_ship()] == ["mine"]
