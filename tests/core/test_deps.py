"""Dependencies: circles are found and shown, and a failure holds who waits for it."""

from __future__ import annotations

import pytest

from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.manifest import Deps
from aq.core.operations import Revise, Ship
from aq.core.planning.deps import MAX_WAYS, Node, circle_with, circles, graph
from aq.core.planning.eligible import dep_blockers
from aq.core.planning.plan import plan
from tests.support.builders import NOW, Queue, beat, job, manifest, snapshot


def needing(name: str, *deps: str, stage: Stage = Stage.INBOX, **more: str) -> Job:
    return job(name, stage, deps=Deps(deps), **more)


@pytest.mark.parametrize(
    ("edges", "found"),
    [
        pytest.param({"a": ("b",), "b": ("c",), "c": ()}, {}, id="a line has none"),
        pytest.param({"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": ()}, {}, id="nor has a diamond"),
        pytest.param({"a": ("a",)}, {"a": "a a"}, id="a job may need itself"),
        pytest.param({"a": ("b",), "b": ("a",)}, {"a": "a b a", "b": "b a b"}, id="two need each other"),
        pytest.param(
            {"x": ("a",), "a": ("b",), "b": ("c",), "c": ("a",)},
            {"a": "a b c a", "b": "b c a b", "c": "c a b c"},
            id="who only waits for a circle is not in it",
        ),
        pytest.param(
            {"a": ("b", "d"), "b": ("c",), "c": ("a",), "d": ("b",)},
            {"a": "a b c a", "b": "b c a b", "c": "c a b c", "d": "d b c a d"},
            id="each is told its own way",
        ),
        pytest.param({"a": ("b",), "b": ("nobody",)}, {}, id="a job that nobody knows ends a path"),
        pytest.param(
            {"a": ("b",), "b": ("a",), "c": ("d",), "d": ("c",)},
            {"a": "a b a", "b": "b a b", "c": "c d c", "d": "d c d"},
            id="two circles",
        ),
    ],
)
def test_circles_are_found_with_their_way(edges: dict[str, tuple[str, ...]], found: dict[str, str]) -> None:
    assert {name: " ".join(way) for name, way in circles(edges).items()} == found


def test_a_long_line_and_a_large_circle_take_no_time() -> None:
    line = {f"j{n}": (f"j{n + 1}",) for n in range(20_000)}
    assert circles(line) == {}
    ring = {f"{n:05}": (f"{(n + 1) % 5000:05}",) for n in range(5000)}
    found = circles(ring)
    assert len(found) == 5000
    assert found["00000"][:2] == ("00000", "00001")
    assert found["04000"] == found[f"{MAX_WAYS - 1:05}"]


def test_a_new_job_that_closes_a_circle_is_refused_with_the_way() -> None:
    queue = Queue.having(needing("a", "b"), needing("b", "c"))
    queue.refused(queue.add_of("c", deps=Deps(("a",))), "its deps go in a circle: c -> a -> b -> c")
    queue.refused(queue.add_of("d", deps=Deps(testing=("d",))), "its deps go in a circle: d -> d")
    queue.do(queue.add_of("c"))


def test_a_changed_job_that_closes_a_circle_is_refused() -> None:
    queue = Queue.having(needing("a", "b"), job("b"))
    closing = Revise(**queue.common(), job="b", blob="new", manifest=manifest(deps=Deps(("a",))))
    queue.refused(closing, "its deps go in a circle: b -> a -> b")


def test_what_is_over_or_out_of_play_closes_no_circle() -> None:
    over = snapshot([needing("a", "b", stage=Stage.FAILED), needing("x", "b", problem="edited")])
    assert circle_with("b", Deps(("a", "x")), over) == ()
    assert circle_with("b", Deps(), over) == ()


def test_a_circle_that_came_by_plain_git_is_told_at_run_time() -> None:
    seen = snapshot([needing("a", "b"), needing("b", "a"), needing("c", "b"), job("d")])
    planned = plan(seen, {"m1": beat("m1", slots=9)}, NOW)
    assert [a.job for a in planned.assignments] == ["d"]
    assert planned.waiting == {
        "a": "its deps go in a circle: a -> b -> a",
        "b": "its deps go in a circle: b -> a -> b",
        "c": "needs b shipped (it is in inbox)",
    }


@pytest.mark.parametrize("stage", [Stage.FAILED, Stage.DEAD_LETTER])
def test_a_failed_dep_holds_its_dependants_and_says_what_to_do(stage: Stage) -> None:
    seen = snapshot([job("x", stage), needing("a", "x")])
    held = f"held: it needs x shipped, which is in {stage}; `aq requeue x` or cancel this"
    assert dep_blockers(manifest(deps=Deps(("x",))), seen) == [held]
    testing = dep_blockers(manifest(deps=Deps(testing=("x",))), seen)
    assert testing == [held.replace("shipped", "in testing")]


def test_a_dag_with_fan_in_and_fan_out_starts_in_a_legal_order() -> None:
    needs = {
        "k": ("i", "j"), "l": ("k", "c"), "i": ("f", "g"), "j": ("g", "h"), "f": ("d",), "g": ("d", "e"),
        "h": ("e",), "d": ("a", "b"), "e": ("b", "c"), "a": (), "b": (), "c": (),
    }  # fmt: skip
    queue = Queue.having(*(needing(name, *deps) for name, deps in needs.items()))
    live = {name: beat(name, slots=1) for name in ("m1", "m2", "m3")}
    order: list[str] = []
    while len(order) < len(needs):
        started = [a.job for a in plan(queue.now, live, queue.at).assignments]
        assert started, "nothing can start"
        for name in started:
            assert set(needs[name]) <= set(order)
        for name in started:
            order.append(name)
            queue.put(job(name, Stage.TESTING))
            queue.do(Ship(**queue.common(), job=name, override="test"))
    assert sorted(order) == sorted(needs)


def test_the_graph_has_who_needs_and_who_is_needed() -> None:
    seen = snapshot([needing("a", "b", "ghost"), job("b", Stage.SHIPPED, title="The B"), job("alone")])
    assert list(graph(seen).values()) == [
        Node("a", "inbox", "", ("b", "ghost")),
        Node("b", "shipped", "The B", ()),
        Node("ghost", "", "", ()),
    ]


def test_the_graph_around_a_job_has_all_above_and_below_and_nothing_else() -> None:
    seen = snapshot([needing("a", "b"), needing("b", "c"), job("c"), needing("d", "c"), needing("x", "y")])
    assert set(graph(seen, "b")) == {"a", "b", "c"}
    assert set(graph(seen, "c")) == {"a", "b", "c", "d"}
    assert set(graph(snapshot([job("z")]), "z")) == {"z"}
    assert graph(seen, "nobody") == {}
