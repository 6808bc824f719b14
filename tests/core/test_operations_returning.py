"""Release, preempt, reclaim and verify-claim: what each end of a lease costs, and who goes on."""

from __future__ import annotations

from typing import Any

import pytest

from aq.core.change import Refusal
from aq.core.instants import unix
from aq.core.lifecycle import Stage, Trigger
from aq.core.manifest import Retry
from aq.core.operations import Hold, PauseFleet, PauseJob, Preempt
from aq.core.planning.plan import plan
from aq.core.record import Record
from aq.core.settings import Amount, Budgets
from aq.core.value import replace
from tests.support.builders import NOW, OFFERS, VERIFY, Queue, beat

DAY = NOW[:10]


def preempt_of(queue: Queue, **more: Any) -> Preempt:
    fence = queue.fence()
    return Preempt(**queue.common(fence.host), fence=fence, for_job="urgent", **more)


def returned(queue: Queue, how: str) -> None:
    """The run ends through no fault of the job, in one of three ways."""
    fence = queue.fence()
    queue.do(
        {
            "infra": lambda: queue.release_of(fence),
            "lost": lambda: queue.reclaim_of(fence),
            "preempted": lambda: preempt_of(queue),
        }[how]()
    )


def unverified_by_its_host(queue: Queue, **keys: Any) -> None:
    """A landed branch whose verifier fell silent."""
    queue.do(queue.reclaim_of(queue.landed(**{"verify": VERIFY, **keys})))


BOUNDS = {"infra": 5, "lost": 3, "preempted": 3}


@pytest.mark.parametrize("how", BOUNDS)
def test_a_return_gives_the_attempt_back_and_keeps_the_epoch(how: str) -> None:
    queue = Queue()
    queue.started()
    returned(queue, how)
    record = queue.job().record
    assert (queue.job().stage, queue.job().lease, record.epoch, record.attempts) == (Stage.INBOX, None, 1, 0)
    assert getattr(record, how) == 1
    assert queue.claim().epoch == 2


@pytest.mark.parametrize("how", BOUNDS)
def test_a_return_beyond_its_bound_is_dead_letter_even_without_retries(how: str) -> None:
    queue = Queue()
    queue.add(retry=Retry(max=0))
    for expected in [Stage.INBOX] * BOUNDS[how] + [Stage.DEAD_LETTER]:
        queue.claim()
        returned(queue, how)
        assert queue.job().stage is expected
    assert queue.job().record.epoch == BOUNDS[how] + 1


def test_the_infra_bound_is_the_jobs_own() -> None:
    queue = Queue()
    queue.started(retry=Retry(infra=0))
    returned(queue, "infra")
    assert queue.job().stage is Stage.DEAD_LETTER


def test_a_release_writes_its_reason_cost_and_kept_work() -> None:
    queue = Queue()
    queue.limit(budgets=Budgets(default_usd=2.0, fleet_usd=5.0))
    fence = queue.started()
    change = queue.do(queue.release_of(fence, usd=0.5, branch="aq/a/1", tip="e" * 40))
    run = queue.job().record.runs[-1]
    assert (run.outcome, run.reason, run.usd, run.branch, run.tip, run.ended) == (
        "released",
        "disk full",
        0.5,
        "aq/a/1",
        "e" * 40,
        NOW,
    )
    assert queue.now.spend[DAY].fleet == Amount(0.0, 0.5)
    assert (change.event.get("Aq-Reason"), change.event.get("Aq-Branch")) == ("disk full", "aq/a/1")


def test_a_reclaim_says_what_was_observed() -> None:
    queue = Queue()
    change = queue.do(queue.reclaim_of(queue.started(), silent=401.4))
    assert (change.event.get("Aq-Observed"), change.event.host) == ("oid 401", "mac-2")
    assert queue.job().record.runs[-1].reason == "mac-1 was silent for 401s"


def test_a_reclaim_of_a_lease_that_is_gone_or_another_does_nothing() -> None:
    queue = Queue()
    old = queue.started()
    queue.do(queue.release_of(old))
    queue.refused(queue.reclaim_of(old), f"the lease {old.key} is gone", done=True)
    queue.claim()
    queue.refused(queue.reclaim_of(old), "is gone", done=True)


def test_a_reclaim_leaves_a_job_alone_that_a_hand_edit_broke() -> None:
    """Without its record a job has no run to end: this crashed the host that tried."""
    queue = Queue()
    fence = queue.started()
    queue.put(replace(queue.job(), record=Record(), problem="its lease was written by hand"))
    queue.refused(queue.reclaim_of(fence), "a is out of play")


@pytest.mark.parametrize("how", ["infra", "lost"])
def test_a_landed_branch_stays_in_review_without_lease_or_verdict(how: str) -> None:
    queue = Queue()
    queue.landed()
    returned(queue, how)
    left = queue.job()
    assert (left.stage, left.lease, left.to_be_verified, left.waits_for_person) == (
        Stage.REVIEW,
        None,
        True,
        False,
    )
    assert left.record.attempts == 1


