"""Retries may be a fifth of the fleet's starts within an hour, and always ten: on whatever host, however many
act at once, and never so that a job waits for good."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable

import pytest

from aq.core.change import Change
from aq.core.instants import Instant, later
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.manifest import Priority, Retry
from aq.core.planning.plan import plan
from aq.core.planning.retrybudget import WINDOW, Starts, retry_blockers, starts_of
from aq.core.record import Record, Run
from aq.core.settings import RetryBudget, Settings
from tests.support.builders import FAILED, NOW, Queue, beat, job, snapshot

LIMIT = RetryBudget(0.2, 2)
SIZE = 1000 if os.environ.get("AQ_FULL") == "1" else 200


def ran(
    name: str, ago: float, attempt: int = 1, stage: Stage = Stage.TESTING, *, verify_only: bool = False
) -> Job:
    """A job whose run began some seconds ago."""
    began = later(NOW, -ago)
    run = Run(1, "m1", "n", "shell", began, attempt, verify_only=verify_only)
    return job(name, stage, record=Record(epoch=1, since=later(NOW, -max(0, ago - 60)), runs=(run,)))


def again(name: str = "r", **keys: object) -> Job:
    """A job that waits for its second attempt."""
    return job(name, record=Record(queued=NOW, epoch=1, attempts=1), **keys)


def times(*ago: float) -> tuple[Instant, ...]:
    return tuple(sorted(later(NOW, -each) for each in ago))


def test_every_start_of_the_hour_counts_wherever_its_job_is_now() -> None:
    jobs = [
        ran("a", 10),
        ran("b", 20, 2, Stage.BUILDING),
        ran("c", 30, 2, Stage.SHIPPED),
        ran("d", 40, 1, Stage.FAILED),
        ran("e", 50, 3, Stage.DEAD_LETTER),
        ran("f", 60, 1, Stage.INBOX),
        ran("g", 70, 1, Stage.REVIEW),
        ran("old", WINDOW),
        ran("oldest", WINDOW + 90),
        ran("verify", 10, 2, verify_only=True),
        job("fresh"),
    ]
    seen = snapshot(jobs)
    found = starts_of(seen, seen.jobs(Stage.INBOX), NOW)
    assert found == Starts(times(10, 40, 60, 70), times(20, 30, 50))


def test_a_clock_that_runs_ahead_does_not_use_up_the_budget_for_good() -> None:
    seen = snapshot([ran("a", -30, 2), ran("b", -WINDOW - 1, 2), ran("c", -9e8, 2)])
    assert starts_of(seen, [], NOW) == Starts((), times(-30))


ALLOWED = {
    "the first of a quiet fleet": (Starts(), True),
    "up to the floor": (Starts((), times(1)), True),
    "beyond the floor": (Starts((), times(1, 2)), False),
    "a fifth of all": (Starts(times(*range(12)), times(1, 2)), True),
    "a bit more than a fifth": (Starts(times(*range(11)), times(1, 2)), False),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_a_share_and_always_the_floor(name: str) -> None:
    starts, allowed = ALLOWED[name]
    assert (starts.blocker(LIMIT) == "") == allowed


def test_one_is_no_limit() -> None:
    assert Starts((), times(*range(50))).blocker(RetryBudget(1.0, 1)) == ""


def test_a_share_that_is_whole_on_paper_is_whole() -> None:
    assert RetryBudget(0.29, 1).allows(29, 100)
    assert not RetryBudget(0.29, 1).allows(30, 100)


def test_it_is_told_when_one_more_may_start() -> None:
    starts = Starts(times(100, 200), times(500, 400, 300))
    assert starts.blocker(LIMIT) == (
        "3 of the last hour's 5 starts were retries (retry-budget): one more may start "
        f"at {later(NOW, WINDOW - 400)}, or once there are more first attempts"
    )


@pytest.mark.parametrize("seed", range(20))
def test_what_is_told_is_true(seed: int) -> None:
    rng = random.Random(seed)
    first, retries = (times(*(rng.randrange(3600) for _ in range(rng.randrange(40)))) for _ in range(2))
    told = Starts(first, retries).blocker(LIMIT)
    if not told:
        return
    when = told.partition(" start at ")[2].partition(",")[0]

    def left(now: Instant) -> Starts:
        since = later(now, -WINDOW)
        return Starts(tuple(at for at in first if at > since), tuple(at for at in retries if at > since))

    assert left(when).blocker(LIMIT) == ""
    assert left(later(when, -1)).blocker(LIMIT) != ""


def full() -> list[Job]:
    """Two retries within the hour: the floor is reached."""
    return [ran("x", 60, 2), ran("y", 50, 2)]


def test_a_retry_waits_and_first_attempts_go_on() -> None:
    seen = snapshot([*full(), again(), job("new")], settings=Settings(retry_budget=LIMIT))
    planned = plan(seen, {"m1": beat("m1", slots=9)}, NOW)
    assert [a.job for a in planned.assignments] == ["new"]
    assert planned.waiting["r"].startswith("2 of the last hour's 2 starts were retries (retry-budget)")
    assert planned.waiting["r"] == retry_blockers(again(), seen, NOW)[0]
    assert retry_blockers(job("new"), seen, NOW) == []


def test_the_plan_gives_no_more_away_than_there_is() -> None:
    jobs = [ran("x", 60, 2), again("r1"), again("r2"), again("r3")]
    planned = plan(snapshot(jobs, settings=Settings(retry_budget=LIMIT)), {"m1": beat("m1", slots=9)}, NOW)
    assert len(planned.assignments) == 1
    assert len(planned.waiting) == 2


def test_planned_first_attempts_earn_no_retry() -> None:
    """Else a host would claim what the tip does not allow yet, again and again."""
    jobs = [*full(), again(), *(job(f"new{n}") for n in range(20))]
    planned = plan(snapshot(jobs, settings=Settings(retry_budget=LIMIT)), {"m1": beat("m1", slots=99)}, NOW)
    assert "r" in planned.waiting


def test_a_critical_retry_waits_as_well_and_stops_nobody() -> None:
    low = job("low", host="m1", priority=Priority.LOW)
    seen = snapshot([*full(), low, again(priority=Priority.CRITICAL)], settings=Settings(retry_budget=LIMIT))
    assert plan(seen, {"m1": beat("m1")}, NOW).preemptions == ()


def test_the_slots_that_critical_retries_take_count() -> None:
    lows = [job(f"low{n}", host="m1", priority=Priority.LOW) for n in range(2)]
    wants = [again(f"r{n}", priority=Priority.CRITICAL) for n in range(2)]
    seen = snapshot([ran("x", 60, 2), *lows, *wants], settings=Settings(retry_budget=LIMIT))
    assert len(plan(seen, {"m1": beat("m1", slots=2)}, NOW).preemptions) == 1


def test_two_hosts_cannot_both_have_the_last_retry() -> None:
    """Each claims on the tip that it saw; the second is asked again on the tip of the first."""
    queue = Queue()
    for name in ("a", "b", "c"):
        queue.do(queue.fail_of(queue.started(name, retry=Retry(max=5, backoff=0))))
    queue.limit(retry_budget=LIMIT)
    queue.at = later(NOW, 10)
    queue.do(queue.claim_of("a", "mac-1"))
    queue.do(queue.claim_of("b", "mac-2"))
    queue.refused(queue.claim_of("c", "mac-3"), "2 of the last hour's 5 starts were retries (retry-budget)")
    queue.at = later(queue.at, WINDOW)
    queue.do(queue.claim_of("c", "mac-3"))


def shares(changes: Iterable[Change]) -> Iterable[tuple[int, int]]:
    """For each retry in a history: how many of the starts of its hour were retries."""
    starts: list[tuple[Instant, bool]] = []
    for change in changes:
        for edit in change.jobs:
            lease = edit.after.lease
            if change.event.op == "claim" and lease:
                starts = [s for s in starts if s[0] > later(lease.acquired_at, -WINDOW)]
                starts.append((lease.acquired_at, lease.attempt > 1))
                if lease.attempt > 1:
                    yield sum(retry for _, retry in starts), len(starts)


def drained(jobs: list[Job], hosts: int = 4) -> Queue:
    """A queue after its hosts ran everything, and every check failed. Each host sees the tip, or the one of
    the round before, and all claim before any hears of the others."""
    queue, rng = Queue.having(*jobs), random.Random(5)
    beats = {f"m{n}": beat(f"m{n}", slots=9) for n in range(hosts)}
    before, rounds = queue.now, 0
    while len(queue.now.stages[Stage.DEAD_LETTER]) < len(jobs):
        views = {id(view): plan(view, beats, queue.at) for view in (before, queue.now)}
        before, claims = queue.now, len(queue.changes)
        for name in beats:
            for a in views[rng.choice(list(views))].of(name):
                queue.ask(queue.claim_of(a.job, name, slots=9))
        # While nothing may start, time goes by faster.
        queue.at = later(queue.at, 60 if len(queue.changes) > claims else 1200)
        for held in list(queue.now.leased()):
            assert held.lease
            queue.do(queue.fail_of(held.lease.fence, "verify_failed", checks=FAILED))
        rounds += 1
        assert rounds < 20 * len(jobs), "it does not end"
    return queue


def test_when_every_check_is_broken_the_share_of_retries_stays_within_the_bound() -> None:
    queue = drained([job(f"j{n:03}", retry=Retry(max=1, backoff=30)) for n in range(SIZE)])
    counted = list(shares(queue.changes))
    assert len(counted) == SIZE
    assert all(retries <= max(10, 0.2 * starts + 1e-6) for retries, starts in counted)
    assert max(retries for retries, _ in counted) > 20, "a busy fleet retries more than the floor"


def test_a_queue_of_retries_only_still_drains() -> None:
    jobs = [again(f"r{n:02}", retry=Retry(max=1)) for n in range(35)]
    counted = list(shares(drained(jobs).changes))
    assert len(counted) == 35
    assert max(retries for retries, _ in counted) == 10
