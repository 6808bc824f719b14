"""Whose turn it is: the urgent first, nobody for ever last, and products by equal shares."""

from __future__ import annotations

import pytest

from aq.core.instants import later
from aq.core.job import Job
from aq.core.manifest import Priority
from aq.core.planning.turn import AGE_STEP, MAX_CREDIT, ageing, in_turn, priority_by_now
from aq.core.record import Record
from tests.support.builders import NOW, job

HOUR = 3600.0


def waiting(name: str, hours: float = 0.0, **keys: object) -> Job:
    return job(name, record=Record(queued=later(NOW, -hours * HOUR)), **keys)


def order(*jobs: Job, weight: float = 1.0, **started: int) -> list[str]:
    return [one.id for one in in_turn(jobs, NOW, weight, started)]


@pytest.mark.parametrize(
    ("priority", "hours", "weight", "becomes"),
    [
        pytest.param(Priority.LOW, 0.9, 1.0, Priority.LOW, id="a low job that came just now is low"),
        pytest.param(Priority.LOW, 1.0, 1.0, Priority.MEDIUM, id="after one step it counts as medium"),
        pytest.param(Priority.LOW, 2.0, 1.0, Priority.HIGH, id="after two as high"),
        pytest.param(Priority.LOW, 99.0, 1.0, Priority.HIGH, id="waiting never makes a job critical"),
        pytest.param(Priority.MEDIUM, 1.5, 1.0, Priority.HIGH, id="a medium job needs one step"),
        pytest.param(Priority.HIGH, 99.0, 1.0, Priority.HIGH, id="a high job stays high"),
        pytest.param(Priority.CRITICAL, 0.0, 1.0, Priority.CRITICAL, id="a critical job is critical"),
        pytest.param(Priority.LOW, 1.0, 2.0, Priority.HIGH, id="twice the weight ages twice as fast"),
        pytest.param(Priority.LOW, 99.0, 0.0, Priority.LOW, id="without weight nothing ages"),
    ],
)
def test_waiting_makes_a_job_more_urgent(
    priority: Priority, hours: float, weight: float, becomes: Priority
) -> None:
    assert priority_by_now(waiting("a", hours, priority=priority), NOW, weight) is becomes


def test_a_job_of_unknown_age_counts_as_the_oldest() -> None:
    assert priority_by_now(job("a", record=Record(), priority=Priority.LOW), NOW, 1.0) is Priority.HIGH


def test_the_steps_of_ageing_are_times_of_arrival() -> None:
    assert ageing(NOW, 2.0) == (later(NOW, -AGE_STEP / 2), later(NOW, -AGE_STEP))
    assert ageing(NOW, 0.0) == ()


def test_an_old_job_goes_before_a_fresh_one_of_higher_priority_but_not_before_a_critical_one() -> None:
    jobs = (
        waiting("fresh", priority=Priority.HIGH),
        waiting("old", 3, priority=Priority.LOW),
        waiting("now", priority=Priority.CRITICAL),
    )
    assert order(*jobs) == ["now", "old", "fresh"]
    assert order(*jobs, weight=0.0) == ["now", "fresh", "old"]


def test_products_take_turns_however_many_jobs_each_has() -> None:
    flood = [waiting(f"a{n}", 0.5, product="a") for n in range(4)]
    assert order(*flood, waiting("b0", product="b"), waiting("none")) == [
        "a0",
        "b0",
        "none",
        "a1",
        "a2",
        "a3",
    ]


def test_a_product_that_started_more_lately_waits_for_the_others_within_bounds() -> None:
    jobs = [waiting(f"a{n}", 0.5, product="a") for n in range(2)]
    jobs += [waiting(f"b{n}", product="b") for n in range(MAX_CREDIT + 3)]
    assert order(*jobs, a=7, b=5)[:3] == ["b0", "b1", "a0"]
    served = order(*jobs, a=500, b=0)
    assert served.index("a0") == MAX_CREDIT


def test_products_take_turns_within_a_level_never_across() -> None:
    jobs = (
        waiting("a0", product="a", priority=Priority.HIGH),
        waiting("a1", product="a", priority=Priority.HIGH),
        waiting("b0", product="b", priority=Priority.LOW),
    )
    assert order(*jobs) == ["a0", "a1", "b0"]
