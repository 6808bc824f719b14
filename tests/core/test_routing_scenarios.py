"""Named routing scenarios: who gets what, and what is said to those that wait."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from aq.core.accepts import Accepts
from aq.core.fleet import Beat
from aq.core.health import FIRST_REST, Breaker, blame, noted, room
from aq.core.instants import later
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.manifest import Budget, Deps, Priority
from aq.core.planning.plan import Memory, Plan, plan, remember
from aq.core.record import Note, Record, Run
from aq.core.settings import Budgets, Pause, Settings
from aq.core.settle import Ending, Outcome
from aq.core.snapshot import Snapshot
from aq.core.value import replace
from tests.support.builders import NOW, OFFERS, Queue, beat, job, snapshot

HOUR = 3600.0
AGENTS = {"shell": "shell", "codex": "agentic-coder", "claude": "agentic-coder"}


def host(name: str, *offers: str, **more: Any) -> Beat:
    """A live host with agents; it offers its name and what is given."""
    return beat(name, **{"offers": OFFERS | {f"host:{name}", *offers}, "engines": AGENTS, **more})


def waits(name: str, hours: float = 0.0, **keys: Any) -> Job:
    return job(name, record=Record(queued=later(NOW, -hours * HOUR)), **keys)


def did(
    name: str, by: str, outcome: str = "passed", ago: float = 600.0, usd: float | None = None, **keys: Any
) -> Job:
    """A job that ran lately and is in testing."""
    run = Run(1, by, "n", keys.get("engine", "shell"), later(NOW, -ago), 1, outcome=outcome, usd=usd)
    return job(name, Stage.TESTING, record=Record(epoch=1, since=later(NOW, -ago), runs=(run,)), **keys)


def again(name: str, by: str, outcome: str, **keys: Any) -> Job:
    """A job that waits after a run on a host."""
    run = Run(1, by, "n", "shell", later(NOW, -600), 1, outcome=outcome, ended=later(NOW, -60))
    return job(name, record=Record(queued=later(NOW, -900), epoch=1, attempts=1, runs=(run,)), **keys)


@dataclass(frozen=True)
class Scenario:
    jobs: tuple[Job, ...]
    hosts: tuple[Beat, ...]
    goes: Mapping[str, str] = field(default_factory=dict)
    says: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    memory: Memory = field(default_factory=Memory)
    more: Mapping[str, Any] = field(default_factory=dict)


SCENARIOS = {
    "a capability that nobody has": Scenario(
        (waits("a", capabilities=("has:docker",)),),
        (host("m1"), host("m2", "gpu")),
        says={"a": "no live host can run it: m1 lacks has:docker"},
    ),
    "a version that is too old": Scenario(
        (waits("a", capabilities=("node>=20",)),),
        (host("m1", "node=18.3"),),
        says={"a": "no live host can run it: m1 lacks node>=20"},
    ),
    "a version that is new enough": Scenario(
        (waits("a", capabilities=("node>=20",)),),
        (host("m1", "node=18.3"), host("m2", "node=22.1")),
        {"a": "m2"},
    ),
    "any system will do": Scenario((waits("a", capabilities=("os:any",)),), (host("m1"),), {"a": "m1"}),
    "the host that comes nearest is named": Scenario(
        (waits("a", capabilities=("gpu", "has:docker")),),
        (host("m1"), host("m2", "gpu")),
        says={"a": "no live host can run it: m2 lacks has:docker"},
    ),
    "an engine that is nowhere": Scenario(
        (waits("a", engine="amp"),), (host("m1"),), says={"a": "no live host can run it: m1 lacks engine:amp"}
    ),
    "prose is never given to the shell": Scenario(
        (waits("a", engine=""),),
        (host("m1", engines={"shell": "shell"}),),
        says={"a": "no live host can run it: m1 lacks engine-class:agentic-coder"},
    ),
    "a repository that one host has": Scenario(
        (waits("a", repo="billing"),), (host("m1"), host("m2", "repo:billing")), {"a": "m2"}
    ),
    "a host that accepts other products only": Scenario(
        (waits("a", product="search"),),
        (host("m1", accepts=Accepts(products=("billing",))),),
        says={"a": "no live host can run it: m1 accepts only products billing"},
    ),
    "of two hosts the one that accepts the job": Scenario(
        (waits("a", product="search"), waits("b", product="billing")),
        (
            host("m1", accepts=Accepts(products=("billing",))),
            host("m2", accepts=Accepts(products=("search",))),
        ),
        {"a": "m2", "b": "m1"},
    ),
    "a host that takes urgent work only": Scenario(
        (waits("a", priority=Priority.LOW), waits("b", priority=Priority.HIGH)),
        (host("m1", slots=2, accepts=Accepts(priorities=("critical", "high"))),),
        {"b": "m1"},
        {"a": "no live host can run it: m1 accepts only priorities critical, high"},
    ),
    "a job that a host finds it must refuse": Scenario(
        (waits("a"),),
        (host("m1", refuses={"a": "cwd /srv is not here"}),),
        says={"a": "m1: cwd /srv is not here"},
    ),
    "what the job prefers": Scenario(
        (waits("a", prefers=("host:m2",)),), (host("m1", slots=4), host("m2", slots=4)), {"a": "m2"}
    ),
    "what it prefers is busy": Scenario(
        (waits("a", prefers=("host:m2",)), job("x", host="m2")), (host("m1"), host("m2")), {"a": "m1"}
    ),
    "a warm repository keeps its host": Scenario(
        (waits("a", repo="billing"), did("old", "m2", repo="billing")),
        tuple(host(name, "repo:billing", slots=4) for name in ("m1", "m2", "m3")),
        {"a": "m2"},
    ),
    "a warm repository does not fill one host while others are idle": Scenario(
        (*(waits(f"a{n}", repo="b") for n in range(4)), did("old", "m2", repo="b", ago=2 * HOUR)),
        tuple(host(name, "repo:b", slots=4) for name in ("m1", "m2")),
        {"a0": "m2", "a1": "m2", "a2": "m2", "a3": "m1"},
        settings=Settings(weights={"affinity": 0.9}),
    ),
    "the idle host before the busy one": Scenario(
        (waits("a"), job("x", host="m1")), (host("m1", slots=3), host("m2", slots=3)), {"a": "m2"}
    ),
    "the host that started less lately": Scenario(
        (waits("a"), did("x", "m1"), did("y", "m1"), did("z", "m2")),
        (host("m1", slots=3), host("m2", slots=3)),
        {"a": "m2"},
    ),
    "the cheaper engine": Scenario(
        (
            waits("a", engine=""),
            did("x", "gone", engine="claude", usd=2.0),
            did("y", "gone", engine="codex", usd=0.2),
        ),
        (host("m1", engines={"claude": "agentic-coder"}), host("m2", engines={"codex": "agentic-coder"})),
        {"a": "m2"},
    ),
    "a special host is kept for those that need it": Scenario(
        (waits("a"), waits("b", capabilities=("gpu",))),
        (host("m1", "gpu", "xcode=16"), host("m2"), host("m3", draining=True)),
        {"a": "m2", "b": "m1"},
    ),
    "a host on which runs break off": Scenario(
        (waits("a"), *(did(f"x{n}", "m1", "lost", 2 * HOUR) for n in range(3))),
        (host("m1"), host("m2")),
        {"a": "m2"},
    ),
    "a retry goes elsewhere": Scenario(
        (again("a", "m1", "crash"),), (host("m1", slots=4), host("m2", slots=4)), {"a": "m2"}
    ),
    "a retry stays when there is nowhere else": Scenario(
        (again("a", "m1", "crash"),), (host("m1", slots=4), host("m2", draining=True)), {"a": "m1"}
    ),
    "a session goes on where it is": Scenario(
        (again("a", "m1", "none", resume=True),), (host("m1", slots=4), host("m2", slots=4)), {"a": "m1"}
    ),
    "a host that rests takes nothing": Scenario(
        (waits("a"),), (host("m1", resting="3 jobs went bad"),), says={"a": "m1 rests: 3 jobs went bad"}
    ),
    "a host that drains takes nothing": Scenario(
        (waits("a"),), (host("m1", draining=True),), says={"a": "no host takes work"}
    ),
    "a critical job goes before all": Scenario(
        (waits("a", 99, priority=Priority.HIGH), waits("b", priority=Priority.CRITICAL)),
        (host("m1"),),
        {"b": "m1"},
        {"a": "waits for a free slot"},
    ),
    "an old low job goes before a fresh high one": Scenario(
        (waits("a", 3, priority=Priority.LOW), waits("b", priority=Priority.HIGH)),
        (host("m1"),),
        {"a": "m1"},
        {"b": "waits for a free slot"},
    ),
    "a flood of one product does not bury another": Scenario(
        (*(waits(f"a{n}", 0.5, product="a") for n in range(5)), waits("b", product="b")),
        (host("m1", slots=2),),
        {"a0": "m1", "b": "m1"},
        {f"a{n}": "waits for a free slot" for n in range(1, 5)},
    ),
    "the money of the day is given away once": Scenario(
        (waits("a", budget=Budget(usd=3)), waits("b", budget=Budget(usd=3))),
        (host("m1"), host("m2")),
        {"a": "m1"},
        {"b": "the fleet has 2.00 of 5.00 usd left today and this job reserves 3.00"},
        settings=Settings(budgets=Budgets(fleet_usd=5.0), weights={"affinity": 1.0}),
        more={"only": "a"},
    ),
    "a product without money waits, another does not": Scenario(
        (waits("a", product="x"), waits("b", product="y")),
        (host("m1", slots=2),),
        {"b": "m1"},
        {"a": "x has 0.50 of 0.50 usd left today and this job reserves 1.00"},
        settings=Settings(budgets=Budgets(products={"x": 0.5})),
    ),
    "enough is building": Scenario(
        (waits("a"), waits("b"), job("x", host="m1")),
        (host("m1", slots=9),),
        {"a": "m1"},
        {"b": "earlier jobs fill wip.building (2)"},
        settings=Settings(wip_building=2),
    ),
    "people have enough to do": Scenario(
        (waits("a"), did("x", "m1")),
        (host("m1"),),
        says={"a": "1 jobs wait for a person (wip.people is 1)"},
        settings=Settings(wip_people=1),
    ),
    "the fleet is paused": Scenario(
        (waits("a"),),
        (host("m1"),),
        says={"a": "the queue is paused by bob: lunch"},
        more={"pause": Pause("bob", "lunch")},
    ),
    "one job is paused": Scenario(
        (job("a", record=Record(pause=Note("bob", NOW, "wait"))), waits("b")),
        (host("m1"),),
        {"b": "m1"},
        {"a": "paused by bob: wait"},
    ),
    "a lock goes to one of two": Scenario(
        (waits("a", 1, lock="db"), waits("b", lock="db")),
        (host("m1", slots=2),),
        {"a": "m1"},
        {"b": "lock 'db' goes to an earlier job"},
    ),
    "a job waits for what it needs": Scenario(
        (waits("a", deps=Deps(("x",))), job("x", host="m1")),
        (host("m1", slots=2),),
        says={"a": "needs x shipped (it is in building)"},
    ),
    "a failed dep holds its dependants": Scenario(
        (waits("a", deps=Deps(("x",))), job("x", Stage.FAILED)),
        (host("m1"),),
        says={"a": "held: it needs x shipped, which is in failed; `aq requeue x` or cancel this"},
    ),
    "a circle is told by its way": Scenario(
        (waits("a", deps=Deps(("b",))), waits("b", deps=Deps(("a",)))),
        (host("m1"),),
        says={"a": "its deps go in a circle: a -> b -> a", "b": "its deps go in a circle: b -> a -> b"},
    ),
    "a chosen host that stays silent is passed over": Scenario(
        (waits("a", prefers=("host:m1",)),),
        (host("m1"), host("m2")),
        {"a": "m2"},
        memory=Memory(passed={"a": frozenset({"m1"})}),
    ),
    "when all were silent the first is asked again": Scenario(
        (waits("a", prefers=("host:m1",)),),
        (host("m1"), host("m2")),
        {"a": "m1"},
        memory=Memory(passed={"a": frozenset({"m1", "m2"})}),
    ),
    "a landed branch is verified before new work": Scenario(
        (waits("a"), job("v", Stage.REVIEW, record=Record(epoch=1, tip="f" * 40, queued=NOW))),
        (host("m1"),),
        {"v": "m1"},
        {"a": "waits for a free slot"},
    ),
}


def of(scenario: Scenario) -> tuple[Snapshot, dict[str, Beat]]:
    more = {key: value for key, value in scenario.more.items() if key != "only"}
    return snapshot(scenario.jobs, settings=scenario.settings, **more), {b.host: b for b in scenario.hosts}


def decided(scenario: Scenario) -> Plan:
    return plan(*of(scenario), NOW, scenario.memory)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    scenario = SCENARIOS[name]
    planned = decided(scenario)
    goes = {a.job: a.host for a in planned.assignments}
    if "only" in scenario.more:
        # Which of two equal hosts it is does not matter here.
        assert set(goes) == {scenario.more["only"]}
    else:
        assert goes == dict(scenario.goes)
    assert dict(planned.waiting) == dict(scenario.says)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_assignment_tells_its_score_and_nothing_beats_it(name: str) -> None:
    for assignment in decided(SCENARIOS[name]).assignments:
        assert assignment.verify or str(assignment.score).startswith(f"{assignment.score.total:.2f}: ")  # type: ignore[union-attr]


def test_there_are_enough_of_them() -> None:
    assert len(SCENARIOS) >= 25


def test_the_best_liked_engine_of_the_profile_is_taken_if_the_host_has_it() -> None:
    liked = waits("a", engine="", prefers_engine=("amp", "claude", "codex"))
    (assignment,) = plan(snapshot([liked]), {"m1": host("m1")}, NOW).assignments
    assert assignment.engine == "claude"
    named = waits("a", engine="codex", prefers_engine=("claude",))
    (assignment,) = plan(snapshot([named]), {"m1": host("m1")}, NOW).assignments
    assert assignment.engine == "codex"
    nothing = waits("a", engine="", prefers_engine=("amp", "shell"))
    (assignment,) = plan(snapshot([nothing]), {"m1": host("m1")}, NOW).assignments
    assert assignment.engine == "codex"


def test_a_silent_chosen_host_loses_its_turn_after_patience() -> None:
    """Seen by m2: m1 is chosen, does nothing for longer than patience, and the job is m2's."""
    seen, live = snapshot([waits("a", prefers=("host:m1",))]), {"m1": host("m1"), "m2": host("m2")}
    memory, clock, patience = Memory(), 0.0, 10.0
    while plan(seen, live, NOW, memory).assignments[0].host == "m1":
        memory = remember(memory, plan(seen, live, NOW, memory).assignments, clock, patience, "m2")
        clock += 3.0
        assert clock < 30
    assert clock - 3.0 > patience