def test_a_reclaim_in_review_without_a_branch_goes_back_to_the_inbox() -> None:
    queue = Queue()
    fence = queue.landed(land={"branch": "", "tip": ""})
    queue.do(queue.reclaim_of(fence))
    assert (queue.job().stage, queue.job().record.attempts) == (Stage.INBOX, 0)


def test_a_branch_that_kills_every_verifier_is_dead_letter() -> None:
    queue = Queue()
    unverified_by_its_host(queue)
    for expected in (Stage.REVIEW, Stage.REVIEW, Stage.DEAD_LETTER):
        queue.do(queue.verify_claim_of())
        returned(queue, "lost")
        assert queue.job().stage is expected


def test_a_verify_that_nobody_could_run_waits_before_the_next_one_tries() -> None:
    queue = Queue()
    queue.do(queue.release_of(queue.landed(verify=VERIFY), broken=True))
    again = queue.job().record.not_before
    assert again
    assert 20 < unix(again) - unix(NOW) < 40
    assert plan(queue.now, {"mac-2": beat("mac-2")}, queue.at).assignments == ()
    queue.refused(queue.verify_claim_of(), f"is verified again at {again}")
    queue.at = again
    assert plan(queue.now, {"mac-2": beat("mac-2")}, queue.at).assignments[0].verify
    queue.do(queue.verify_claim_of())
    assert queue.job().record.not_before is None
    queue.do(queue.release_of(queue.fence(), broken=True))
    second = queue.job().record.not_before
    assert second
    assert unix(second) - unix(queue.at) > 40, "it waits longer each time"


def test_a_verify_that_an_operator_stopped_is_taken_at_once() -> None:
    queue = Queue()
    queue.do(queue.release_of(queue.landed(verify=VERIFY)))
    queue.do(queue.verify_claim_of())


def test_preempt_is_only_for_building() -> None:
    queue = Queue()
    queue.landed()
    queue.refused(preempt_of(queue), "fenced: mac-1 held a in epoch 1")


def test_a_verify_claim_raises_the_epoch_and_charges_no_attempt() -> None:
    queue = Queue()
    unverified_by_its_host(queue)
    change = queue.do(queue.verify_claim_of())
    taken = queue.job()
    assert (taken.stage, taken.record.epoch, taken.record.attempts) == (Stage.REVIEW, 2, 1)
    assert taken.lease is not None
    assert (taken.lease.host, taken.lease.epoch) == ("mac-2", 2)
    assert taken.record.runs[-1].verify_only
    assert change.event.op is Trigger.VERIFY_CLAIM
    queue.do(queue.verified_of(queue.fence()))
    assert queue.job().stage is Stage.TESTING


def test_a_verify_claim_needs_a_landed_branch_that_nobody_judges() -> None:
    queue = Queue()
    queue.add()
    queue.refused(queue.verify_claim_of(), "a is in inbox")
    queue.landed("b")
    queue.refused(queue.verify_claim_of("b"), "b is in review")
    queue.do(Hold(**queue.common("mac-1"), job="b", fence=queue.fence("b"), reason="conflict"))
    queue.refused(queue.verify_claim_of("b"), "b is in review")


def test_a_verify_claim_obeys_stops_slots_repos_pauses_and_hand_edits() -> None:
    queue = Queue()
    unverified_by_its_host(queue)
    queue.refused(queue.verify_claim_of(slots=0), "mac-2 holds 0 of 0 slots")
    queue.put(replace(queue.job(), manifest=replace(queue.job().manifest, repo="billing")))
    queue.refused(queue.verify_claim_of(), "lacks repo:billing")
    assert not isinstance(queue.verify_claim_of(offers=OFFERS | {"repo:billing"}).decide(queue.now), Refusal)
    queue.put(replace(queue.job(), problem="edited"))
    queue.refused(queue.verify_claim_of(), "a is out of play: edited")
    queue.put(replace(queue.job(), problem=""))
    queue.do(PauseJob(**queue.common(), job="a", message="wait"))
    queue.refused(queue.verify_claim_of(), "paused by alice: wait")
    queue.do(PauseFleet(**queue.common(), why=""))
    queue.refused(queue.verify_claim_of(), "the queue is paused by alice: no reason given")


def test_a_verify_claim_needs_the_lock_too() -> None:
    """I8: a verify under a lock that another run holds would be a second lease of that lock."""
    queue = Queue()
    unverified_by_its_host(queue, lock="db")
    queue.started("b", lock="db")
    queue.refused(queue.verify_claim_of(), "lock 'db' is held by b")


def test_an_outage_of_minutes_does_not_use_up_the_tries_of_a_job() -> None:
    queue = Queue()
    queue.add()
    began = unix(queue.at)
    while queue.job().stage is Stage.INBOX:
        queue.at = queue.job().record.not_before or queue.at
        queue.do(queue.release_of(queue.claim(), broken=True))
    assert queue.job().stage is Stage.DEAD_LETTER
    assert unix(queue.at) - began > 10 * 60


@pytest.mark.parametrize("more", [{}, {"failure": "quota"}], ids=["a stop", "an engine that rests"])
def test_a_job_that_another_may_take_at_once_does_not_wait(more: dict[str, str]) -> None:
    queue = Queue()
    queue.do(queue.release_of(queue.started(), **more))
    assert queue.job().record.not_before is None
