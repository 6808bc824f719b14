"""`aq why`, and the board's note: each reason that keeps a job from starting is named."""

from __future__ import annotations

import pytest

from aq.core.operations import Hold
from tests.support.fleet import op
from tests.support.story import Story, hand_write
from tests.ui.conftest import Person

_SETTINGS = "queue/aq.yaml"
_SHELL = "---\nengine: shell\n{}\n---\ntrue\n"


@pytest.mark.parametrize(
    ("front", "reason"),
    [
        pytest.param(
            "deps: [other]", "needs other shipped (it is in building)", id="a dependency not there yet"
        ),
        pytest.param(
            "deps: [missing]", "needs missing shipped (no such job)", id="a dependency nobody knows"
        ),
        pytest.param("lock: db", "lock 'db' is held by other", id="a lock that another job has"),
        pytest.param("not-before: 2099-01-01T00:00Z", "not before 2099-01-01", id="a time to come"),
        pytest.param("every: 24h", "is a schedule: copies of it run", id="a schedule"),
    ],
)
def test_the_jobs_own_reason_is_named(aq: Person, told: Story, front: str, reason: str) -> None:
    told.building("other", _SHELL.format("lock: db"))
    told.inbox("one", _SHELL.format(front))
    assert reason in aq("why", "one").out
    assert any(reason in said for said in aq("why", "one", "--json").json["reasons"])
    row = next(row for row in aq("status", "--json").json["rows"] if row["job"] == "one")
    assert reason in row["note"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        pytest.param("wip: {building: 1}", "1 jobs are building (wip.building)", id="enough is building"),
        pytest.param("wip: {people: 1}", "1 jobs wait for a person", id="people have enough to do"),
        pytest.param(
            "budgets: {default-usd: 2, fleet: {usd: 1, per: day}}",
            "1.00 of 1.00 usd left today and this job reserves 2.00",
            id="the day's budget",
        ),
        pytest.param(
            "cadence: {poll: never}", "queue settings are invalid: ", id="settings that nobody can read"
        ),
    ],
)
def test_the_fleets_limit_is_named(aq: Person, told: Story, settings: str, reason: str) -> None:
    told.building("other")
    told.testing("done")
    told.inbox("one")
    hand_write(aq.machine.path, _SETTINGS, f"{settings}\n")
    assert reason in aq("why", "one").out


def test_a_pause_of_the_job_or_of_the_fleet_is_named_with_who_and_why(aq: Person, told: Story) -> None:
    told.inbox("one")
    aq("pause", "one", "-m", "wait for bob")
    aq("pause", "-m", "a holiday")
    out = aq("why", "one").out
    assert "paused by Alice: wait for bob" in out
    assert "the queue is paused by Alice: a holiday" in out
    assert "PAUSED by Alice: a holiday" in aq("status").out


def test_a_hold_is_named(aq: Person, told: Story) -> None:
    told.testing("one")
    told.do(Hold(**op("ada"), job="one", reason="a conflict"))
    assert "on hold: a conflict" in aq("why", "one").out


def test_without_any_host_the_next_step_is_named(aq: Person, told: Story) -> None:
    told.inbox("one")
    assert "start `aq run` on a machine" in aq("why", "one").out


def test_a_host_that_nobody_knows_is_no_answer(aq: Person, told: Story) -> None:
    told.inbox("one")
    assert "`aq hosts` lists them" in aq.refused("why", "one", "--host", "nobody")


def test_a_retry_that_the_fleets_budget_holds_back_says_when_it_may_go_on(aq: Person, told: Story) -> None:
    hand_write(aq.machine.path, _SETTINGS, "retry-budget: {ratio: 0, floor: 1}\n")
    for name in ("one", "two"):
        told.building(name, _SHELL.format("retry: {max: 2, backoff: 0s}"))
        told.do(told.fail_of(name, "crash"))
    told.building("one")
    reason = "1 of the last hour's 3 starts were retries (retry-budget): one more may start at "
    assert reason in aq("why", "two").out
    assert reason in told.refusal(told.claim_of("two")).reason
    row = next(row for row in aq("status", "--json").json["rows"] if row["job"] == "two")
    assert row["note"].startswith(reason)
