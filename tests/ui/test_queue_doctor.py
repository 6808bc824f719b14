"""`aq doctor` on the queue: each thing that needs somebody is found, with what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aq.core.fleet import Beat, Cooling
from aq.core.instants import later
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.manifest import Budget, Deps
from aq.core.operations import Hold, PauseJob
from aq.core.profile import Profile
from aq.core.record import Note, Record
from aq.core.settings import Amount, Budgets, Pause, Settings, Spend
from aq.core.snapshot import Problem, Snapshot
from aq.core.value import replace
from aq.ui.diagnosis import queue_findings
from aq.ui.finding import Finding
from aq.ui.fleet_diagnosis import stuck_delivery
from tests.support.builders import NOW, OFFERS, Queue, beat, job, snapshot
from tests.support.story import TIP, Story
from tests.ui.conftest import Person

LATER = "2026-11-21T10:02:00Z"
DAYS_LATER = "2026-11-24T10:00:00Z"
LIVE = beat("mac-1")


def found(state: Snapshot, *beats: Beat, now: str = LATER, alive: bool = True) -> list[Finding]:
    """What is found beside a host that lives and can run shell jobs."""
    hosts = [replace(LIVE, at=now), *beats] if alive else beats
    return list(queue_findings(state, {each.host: ("oid", each) for each in hosts}, now))


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


def queued(*jobs: Job, **more: Any) -> Snapshot:
    return snapshot(jobs, **more)


def test_a_queue_that_is_well_has_nothing_to_find() -> None:
    assert found(queued(job("a"), job("b", host="mac-1"))) == []


def _made(*steps: Callable[[Queue], object]) -> Snapshot:
    queue = Queue()
    for step in steps:
        step(queue)
    return queue.now


def _held(queue: Queue) -> None:
    queue.add()
    queue.do(Hold(**queue.common("mac-1"), job="a", reason="which database?"))


def _overrun(queue: Queue) -> None:
    queue.do(queue.fail_of(queue.started(budget=Budget(usd=1.0)), "budget", usd=2.0))


def _too_long(queue: Queue) -> None:
    fence = queue.started(budget=Budget(usd=1.0, wall=60.0))
    queue.at = later(queue.at, 90)
    queue.do(queue.fail_of(fence, "budget"))


def _paused(queue: Queue) -> None:
    queue.add()
    queue.do(PauseJob(**queue.common(), job="a", message="wait"))


def _unverified(queue: Queue) -> None:
    queue.do(queue.reclaim_of(queue.landed()))


def _limited(**budgets: Any) -> Settings:
    return Settings(budgets=Budgets(**budgets))


SPENT = {NOW[:10]: Spend(Amount(0.0, 4.5), {"billing": Amount(0.0, 2.0)})}
BROKEN_PROFILE = {"dev": Profile("dev", problem="profiles/dev.md:2: unknown key")}
NO_PROFILE = replace(job("a"), profile=Profile("dev", problem="there is no profiles/dev.md"))

JOBS: dict[str, tuple[Callable[[], Snapshot], str, str, str]] = {
    "invalid settings": (
        lambda: queued(settings_error="aq.yaml:1: no"),
        "BAD",
        "nobody claims",
        "queue/aq.yaml",
    ),
    "a pause": (lambda: queued(pause=Pause("bob", "deploy")), "note", "paused by bob: deploy", "aq resume"),
    "a stray file": (lambda: queued(problems=(Problem("queue/x", "odd"),)), "BAD", "queue/x: odd", "--fix"),
    "an invalid file": (
        lambda: queued(job("a", problem="a.md:3: no")),
        "BAD",
        "out of play",
        "correct the file",
    ),
    "a broken profile": (lambda: queued(profiles=BROKEN_PROFILE), "BAD", "profile dev: ", "correct it"),
    "a missing profile": (lambda: queued(NO_PROFILE), "BAD", "a can never start", "add the profile"),
    "a job on hold": (lambda: _made(_held), "note", "on hold since", "`aq resume a`"),
    "a spent budget": (lambda: _made(_overrun), "note", "its budget is spent", "aq resume a --budget usd=N"),
    "a budget of time that is spent": (lambda: _made(_too_long), "note", "on hold", "--budget wall=TIME"),
    "a paused job": (lambda: _made(_paused), "note", "a is paused by alice: wait", "aq resume a"),
    "a dependency nobody knows": (
        lambda: queued(job("a", deps=Deps(shipped=("gone",)))),
        "BAD",
        "blocked for good: needs gone",
        "cancel it",
    ),
    "a dependency that failed": (
        lambda: queued(job("b", Stage.FAILED), job("a", deps=Deps(shipped=("b",)))),
        "BAD",
        "blocked for good: held: it needs b",
        "requeue",
    ),
    "dependencies in a circle": (
        lambda: queued(job("a", deps=Deps(shipped=("a",)))),
        "BAD",
        "a -> a",
        "cancel one of them",
    ),
    "a requirement that nobody meets": (
        lambda: queued(job("a", capabilities=("memory>=64",))),
        "note",
        "lacks memory>=64",
        "add such a host",
    ),
    "a lease without a beat": (
        lambda: queued(job("a", host="mac-9")),
        "note",
        "its host mac-9 has no recent beat",
        "takes it back",
    ),
    "enough is building": (
        lambda: queued(job("a", host="mac-1"), settings=Settings(wip_building=1)),
        "note",
        "nobody claims: 1 jobs are building",
        "raise the limit",
    ),
    "the day's money": (
        lambda: queued(job("a", budget=Budget(usd=1.0)), settings=_limited(fleet_usd=5.0), spend=SPENT),
        "note",
        "the fleet has 0.50 of 5.00 usd left today; 1 jobs wait for more",
        "next day",
    ),
    "a product's money": (
        lambda: queued(settings=_limited(products={"billing": 2.0}), spend=SPENT),
        "note",
        "billing has 0.00 of 2.00 usd left today; 0 jobs wait for more",
        "next day",
    ),
    "a job that is dearer than a day": (
        lambda: queued(job("a", budget=Budget(usd=9.0)), settings=_limited(fleet_usd=5.0)),
        "BAD",
        "a can never start: it reserves 9.00 usd, and the fleet has 5.00 a day",
        "ask for less",
    ),
}


@pytest.mark.parametrize(("state", "level", "what", "do"), JOBS.values(), ids=JOBS)
def test_what_needs_somebody_is_found_once(
    state: Callable[[], Snapshot], level: str, what: str, do: str
) -> None:
    finding = only(found(state()))
    assert finding.level == level
    assert what in finding.what
    assert do in finding.do


OLD: dict[str, tuple[Callable[[], Snapshot], str, str]] = {
    "a run beyond its bound": (lambda: queued(_since(job("a", host="mac-1"))), "BAD", "twice its timeout"),
    "a job that nobody verifies": (lambda: _made(_unverified), "BAD", "waits to be verified since 3d"),
    "a job that nobody takes": (lambda: queued(job("a")), "note", "could start and waits since 3d"),
    "a delivery that does not come": (
        lambda: queued(_since(_wanted(deliver="merge"))),
        "note",
        "is shipped since 3d and not delivered yet",
    ),
}


def _since(old: Job) -> Job:
    return replace(old, record=replace(old.record, since=NOW))


def _wanted(**keys: Any) -> Job:
    return job(
        "a", Stage.SHIPPED, record=Record(queued=NOW, delivery="wanted", branch="aq/a/1", tip=TIP), **keys
    )


@pytest.mark.parametrize(("state", "level", "what"), OLD.values(), ids=OLD)
def test_what_takes_too_long_is_found_and_not_before(
    state: Callable[[], Snapshot], level: str, what: str
) -> None:
    assert found(state()) == []
    finding = only(found(state(), now=DAYS_LATER))
    assert (finding.level, what in finding.what) == (level, True), finding


def test_work_that_waits_for_a_person_for_a_week_is_noted() -> None:
    queue = Queue()
    queue.tested()
    assert found(queue.now, now=DAYS_LATER) == []
    assert "ship or reject it" in only(found(queue.now, now="2026-11-29T10:00:00Z")).do


HOSTS: dict[str, tuple[Beat, str, str]] = {
    "silent": (
        beat("mac-2", at="2026-11-21T09:00:00Z"),
        "host mac-2 fell silent 1h02m ago",
        "look at",
    ),
    "gone": (beat("mac-2", at="2026-11-01T09:00:00Z"), "host mac-2 was last heard 20d ago", "aq clean"),
    "resting": (
        beat("mac-2", resting="3 jobs went bad"),
        "host mac-2 rests: 3 jobs",
        "aq run --wake",
    ),
    "cooling": (
        beat("mac-2", cooling={"claude": Cooling("2026-11-21T11:00:00Z", "quota")}),
        "host mac-2: engine claude rests until 2026-11-21T11:00:00Z (quota)",
        "raise its limit",
    ),
}


@pytest.mark.parametrize(("other", "what", "do"), HOSTS.values(), ids=HOSTS)
def test_a_host_that_cannot_work_is_noted(other: Beat, what: str, do: str) -> None:
    finding = only(found(queued(), other))
    assert (finding.level, what in finding.what, do in finding.do) == ("note", True, True), finding


def test_a_host_that_said_goodbye_is_fine_and_a_fleet_without_hosts_is_not() -> None:
    gone = beat("mac-2", at="2026-11-21T09:00:00Z", stopped=True)
    assert found(queued(), gone) == []
    assert (
        "no host is live, and 1 jobs are in the inbox"
        in only(found(queued(job("a")), gone, alive=False)).what
    )


DELIVERIES: dict[str, tuple[dict[str, Any], frozenset[str], str]] = {
    "a merge that a host can do": ({"deliver": "merge", "repo": "app"}, OFFERS | {"repo:app"}, ""),
    "a merge without the repository": ({"deliver": "merge", "repo": "app"}, OFFERS, "lacks repo:app"),
    "a request with a tool": ({"deliver": "pr", "repo": "app"}, OFFERS | {"repo:app", "gh=2.40.0"}, ""),
    "a request without one": (
        {"deliver": "pr", "repo": "app"},
        OFFERS | {"repo:app"},
        "no live host can: the nearest lacks has:gh and has:glab",
    ),
}


@pytest.mark.parametrize(("keys", "offers", "why"), DELIVERIES.values(), ids=DELIVERIES)
def test_a_delivery_that_no_host_can_do_is_bad_and_says_what_is_missing(
    keys: dict[str, Any], offers: frozenset[str], why: str
) -> None:
    findings = found(queued(_wanted(**keys)), replace(LIVE, at=LATER, offers=offers))
    assert [(each.level, why in each.what) for each in findings] == ([("BAD", True)] if why else [])
    if keys["deliver"] == "pr" and why:
        assert "install `gh` or `glab`" in findings[0].do


def test_a_delivery_on_hold_is_told_as_what_a_person_has_to_do() -> None:
    held = _wanted(deliver="merge")
    held = replace(held, record=replace(held.record, hold=Note("mac-1", NOW, "conflict in a.py")))
    finding = only(found(queued(held)))
    assert (finding.level, "merge aq/a/1 by hand" in finding.do) == ("BAD", True)


def test_work_that_is_delivered_or_shipped_as_a_branch_is_not_stuck() -> None:
    assert stuck_delivery(job("a", Stage.SHIPPED), {}) == ""
    assert stuck_delivery(_wanted(deliver="merge"), {}) == "no host is live"


def test_show_and_doctor_say_that_a_pull_request_waits_for_a_tool(aq: Person, told: Story) -> None:
    told.shipped("x", "---\nengine: shell\ncwd: /\ndeliver: pr\n---\ntrue\n", TIP)
    assert "waits      no host is live" in aq("show", "x").out
    assert "x is shipped and not delivered: no host is live" in aq("doctor", code=1).out
