"""When the local agent stops although its model would go on, and what becomes of its work."""

from __future__ import annotations

from typing import Any

import pytest

from aq.core.engine.classify import classify
from tests.engines.local_bench import DONE, WRITE, Bench, Serve, failure
from tests.engines.scripted import Json, calling, saying
from tests.engines.stub import Stub

STOPS: dict[str, tuple[list[Json], dict[str, Any], str, str]] = {
    "it never ends": (
        [calling("read_file", path=f"{n}") for n in range(20)],
        {"turns": 5},
        "budget",
        "no end after 5 turns",
    ),
    "it repeats one call": (
        [calling("read_file", path="b")],
        {},
        "agent",
        "the same call of read_file 3 times",
    ),
    "it repeats a write": ([WRITE], {}, "agent", "the same call of write_file 3 times"),
    "it uses too much": ([WRITE, DONE], {"tokens": 100}, "budget", "used 110 tokens, the budget is 100"),
    "it says nothing": ([saying("")], {}, "agent", "3 answers in a row cannot be read: the answer is empty"),
    "it babbles": ([saying("<tool_call>oops")], {}, "agent", "3 answers in a row cannot be read"),
}


@pytest.mark.parametrize(("answers", "limits", "failed", "words"), STOPS.values(), ids=STOPS)
def test_each_guard_stops_the_run_and_says_why(
    bench: Bench,
    model: Serve,
    answers: list[Json],
    limits: dict[str, Any],
    failed: str,
    words: str,
) -> None:
    report = bench.play(model(*answers).url, **limits)
    verdict = classify(report, changed=True, engine="local")
    assert (report.finished, report.end_code) == (False, "partial")
    assert verdict.failure == failed
    assert verdict.reason.startswith(words)
    assert report.text.startswith(f"Partial result: {words}")


def test_the_stub_s_endless_loop_ends(bench: Bench, stub: Stub) -> None:
    stub.fail("loop")
    report = bench.play(f"{stub.url}/v1", turns=5)
    assert failure(report) == "budget"
    assert len(stub.asked) == 5


def test_answers_that_are_no_answers_are_three_unreadable_ones(bench: Bench, stub: Stub) -> None:
    stub.fail("garbage")
    assert failure(bench.play(f"{stub.url}/v1")) == "agent"
    assert len(stub.asked) == 3


def test_an_unreadable_answer_is_told_how_to_do_better_and_forgotten_after_a_good_one(
    bench: Bench, model: Serve
) -> None:
    bad = saying('{"name": "write_file", "arguments": {"path": ')
    server = model(bad, bad, WRITE, bad, bad, DONE)
    assert failure(bench.play(server.url)) == ""
    hint = server.asked[1]["messages"][-1]
    assert hint["role"] == "user"
    assert "cannot be read" in hint["content"]


def test_time_that_runs_out_is_a_partial_result_not_a_failure_of_the_network(
    bench: Bench, model: Serve
) -> None:
    server = model(WRITE)
    report = bench.play(server.url, left=lambda: 100.0 - 60 * len(server.asked))
    assert (report.end_code, failure(report), len(server.asked)) == ("partial", "budget", 2)
    times = iter([100.0])
    report = bench.play("http://127.0.0.1:9/v1", left=lambda: next(times, -1.0))
    assert (report.end_code, failure(report)) == ("partial", "budget")


@pytest.mark.parametrize(
    ("judged", "wrote", "ok"),
    [
        pytest.param(True, True, True, id="a verify decides about what is there"),
        pytest.param(False, True, False, id="without one it is no success"),
        pytest.param(True, False, False, id="nothing is nothing to judge"),
    ],
)
def test_partial_work_is_kept_and_reported_as_such(
    bench: Bench, model: Serve, judged: bool, wrote: bool, ok: bool
) -> None:
    server = model(*([WRITE] if wrote else []), *[calling("read_file", path=f"{n}") for n in range(9)])
    report = bench.play(server.url, turns=5, judged=judged)
    assert bench.written is wrote
    assert (report.finished, report.end_code) == (ok, "partial")
    assert f"Written: {'a.txt' if wrote else 'nothing'}." in report.text


def test_looking_again_after_a_change_is_no_repetition(bench: Bench, model: Serve) -> None:
    look = calling("read_file", path="a.txt")
    writes = [calling("write_file", path="a.txt", content=f"{n}") for n in range(4)]
    steps = [step for write in writes for step in (write, look)]
    assert failure(bench.play(model(*steps, DONE).url, turns=20)) == ""


def test_two_writes_in_turns_are_a_repetition(bench: Bench, model: Serve) -> None:
    one, other = (calling("write_file", path="a.txt", content=text) for text in "xy")
    report = bench.play(model(one, other, one, other, one, other, one, other).url, turns=20)
    assert report.faults[-1].words == "the same call of write_file 3 times"
