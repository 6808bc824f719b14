"""The plan: who takes what. Pure, the same on every host, and never more than a host has slots."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aq.core.accepts import Accepts
from aq.core.change import Change
from aq.core.fleet import Beat
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.manifest import Budget, Priority
from aq.core.operations import Claim, VerifyClaim
from aq.core.planning.choose import rendezvous, staying
from aq.core.planning.plan import Assignment, Memory, Plan, free_slots, plan, remember
from aq.core.record import Note, Record
from aq.core.settings import Budgets, Pause, Settings
from aq.core.snapshot import Snapshot
from aq.core.value import replace
from tests.support.builders import NOW, OFFERS, SHELL, Queue, beat, job, snapshot

TIP = "f" * 40


def hosts(**slots: int) -> dict[str, Beat]:
    return {name: beat(name, slots=count) for name, count in slots.items()}


def names(planned: Plan) -> dict[str, str]:
    return {assignment.job: assignment.host for assignment in planned.assignments}


def landed(name: str, **more: Any) -> Job:
    record = more.pop("record", Record(epoch=1, tip=TIP, queued=NOW))
    return job(name, Stage.REVIEW, record=record, **more)


def test_a_ready_job_goes_to_the_one_live_host_with_its_engine() -> None:
    planned = plan(snapshot([job("a")]), hosts(m1=1), NOW)
    (assigned,) = planned.assignments
    assert replace(assigned, score=None) == Assignment("a", "m1", "shell")
    assert (planned.waiting, planned.preemptions) == ({}, ())
    assert (planned.of("m1"), planned.of("m2")) == (planned.assignments, ())


def test_the_urgent_come_first_then_the_old_then_by_name() -> None:
    old = Record(queued="2026-11-20T00:00:00Z")
    jobs = [job("c"), job("b"), job("old", record=old), job("urgent", priority=Priority.CRITICAL)]
    order = [a.job for a in plan(snapshot(jobs), hosts(m1=3), NOW).assignments]
    assert order == ["urgent", "old", "b"]
    assert plan(snapshot(jobs), hosts(m1=3), NOW).waiting == {"c": "waits for a free slot"}


def test_of_equal_hosts_the_highest_hash_wins_and_a_leaving_host_moves_only_its_own() -> None:
    jobs = [job(f"j{n}") for n in range(12)]

    def one_by_one(**slots: int) -> dict[str, str]:
        plans = (plan(snapshot([one]), hosts(**slots), NOW) for one in jobs)
        return {name: host for each in plans for name, host in names(each).items()}

    three, two = one_by_one(m1=2, m2=2, m3=2), one_by_one(m1=2, m2=2)
    assert three == {
        one.id: max(("m1", "m2", "m3"), key=lambda host: rendezvous(host, one.id)) for one in jobs
    }
    assert set(three.values()) == {"m1", "m2", "m3"}
    assert all(two[name] == host for name, host in three.items() if host != "m3")


def test_many_jobs_are_spread_by_the_share_of_slots_that_is_free() -> None:
    planned = plan(snapshot([job(f"j{n}") for n in range(12)]), hosts(m1=4, m2=8, m3=12), NOW)
    assert [len(planned.of(name)) for name in ("m1", "m2", "m3")] == [2, 4, 6]


def test_what_the_plan_gave_away_counts_for_the_jobs_behind() -> None:
    settings = Settings(wip_building=2, budgets=Budgets(fleet_usd=5.0))
    priced = Budget(usd=3.0)
    seen = snapshot([job("a", budget=priced), job("b", budget=priced), job("c"), job("d")], settings=settings)
    planned = plan(seen, hosts(m1=9), NOW)
    assert set(names(planned)) == {"a", "c"}
    assert planned.waiting == {
        "b": "the fleet has 2.00 of 5.00 usd left today and this job reserves 3.00",
        "d": "earlier jobs fill wip.building (2)",
    }


def test_a_verify_counts_for_the_limit_of_what_is_building_and_stops_there() -> None:
    seen = snapshot([landed("a"), landed("b")], settings=Settings(wip_building=1))
    assert names(plan(seen, hosts(m1=9), NOW)) == {"a": "m1"}


def test_free_slots_are_those_of_the_beat_less_the_leases_on_the_tip() -> None:
    seen = snapshot(
        [job("a", host="m1"), job("b", Stage.REVIEW, host="m1"), job("c", host="gone"), job("d", host="m3")]
    )
    live = {**hosts(m1=3, m2=1, m3=0), "m4": beat("m4", draining=True), "m5": beat("m5", stopped=True)}
    assert free_slots(seen, live) == {"m1": 1, "m2": 1, "m3": 0}


@pytest.mark.parametrize(
    ("found", "live", "why"),
    [
        (job("a"), {}, "no live host"),
        (job("a"), {"m1": beat("m1", slots=0)}, "no host takes work"),
        (job("a"), {"m1": beat("m1", draining=True)}, "no host takes work"),
        (job("a"), {"m1": beat("m1", refuses={"a": "cwd is not there"})}, "m1: cwd is not there"),
        (job("a"), {"m2": beat("m2", refuses={"a": "y"}), "m1": beat("m1", refuses={"a": "x"})}, "m1: x"),
        (job("a"), {"m1": beat("m1", refuses={"a": "x"}), "m2": beat("m2", slots=0)}, "no host takes work"),
        (job("a"), {"m1": beat("m1", resting="3 jobs broke off")}, "m1 rests: 3 jobs broke off"),
        (
            job("a"),
            {"m1": beat("m1", accepts=Accepts(products=("billing",)))},
            "no live host can run it: m1 accepts only products billing",
        ),
        (job("a", engine="claude"), hosts(m1=1), "no live host can run it: m1 lacks engine:claude"),
        (
            job("a", engine="claude", capabilities=("has:docker",)),
            {"m1": beat("m1"), "m2": beat("m2", offers=OFFERS | {"docker=27"})},
            "no live host can run it: m2 lacks engine:claude",
        ),
        (job("a", engine=""), hosts(m1=1), "no live host can run it: m1 lacks engine-class:agentic-coder"),
        (job("a", not_before="2027-01-01T00:00:00Z"), hosts(m1=1), "not before 2027-01-01T00:00:00Z"),
    ],
)
def test_a_waiting_job_says_why(found: Job, live: Mapping[str, Beat], why: str) -> None:
    assert plan(snapshot([found]), live, NOW) == Plan((), {"a": why})


def test_why_for_a_busy_fleet_is_a_free_slot() -> None:
    planned = plan(snapshot([job("a"), job("b", host="m1")]), hosts(m1=1, m2=0), NOW)
    assert planned.waiting == {"a": "waits for a free slot"}


def test_nothing_is_planned_while_the_fleet_is_stopped() -> None:
    seen = snapshot([job("a"), landed("b")], pause=Pause("alice", "release"))
    assert plan(seen, hosts(m1=4), NOW) == Plan((), {"a": "the queue is paused by alice: release"})


def test_of_two_jobs_with_a_lock_one_is_planned_and_a_blocked_one_does_not_take_the_lock() -> None:
    jobs = [job("a", lock="db", problem="edited"), job("b", lock="db"), job("c", lock="db"), job("d")]
    planned = plan(snapshot(jobs), hosts(m1=9), NOW)
    assert set(names(planned)) == {"b", "d"}
    assert planned.waiting == {"a": "edited", "c": "lock 'db' goes to an earlier job"}


def test_a_job_over_the_day_s_money_waits() -> None:
    seen = snapshot([job("a", budget=Budget(usd=2.0))], settings=Settings(budgets=Budgets(fleet_usd=1.0)))
    assert plan(seen, hosts(m1=1), NOW).waiting == {
        "a": "the fleet has 1.00 of 1.00 usd left today and this job reserves 2.00"
    }


def test_a_landed_branch_is_verified_before_new_work_starts() -> None:
    planned = plan(snapshot([job("a"), landed("b")]), hosts(m1=1), NOW)
    assert planned == Plan((Assignment("b", "m1", "", verify=True),), {"a": "waits for a free slot"})


@pytest.mark.parametrize(
    "found",
    [
        landed("b", problem="edited"),
        landed("b", record=Record(epoch=1, queued=NOW)),
        landed("b", record=Record(epoch=1, tip=TIP, hold=Note("x", NOW))),
        landed("b", record=Record(epoch=1, tip=TIP, pause=Note("x", NOW))),
        landed("b", repo="billing"),
        job("b", Stage.REVIEW, host="m9"),
    ],
    ids=["out of play", "no branch", "on hold", "paused", "a repo that no host has", "being verified"],
)
def test_what_is_not_to_be_verified_is_not_planned(found: Job) -> None:
    assert plan(snapshot([found]), hosts(m1=4), NOW).assignments == ()


def test_a_branch_is_verified_by_a_host_that_has_its_repo() -> None:
    live = {"m1": beat("m1"), "m2": beat("m2", offers=OFFERS | {"repo:billing"})}
    assert names(plan(snapshot([landed("b", repo="billing")]), live, NOW)) == {"b": "m2"}


def test_a_verify_takes_its_lock_like_a_run() -> None:
    held = snapshot([landed("a", lock="db"), job("b", host="m9", lock="db")])
    assert plan(held, hosts(m1=4), NOW).assignments == ()
    both = snapshot([landed("a", lock="db"), landed("b", lock="db"), job("c", lock="db")])
    planned = plan(both, hosts(m1=4), NOW)
    assert names(planned) == {"a": "m1"}
    assert planned.waiting == {"c": "lock 'db' goes to an earlier job"}


def test_a_host_that_refuses_or_let_its_turn_pass_is_passed_over() -> None:
    seen, live = snapshot([job("a")]), hosts(m1=1, m2=1)
    first = names(plan(seen, live, NOW))["a"]
    other = ({"m1", "m2"} - {first}).pop()
    assert names(plan(seen, {**live, first: beat(first, refuses={"a": "no"})}, NOW)) == {"a": other}
    assert names(plan(seen, live, NOW, Memory(passed={"a": frozenset({first})}))) == {"a": other}
    assert names(plan(seen, live, NOW, Memory(passed={"a": frozenset({"m1", "m2"})}))) == {"a": first}


def test_the_next_host_s_turn_comes_after_patience_and_no_sooner() -> None:
    chosen = Plan((Assignment("a", "m1", "shell"),), {})
    memory = remember(Memory(), chosen.assignments, 100.0, 10.0, "m2")
    assert memory == Memory({"a": ("m1", 100.0)}, {})
    assert remember(memory, chosen.assignments, 110.0, 10.0, "m2").passed == {}
    later = remember(memory, chosen.assignments, 110.1, 10.0, "m2")
    assert later == Memory({"a": ("m1", 100.0)}, {"a": frozenset({"m1"})})
    next_one = remember(later, [Assignment("a", "m3", "shell")], 111.0, 10.0, "m2")
    assert next_one == Memory({"a": ("m3", 111.0)}, {"a": frozenset({"m1"})})
    assert remember(next_one, [], 112.0, 10.0, "m2") == Memory()


@pytest.mark.parametrize(
    ("keys", "limits"),
    [
        pytest.param({"lock": "db"}, {}, id="its lock"),
        pytest.param({}, {"wip_building": 1}, id="room among what is building"),
        pytest.param({"budget": Budget(usd=4.0)}, {"budgets": Budgets(fleet_usd=5.0)}, id="the day's money"),
    ],
)
def test_what_only_a_silent_host_can_do_keeps_nothing_from_others(
    keys: dict[str, Any], limits: dict[str, Any]
) -> None:
    special = job("a", capabilities=("has:docker",), **keys)
    seen = snapshot([special, job("b", **keys)], settings=Settings(**limits))
    live = {"gone": beat("gone", offers=OFFERS | {"has:docker"}), "here": beat("here")}
    assert names(plan(seen, live, NOW)) == {"a": "gone"}
    silent = Memory(passed={"a": frozenset({"gone"})})
    assert names(plan(seen, live, NOW, silent)) == {"a": "gone", "b": "here"}


def test_a_host_does_not_pass_over_itself() -> None:
    chosen = Plan((Assignment("a", "m1", "shell"),), {})
    memory = remember(Memory({"a": ("m1", 0.0)}), chosen.assignments, 1000.0, 10.0, "m1")
    assert memory.passed == {}


some_jobs = st.lists(
    st.builds(
        lambda kind, number, priority, lock, repo, engine: (
            kind,
            number,
            {"priority": priority, "lock": lock, "repo": repo, "engine": engine},
        ),
        st.sampled_from(["waiting", "landed", "running"]),
        st.integers(0, 30),
        st.sampled_from(Priority),
        st.sampled_from(["", "db"]),
        st.sampled_from(["", "billing"]),
        st.sampled_from(["shell", "", "claude"]),
    ),
    max_size=12,
    unique_by=lambda one: one[1],
)
some_hosts = st.dictionaries(
    st.sampled_from(["m1", "m2", "m3", "m4"]),
    st.tuples(
        st.integers(0, 3),
        st.booleans(),
        st.sampled_from([{}, SHELL, {**SHELL, "claude": "agentic-coder"}]),
        st.booleans(),
        st.frozensets(st.integers(0, 30), max_size=2),
    ),
)


def world(jobs: list[Any], live: dict[str, Any], order: random.Random) -> tuple[Snapshot, dict[str, Beat]]:
    """The same fleet and queue, with every mapping in another order."""
    built = []
    for kind, number, keys in jobs:
        name = f"j{number}"
        built.append(
            landed(name, **keys)
            if kind == "landed"
            else job(name, host="m1" if kind == "running" else "", **keys)
        )
    beats = []
    for name, (slots, draining, engines, has_repo, refused) in live.items():
        offers = OFFERS | ({"repo:billing"} if has_repo else set())
        beats.append(
            beat(
                name,
                slots=slots,
                draining=draining,
                engines=engines,
                offers=offers,
                refuses={f"j{n}": "no" for n in refused},
            )
        )
    order.shuffle(built)
    order.shuffle(beats)
    return snapshot(built), {one.host: one for one in beats}


@settings(deadline=None, max_examples=150)
@given(some_jobs, some_hosts, st.integers(), st.integers())
def test_the_plan_does_not_depend_on_the_order_of_what_it_sees(
    jobs: list[Any], live: dict[str, Any], one: int, two: int
) -> None:
    first, second = world(jobs, live, random.Random(one)), world(jobs, live, random.Random(two))
    assert plan(*first, NOW) == plan(*second, NOW)


@settings(deadline=None, max_examples=150)
@given(some_jobs, some_hosts)
def test_no_host_gets_more_than_its_slots_or_what_it_cannot_run_and_every_job_is_told_apart(
    jobs: list[Any], live: dict[str, Any]
) -> None:
    seen, beats = world(jobs, live, random.Random(0))
    planned = plan(seen, beats, NOW)
    free = free_slots(seen, beats)
    assert all(len(planned.of(host)) <= free.get(host, 0) for host in {a.host for a in planned.assignments})
    inbox = set(seen.stages[Stage.INBOX])
    claims = [a.job for a in planned.assignments if not a.verify]
    assert sorted([*claims, *planned.waiting]) == sorted(inbox)
    assert all(planned.waiting.values())
    everything_planned_can_be_claimed(seen, beats, planned)


def everything_planned_can_be_claimed(seen: Snapshot, beats: dict[str, Beat], planned: Plan) -> None:
    """The claims of one plan, asked one after the other, are all accepted: plan and claim agree."""
    queue = Queue(replace(seen))
    for a in planned.assignments:
        host = beats[a.host]
        taking: Any = VerifyClaim if a.verify else Claim
        asked = taking(
            **queue.common(a.host),
            job=a.job,
            host=a.host,
            boot="b",
            nonce=f"n-{a.job}",
            engine=a.engine,
            ttl=300.0,
            slots=host.slots,
            offers=host.offers,
            engines=host.engines,
            accepts=host.accepts,
        )
        assert isinstance(queue.ask(asked), Change), (a, asked.decide(queue.now))


SCRIPT = """
from aq.core.planning.plan import plan
from tests.support.builders import NOW, beat, job, snapshot
seen = snapshot([job(f"j{n}", capabilities=("os:linux",)) for n in range(20)])
print(plan(seen, {name: beat(name, slots=3) for name in ("m1", "m2", "m3")}, NOW))
"""


def test_the_plan_does_not_depend_on_the_hash_seed() -> None:
    def told(seed: str) -> str:
        env = {**os.environ, "PYTHONHASHSEED": seed}
        return subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=env
        ).stdout

    assert told("1") == told("2") != ""


def test_a_job_that_needs_a_sandbox_does_not_keep_a_plain_one_of_its_kind_waiting() -> None:
    boxed = job("a", sandbox="required", record=Record(queued="2026-11-20T00:00:00Z"))
    planned = plan(snapshot([boxed, job("b")]), hosts(m1=2), NOW)
    assert names(planned) == {"b": "m1"}
    assert planned.waiting == {"a": "no live host can run it: m1 lacks sandbox:fs"}


LEAVING = {
    "nobody": ({}, []),
    "all stay": ({"m1": False, "m2": False}, ["m1", "m2"]),
    "one drains": ({"m1": True, "m2": False}, ["m2"]),
    "all drain": ({"m1": True, "m2": True}, ["m1", "m2"]),
}


@pytest.mark.parametrize(("drains", "names"), LEAVING.values(), ids=LEAVING)
def test_who_drains_is_elected_only_where_nobody_stays(drains: dict[str, bool], names: list[str]) -> None:
    assert staying({name: beat(name, draining=on) for name, on in drains.items()}) == names
