"""What people ask for: promote, ship, reject, requeue, cancel, approve, pause, resume, repair."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aq.core.lifecycle import LIVE, Stage
from aq.core.manifest import Budget
from aq.core.operations import (
    Approve,
    Hold,
    Operation,
    PauseJob,
    Promote,
    Reject,
    RemoveStray,
    Repair,
    Requeue,
    ResumeJob,
    Ship,
    Unverified,
)
from aq.core.record import Note, Record
from aq.core.settings import Amount
from aq.core.snapshot import Problem
from aq.core.value import replace
from tests.support.builders import NOW, Queue, cancel_of, job, lease

Asker = Callable[..., Operation]


def promote_of(queue: Queue, name: str = "a", override: str = "") -> Promote:
    return Promote(**queue.common(), job=name, override=override)


def ship_of(queue: Queue, name: str = "a", override: str = "") -> Ship:
    return Ship(**queue.common(), job=name, override=override)


def reject_of(queue: Queue, name: str = "a", requeue: bool = False) -> Reject:
    return Reject(**queue.common(), job=name, message="wrong colour", requeue=requeue)


def requeue_of(queue: Queue, name: str = "a", message: str = "") -> Requeue:
    return Requeue(**queue.common(), job=name, message=message)


def approve_of(queue: Queue, name: str = "a", by: str = "alice") -> Approve:
    return Approve(**queue.common(by), job=name, message="fine")


def pause_of(queue: Queue, name: str = "a") -> PauseJob:
    return PauseJob(**queue.common(), job=name, message="wait")


def resume_of(queue: Queue, name: str = "a") -> ResumeJob:
    return ResumeJob(**queue.common(), job=name)


def repair_of(queue: Queue, name: str = "a") -> Repair:
    return Repair(**queue.common(), job=name)


def judged(queue: Queue) -> None:
    """A job in review with the verdict `none`."""
    fence = queue.landed()
    queue.do(Unverified(**queue.common("mac-1"), fence=fence))


def held(queue: Queue) -> None:
    """A job in review on hold."""
    fence = queue.landed()
    queue.do(Hold(**queue.common("mac-1"), job="a", fence=fence, reason="conflict"))


# Where each may be asked at all.
STAGES: dict[str, tuple[Asker, tuple[Stage, ...]]] = {
    "promote": (promote_of, (Stage.REVIEW,)),
    "ship": (ship_of, (Stage.TESTING,)),
    "reject": (reject_of, (Stage.REVIEW, Stage.TESTING)),
    "requeue": (requeue_of, (Stage.FAILED, Stage.DEAD_LETTER)),
    "cancel": (cancel_of, LIVE),
    "approve": (approve_of, (Stage.REVIEW, Stage.TESTING)),
    "pause": (pause_of, LIVE),
    "resume": (resume_of, (*LIVE, Stage.SHIPPED)),
    "repair": (repair_of, tuple(Stage)),
}
ELSEWHERE = [(name, stage) for name, (_, stages) in STAGES.items() for stage in Stage if stage not in stages]


@pytest.mark.parametrize(("name", "stage"), ELSEWHERE, ids=str)
def test_it_is_refused_in_a_stage_where_it_means_nothing(name: str, stage: Stage) -> None:
    queue = Queue()
    queue.in_stage(stage)
    already = name == "ship" and stage is Stage.SHIPPED
    queue.refused(
        STAGES[name][0](queue), "a is shipped already" if already else f"a is in {stage}", done=already
    )


@pytest.mark.parametrize("name", STAGES)
def test_it_is_refused_for_a_job_that_does_not_exist(name: str) -> None:
    queue = Queue()
    queue.refused(STAGES[name][0](queue, "gone"), "there is no job gone")


@pytest.mark.parametrize("name", sorted(set(STAGES) - {"cancel", "repair"}))
def test_it_is_refused_for_a_job_that_a_hand_edit_broke(name: str) -> None:
    asker, stages = STAGES[name]
    queue = Queue.having(job("a", stages[0], problem="moved by hand"))
    queue.refused(asker(queue), "a is out of play: moved by hand")


@pytest.mark.parametrize("name", ["promote", "reject", "approve"])
def test_it_is_refused_while_a_host_verifies(name: str) -> None:
    queue = Queue()
    queue.landed()
    queue.refused(STAGES[name][0](queue), "a is being verified on mac-1")


@pytest.mark.parametrize("stage", [Stage.REVIEW, Stage.TESTING])
@pytest.mark.parametrize("requeue", [False, True])
def test_reject_ends_the_job_or_starts_a_new_submission_with_the_message(stage: Stage, requeue: bool) -> None:
    queue = Queue()
    judged(queue) if stage is Stage.REVIEW else queue.tested()
    queue.at = "2026-11-22T10:00:00Z"
    queue.do(reject_of(queue, requeue=requeue))
    record = queue.job().record
    assert queue.job().stage is (Stage.INBOX if requeue else Stage.FAILED)
    assert record.feedback[-1].text == "wrong colour"
    assert (record.submission, record.attempts, record.epoch) == ((2, 0, 1) if requeue else (1, 1, 1))
    assert record.queued == (queue.at if requeue else NOW)


@pytest.mark.parametrize("stage", [Stage.FAILED, Stage.DEAD_LETTER])
def test_requeue_starts_a_new_submission_counters_zero_and_the_epoch_goes_on(stage: Stage) -> None:
    queue = Queue()
    queue.in_stage(stage)
    epoch = queue.job().record.epoch
    queue.do(requeue_of(queue, message="again"))
    record = queue.job().record
    assert (record.submission, record.attempts, record.infra, record.preempted, record.lost) == (
        2,
        0,
        0,
        0,
        0,
    )
    assert (record.epoch, record.not_before, record.verdict, record.branch) == (epoch, None, None, "")
    assert record.feedback[-1].text == "again"
    assert queue.claim().epoch == epoch + 1


def test_requeue_without_a_message_adds_none() -> None:
    queue = Queue()
    queue.failed()
    queue.do(requeue_of(queue))
    assert queue.job().record.feedback == ()


@pytest.mark.parametrize("stage", LIVE)
def test_cancel_ends_a_live_job_and_drops_its_lease(stage: Stage) -> None:
    queue = Queue()
    queue.in_stage(stage)
    queue.do(cancel_of(queue, message="not needed"))
    left = queue.job()
    assert (left.stage, left.lease, left.record.feedback[-1].text) == (
        Stage.FAILED,
        None,
        "cancelled: not needed",
    )
    if stage in (Stage.BUILDING, Stage.REVIEW):
        assert (left.record.runs[-1].outcome, left.record.runs[-1].ended) == ("cancelled", NOW)


def test_who_ended_a_job_is_known_until_a_later_run_ends_it() -> None:
    queue = Queue()
    queue.tested()
    assert queue.job().record.ended_by is None
    queue.do(reject_of(queue))
    ended = queue.job().record.ended_by
    assert ended
    assert (ended.by, ended.about) == ("alice", "rejected")
    queue.do(requeue_of(queue))
    queue.at = "2026-11-22T10:00:00Z"
    queue.do(queue.fail_of(queue.claim(), "denied"))
    assert queue.job().record.ended_by is None
    never = Queue()
    never.add()
    never.do(cancel_of(never))
    assert never.job().record.ended_by


def test_a_run_belongs_to_its_submission() -> None:
    queue = Queue()
    queue.failed()
    queue.do(requeue_of(queue))
    queue.do(queue.land_of(queue.claim()))
    queue.do(queue.reclaim_of(queue.fence()))
    queue.do(queue.verify_claim_of())
    assert [run.submission for run in queue.job().record.runs] == [1, 2, 2]


def test_cancel_takes_a_broken_job_out_of_the_way() -> None:
    broken = replace(job("a", Stage.BUILDING, problem="its lease was written by hand"), lease=lease("a"))
    queue = Queue.having(broken)
    queue.do(cancel_of(queue))
    assert (queue.job().stage, queue.job().problem, queue.job().lease, queue.job().record.feedback) == (
        Stage.FAILED,
        "",
        None,
        (Note("alice", NOW, "cancelled", "cancelled"),),
    )


@pytest.mark.parametrize("stage", LIVE)
def test_a_pause_and_its_end_change_nothing_but_the_record(stage: Stage) -> None:
    queue = Queue()
    before = queue.in_stage(stage)
    queue.do(pause_of(queue))
    assert queue.job().record.pause == Note("alice", NOW, "wait")
    queue.refused(pause_of(queue), "a is paused already by alice", done=True)
    queue.do(resume_of(queue))
    after = queue.job()
    assert (after.stage, after.lease, after.record.pause, after.record.epoch) == (
        stage,
        before.lease,
        None,
        before.record.epoch,
    )
    queue.refused(resume_of(queue), "neither paused nor on hold", done=True)


def test_resume_lifts_a_hold_and_the_job_is_to_be_verified_again() -> None:
    queue = Queue()
    held(queue)
    queue.do(resume_of(queue))
    assert (queue.job().record.hold, queue.job().to_be_verified) == (None, True)


def test_resume_lifts_the_hold_of_a_shipped_job() -> None:
    queue = Queue()
    queue.shipped()
    queue.do(Hold(**queue.common(), job="a", reason="merge conflict"))
    queue.do(resume_of(queue))
    assert queue.job().record.hold is None


def test_repair_puts_the_jobs_own_file_back_into_the_inbox() -> None:
    queue = Queue()
    queue.started()
    queue.put(replace(queue.job(), blob="edited", problem="its file was edited by hand"))
    change = queue.do(repair_of(queue))
    left = queue.job()
    assert (left.stage, left.blob, left.problem, left.lease, left.record.submission) == (
        Stage.INBOX,
        "blob-a",
        "",
        None,
        2,
    )
    assert change.event.get("Aq-Reason") == "its file was edited by hand"
    assert queue.claim().epoch == 2


def test_repair_without_a_record_keeps_the_file_that_is_there() -> None:
    queue = Queue.having(job("a", Stage.TESTING, problem="moved by hand", record=Record()))
    queue.do(repair_of(queue))
    assert queue.job().blob == "blob-a"


def test_repair_settles_the_money_of_the_run_that_it_ends() -> None:
    queue = Queue()
    queue.started(budget=Budget(usd=2.0))
    assert queue.now.spend[NOW[:10]].fleet == Amount(2.0, 0.0)
    queue.put(replace(queue.job(), problem="moved by hand"))
    queue.do(repair_of(queue))
    assert queue.now.spend[NOW[:10]].fleet == Amount(0.0, 2.0)
    assert (queue.job().record.runs[-1].outcome, queue.job().record.runs[-1].ended) == ("lost", NOW)


def test_repair_of_a_job_whose_run_has_ended_leaves_the_run_alone() -> None:
    queue = Queue()
    queue.tested()
    queue.put(replace(queue.job(), problem="edited by hand"))
    queue.do(repair_of(queue))
    assert queue.job().record.runs[-1].outcome == "passed"


def test_repair_without_any_file_says_where_it_is() -> None:
    queue = Queue.having(replace(job("a", problem="its file is gone", record=Record()), blob=""))
    assert "git's history" in queue.refused(repair_of(queue), "the file of a is nowhere").hint


def test_a_copy_out_of_play_is_removed_and_the_job_stays() -> None:
    queue = Queue.having(
        job("a", problem="the id is also in testing: this copy is out of play"), job("a", Stage.TESTING)
    )
    queue.refused(RemoveStray(**queue.common(), path="queue/testing/a.md"), "is not a stray file", done=True)
    change = queue.do(RemoveStray(**queue.common(), path="queue/inbox/a.md"))
    assert change.removed == ("queue/inbox/a.md",)


def test_repair_of_a_sound_job_is_done() -> None:
    queue = Queue()
    queue.add()
    queue.refused(repair_of(queue), "a needs no repair", done=True)


def test_a_stray_file_is_removed_only_while_it_is_listed() -> None:
    queue = Queue.having(problems=(Problem("queue/inbox/x.txt", "not a job"),))
    change = queue.do(RemoveStray(**queue.common(), path="queue/inbox/x.txt"))
    assert (change.removed, change.jobs, change.event.detail) == (
        ("queue/inbox/x.txt",),
        (),
        "remove queue/inbox/x.txt",
    )
    queue.refused(RemoveStray(**queue.common(), path="queue/aq.yaml"), "is not a stray file", done=True)
