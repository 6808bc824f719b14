"""Jobs, snapshots, retries, outcomes and results: what is derived and what follows."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aq.core.change import Refusal
from aq.core.codec import decode_as
from aq.core.encoding import encode
from aq.core.errors import AqError
from aq.core.instants import unix
from aq.core.job import Job
from aq.core.judge import settle_verify
from aq.core.lease import Lease
from aq.core.lifecycle import Stage
from aq.core.manifest import FAILURE_CLASSES, RETRIED_BY_DEFAULT, Budget, Manifest, Priority, Retry
from aq.core.operations import Fail, Hold, Land, Release, ResumeFleet, Spawn, Unverified, Verified
from aq.core.record import Changes, CheckResult, Note, Override, Record, Run, Verdict
from aq.core.results import Landed, Refused, Waiting, reason_of
from aq.core.retry import after_failure, after_return, backoff, infra_backoff
from aq.core.settle import Ending, Outcome, settle
from aq.core.snapshot import NoArchive, Snapshot
from aq.core.value import replace
from aq.core.values import plain, revive
from aq.core.work import Brought, Checked, Ended, Order
from tests.support.builders import FAILED, NOW, PASSED, Queue, job, lease, snapshot

FENCE = lease("a").fence
VERDICT = Verdict(1, "passed", NOW, "mac-1")


def reviewed(**record: object) -> Job:
    return job("a", Stage.REVIEW, record=Record(epoch=1, **record))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "verify", "person"),
    [
        (reviewed(), True, False),
        (reviewed(verdict=VERDICT), False, True),
        (reviewed(verdict=replace(VERDICT, epoch=0)), True, False),
        (reviewed(hold=Note("alice", NOW)), False, True),
        (job("a", Stage.REVIEW, host="mac-1"), False, False),
        (job("a", Stage.TESTING), False, True),
        (job("a"), False, False),
    ],
    ids=["landed", "judged", "judged in an older epoch", "held", "being verified", "tested", "waiting"],
)
def test_in_review_no_lease_and_no_verdict_means_to_be_verified_not_waiting_for_a_person(
    found: Job, verify: bool, person: bool
) -> None:
    assert (found.to_be_verified, found.waits_for_person) == (verify, person)


def test_the_queue_s_order_is_priority_then_age_then_name() -> None:
    old, new = Record(queued="2026-11-20T00:00:00Z"), Record(queued=NOW)
    jobs = [
        job("z", record=new, priority=Priority.CRITICAL),
        job("unknown-age", record=Record()),
        job("b", record=old),
        job("a", record=new),
        job("c", record=new),
        job("d", record=old, priority=Priority.LOW),
    ]
    assert [one.id for one in sorted(jobs, key=lambda one: one.order)] == [
        "z",
        "unknown-age",
        "b",
        "a",
        "c",
        "d",
    ]


def test_a_job_s_title_is_its_name_until_it_has_one() -> None:
    assert (job("a").title, job("a", title="Fix").title) == ("a", "Fix")


def test_only_the_very_lease_holds_a_job() -> None:
    held = job("a", host="mac-1")
    assert held.held_by(FENCE)
    assert not held.held_by(replace(FENCE, epoch=2))
    assert not held.held_by(replace(FENCE, nonce="n2"))
    assert not job("a").held_by(FENCE)


def test_a_record_knows_its_last_run() -> None:
    assert Record().last_run is None
    assert job("a", host="mac-1").record.last_run == Run(1, "mac-1", "n1", "shell", NOW, 1)


def test_a_snapshot_finds_and_lists_jobs_and_knows_the_shipped_ones() -> None:
    seen = snapshot(
        [job("a"), job("b", host="mac-1"), job("c", Stage.SHIPPED), job("d", Stage.REVIEW, host="mac-2")]
    )
    assert [name for name in "abcdx" if seen.known(name)] == ["a", "b", "c", "d"]
    assert [one.stage for one in map(seen.find, "abcd") if one] == [
        Stage.INBOX,
        Stage.BUILDING,
        Stage.SHIPPED,
        Stage.REVIEW,
    ]
    assert seen.find("x") is None
    assert {one.id for one in seen.jobs()} == {"a", "b", "d"}
    assert {one.id for one in seen.jobs(Stage.REVIEW)} == {"d"}
    assert {one.id for one in seen.leased()} == {"b", "d"}


def test_an_empty_archive_has_nothing() -> None:
    assert ("a" in NoArchive(), len(NoArchive()), NoArchive().get("a"), NoArchive().undelivered()) == (
        False,
        0,
        None,
        [],
    )


def test_of_several_copies_the_one_in_play_is_found_or_else_the_one_with_a_history() -> None:
    newer, played = job("a", problem="a copy"), job("a", Stage.TESTING)
    assert snapshot([newer, played]).find("a") is played
    assert snapshot([newer, job("a", Stage.SHIPPED)]).find("a").stage is Stage.SHIPPED  # type: ignore[union-attr]
    broken = job("a", Stage.FAILED, problem="moved", record=Record(blob="blob-a"))
    assert snapshot([newer, broken]).find("a") is broken


def test_apply_leaves_the_old_snapshot_as_it_was_and_names_the_new_tip() -> None:
    queue = Queue()
    old = queue.now
    change = queue.do(queue.add_of())
    assert old.find("a") is None
    assert (old.apply(change, "1" * 40).tip, old.apply(change).tip) == ("1" * 40, old.tip)


def tried(attempts: int, epoch: int = 1, **retry: object) -> Job:
    return job("a", record=Record(attempts=attempts, epoch=epoch), retry=Retry(**retry))  # type: ignore[arg-type]


@pytest.mark.parametrize("failure", FAILURE_CLASSES)
def test_each_class_is_retried_or_not_by_default(failure: str) -> None:
    following = after_failure(tried(1), failure, NOW)
    assert following.stage is (Stage.INBOX if failure in RETRIED_BY_DEFAULT else Stage.FAILED)
    assert not following.held


def test_only_a_job_that_has_a_budget_waits_on_hold_for_more() -> None:
    limited = after_failure(job("a", budget=Budget(tokens=9)), "budget", NOW)
    assert (limited.stage, limited.held) == (Stage.INBOX, True)
    own_limit = after_failure(job("a"), "budget", NOW)
    assert (own_limit.stage, own_limit.held) == (Stage.FAILED, False)


def test_a_retry_says_which_it_is_and_the_last_failure_that_it_was_the_last() -> None:
    assert after_failure(tried(1, max=2), "crash", NOW).reason == "crash, retry 1 of 2"
    last = after_failure(tried(3, max=2), "crash", NOW)
    assert (last.stage, last.not_before, last.reason) == (Stage.DEAD_LETTER, None, "crash in attempt 3 of 3")
    assert after_failure(tried(1, on=("timeout",)), "crash", NOW).reason == "crash is not retried"


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10_000), st.integers(0, 1000), st.floats(0, 366 * 86400))
def test_a_backoff_doubles_within_a_quarter_and_ends_at_a_day(
    attempts: int, epoch: int, seconds: float
) -> None:
    delay = unix(backoff(tried(attempts, epoch, backoff=seconds), NOW)) - unix(NOW)
    whole = min(seconds * 2 ** min(max(attempts - 1, 0), 20), 86400)
    assert 0.75 * whole - 1 <= delay <= 1.25 * whole


def test_a_backoff_is_the_same_on_every_host_and_differs_between_epochs() -> None:
    assert (
        backoff(tried(1, 1, backoff=3600), NOW)
        == backoff(tried(1, 1, backoff=3600), NOW)
        == "2026-11-21T11:07:45Z"
    )
    assert len({backoff(tried(1, epoch, backoff=3600), NOW) for epoch in range(9)}) == 9


def test_a_return_is_bounded() -> None:
    assert (after_return(3, 3, "lost").stage, after_return(3, 3, "lost").reason) == (Stage.INBOX, "lost")
    assert (after_return(4, 3, "lost").stage, after_return(4, 3, "lost").reason) == (
        Stage.DEAD_LETTER,
        "lost 4 times, the limit is 3",
    )


@pytest.mark.parametrize(("infra", "whole"), [(0, 30), (1, 60), (4, 480), (6, 1800), (99, 1800)], ids=str)
def test_the_wait_after_an_outage_doubles_within_a_quarter_and_ends_at_half_an_hour(
    infra: int, whole: int
) -> None:
    delay = unix(infra_backoff(job("a", record=Record(infra=infra, epoch=3)), NOW)) - unix(NOW)
    assert 0.75 * whole - 1 <= delay <= 1.25 * whole


FACTS: dict[str, Any] = {"branch": "aq/a/1", "tip": "f" * 40, "usd": 0.5, "tokens": 9}
KEPT = {name: FACTS[name] for name in ("branch", "tip", "usd")}
COMMON: dict[str, Any] = {"at": NOW, "by": "mac-1", "op_id": "op", "fence": FENCE}
IDS = ("op", "op-2")


def test_a_done_run_lands() -> None:
    seen: dict[str, Any] = {"outside": ("x",), "warnings": ("y",), "changes": Changes(1, 2, 3, ("x",))}
    made = settle(FENCE, Outcome(Ending.DONE, pushed=True, **FACTS, **seen), NOW, IDS)
    assert made == (Land(**COMMON, pushed=True, **FACTS, **seen),)


def test_what_a_run_changed_survives_the_file_and_the_spool() -> None:
    run = Run(1, "mac-1", "n", "shell", NOW, changes=Changes(), risk="low")
    other = replace(run, changes=Changes(1, 2, 3, ("a",), 4, ("b: a link",)), risk="high", risks=("large",))
    record = Record(runs=(run, other), overrides=(Override("alice", NOW, "fine", ("scope",), 1),))
    assert decode_as(Record, encode(record), "record") == record
    assert revive(Record, plain(record)) == record


@pytest.mark.parametrize("size", [{"files": -1}, {"added": -1}, {"removed": -1}, {"more": -1}])
def test_no_change_is_smaller_than_nothing(size: dict[str, int]) -> None:
    with pytest.raises(AqError, match="below zero"):
        Changes(**size)


def test_a_failed_run_fails_with_its_class() -> None:
    made = settle(FENCE, Outcome(Ending.FAILED, "timeout", "2h", **FACTS), NOW, IDS)
    assert made == (Fail(**COMMON, failure="timeout", reason="2h", **FACTS),)


@pytest.mark.parametrize("ending", [Ending.INFRA, Ending.STOPPED, Ending.FENCED])
def test_any_other_ending_gives_the_job_back_with_a_reason(ending: Ending) -> None:
    broken = ending is Ending.INFRA
    assert settle(FENCE, Outcome(ending, **KEPT), NOW, IDS) == (
        Release(**COMMON, reason=str(ending), broken=broken, **KEPT),
    )
    assert settle(FENCE, Outcome(ending, reason="disk full"), NOW, IDS) == (
        Release(**COMMON, reason="disk full", broken=broken),
    )


def test_work_that_does_not_merge_is_given_back_and_held() -> None:
    queue = Queue()
    fence = queue.started()
    for operation in settle(fence, Outcome(Ending.HELD, reason="conflict in a.py"), NOW, IDS):
        queue.do(operation)
    assert (queue.job().stage, queue.job().lease, queue.job().record.hold) == (
        Stage.INBOX,
        None,
        Note("mac-1", NOW, "conflict in a.py"),
    )
    queue.refused(queue.claim_of(), "on hold: conflict in a.py")


def test_a_verify_settles_by_its_first_failed_check() -> None:
    assert settle_verify(FENCE, (), NOW, "op") == Unverified(**COMMON)
    assert settle_verify(FENCE, PASSED, NOW, "op") == Verified(**COMMON, checks=PASSED)
    failed = (*PASSED, *FAILED, CheckResult("later", False))
    assert settle_verify(FENCE, failed, NOW, "op") == Fail(
        **COMMON, failure="verify_failed", reason="test -f done: exit 1", checks=failed
    )
    bare = settle_verify(FENCE, (CheckResult("make", False),), NOW, "op")
    assert isinstance(bare, Fail)
    assert bare.reason == "make"


def test_a_result_says_why_it_did_not_land() -> None:
    asked = ResumeFleet(at=NOW, by="alice", op_id="op")
    queue = Queue()
    change = queue.do(queue.add_of())
    assert reason_of(Landed(asked, "c" * 40, change)) == ""
    assert reason_of(Refused(asked, Refusal("no", "do this"))) == "no; do this"
    assert reason_of(Waiting(asked, "the remote is away")) == "the remote is away"


def test_a_manifest_takes_from_the_defaults_only_what_they_give() -> None:
    own = Manifest(lock="own", given=("lock",))
    assert own.over(Manifest(timeout=5)) is own
    assert own.over(Manifest(lock="x", timeout=5, given=("lock", "timeout"))) == replace(own, timeout=5)


def test_every_operation_says_what_it_is_about_and_which_lease_proves_it() -> None:
    queue = Queue()
    assert (queue.add_of("a").about, queue.add_of("a").proof) == ("a", None)
    assert (queue.release_of(FENCE).about, queue.release_of(FENCE).proof) == ("a", FENCE)
    assert Spawn(**queue.common(), schedule="nightly").about == "nightly"
    assert ResumeFleet(**queue.common()).about == ""
    free = Hold(**queue.common(), job="a", reason="freeze")
    assert (free.about, free.proof) == ("a", None)


def test_orders_and_reports_are_values() -> None:
    order = Order(FENCE, 1, "shell", Manifest(), "body", "prompt", "title")
    assert (order.verify_branch, order.verify_tip, order.under) == ("", "", ())
    assert Ended(FENCE, Outcome(Ending.DONE)) == Ended(FENCE, Outcome(Ending.DONE))
    assert (Checked(FENCE, PASSED).error, Brought("a").conflict) == ("", "")


def test_nothing_was_shipped_lately_where_nothing_was_shipped() -> None:
    assert NoArchive().recent(None) == []
    assert list(NoArchive().starts(NOW)) == []


def test_an_inbox_that_knows_its_order_is_asked_for_the_first_jobs_only() -> None:
    class Known(dict[str, Job]):
        def first(self, count: int) -> list[Job]:
            return list(self.values())[:count]

    jobs = {name: job(name) for name in ("b", "a")}
    snapshot = Snapshot("tip", {Stage.INBOX: Known(jobs)})
    assert [found.id for found in snapshot.waiting(1)] == ["b"]
    assert [found.id for found in snapshot.waiting()] == ["a", "b"]


@pytest.mark.parametrize("ttl", [0.0, -1.0, math.nan, math.inf, 1e300])
def test_a_lease_that_could_never_lapse_cannot_be_built(ttl: float) -> None:
    with pytest.raises(AqError, match="impossible"):
        Lease("a", "h", "b", "n", 1, 1, "shell", ttl, "2026-11-21T10:00:00Z")
