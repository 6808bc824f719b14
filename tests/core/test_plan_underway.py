"""Claims on their way: a host that lost a race says in its beat what it goes on claiming, and the plans of
the others leave it that job and the slot for it."""

from __future__ import annotations

from typing import Any

import pytest

from aq.core.fleet import Beat
from aq.core.manifest import Priority
from aq.core.planning.patience import LONGEST_CLAIM, Memory, claims_underway, remember
from aq.core.planning.plan import Assignment, Plan, plan
from aq.core.record import Record
from tests.support.builders import NOW, beat, job, snapshot

CHOSEN = Plan((Assignment("a", "m1", "shell"),), {})


def names(planned: Plan) -> dict[str, str]:
    return {assignment.job: assignment.host for assignment in planned.assignments}


def fleet(*hosts: Beat) -> dict[str, Beat]:
    return {host.host: host for host in hosts}


@pytest.mark.parametrize("name", ["m1", "m2"])
def test_a_job_stays_with_the_host_whose_claim_of_it_is_on_its_way(name: str) -> None:
    live = fleet(beat("m1"), beat("m2")) | fleet(beat(name, leases=("a:1:n",)))
    assert names(plan(snapshot([job("a")]), live, NOW)) == {"a": name}


def test_the_slot_of_a_claim_on_its_way_is_not_given_to_a_job_that_comes_before() -> None:
    seen = snapshot([job("a", priority=Priority.HIGH), job("b"), job("c")])
    live = fleet(beat("m1", leases=("b:1:n",)), beat("m2"))
    planned = plan(seen, live, NOW)
    assert names(planned) == {"a": "m2", "b": "m1"}
    assert planned.waiting == {"c": "waits for a free slot"}


@pytest.mark.parametrize(
    ("about", "one"),
    [
        ("it cannot run the job", {"leases": ("a:1:n",), "engines": {}}),
        ("it refuses the job", {"leases": ("a:1:n",), "refuses": {"a": "no"}}),
        ("it has no slot", {"leases": ("a:1:n",), "slots": 0}),
        ("it rests", {"leases": ("a:1:n",), "resting": "until noon"}),
        ("the claim is of another epoch", {"leases": ("a:7:n",), "slots": 0}),
        ("there is no such job", {"leases": ("z:1:n",), "slots": 0}),
        ("what it lists is no lease", {"leases": ("a", "a:", ":", "")}),
    ],
)
def test_a_claim_that_cannot_be_does_not_keep_the_job_from_another(about: str, one: dict[str, Any]) -> None:
    prefers = job("a", prefers=("host:m2",))
    live = fleet(beat("m1", **one), beat("m2", offers=beat("m2").offers | {"host:m2"}))
    assert names(plan(snapshot([prefers]), live, NOW)) == {"a": "m2"}, about


def test_a_host_that_let_its_turn_pass_is_not_waited_for() -> None:
    live = fleet(beat("m1", leases=("a:1:n",)), beat("m2"))
    memory = Memory(passed={"a": frozenset({"m1"})})
    assert names(plan(snapshot([job("a")]), live, NOW, memory)) == {"a": "m2"}


def test_of_two_that_claim_the_same_job_all_observers_name_the_same_one() -> None:
    seen = snapshot([job("a", record=Record(epoch=2, queued=NOW))])
    one, two = beat("m1", leases=("a:3:n",)), beat("m2", leases=("a:3:m",))
    assert claims_underway(seen, fleet(one, two)) == claims_underway(seen, fleet(two, one)) == {"a": "m1"}


def test_a_claim_of_a_blocked_job_keeps_its_slot_for_this_plan_only() -> None:
    seen = snapshot([job("a", not_before="2099-01-01T00:00:00Z"), job("b")])
    live = fleet(beat("m1", leases=("a:1:n",)))
    assert plan(seen, live, NOW).waiting["b"] == "waits for a free slot"
    assert names(plan(seen, fleet(beat("m1")), NOW)) == {"b": "m1"}


def told(memory: Memory, clock: float, seq: int, leases: tuple[str, ...] = ("a:1:n",)) -> Memory:
    """The memory after a plan at a time, with this beat of the chosen host; the patience is 10."""
    return remember(memory, CHOSEN.assignments, clock, 10.0, "m2", fleet(beat("m1", seq=seq, leases=leases)))


def test_patience_counts_from_the_last_new_beat_that_tells_of_the_claim() -> None:
    memory = told(told(Memory(), 0.0, 1), 9.0, 2)
    assert memory == Memory({"a": ("m1", 0.0)}, {}, {"a": (2, 9.0)})
    assert told(memory, 19.0, 2).passed == {}
    assert told(memory, 19.1, 2).passed == {"a": frozenset({"m1"})}, "the same beat again is no sign"
    assert told(memory, 19.1, 3).passed == {}


def test_new_beats_that_do_not_tell_of_the_claim_are_no_sign() -> None:
    memory = told(Memory(), 0.0, 1, ())
    assert told(memory, 10.1, 2, ("b:1:n",)).passed == {"a": frozenset({"m1"})}


def test_a_host_cannot_go_on_claiming_for_ever() -> None:
    memory = Memory()
    for second in range(0, int(LONGEST_CLAIM * 10) + 1, 5):
        memory = told(memory, float(second), second)
        assert memory.passed == {}
    assert told(memory, LONGEST_CLAIM * 10 + 0.1, 999).passed == {"a": frozenset({"m1"})}


def test_the_signs_of_one_host_are_not_those_of_the_next() -> None:
    memory = told(Memory(), 0.0, 1)
    other = Plan((Assignment("a", "m3", "shell"),), {})
    live = fleet(beat("m3", seq=1, leases=("a:1:n",)))
    assert remember(memory, other.assignments, 50.0, 10.0, "m2", live).signs == {"a": (1, 50.0)}
