"""Land, verdicts, fail, hold, fix round, fenced and delivered: each result names its lease."""

from __future__ import annotations

from typing import Any

import pytest

from aq.core.lease import Fence
from aq.core.lifecycle import Stage
from aq.core.manifest import Retry
from aq.core.operations import Fail, FixRound, Hold, Preempt, Unverified
from aq.core.value import replace
from tests.support.builders import FAILED, NOW, PASSED, Queue, cancel_of

TIP = "f" * 40


def unverified_of(queue: Queue, fence: Fence) -> Unverified:
    return Unverified(**queue.common(fence.host), fence=fence)


def hold_of(queue: Queue, name: str = "a", fence: Fence | None = None) -> Hold:
    return Hold(**queue.common("mac-1"), job=name, fence=fence, reason="conflict")


def fix_of(queue: Queue, fence: Fence) -> FixRound:
    return FixRound(**queue.common(fence.host), fence=fence, number=1, failed=FAILED)


def test_a_landing_moves_to_review_under_the_same_lease_and_names_its_branch() -> None:
    queue = Queue()
    fence = queue.started()
    before = queue.job().lease
    change = queue.do(queue.land_of(fence, usd=0.5, tokens=1200))
    landed = queue.job()
    assert (landed.stage, landed.lease) == (Stage.REVIEW, before)
    assert (landed.record.branch, landed.record.tip) == ("aq/a/1", TIP)
    assert (landed.record.runs[-1].usd, landed.record.runs[-1].tokens, landed.record.runs[-1].ended) == (
        0.5,
        1200,
        None,
    )
    assert dict(change.event.extra) == {"Aq-Branch": "aq/a/1", "Aq-Cost-Usd": "0.5", "Aq-Tokens": "1200"}


def test_a_landing_is_refused_while_its_branch_is_not_on_the_remote() -> None:
    queue = Queue()
    queue.refused(queue.land_of(queue.started(), pushed=False), "the branch aq/a/1 of a is not on its remote")


def test_a_landing_without_a_branch_needs_no_remote() -> None:
    queue = Queue()
    queue.do(queue.land_of(queue.started(), branch="", tip="", pushed=False))
    assert queue.job().stage is Stage.REVIEW


def test_a_landing_that_landed_already_is_done() -> None:
    queue = Queue()
    fence = queue.landed()
    queue.refused(queue.land_of(fence), "a has landed already", done=True)
    queue.do(queue.verified_of(fence))
    queue.refused(queue.land_of(fence), "epoch 1, is written already", done=True)


RESULTS: dict[str, Any] = {
    "land": lambda queue, fence: queue.land_of(fence),
    "fail": lambda queue, fence: queue.fail_of(fence),
    "release": lambda queue, fence: queue.release_of(fence),
    "verified": lambda queue, fence: queue.verified_of(fence),
    "unverified": unverified_of,
    "fix round": fix_of,
    "hold": lambda queue, fence: hold_of(queue, fence=fence),
    "preempt": lambda queue, fence: Preempt(**queue.common(fence.host), fence=fence, for_job="b"),
}


@pytest.mark.parametrize("result", RESULTS)
def test_a_result_of_a_reclaimed_run_is_fenced(result: str) -> None:
    queue = Queue()
    old = queue.started()
    queue.do(queue.reclaim_of(old))
    queue.refused(
        RESULTS[result](queue, old), "fenced: mac-1 held a in epoch 1, now it is in inbox without a lease"
    )
    queue.claim(host="mac-2")
    queue.refused(RESULTS[result](queue, old), "now it is held by mac-2 in epoch 2")


@pytest.mark.parametrize("result", RESULTS)
def test_a_result_with_another_nonce_is_fenced_though_host_and_epoch_agree(result: str) -> None:
    queue = Queue()
    fence = replace(queue.landed(), nonce="forged")
    queue.refused(RESULTS[result](queue, fence), "fenced: mac-1 held a in epoch 1")


@pytest.mark.parametrize("result", RESULTS)
def test_a_result_of_a_cancelled_run_is_fenced_and_of_an_unknown_job_refused(result: str) -> None:
    queue = Queue()
    fence = queue.started()
    queue.do(cancel_of(queue))
    queue.refused(RESULTS[result](queue, fence), "fenced")
    queue.refused(RESULTS[result](queue, replace(fence, job="gone")), "there is no job gone")


@pytest.mark.parametrize("result", RESULTS)
def test_a_result_that_is_written_is_done_however_often_it_is_asked_again(result: str) -> None:
    queue = Queue()
    fence = queue.started()
    queue.do(queue.release_of(fence))
    queue.refused(RESULTS[result](queue, fence), "epoch 1, is written already", done=True)