def test_eight_hosts_with_one_snapshot_hardly_ever_choose_the_same_job() -> None:
    """Each knows something of itself that the others do not know yet: a refusal, or that it drains."""
    jobs = [waits(f"j{n:03}", n / 60) for n in range(200)]
    hosts = {f"m{n}": host(f"m{n}", slots=4) for n in range(8)}
    same = [plan(snapshot(jobs), hosts, NOW).of(name) for name in hosts]
    assert len({a.job for each in same for a in each}) == sum(map(len, same)) == 32
    first = plan(snapshot(jobs), hosts, NOW).of("m3")[0].job
    news = {"m3": replace(hosts["m3"], refuses={first: "no"}), "m5": replace(hosts["m5"], draining=True)}
    claims = [
        a.job
        for name in hosts
        for a in plan(snapshot(jobs), {**hosts, name: news.get(name, hosts[name])}, NOW).of(name)
    ]
    assert len(claims) - len(set(claims)) <= 0.05 * len(claims)


@dataclass
class Fleet:
    """Hosts that run jobs for a few rounds each, and a queue that never becomes empty."""

    hosts: dict[str, Beat]
    rng: random.Random
    at: float = 0.0
    waiting: dict[str, Job] = field(default_factory=dict)
    running: dict[str, tuple[Job, float]] = field(default_factory=dict)
    done: list[Job] = field(default_factory=list)
    waited: dict[str, float] = field(default_factory=dict)
    born: dict[str, float] = field(default_factory=dict)

    @property
    def now(self) -> str:
        return later(NOW, self.at)

    def submit(self, **keys: Any) -> str:
        name = f"j{len(self.born):05}"
        self.born[name] = self.at
        self.waiting[name] = job(name, record=Record(queued=self.now), **keys)
        return name

    def step(self, seconds: float = 60.0) -> list[Job]:
        """One round: what is done leaves, what the plan says starts. The jobs that ended."""
        self.at += seconds
        ended = [one for one, until in self.running.values() if until <= self.at]
        for one in ended:
            del self.running[one.id]
            run = replace(one.record.runs[-1], outcome="passed", ended=self.now)
            record = replace(one.record, stage=Stage.TESTING, since=self.now, runs=(run,))
            self.done.append(replace(one, stage=Stage.TESTING, folder="testing", record=record, lease=None))
        seen = snapshot(
            [*self.waiting.values(), *(one for one, _ in self.running.values()), *self.done[-40:]]
        )
        for a in plan(seen, self.hosts, self.now).assignments:
            one = self.waiting.pop(a.job)
            self.waited[a.job] = self.at - self.born[a.job]
            held = job(a.job, host=a.host, product=one.manifest.product, priority=one.manifest.priority)
            run = replace(held.record.runs[-1], started=self.now)
            held = replace(held, record=replace(held.record, since=self.now, runs=(run,)))
            self.running[a.job] = (held, self.at + 60.0 * self.rng.randint(1, 3))
        return ended


