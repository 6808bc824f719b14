"""Rule 8: every claim is charged, and how a run ends says to which counter the charge moves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aq.core.lifecycle import Stage
from aq.core.operations import Operation, Preempt, Reject
from tests.support.fleet import Fleet, op
from tests.support.story import TIP, Story, story

NO_RETRY = "---\nengine: shell\nretry: {max: 0}\n---\nfalse\n"


def counters(tale: Story, name: str) -> dict[str, int]:
    record = tale.job(name).record
    return {field: getattr(record, field) for field in ("epoch", "attempts", "infra", "preempted", "lost")}


def preempt(tale: Story) -> Operation:
    return Preempt(**op("ada"), fence=tale.fence("x"), for_job="urgent")


GIVE_BACK: dict[str, Callable[[Story], Operation]] = {
    "infra": lambda tale: tale.release_of("x"),
    "preempted": preempt,
    "lost": lambda tale: tale.reclaim_of("x"),
}


def test_a_claim_writes_epoch_and_one_charge_into_the_record(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.building("x")
    assert counters(tale, "x") == {"epoch": 1, "attempts": 1, "infra": 0, "preempted": 0, "lost": 0}
    lease = tale.job("x").lease
    assert lease
    assert (lease.epoch, lease.attempt) == (1, 1)


@pytest.mark.parametrize("counter", GIVE_BACK)
def test_a_run_that_was_given_back_moves_its_charge(fleet: Fleet, counter: str) -> None:
    tale = story(fleet)
    tale.building("x")
    tale.do(GIVE_BACK[counter](tale))
    wanted = {"epoch": 1, "attempts": 0, "infra": 0, "preempted": 0, "lost": 0, counter: 1}
    assert counters(tale, "x") == wanted
    assert tale.job("x").stage is Stage.INBOX
    tale.building("x")
    assert counters(tale, "x") == {**wanted, "epoch": 2, "attempts": 1}


@pytest.mark.parametrize(("counter", "bound"), [("infra", 5), ("preempted", 3), ("lost", 3)])
def test_a_bound_lets_a_job_come_back_that_often_and_no_more(fleet: Fleet, counter: str, bound: int) -> None:
    tale = story(fleet)
    tale.inbox("x", NO_RETRY)
    for _ in range(bound):
        tale.building("x")
        tale.do(GIVE_BACK[counter](tale))
        assert tale.job("x").stage is Stage.INBOX
    tale.building("x")
    tale.do(GIVE_BACK[counter](tale))
    job = tale.job("x")
    assert job.stage is Stage.DEAD_LETTER
    assert len(job.record.runs) == bound + 1, "the full diagnostics are kept"
    assert tale.event().target is Stage.DEAD_LETTER


def test_a_job_that_kills_its_host_reaches_dead_letter_even_without_retries(fleet: Fleet) -> None:
    hosts = ["ada", "bob", "cy", "dee"]
    tale = story(fleet)
    tale.inbox("x", NO_RETRY)
    claims = 0
    while tale.job("x").stage is Stage.INBOX and claims < 20:
        tale.do(tale.claim_of("x", hosts[claims % len(hosts)]))
        tale.do(tale.reclaim_of("x"))
        claims += 1
    assert (tale.job("x").stage, claims) == (Stage.DEAD_LETTER, 4)


def test_retry_max_zero_means_one_attempt(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.building("x", NO_RETRY)
    tale.do(tale.fail_of("x"))
    assert tale.job("x").stage is Stage.DEAD_LETTER


def test_the_default_is_one_retry_with_a_pause_before_it(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.building("x", "---\nengine: shell\nretry: {backoff: 0s}\n---\nfalse\n")
    tale.do(tale.fail_of("x"))
    assert tale.job("x").stage is Stage.INBOX
    tale.building("x")
    tale.do(tale.fail_of("x"))
    assert tale.job("x").stage is Stage.DEAD_LETTER
    assert counters(tale, "x")["attempts"] == 2

    tale.building("slow", "---\nengine: shell\nretry: {backoff: 1h}\n---\nfalse\n")
    tale.do(tale.fail_of("slow"))
    assert "retries at" in str(tale.refusal(tale.claim_of("slow")))


def test_a_failure_class_that_is_not_retried_ends_the_job(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.building("x", "---\nengine: shell\nretry: {max: 5, on: [timeout]}\n---\nfalse\n")
    tale.do(tale.fail_of("x", "agent"))
    assert tale.job("x").stage is Stage.FAILED


def test_requeue_starts_a_new_submission_with_counters_zero_and_the_epoch_going_on(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.building("x", NO_RETRY)
    tale.do(tale.release_of("x"))
    tale.building("x")
    tale.do(tale.fail_of("x"))
    assert tale.job("x").stage is Stage.DEAD_LETTER
    tale.requeue("x")
    assert counters(tale, "x") == {"epoch": 2, "attempts": 0, "infra": 0, "preempted": 0, "lost": 0}
    assert tale.job("x").record.submission == 2
    tale.building("x")
    assert counters(tale, "x") == {"epoch": 3, "attempts": 1, "infra": 0, "preempted": 0, "lost": 0}


def test_reject_with_requeue_is_a_new_submission_too(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.testing("x")
    tale.do(Reject(**op(), job="x", message="wrong colour", requeue=True))
    record = tale.job("x").record
    assert (record.submission, record.attempts, record.epoch) == (2, 0, 1)
    assert record.feedback[-1].text == "wrong colour"


def test_a_landed_branch_keeps_its_attempt_when_its_verifier_is_lost(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.verifying("x", tip=TIP)
    tale.do(tale.reclaim_of("x"))
    job = tale.job("x")
    assert (job.stage, job.record.attempts, job.record.lost) == (Stage.REVIEW, 1, 1)
    assert job.to_be_verified


def test_the_last_twenty_runs_are_kept_in_full_and_older_ones_as_a_line(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.inbox("x", "---\nengine: shell\nretry: {infra: 30}\n---\ntrue\n")
    for _ in range(22):
        tale.building("x")
        tale.do(tale.release_of("x"))
    record = tale.job("x").record
    assert [run.epoch for run in record.runs] == list(range(3, 23))
    assert record.older == ("epoch 1 ada released", "epoch 2 ada released")
