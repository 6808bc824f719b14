"""Claims: the lease, the epoch, the charge, the refusals, and the money that is set aside."""

from __future__ import annotations

from typing import Any

import pytest

from aq.core.lease import Lease
from aq.core.lifecycle import Stage, Trigger
from aq.core.operations import PauseFleet
from aq.core.profile import Profile
from aq.core.record import Note, Record
from aq.core.settings import Amount, Budgets, Spend
from aq.core.value import replace
from tests.support.builders import NOW, Queue, job

DAY = NOW[:10]


def test_a_claim_takes_the_lease_raises_the_epoch_and_charges_one_attempt() -> None:
    queue = Queue()
    queue.now = replace(queue.now, profiles={"dev": Profile("dev", blobs=("blob-of-dev", "of-its-base"))})
    queue.add(profile="dev")
    change = queue.do(queue.claim_of(nonce="n7", score="fit 1"))
    held = queue.job()
    assert held.lease == Lease(
        "a", "mac-1", "b", "n7", 1, 1, "shell", 300.0, NOW, held.record.runs[-1].profile
    )
    assert held.record.runs[-1].profile == "blob-of-dev of-its-base"
    assert (held.stage, held.record.epoch, held.record.attempts, held.record.blob) == (
        Stage.BUILDING,
        1,
        1,
        "blob-a",
    )
    run = held.record.runs[-1]
    assert (run.epoch, run.host, run.nonce, run.attempt, run.outcome, run.score) == (
        1,
        "mac-1",
        "n7",
        1,
        "",
        "fit 1",
    )
    assert (change.event.op, change.event.epoch, change.event.attempt) == (Trigger.CLAIM, 1, 1)
    assert (change.event.get("Aq-Engine"), change.event.get("Aq-Lease")) == ("shell", "n7")


def test_a_claim_of_a_claimed_job_is_refused() -> None:
    queue = Queue()
    queue.started()
    queue.refused(queue.claim_of(host="mac-2"), "a is in building")
    queue.refused(queue.claim_of("nothing"), "there is no job nothing")


def test_two_claims_of_one_job_differ_by_their_nonce() -> None:
    queue = Queue()
    queue.add()
    first, second = queue.claim_of().decide(queue.now), queue.claim_of().decide(queue.now)
    assert first != second


def test_a_claim_forgets_what_the_last_attempt_left() -> None:
    record = Record(
        queued=NOW,
        epoch=4,
        branch="aq/a/4",
        tip="f" * 40,
        not_before=NOW,
        approvals=(Note("bob", NOW),),
        blob="blob-a",
    )
    queue = Queue.having(job("a", record=record))
    assert queue.claim().epoch == 5
    left = queue.job().record
    assert (left.branch, left.tip, left.not_before, left.approvals, left.verdict) == ("", "", None, (), None)


CLAIM_REFUSALS = {
    "a problem": ({"problem": "line 3: unknown key"}, {}, "line 3: unknown key"),
    "a schedule": ({"every": 60.0}, {}, "is a schedule"),
    "a capability that the host lacks": ({"capabilities": ("has:docker",)}, {}, "lacks has:docker"),
    "an engine that the host lacks": ({"engine": "claude"}, {}, "lacks engine:claude"),
    "a repo that the host lacks": ({"repo": "billing"}, {}, "lacks repo:billing"),
    "a time to come": ({"not_before": "2026-11-21T10:00:01Z"}, {}, "not before 2026-11-21T10:00:01Z"),
    "a backoff": ({"record": Record(queued=NOW, not_before="2026-11-21T10:00:01Z")}, {}, "retries at"),
    "a hold": ({"record": Record(hold=Note("alice", NOW, "conflict"))}, {}, "on hold: conflict"),
    "a pause": ({"record": Record(pause=Note("alice", NOW, ""))}, {}, "paused by alice: no reason given"),
    "no free slot": ({}, {"slots": 0}, "mac-1 holds 0 of 0 slots"),
}


@pytest.mark.parametrize("case", CLAIM_REFUSALS)
def test_a_claim_is_refused_for(case: str) -> None:
    keys, claim, reason = CLAIM_REFUSALS[case]
    queue = Queue.having(job("a", **keys))
    queue.refused(queue.claim_of(**claim), reason)


def test_a_claim_is_allowed_at_the_very_second_of_not_before() -> None:
    queue = Queue.having(job("a", not_before=NOW))
    assert queue.claim().epoch == 1


