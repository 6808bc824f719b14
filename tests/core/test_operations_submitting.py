"""Add, revise and spawn: how jobs come in, and what may still change before the first claim."""

from __future__ import annotations

import pytest

from aq.core.change import Refusal
from aq.core.errors import AqError
from aq.core.lifecycle import Stage, Trigger
from aq.core.operations import Add, PauseJob, ResumeJob, Revise, Spawn
from aq.core.value import replace
from tests.support.builders import Queue, job, manifest

DAILY = {"every": 86400.0}


def revise_of(queue: Queue, name: str = "a", blob: str = "other", **keys: object) -> Revise:
    return Revise(**queue.common(), job=name, blob=blob, manifest=manifest(**keys))


def spawn_of(queue: Queue, name: str = "nightly") -> Spawn:
    return Spawn(**queue.common("mac-1"), schedule=name)


def test_add_puts_a_new_job_into_the_inbox() -> None:
    queue = Queue()
    change = queue.do(queue.add_of("fix-login"))
    added = queue.job("fix-login")
    assert (added.stage, added.folder, added.blob, added.lease) == (
        Stage.INBOX,
        "inbox",
        "blob-fix-login",
        None,
    )
    assert (added.record.epoch, added.record.queued) == (0, queue.at)
    assert (change.event.op, change.event.source, change.event.target) == (Trigger.ADD, None, Stage.INBOX)


@pytest.mark.parametrize("name", ["A", "../x", "con", "", "a.b", "a" * 65, "-a"])
def test_add_refuses_a_name_that_is_no_id(name: str) -> None:
    queue = Queue()
    queue.refused(queue.add_of(name), "is not a job id")


@pytest.mark.parametrize("stage", Stage)
def test_the_same_content_again_is_submitted_already_wherever_the_job_is(stage: Stage) -> None:
    queue = Queue()
    queue.in_stage(stage)
    queue.refused(queue.add_of(), f"is submitted already and is in {stage}", done=True)


@pytest.mark.parametrize("stage", Stage)
def test_an_id_of_other_content_is_refused_wherever_the_job_is(stage: Stage) -> None:
    queue = Queue()
    queue.in_stage(stage)
    queue.refused(queue.add_of(blob="other"), f"belongs to other content, in {stage}")


def test_an_id_that_the_archive_only_knows_by_name_is_taken() -> None:
    class Names:
        def __contains__(self, name: object) -> bool:
            return name == "a"

        def __len__(self) -> int:
            return 1

        def get(self, name: str) -> None:
            return None

    queue = Queue.having(archive=Names())
    queue.refused(queue.add_of(), "taken by an ended job")


def test_the_same_idempotency_key_with_other_content_supersedes_a_waiting_job() -> None:
    queue = Queue()
    queue.add(idempotency_key="k")
    change = queue.do(queue.add_of(blob="newer", idempotency_key="k", title="New"))
    assert change.event.op is Trigger.REVISE
    assert (queue.job().blob, queue.job().title) == ("newer", "New")


def test_the_same_idempotency_key_with_the_same_content_is_one_job() -> None:
    queue = Queue()
    queue.add(idempotency_key="k")
    queue.refused(queue.add_of(idempotency_key="k"), "submitted already", done=True)


def test_an_idempotency_key_does_not_supersede_a_claimed_job() -> None:
    queue = Queue()
    queue.started(idempotency_key="k")
    queue.refused(
        queue.add_of(blob="newer", idempotency_key="k"), "other content, and is in building already"
    )
    queue.do(queue.release_of(queue.fence()))
    queue.refused(queue.add_of(blob="newer", idempotency_key="k"), "was claimed before")


def test_another_idempotency_key_does_not_supersede() -> None:
    queue = Queue()
    queue.add(idempotency_key="k")
    queue.refused(queue.add_of(blob="newer", idempotency_key="other"), "belongs to other content")


def test_revise_is_refused_when_the_job_is_no_longer_what_the_edit_was_made_from() -> None:
    queue = Queue()
    queue.add()
    mine, theirs = (
        replace(revise_of(queue, blob=blob), base="blob-a", op_id=blob) for blob in ("mine", "theirs")
    )
    queue.do(theirs)
    queue.refused(mine, "somebody revised a meanwhile")
    queue.refused(theirs, "has this content already", done=True)
    queue.do(replace(mine, base="theirs"))
    assert queue.job().blob == "mine"


def test_an_older_edit_of_a_claimed_job_hears_that_it_was_claimed() -> None:
    queue = Queue()
    queue.do(queue.release_of(queue.started()))
    queue.refused(replace(revise_of(queue), base="older"), "its file cannot change any more")