def test_equals_wait_alike_under_sustained_load() -> None:
    """10 000 jobs of three equal products on unlike hosts, a constant backlog: no job waits more than
    three times as long as another, once the queue has filled."""
    hosts = {f"m{n}": host(f"m{n}", slots=slots) for n, slots in enumerate((2, 4, 6, 8, 12))}
    fleet = Fleet(hosts, random.Random(7))
    products = ("a", "b", "c")
    for n in range(150):
        fleet.submit(product=products[n % 3])
    while len(fleet.waited) < 10_000:
        for one in fleet.step():
            fleet.submit(product=one.manifest.product)
    counted = {name: waited for name, waited in fleet.waited.items() if 600 <= int(name[1:]) < 9_500}
    assert max(counted.values()) <= 3 * min(counted.values())
    by_product: dict[str, list[float]] = {}
    for one in fleet.done:
        if one.id in counted:
            by_product.setdefault(one.manifest.product, []).append(counted[one.id])
    means = [sum(each) / len(each) for each in by_product.values()]
    assert max(means) <= 1.2 * min(means)


def test_a_low_job_starts_under_a_stream_of_high_ones() -> None:
    fleet = Fleet({"m1": host("m1", slots=4)}, random.Random(3))
    low = fleet.submit(priority=Priority.LOW)
    while low not in fleet.waited:
        while len(fleet.waiting) < 20:
            fleet.submit(priority=Priority.HIGH)
        fleet.step(300.0)
        assert fleet.at < 4 * HOUR
    assert fleet.waited[low] >= 2 * HOUR