def test_a_claim_on_a_tip_with_a_stop_cannot_land() -> None:
    queue = Queue()
    queue.add()
    queue.do(PauseFleet(**queue.common(), why="release"))
    queue.refused(queue.claim_of(), "the queue is paused by alice: release")


def test_a_claim_is_refused_while_the_settings_are_invalid() -> None:
    queue = Queue.having(job("a"), settings_error="queue/aq.yaml:1: unknown key")
    queue.refused(queue.claim_of(), "queue settings are invalid: queue/aq.yaml:1")


def test_a_host_claims_no_more_than_its_slots() -> None:
    queue = Queue()
    for name in ("a", "b", "c"):
        queue.add(name)
    queue.claim("a", slots=2)
    queue.claim("b", slots=2)
    queue.refused(queue.claim_of("c", slots=2), "mac-1 holds 2 of 2 slots")
    assert queue.claim("c", "mac-2", slots=1).host == "mac-2"


def test_one_lease_per_lock_and_the_lock_is_free_after_the_run() -> None:
    queue = Queue()
    fence = queue.started("a", lock="db")
    queue.add("b", lock="db")
    queue.add("c", lock="other")
    queue.refused(queue.claim_of("b", "mac-2"), "lock 'db' is held by a")
    queue.claim("c", "mac-2")
    queue.do(queue.land_of(fence))
    queue.refused(queue.claim_of("b", "mac-2"), "lock 'db' is held by a")
    queue.do(queue.verified_of(fence))
    queue.claim("b", "mac-2")


def test_wip_limits_are_checked_on_the_tip() -> None:
    queue = Queue()
    queue.started("a")
    queue.add("b")
    queue.limit(wip_building=1)
    queue.refused(queue.claim_of("b"), "1 jobs are building")
    queue.limit(wip_building=2, wip_people=1)
    queue.tested("c")
    queue.refused(queue.claim_of("b"), "1 jobs wait for a person")


def limited(**more: Any) -> Queue:
    queue = Queue()
    queue.limit(budgets=Budgets(default_usd=2.0, fleet_usd=5.0, **more))
    return queue


def test_a_claim_reserves_and_a_landing_settles_at_the_cost() -> None:
    queue = limited()
    queue.landed(land={"usd": 0.25})
    assert queue.now.spend[DAY].fleet == Amount(2.0, 0.0)
    queue.do(queue.verified_of(queue.fence()))
    assert queue.now.spend[DAY].fleet == Amount(0.0, 0.25)


@pytest.mark.parametrize("end", ["reclaim", "verified without a cost", "failed without a cost", "cancelled"])
def test_an_unknown_cost_settles_at_the_reservation(end: str) -> None:
    from tests.support.builders import cancel_of

    queue = limited()
    fence = queue.landed()
    queue.do(
        {
            "reclaim": queue.reclaim_of,
            "verified without a cost": queue.verified_of,
            "failed without a cost": queue.fail_of,
            "cancelled": lambda _: cancel_of(queue),
        }[end](fence)
    )
    assert queue.now.spend[DAY].fleet == Amount(0.0, 2.0)


def test_the_limit_of_the_fleet_refuses_the_next_claim() -> None:
    queue = limited()
    for name in ("a", "b", "c"):
        queue.add(name)
    queue.claim("a")
    queue.claim("b")
    queue.refused(queue.claim_of("c"), "the fleet has 1.00 of 5.00 usd left today and this job reserves 2.00")


def test_the_limit_of_a_product_refuses_only_its_own_jobs() -> None:
    queue = Queue()
    queue.limit(budgets=Budgets(products={"billing": 1.5}))
    queue.started("a", product="billing")
    queue.add("b", product="billing")
    queue.refused(queue.claim_of("b"), "billing has 0.50 of 1.50 usd left today")
    queue.started("c", product="search")
    assert queue.now.spend[DAY] == Spend(Amount(1.0, 0.0), {"billing": Amount(1.0, 0.0)})


def test_money_is_free_again_on_the_next_day_and_settles_on_its_own() -> None:
    queue = limited()
    fence = queue.landed("a")
    queue.started("b")
    queue.add("c")
    queue.at = "2026-11-22T00:00:00Z"
    queue.claim("c")
    queue.do(queue.verified_of(fence))
    assert queue.now.spend[DAY].fleet == Amount(2.0, 2.0)
    assert queue.now.spend["2026-11-22"].fleet == Amount(2.0, 0.0)


def test_without_a_limit_and_a_budget_nothing_is_written() -> None:
    queue = Queue()
    queue.started()
    assert queue.now.spend == {}
    assert queue.job().record.runs[-1].spend_day == ""