def test_revise_gives_new_content_and_clears_the_problem_of_the_old() -> None:
    queue = Queue.having(job("a", problem="line 2: unknown key"))
    change = queue.do(revise_of(queue, lock="db"))
    assert (queue.job().blob, queue.job().manifest.lock, queue.job().problem) == ("other", "db", "")
    assert (change.event.source, change.event.target) == (Stage.INBOX, Stage.INBOX)


def test_revise_is_refused_for_no_job_for_other_stages_and_after_a_claim() -> None:
    queue = Queue()
    queue.refused(revise_of(queue), "there is no job a")
    fence = queue.started()
    queue.refused(revise_of(queue), "a is in building")
    queue.do(queue.release_of(fence))
    queue.refused(revise_of(queue), "its file cannot change any more")


def test_revise_to_the_same_content_is_done() -> None:
    queue = Queue()
    queue.add()
    queue.refused(revise_of(queue, blob="blob-a"), "has this content already", done=True)


def test_a_job_revised_after_a_pause_is_still_the_job_that_its_record_names() -> None:
    """A record that names the old blob would put the job out of play at its first claim."""
    queue = Queue()
    queue.add()
    queue.do(PauseJob(**queue.common(), job="a"))
    queue.do(revise_of(queue))
    queue.do(ResumeJob(**queue.common(), job="a"))
    queue.claim()
    assert queue.job().record.blob == queue.job().blob == "other"


def test_spawn_adds_the_copy_of_the_latest_due_slot_once() -> None:
    queue = Queue()
    schedule = queue.add("nightly", **DAILY)
    change = queue.do(spawn_of(queue))
    copy = queue.job("nightly-20261121t0000z")
    assert (copy.blob, copy.record.schedule, copy.record.queued, copy.record.epoch) == (
        schedule.blob,
        "nightly",
        queue.at,
        0,
    )
    assert copy.manifest.every is None
    assert (change.event.op, change.event.host, change.event.get("Aq-Schedule")) == (
        Trigger.SPAWN,
        "mac-1",
        "nightly",
    )
    queue.refused(spawn_of(queue), "submitted already", done=True)


def test_two_hosts_ask_for_one_slot_and_one_copy_comes() -> None:
    queue = Queue()
    queue.add("nightly", **DAILY)
    first, second = (
        spawn_of(queue),
        Spawn(**{**queue.common("mac-2"), "at": "2026-11-21T23:59:59Z"}, schedule="nightly"),
    )
    queue.do(first)
    queue.refused(second, "submitted already", done=True)


def test_the_next_slot_is_another_copy_and_missed_slots_are_not_made_up_for() -> None:
    queue = Queue()
    queue.add("nightly", **DAILY)
    queue.do(spawn_of(queue))
    queue.at = "2026-11-25T00:00:00Z"
    queue.do(spawn_of(queue))
    copies = sorted(name for name in queue.now.stages[Stage.INBOX] if name != "nightly")
    assert copies == ["nightly-20261121t0000z", "nightly-20261125t0000z"]


def test_a_spawned_copy_is_claimed_and_the_schedule_never_is() -> None:
    queue = Queue()
    queue.add("nightly", **DAILY)
    queue.refused(queue.claim_of("nightly"), "is a schedule: copies of it run")
    queue.do(spawn_of(queue))
    assert queue.claim("nightly-20261121t0000z").epoch == 1


def test_spawn_is_refused_without_an_active_schedule() -> None:
    queue = Queue.having(job("broken", every=3600.0, problem="edited by hand"))
    queue.refused(spawn_of(queue), "there is no job nightly")
    queue.refused(spawn_of(queue, "broken"), "broken is in inbox")
    queue.add("once")
    queue.refused(spawn_of(queue, "once"), "not an active schedule")
    queue.add("nightly", **DAILY)
    queue.do(PauseJob(**queue.common(), job="nightly"))
    queue.refused(spawn_of(queue), "not an active schedule")


def test_an_operation_needs_a_real_instant() -> None:
    with pytest.raises(AqError, match="is not a time"):
        Add(at="yesterday", by="alice", op_id="x", job="a", blob="b", manifest=manifest())


def test_an_operation_asked_again_on_another_tip_gives_the_same_time() -> None:
    queue = Queue()
    add = queue.add_of()
    first = add.decide(queue.now)
    later = add.decide(replace(queue.now, tip="1" * 40))
    assert first == later
    assert not isinstance(first, Refusal)