def test_one_broken_host_touches_at_most_three_of_a_hundred_jobs() -> None:
    """A broken host with eight slots and a good one with one: the breaker and the rests keep the harm
    small, and no job is dead-lettered."""
    queue = Queue.having(*(waits(f"j{n:03}") for n in range(100)))
    live = {"bad": host("bad", slots=8), "good": host("good", slots=1)}
    breaker, clock, touched = Breaker(), 0.0, set()
    while queue.now.stages[Stage.INBOX]:
        clock += 2.0
        queue.at = later(NOW, clock)
        seen = {**live, "bad": replace(live["bad"], resting=breaker.why if clock < breaker.until else "")}
        planned = plan(queue.now, seen, queue.at)
        allowed = room(breaker, 0, clock)
        for a in [*planned.of("good"), *planned.of("bad")[:allowed]]:
            fence = queue.claim(a.job, a.host, slots=8)
            if a.host == "good":
                queue.do(queue.land_of(fence))
                queue.do(queue.verified_of(fence))
                continue
            touched.add(a.job)
            queue.do(queue.fail_of(fence, "agent"))
            why = blame(Outcome(Ending.FAILED, "agent"), 1.0)
            assert why
            breaker = noted(breaker, a.job, why, clock)
        assert clock < FIRST_REST
    assert len(touched) <= 3
    assert not queue.now.stages[Stage.DEAD_LETTER]
    assert len(queue.now.stages[Stage.TESTING]) == 100