@pytest.mark.parametrize("result", RESULTS)
def test_a_result_for_a_job_that_a_hand_edit_broke_is_refused(result: str) -> None:
    queue = Queue()
    fence = queue.started() if result == "preempt" else queue.landed()
    queue.put(replace(queue.job(), problem="its file was edited"))
    queue.refused(RESULTS[result](queue, fence), "a is out of play: its file was edited")


def test_a_lapsed_lease_that_nobody_took_may_still_land() -> None:
    queue = Queue()
    fence = queue.started()
    queue.at = "2026-11-23T10:00:00Z"
    queue.do(queue.land_of(fence))


def test_a_passed_verify_drops_the_lease_and_moves_to_testing() -> None:
    queue = Queue()
    queue.do(queue.verified_of(queue.landed()))
    done = queue.job()
    assert (done.stage, done.lease, done.waits_for_person) == (Stage.TESTING, None, True)
    assert done.record.verdict is not None
    assert (done.record.verdict.result, done.record.verdict.epoch, done.record.verdict.checks) == (
        "passed",
        1,
        PASSED,
    )
    assert (done.record.runs[-1].outcome, done.record.runs[-1].ended) == ("passed", NOW)


def test_without_a_check_the_job_waits_in_review_with_the_verdict_none() -> None:
    queue = Queue()
    queue.do(unverified_of(queue, queue.landed()))
    left = queue.job()
    assert (left.stage, left.lease, left.to_be_verified, left.waits_for_person) == (
        Stage.REVIEW,
        None,
        False,
        True,
    )
    assert left.record.verdict is not None
    assert left.record.verdict.result == "none"


def test_a_verdict_is_refused_before_the_landing() -> None:
    queue = Queue()
    queue.refused(queue.verified_of(queue.started()), "fenced")


def test_a_failure_that_is_retried_waits_for_its_backoff() -> None:
    queue = Queue()
    queue.do(queue.fail_of(queue.started(), "timeout"))
    left = queue.job()
    assert (left.stage, left.lease, left.record.attempts) == (Stage.INBOX, None, 1)
    assert left.record.not_before is not None
    assert left.record.not_before > NOW
    queue.refused(queue.claim_of(), "retries at")
    queue.at = left.record.not_before
    assert queue.claim().epoch == 2


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_retries_are_bounded_and_then_it_is_dead_letter(retries: int) -> None:
    queue = Queue()
    queue.add(retry=Retry(max=retries, backoff=0))
    for expected in [Stage.INBOX] * retries + [Stage.DEAD_LETTER]:
        change = queue.do(queue.fail_of(queue.claim(), "crash"))
        assert queue.job().stage is expected
    assert queue.job().record.attempts == retries + 1
    assert change.event.detail == f"crash in attempt {retries + 1} of {retries + 1}"


def test_a_class_that_is_not_retried_fails_at_once() -> None:
    queue = Queue()
    change = queue.do(queue.fail_of(queue.started(retry=Retry(max=9)), "denied"))
    assert queue.job().stage is Stage.FAILED
    assert (change.event.detail, change.event.get("Aq-Class")) == ("denied is not retried", "denied")


def test_a_failed_verify_keeps_the_branch_the_cost_and_the_verdict() -> None:
    queue = Queue()
    fence = queue.landed(land={"usd": 0.5, "tokens": 10})
    change = queue.do(queue.fail_of(fence, "verify_failed", checks=FAILED))
    record = queue.job().record
    assert queue.job().stage is Stage.INBOX
    assert (record.runs[-1].branch, record.runs[-1].tip, record.runs[-1].usd, record.runs[-1].tokens) == (
        "aq/a/1",
        TIP,
        0.5,
        10,
    )
    assert record.verdict is not None
    assert (record.verdict.result, record.verdict.checks) == ("failed", FAILED)
    assert change.event.get("Aq-Branch") == "aq/a/1"


def test_a_failure_names_its_own_branch_and_cost_over_those_of_the_landing() -> None:
    queue = Queue()
    queue.do(queue.fail_of(queue.landed(land={"usd": 0.5}), branch="kept", tip="e" * 40, usd=0.0, tokens=7))
    run = queue.job().record.runs[-1]
    assert (run.branch, run.tip, run.usd, run.tokens) == ("kept", "e" * 40, 0.0, 7)
    assert queue.job().record.verdict is None


def test_a_failure_of_a_job_that_has_no_result_yet_is_no_verdict() -> None:
    queue = Queue()
    queue.do(Fail(**queue.common("mac-1"), fence=queue.started(), failure="crash", reason="exit 3"))
    assert queue.job().record.verdict is None
    assert queue.job().record.runs[-1].reason == "exit 3"
