"""Hold, fenced and delivered: what is written beside a job without moving it."""

from __future__ import annotations

from typing import Any

import pytest

from aq.core.lease import Fence
from aq.core.lifecycle import Stage, Trigger
from aq.core.operations import Delivered, Fenced, Hold, Operation, Ship
from aq.core.record import Note
from tests.support.builders import NOW, Queue

TIP = "f" * 40


def hold_of(queue: Queue, name: str = "a", fence: Fence | None = None) -> Hold:
    return Hold(**queue.common("mac-1"), job=name, fence=fence, reason="conflict")


def fenced_of(queue: Queue, fence: Fence, **more: Any) -> Fenced:
    return Fenced(**queue.common(fence.host), fence=fence, **more)


def test_a_hold_of_a_held_job_drops_the_lease_and_waits_for_a_person() -> None:
    queue = Queue()
    fence = queue.landed()
    queue.do(hold_of(queue, fence=fence))
    left = queue.job()
    assert (left.stage, left.lease, left.record.hold) == (Stage.REVIEW, None, Note("mac-1", NOW, "conflict"))
    assert (left.waits_for_person, left.to_be_verified, left.record.runs[-1].outcome) == (True, False, "held")


@pytest.mark.parametrize("stage", [Stage.INBOX, Stage.TESTING, Stage.SHIPPED])
def test_a_hold_stays_in_its_stage(stage: Stage) -> None:
    queue = Queue()
    queue.in_stage(stage)
    queue.do(hold_of(queue))
    assert (queue.job().stage, queue.job().record.hold) == (stage, Note("mac-1", NOW, "conflict"))


@pytest.mark.parametrize("stage", [Stage.BUILDING, Stage.REVIEW, Stage.FAILED, Stage.DEAD_LETTER])
def test_a_hold_is_refused_where_a_job_runs_or_has_ended(stage: Stage) -> None:
    queue = Queue()
    queue.in_stage(stage)
    queue.refused(hold_of(queue), f"a is in {stage}")
    queue.refused(hold_of(queue, "gone"), "there is no job gone")


def test_a_hold_under_a_lease_is_only_for_review() -> None:
    queue = Queue()
    queue.refused(hold_of(queue, fence=queue.started()), "fenced")


@pytest.mark.parametrize("stage", Stage)
def test_a_late_result_is_noted_in_any_stage_and_moves_nothing(stage: Stage) -> None:
    queue = Queue()
    queue.in_stage(stage)
    old = Fence("a", "mac-9", 1, "old")
    before = queue.job()
    change = queue.do(fenced_of(queue, old, branch="aq/a/1-old", tip=TIP))
    after = queue.job()
    assert (after.stage, after.folder, after.lease, after.record.epoch) == (
        before.stage,
        before.folder,
        before.lease,
        before.record.epoch,
    )
    assert after.record.feedback[-1].text == f"late result of mac-9, epoch 1: aq/a/1-old {TIP}"
    assert (change.event.op, change.event.get("Aq-Fenced-Epoch")) == (Trigger.FENCED, "1")
    queue.refused(fenced_of(queue, old, branch="aq/a/1-old", tip=TIP), "noted already", done=True)


def test_a_late_result_without_work_is_noted_in_few_words() -> None:
    queue = Queue()
    queue.add()
    queue.do(fenced_of(queue, Fence("a", "mac-9", 1, "old")))
    assert queue.job().record.feedback[-1].text == "late result of mac-9, epoch 1"


def test_a_result_that_landed_though_its_host_died_before_it_heard_so_is_not_late() -> None:
    queue = Queue()
    fence = queue.landed(land={"branch": "aq/a/1", "tip": TIP})
    queue.do(queue.reclaim_of(fence))
    queue.do(queue.verify_claim_of("a", host="mac-2"))
    queue.refused(fenced_of(queue, fence, branch="aq/a/1", tip=TIP), "has landed already", done=True)
    queue.do(fenced_of(queue, fence, branch="aq/a/1", tip="e" * 40))


def test_fenced_is_refused_while_the_lease_is_ours() -> None:
    queue = Queue()
    queue.refused(fenced_of(queue, queue.started()), "a is in building")
    queue.refused(fenced_of(queue, Fence("gone", "mac-1", 1, "n")), "there is no job gone")


def delivered_of(queue: Queue) -> Operation:
    return Delivered(**queue.common("mac-1"), job="a", oid="d" * 40)


def test_delivered_is_written_once_and_only_where_it_is_wanted() -> None:
    queue = Queue()
    queue.refused(delivered_of(queue), "there is no job a")
    queue.tested(deliver="merge")
    queue.refused(delivered_of(queue), "a is in testing")
    queue.do(Ship(**queue.common(), job="a"))
    assert queue.job().record.delivery == "wanted"
    change = queue.do(delivered_of(queue))
    assert (queue.job().record.delivery, queue.job().record.delivered) == ("delivered", "d" * 40)
    assert change.event.get("Aq-Delivered") == "d" * 40
    queue.refused(delivered_of(queue), "a is in shipped")


def test_a_pull_request_is_recorded_with_its_url_and_what_it_shows() -> None:
    queue = Queue()
    queue.tested(deliver="pr")
    queue.do(Ship(**queue.common(), job="a"))
    url = "https://forge.invalid/pr/1"
    queue.do(Delivered(**queue.common("mac-1"), job="a", oid="d" * 40, url=url))
    assert queue.job().record.delivered == f"{url} {'d' * 40}"
