"""Who gives way to a critical job that has no slot: one low run for each, the same one on every host, and
nobody else."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from aq.core.accepts import Accepts
from aq.core.fleet import Beat
from aq.core.instants import later
from aq.core.job import Job
from aq.core.leftover import start_of
from aq.core.lifecycle import Stage, Trigger
from aq.core.manifest import Budget, Deps, Priority
from aq.core.operations import Preempt, Release
from aq.core.planning.plan import Plan, plan
from aq.core.planning.preempt import Preemption
from aq.core.record import Note, Record
from aq.core.retry import MAX_PREEMPTED
from aq.core.settings import Budgets, Pause, Settings
from aq.core.settle import Ending, Outcome, settle
from aq.core.snapshot import Snapshot
from aq.core.value import replace
from tests.support.builders import NOW, OFFERS, Queue, beat, job, snapshot

CRITICAL, HIGH, LOW = Priority.CRITICAL, Priority.HIGH, Priority.LOW
SLOT = "waits for a free slot"
TIP = "e" * 40


def urgent(name: str = "u", **keys: Any) -> Job:
    return job(name, **{"priority": CRITICAL, **keys})


def runs(name: str, host: str = "m1", ago: float = 600.0, *, preempted: int = 0, **keys: Any) -> Job:
    """A low job that runs on a host."""
    held = job(name, host=host, **{"priority": LOW, **keys})
    assert held.lease
    began = replace(held.lease, acquired_at=later(NOW, -ago))
    return replace(held, lease=began, record=replace(held.record, preempted=preempted))


def host(name: str, *offers: str, **more: Any) -> Beat:
    return beat(name, **{"offers": OFFERS | set(offers), **more})


@dataclass(frozen=True)
class Scenario:
    jobs: tuple[Job, ...]
    hosts: tuple[Beat, ...]
    takes: Mapping[str, str] = field(default_factory=dict)
    says: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    more: Mapping[str, Any] = field(default_factory=dict)


M1 = (host("m1"),)
SCENARIOS = {
    "a low run gives its slot to a critical job": Scenario((urgent(), runs("x")), M1, {"u": "x"}),
    "a free slot is taken before any run is stopped": Scenario((urgent(), runs("x")), (host("m1", slots=2),)),
    "a free slot on another host as well": Scenario((urgent(), runs("x")), (host("m1"), host("m2"))),
    "a high job stops nobody": Scenario((urgent(priority=HIGH), runs("x")), M1, says={"u": SLOT}),
    "a low job that waits for days stops nobody": Scenario(
        (urgent(priority=LOW, record=Record(queued=later(NOW, -9e5))), runs("x")), M1, says={"u": SLOT}
    ),
    "a medium run is left alone": Scenario(
        (urgent(), runs("x", priority=Priority.MEDIUM)), M1, says={"u": SLOT}
    ),
    "a run that gave way so often that once more would end it": Scenario(
        (urgent(), runs("x", preempted=MAX_PREEMPTED)), M1, says={"u": SLOT}
    ),
    "the last time that it may": Scenario((urgent(), runs("x", preempted=MAX_PREEMPTED - 1)), M1, {"u": "x"}),
    "work that has landed is not thrown away": Scenario(
        (urgent(), replace(runs("x"), stage=Stage.REVIEW, folder="review")), M1, says={"u": SLOT}
    ),
    "a run that was changed by hand": Scenario(
        (urgent(), replace(runs("x"), problem="edited")), M1, says={"u": SLOT}
    ),
    "the run that started last": Scenario(
        (urgent(), runs("x", ago=60), runs("y", ago=5), runs("z", ago=30)), (host("m1", slots=3),), {"u": "y"}
    ),
    "the run that started last in the fleet": Scenario(
        (urgent(), runs("x", "m1", 60), runs("y", "m2", 5)), (host("m1"), host("m2")), {"u": "y"}
    ),
    "two critical jobs take two slots": Scenario(
        (urgent("u1"), urgent("u2"), runs("x", ago=5), runs("y", ago=60), runs("z", ago=90)),
        (host("m1", slots=3),),
        {"u1": "x", "u2": "y"},
    ),
    "more critical jobs than low runs": Scenario(
        (urgent("u1"), urgent("u2"), runs("x")), M1, {"u1": "x"}, {"u2": SLOT}
    ),
    "one free slot and two critical jobs": Scenario(
        (urgent("u1"), urgent("u2"), runs("x")), (host("m1", slots=2),), {"u2": "x"}
    ),
    "only a host that can run it": Scenario(
        (urgent(capabilities=("gpu",)), runs("x", "m1", 5), runs("y", "m2", 60)),
        (host("m1"), host("m2", "gpu")),
        {"u": "y"},
    ),
    "each on a host that can run it": Scenario(
        (urgent("u1"), urgent("u2", capabilities=("gpu",)), runs("x", "m1", 5), runs("y", "m2", 60)),
        (host("m1"), host("m2", "gpu")),
        {"u1": "x", "u2": "y"},
    ),
    "a host that accepts no such job": Scenario(
        (urgent(), runs("x")),
        (host("m1", accepts=Accepts(priorities=("low",))),),
        says={"u": "no live host can run it: m1 accepts only priorities low"},
    ),
    "a host that refuses the job": Scenario(
        (urgent(), runs("x")), (host("m1", refuses={"u": "no disk"}),), says={"u": "m1: no disk"}
    ),
    "a host that drains": Scenario(
        (urgent(), runs("x"), runs("y", "m2", 999)), (host("m1", draining=True), host("m2")), {"u": "y"}
    ),
    "a host that says goodbye": Scenario(
        (urgent(), runs("x")), (host("m1", stopped=True),), says={"u": "no host takes work"}
    ),
    "a host that rests": Scenario(
        (urgent(), runs("x")), (host("m1", resting="ill"),), says={"u": "m1 rests: ill"}
    ),
    "a host that is silent": Scenario((urgent(), runs("x", "m2")), (), says={"u": "no live host"}),
    "a host with more runs than slots": Scenario((urgent(), runs("x"), runs("y")), M1, says={"u": SLOT}),
    "a job that waits for something else as well": Scenario(
        (urgent(deps=Deps(("d",))), runs("x")), M1, says={"u": "needs d shipped (no such job)"}
    ),
    "a job that is paused": Scenario(
        (urgent(record=Record(pause=Note("bob", NOW, "wait"))), runs("x")),
        M1,
        says={"u": "paused by bob: wait"},
    ),
    "a lock that the low run has": Scenario(
        (urgent(lock="db"), runs("x", lock="db")), M1, says={"u": "lock 'db' is held by x"}
    ),
    "a lock that goes to the first of two": Scenario(
        (urgent("u1", lock="db"), urgent("u2", lock="db"), runs("x", ago=5), runs("y", ago=60)),
        (host("m1", slots=2),),
        {"u1": "x"},
        {"u2": "lock 'db' goes to an earlier job"},
    ),
    "money for one of two": Scenario(
        (
            urgent("u1", budget=Budget(usd=3)),
            urgent("u2", budget=Budget(usd=3)),
            runs("x", ago=5),
            runs("y", ago=60),
        ),
        (host("m1", slots=2),),
        {"u1": "x"},
        {"u2": "the fleet has 2.00 of 5.00 usd left today and this job reserves 3.00"},
        Settings(budgets=Budgets(fleet_usd=5.0)),
    ),
    "as many are building as may": Scenario(
        (urgent(), runs("x")),
        M1,
        says={"u": "1 jobs are building (wip.building)"},
        settings=Settings(wip_building=1),
    ),
    "the fleet is paused": Scenario(
        (urgent(), runs("x")),
        M1,
        says={"u": "the queue is paused by bob: lunch"},
        more={"pause": Pause("bob", "lunch")},
    ),
}


def of(scenario: Scenario) -> tuple[Snapshot, dict[str, Beat]]:
    more = dict(scenario.more)
    return snapshot(scenario.jobs, settings=scenario.settings, **more), {b.host: b for b in scenario.hosts}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    scenario = SCENARIOS[name]
    planned = plan(*of(scenario), NOW)
    assert {p.job: p.victim for p in planned.preemptions} == dict(scenario.takes)
    told = {job: why for job, why in planned.waiting.items() if job not in scenario.takes}
    assert told == dict(scenario.says)
    assert all(
        planned.waiting[p.job] == f"takes the slot of {p.victim} on {p.host}" for p in planned.preemptions
    )


def test_what_falls_to_a_host_is_what_it_claims_and_what_it_makes_room_for() -> None:
    jobs = [urgent("u1"), urgent("u2"), runs("x", "m2")]
    planned = plan(snapshot(jobs), {"m1": host("m1"), "m2": host("m2")}, NOW)
    assert (planned.starting("m1"), planned.starting("m2")) == (("u1",), ("u2",))
    assert planned.preemptions == (Preemption("u2", "x", "m2"),)
    assert planned.without("m2", {"u2"}).preemptions == ()
    assert planned.without("m1", {"u1"}).starting("m1") == ()
    assert planned.without("m1", {"u2"}) == planned.without("m2", {"u1"}) == planned


def fleet(rng: random.Random) -> tuple[list[Job], dict[str, Beat]]:
    """A full fleet of unlike hosts with critical jobs that wait; times often equal."""
    hosts = {f"m{n}": host(f"m{n}", *(["gpu"] if n % 2 else []), slots=2) for n in range(4)}
    low = [runs(f"x{n}", f"m{n // 2}", rng.choice((5, 5, 60))) for n in range(8)]
    wants = [urgent(f"u{n}", capabilities=("gpu",) if rng.random() < 0.4 else ()) for n in range(5)]
    return [*low, *wants], hosts


def victims(planned: Plan) -> set[str]:
    return {p.victim for p in planned.preemptions}


@pytest.mark.parametrize("seed", range(40))
def test_every_host_finds_the_same_whatever_the_order_and_never_more_than_one_run_for_each(seed: int) -> None:
    rng = random.Random(seed)
    jobs, hosts = fleet(rng)
    first = plan(snapshot(jobs), hosts, NOW)
    for _ in range(3):
        rng.shuffle(jobs)
        shuffled = dict(rng.sample(sorted(hosts.items()), len(hosts)))
        assert plan(snapshot(jobs), shuffled, later(NOW, 5)).preemptions == first.preemptions
    waiting = [one for one in jobs if one.stage is Stage.INBOX]
    assert 3 <= len(victims(first)) == len(first.preemptions) <= len(waiting)


@pytest.mark.parametrize("seed", range(40))
def test_while_one_run_is_stopping_no_other_is_asked_in_its_place(seed: int) -> None:
    """Only its host knows that it is stopping. Critical jobs that come later, before or behind the first in
    their turn, ask for more runs, never for others instead; nor does a low run that ends."""
    rng = random.Random(seed)
    jobs, hosts = fleet(rng)
    low = [one for one in jobs if one.lease]
    wants = rng.sample([one for one in jobs if not one.lease], 5)
    stopping: set[str] = set()
    for count in range(1, 6):
        now = victims(plan(snapshot([*low, *wants[:count]]), hosts, NOW))
        assert stopping <= now
        stopping = now
    rest = [one for one in low if one.id not in stopping]
    for _ in range(len(rest)):
        low.remove(rest.pop())
        # The slot of a run that ended is taken by a critical job: one fewer needs to be made free.
        assert victims(plan(snapshot([*low, *wants]), hosts, NOW)) <= stopping


def preempted(queue: Queue, **facts: Any) -> None:
    outcome = Outcome(Ending.STOPPED, reason="stopped", **facts)
    (operation,) = settle(queue.fence(), outcome, queue.at, (f"{queue.job().record.epoch}", "b"), "u")
    assert isinstance(operation, Preempt)
    queue.do(operation)


def test_a_stopped_run_that_gives_way_is_written_as_such_with_all_it_left() -> None:
    queue = Queue()
    queue.limit(budgets=Budgets(default_usd=2.0, fleet_usd=5.0))
    queue.started(priority=LOW)
    preempted(queue, branch="aq/a/1", tip=TIP, usd=0.5, tokens=9, model="m-1", version="2.1")
    found = queue.job()
    run, record = found.record.runs[-1], found.record
    assert (found.stage, found.lease, record.attempts, record.preempted) == (Stage.INBOX, None, 0, 1)
    assert (record.infra, record.not_before) == (0, None)
    assert (run.outcome, run.reason, run.branch, run.tip) == ("preempted", "preempted for u", "aq/a/1", TIP)
    assert (run.usd, run.tokens, run.model, run.version) == (0.5, 9, "m-1", "2.1")
    assert queue.now.spend[NOW[:10]].fleet.total == 0.5
    event = queue.changes[-1].event
    assert (event.op, event.detail) == (Trigger.PREEMPT, "for u")
    assert (event.get("Aq-Reason"), event.get("Aq-Branch")) == ("preempted for u", "aq/a/1")


@pytest.mark.parametrize("ending", [e for e in Ending if e is not Ending.STOPPED])
def test_a_run_that_ended_by_itself_before_it_was_stopped_counts_as_what_it_is(ending: Ending) -> None:
    queue = Queue()
    outcome = Outcome(ending, "agent", "it ended", pushed=True)
    made = settle(queue.started(priority=LOW), outcome, NOW, ("a", "b"), "u")
    assert made == settle(queue.fence(), outcome, NOW, ("a", "b"))


def test_without_a_critical_job_a_stopped_run_is_released() -> None:
    (made,) = settle(Queue().started(), Outcome(Ending.STOPPED, reason="by bob"), NOW, ("a", "b"))
    assert isinstance(made, Release)


def test_the_next_run_goes_on_from_the_work_of_the_one_that_gave_way() -> None:
    queue = Queue()
    queue.started(priority=LOW)
    preempted(queue, branch="aq/a/1", tip=TIP)
    assert start_of(queue.job()) == TIP
    queue.claim()
    assert start_of(queue.job()) == TIP, "also once it is claimed"
    queue.do(queue.reclaim_of(queue.fence()))
    queue.claim()
    queue.do(queue.release_of(queue.fence(), branch="aq/a/3", tip="d" * 40))
    assert start_of(queue.job()) == "d" * 40, "what came on top of it, and ended through no fault of its own"
    queue.claim()
    queue.do(queue.fail_of(queue.fence(), "crash", branch="aq/a/4", tip="c" * 40))
    assert start_of(queue.job()) == "", "a retry begins at the base"


def test_a_run_that_gave_way_before_it_left_anything_begins_anew() -> None:
    queue = Queue()
    queue.started(priority=LOW)
    preempted(queue)
    assert start_of(queue.job()) == ""


def test_giving_way_ends_no_job() -> None:
    """Critical jobs come without end: the low one gives way as often as it may, and then it is done."""
    queue = Queue()
    queue.started(priority=LOW)
    times = 0
    queue.add("u", priority=CRITICAL)
    while plan(queue.now, {"mac-1": host("mac-1")}, NOW).preemptions:
        preempted(queue)
        queue.claim()
        times += 1
    assert times == MAX_PREEMPTED
    assert queue.job().stage is Stage.BUILDING
