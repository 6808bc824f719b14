"""What each operation may change in a record: all that operations do is in the table, and the table has
nothing that none does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aq.core.change import Change
from aq.core.lifecycle import Stage, Trigger
from aq.core.manifest import Budget, Retry
from aq.core.operations import (
    Approve,
    Cancel,
    Delivered,
    FixRound,
    Hold,
    PauseJob,
    Preempt,
    Reject,
    Repair,
    Requeue,
    ResumeJob,
    Revise,
    Ship,
    Unverified,
)
from aq.core.profile import Profile
from aq.core.record import Changes, Note, Override, Record, Run
from aq.core.value import names, replace
from aq.core.writes import FIRST, RUN_WRITES, WRITES, Rewrite, strays, words
from tests.core import every_operation
from tests.support.builders import FAILED, NOW, Queue, manifest

T, S = Trigger, Stage
TIP, NEWER = "a" * 40, "b" * 40
# What one name for the record of a new submission clears, though the way there leaves it clear.
AND_MORE = {(T.REQUEUE, "hold"), (T.RESUME_JOB, "not_before")}


def _often(queue: Queue, name: str) -> None:
    """The job is given back, preempted and lost once each."""
    queue.do(queue.release_of(queue.fence(name)))
    fence = queue.claim(name)
    queue.do(
        Preempt(**queue.common("mac-1"), fence=fence, for_job="u", tokens=1, usd=1, model="m", version="1")
    )
    queue.do(queue.reclaim_of(queue.claim(name)))


def _given_back_in_review(queue: Queue, name: str) -> None:
    """Landed work that waits for a verdict, approved by then, and not to be verified for a while."""
    queue.do(queue.land_of(queue.fence(name)))
    queue.do(queue.release_of(queue.fence(name), broken=True))
    queue.do(Approve(**queue.common(), job=name))


def _verified_elsewhere(queue: Queue, name: str) -> None:
    queue.at = queue.job(name).record.not_before or queue.at
    queue.do(queue.verify_claim_of(name))


def _secret(queue: Queue) -> None:
    queue.do(replace(queue.add_of("a"), secret_allowed=True))


def _paused_and_revised(queue: Queue) -> None:
    queue.add()
    queue.do(PauseJob(**queue.common(), job="a"))
    queue.do(Revise(**queue.common(), job="a", blob="newer", manifest=manifest()))
    queue.do(Cancel(**queue.common(), job="a"))


def _approved_and_failed(queue: Queue) -> None:
    queue.started(retry=Retry(max=3))
    _given_back_in_review(queue, "a")
    _verified_elsewhere(queue, "a")
    queue.do(queue.fail_of(queue.fence(), "verify_failed", checks=FAILED))
    queue.at = queue.job().record.not_before or queue.at
    queue.claim()


def _rejected(queue: Queue) -> None:
    queue.started()
    _given_back_in_review(queue, "a")
    queue.do(Reject(**queue.common(), job="a", message="no", requeue=True))
    queue.do(queue.verified_of(_landed(queue)))
    queue.do(Reject(**queue.common(), job="a", message="no", requeue=True))


def _landed(queue: Queue, **keys: Any) -> Any:
    fence = queue.claim()
    queue.do(queue.land_of(fence, **keys))
    return fence


def _requeued(queue: Queue) -> None:
    queue.started()
    _often(queue, "a")
    queue.claim()
    _given_back_in_review(queue, "a")
    queue.do(Cancel(**queue.common(), job="a"))
    queue.do(Requeue(**queue.common(), job="a"))
    queue.claim()
    queue.do(queue.release_of(queue.fence(), broken=True))
    queue.do(Hold(**queue.common("mac-1"), job="a", reason="look"))
    queue.do(Cancel(**queue.common(), job="a"))


def _raised(queue: Queue) -> None:
    queue.started(budget=Budget(usd=1.0))
    _often(queue, "a")
    queue.claim()
    _given_back_in_review(queue, "a")
    _verified_elsewhere(queue, "a")
    queue.do(queue.fail_of(queue.fence(), "budget", usd=2.0, checks=FAILED))
    queue.do(ResumeJob(**queue.common(), job="a", budget=Budget(usd=9.0)))


def _repaired(queue: Queue) -> None:
    queue.started(retry=Retry(max=3))
    _often(queue, "a")
    queue.claim()
    _given_back_in_review(queue, "a")
    _harmed(queue)
    queue.do(Unverified(**queue.common("mac-1"), fence=_landed(queue)))
    queue.do(Hold(**queue.common("mac-1"), job="a", reason="look"))
    _harmed(queue)
    queue.claim()
    _harmed(queue)


def _harmed(queue: Queue) -> None:
    queue.put(replace(queue.job(), problem="its lease was written by hand"))
    queue.do(Repair(**queue.common(), job="a"))


def _fixed(queue: Queue) -> None:
    fence = queue.landed(land={"changes": Changes(1, 2, 3, ("src/a",))})
    round_1 = FixRound(**queue.common("mac-1"), fence=fence, number=1, branch="f", tip=NEWER, pushed=True)
    queue.do(replace(round_1, changes=Changes(1, 1, 0, ("src/b",)), outside=("ci.yml",), warnings=("look",)))
    queue.do(replace(queue.verified_of(fence), usd=1.0, tokens=7))


def _delivered(queue: Queue) -> None:
    queue.tested(deliver="merge")
    queue.do(Ship(**queue.common(), job="a"))
    queue.do(Hold(**queue.common("mac-1"), job="a", reason="conflict"))
    queue.do(Delivered(**queue.common("mac-1"), job="a", oid=NEWER))


def _profiled(queue: Queue) -> None:
    queue.now = replace(queue.now, profiles={"p": Profile("p", blobs=("pin",))})
    queue.landed(profile="p")
    queue.do(queue.reclaim_of(queue.fence()))
    queue.do(queue.verify_claim_of())


def _many(queue: Queue) -> None:
    queue.started(retry=Retry(infra=90))
    for _ in range(23):
        queue.do(queue.release_of(queue.fence()))
        queue.claim()


RARE: tuple[Callable[[Queue], None], ...] = (
    _secret,
    _paused_and_revised,
    _approved_and_failed,
    _rejected,
    _requeued,
    _raised,
    _repaired,
    _fixed,
    _delivered,
    _profiled,
    _many,
)


def _told(story: Callable[[Queue], None]) -> list[Change]:
    queue = Queue()
    story(queue)
    return queue.changes


def rewrites(changes: list[Change]) -> Iterator[Rewrite]:
    for change in changes:
        for edit in change.jobs:
            before, after = edit.before, edit.after
            record, source = (before.record, before.stage) if before else (Record(), None)
            yield Rewrite(T(change.event.op), record, after.record, source, after.stage, after.blob)


EVERY = [every_operation.changes(), *(_told(story) for story in RARE)]


@pytest.mark.parametrize("changes", EVERY, ids=["every operation", *(story.__name__ for story in RARE)])
def test_no_operation_changes_more_than_the_table_has(changes: list[Change]) -> None:
    assert [(each.trigger, found) for each in rewrites(changes) if (found := strays(each))] == []


def test_the_table_has_nothing_that_no_operation_changes() -> None:
    all_of_them = [each for changes in EVERY for each in rewrites(changes)]
    for table, parts in ((WRITES, _record), (RUN_WRITES, _run)):
        done = {(each.trigger, name) for each in all_of_them for name in _differing(*parts(each))}
        said = {(trigger, name) for trigger, ways in table.items() for name in ways}
        assert said - done - AND_MORE == set()
    assert said


def _record(each: Rewrite) -> tuple[Record, Record]:
    return each.before, each.after


def _run(each: Rewrite) -> tuple[Run, Run] | tuple[()]:
    before, last = each.before.last_run, each.after.last_run
    if last is None:
        return ()
    if before and before.epoch == last.epoch:
        return before, last
    return Run(last.epoch, last.host, last.nonce, last.engine, last.started), last


def _differing(*both: Any) -> list[str]:
    before, after = both or (None, None)
    return (
        [name for name in names(type(after)) if getattr(before, name) != getattr(after, name)]
        if after
        else []
    )


def test_the_table_has_a_row_for_every_operation_and_names_fields_only() -> None:
    assert set(WRITES) == set(RUN_WRITES) == set(T)
    assert {name for ways in (*WRITES.values(), FIRST) for name in ways} <= set(names(Record))
    assert {name for ways in RUN_WRITES.values() for name in ways} <= set(names(Run))


# --- what is more than an operation may -----------------------------------------------------------

NOTE = Note("eve", NOW, "x")
RUN = Run(1, "ada", "n", "shell", NOW, 1, branch="aq/x/1", tip=TIP, outside=("ci.yml",), risk="high")
OLD = replace(RUN, ended=NOW, outcome="crash")
LANDED = Record(
    stage=S.REVIEW, since=NOW, queued=NOW, blob="b", epoch=2, attempts=1, branch="aq/x/1", tip=TIP
)
LANDED = replace(LANDED, runs=(OLD, replace(RUN, epoch=2)), hold=NOTE, feedback=(NOTE,), approvals=(NOTE,))


def pausing(trigger: Trigger = T.PAUSE_JOB, before: Record = LANDED, **fields: Any) -> tuple[str, ...]:
    """What is wrong with an operation that leaves the job in review and changes these fields."""
    return strays(Rewrite(trigger, before, replace(before, **fields), S.REVIEW, S.REVIEW, "b"))


def _last(**fields: Any) -> tuple[Run, ...]:
    return (OLD, replace(LANDED.runs[1], **fields))


NOT_BEGUN = tuple(f"last run's {name}" for name in ["ended", "outcome", "branch", "tip", "outside", "risk"])
FORGED: list[tuple[Trigger, dict[str, Any], tuple[str, ...]]] = [
    (T.PAUSE_JOB, {"branch": "evil", "tip": NEWER}, ("branch", "tip")),
    (T.PAUSE_JOB, {"hold": None}, ("hold",)),
    (T.PAUSE_JOB, {"runs": _last(outside=(), risk="low")}, ("last run's outside", "last run's risk")),
    (T.PAUSE_JOB, {"runs": (replace(OLD, risk="low"), LANDED.runs[1])}, ("runs",)),
    (T.PAUSE_JOB, {"runs": ()}, ("runs",)),
    (T.PAUSE_JOB, {"runs": (*LANDED.runs, RUN)}, ("runs",)),
    (T.PAUSE_JOB, {"older": ("epoch 0",)}, ("runs",)),
    (T.PAUSE_JOB, {"since": "2026-11-22T00:00:00Z"}, ("since",)),
    (T.PAUSE_JOB, {"queued": "2026-11-22T00:00:00Z"}, ("queued",)),
    (T.PAUSE_JOB, {"stage": S.TESTING}, ("stage",)),
    (T.PAUSE_JOB, {"blob": "other"}, ("blob",)),
    (T.PAUSE_JOB, {"overrides": (Override("alice", NOW, "x", ("scope",), 2),)}, ("overrides",)),
    (T.CANCEL, {"hold": None, "runs": _last(ended=NOW, outcome="cancelled", tip=NEWER)}, ("last run's tip",)),
    (T.CANCEL, {"pause": NOTE}, ("pause",)),
    (T.CANCEL, {"feedback": ()}, ("feedback",)),
    (T.FENCED, {"feedback": (NOTE, NOTE, NOTE)}, ("feedback",)),
    (T.REQUEUE, {"attempts": -9}, ("attempts",)),
    (T.REQUEUE, {"submission": 3}, ("submission",)),
    (T.REPAIR, {"budget": Budget(usd=9.0)}, ("budget",)),
    (T.APPROVE, {"approvals": (replace(NOTE, by="bob"), NOTE)}, ("approvals",)),
    (T.CLAIM, {"epoch": 4}, ("epoch",)),
    (T.CLAIM, {"runs": ()}, ("runs",)),
    (T.CLAIM, {"runs": (RUN,)}, ("runs",)),
    (T.VERIFY_CLAIM, {"runs": (*LANDED.runs, replace(OLD, epoch=3))}, NOT_BEGUN),
]


@pytest.mark.parametrize(("trigger", "fields", "named"), FORGED)
def test_what_an_operation_may_not_change_is_named(
    trigger: Trigger, fields: dict[str, Any], named: tuple[str, ...]
) -> None:
    assert pausing(trigger, **fields) == named


def test_a_run_that_ended_does_not_end_again() -> None:
    ended = replace(LANDED, runs=_last(ended=NOW, outcome="passed"))
    assert pausing(T.CANCEL, ended, runs=_last(ended=NOW, outcome="lost")) == ("last run's outcome",)


def test_a_pause_is_not_lifted_by_another() -> None:
    assert pausing(T.PAUSE_JOB, replace(LANDED, pause=NOTE), pause=None) == ("pause",)


def test_the_first_word_on_a_job_names_its_own_file() -> None:
    assert pausing(T.PAUSE_JOB, Record(stage=S.REVIEW), blob="b", queued=NOW, since=NOW, pause=NOTE) == ()
    assert pausing(T.PAUSE_JOB, Record(stage=S.REVIEW), blob="other") == ("blob",)
    assert pausing(T.REVISE, blob="other") == ("blob",)


def test_a_run_cannot_come_from_nowhere() -> None:
    assert pausing(T.LAND, Record(stage=S.REVIEW), runs=(RUN,)) == ("runs",)


def test_it_is_said_in_words() -> None:
    assert words(T.PAUSE_JOB, ("branch", "tip")) == "pause-job changes the record's branch, tip"
    assert words(T.PAUSE_JOB, ()) == ""
