"""A job that ended without success says why, what was tried, and what to do next."""

from __future__ import annotations

import pytest

from aq.core.lifecycle import Stage
from aq.core.manifest import Budget, Retry
from aq.core.operations import Cancel, Preempt, Reject, Requeue
from aq.core.record import CheckResult, Record, Suite
from aq.core.value import replace
from aq.ui.postmortem import diagnose, diagnosis_lines
from tests.support.builders import Queue, cancel_of, job
from tests.support.story import Story
from tests.ui.conftest import Person

CHECK = CheckResult("pytest -q", False, "exit code 1: 2 failed", suite=Suite(5, 2, 0, ("test_a", "test_b")))


def dead(failure: str = "crash", **more: object) -> Queue:
    """A job that went wrong on two hosts, each time the same way."""
    queue = Queue()
    queue.started(retry=Retry(max=1, on=(failure,)))
    queue.do(queue.fail_of(queue.fence(), failure, **{"usd": 0.25, **more}))
    queue.at = "2026-11-22T10:00:00Z"
    queue.claim(host="mac-2")
    queue.at = "2026-11-22T10:01:05Z"
    queue.do(queue.fail_of(queue.fence(), failure, reason="it broke again", version="2.1", **more))
    assert queue.job().stage is Stage.DEAD_LETTER
    return queue


def lines(queue: Queue, *log: str) -> str:
    found = diagnose(queue.job(), log)
    assert found
    return "\n".join(diagnosis_lines(queue.job(), found))


def test_the_page_has_the_reason_the_runs_the_charges_and_what_to_do() -> None:
    assert lines(dead(branch="aq/a/1", tip="e" * 40), "one\x1b[2J", "two").splitlines() == [
        "ended: crash on mac-2 in attempt 2 of 2: it broke again",
        "  submission 1",
        "    run 1  mac-1  shell  0s  0.25 usd  crash: it broke -> aq/a/1",
        "    run 2  mac-2  shell 2.1  1m05s  cost unknown  crash: it broke again -> aq/a/1",
        "    | one\ufffd[2J",
        "    | two",
        "  charged    attempts 2 of 2, infra 0 of 5, lost 0 of 3, preempted 0 of 3",
        "  avoids     mac-1 (crash in epoch 1), mac-2 (crash in epoch 2)",
        "  what to do",
        "    - `aq logs` on its host: the engine, or what it started, was killed",
        "    - its work is on aq/a/1: take what is good of it",
        "    - `aq requeue a -m WHAT` runs it again as submission 2",
        "    - change its file and `aq add` that as a new job, or leave it here",
    ]


def test_the_checks_that_failed_are_named_with_their_tests() -> None:
    text = lines(dead("verify_failed", checks=(CHECK, replace(CHECK, check="ruff", passed=True))))
    assert "    BAD pytest -q  exit code 1: 2 failed\n        test_a\n        test_b\n" in text
    assert "BAD ruff" not in text
    assert "correct the prompt, or the check" in text


def given_back(queue: Queue, how: str) -> None:
    fence = queue.fence()
    queue.do(
        {
            "release": lambda: queue.release_of(fence),
            "reclaim": lambda: queue.reclaim_of(fence),
            "preempt": lambda: Preempt(**queue.common(fence.host), fence=fence, for_job="z"),
        }[how]()
    )


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("release", "given back once, and 0 is the limit; the last time on mac-1: disk full"),
        (
            "reclaim",
            "lost with its host 4 times, and 3 is the limit; the last time on mac-1: mac-1 was silent",
        ),
        ("preempt", "preempted 4 times, and 3 is the limit; the last time on mac-1: preempted for z"),
    ],
)
def test_a_bound_that_is_spent_is_the_reason(how: str, why: str) -> None:
    queue = Queue()
    queue.add(retry=Retry(infra=0))
    while queue.job().stage is Stage.INBOX:
        queue.claim()
        given_back(queue, how)
    found = diagnose(queue.job())
    assert found
    assert found.why.startswith(why)
    assert found.avoided == (("mac-1 (lost in epoch 4)",) if how == "reclaim" else ())


@pytest.mark.parametrize(("message", "why"), [("", "alice cancelled it"), ("no", "alice cancelled it: no")])
def test_a_person_who_ends_a_job_is_named_and_not_its_last_run(message: str, why: str) -> None:
    queue = Queue()
    queue.tested()
    queue.do(cancel_of(queue, message=message))
    found = diagnose(queue.job())
    assert found
    assert (found.why, len(found.todo)) == (why, 2)
    assert not isinstance(queue.ask(Requeue(**queue.common(), job="a")), str)


def test_a_rejection_is_the_reason_until_a_later_run_is() -> None:
    queue = Queue()
    queue.tested(retry=Retry(max=0))
    queue.do(Reject(**queue.common(), job="a", message="too slow"))
    found = diagnose(queue.job())
    assert found
    assert found.why == "alice rejected it: too slow"
    queue.do(Requeue(**queue.common(), job="a", message="again"))
    queue.at = "2026-11-22T10:00:00Z"
    queue.do(queue.fail_of(queue.claim(), "crash"))
    text = lines(queue)
    assert text.startswith(
        "ended: crash on mac-1 in attempt 1 of 1: it broke\n  submission 2\n    run 2  mac-1"
    )
    assert "  earlier submissions\n    run 1  mac-1  shell  0s  cost unknown  passed" in text


def test_a_failure_that_is_not_retried_says_so_and_what_it_spent() -> None:
    queue = Queue()
    queue.failed()
    found = diagnose(queue.job())
    assert found
    assert found.why == "denied on mac-1 in attempt 1, which is not retried: it broke"
    spent = dead("budget", usd=2.0)
    spent.put(replace(spent.job(), manifest=replace(spent.job().manifest, budget=Budget(usd=1.0))))
    assert "(it spent 2 of 1 usd)" in lines(spent)


def test_a_job_that_never_ran_and_one_that_lives_have_little_to_tell() -> None:
    queue = Queue()
    queue.add()
    assert diagnose(queue.job()) is None
    found = diagnose(job("a", Stage.FAILED, record=Record(older=("epoch 1 mac-1 crash",))))
    assert found
    assert (found.why, found.runs) == ("it ended without a run", ())


def test_show_begins_with_the_diagnosis_and_the_last_lines_of_the_log_that_is_here(
    aq: Person, told: Story
) -> None:
    told.building("x", "---\nengine: shell\nretry: {max: 0}\n---\nfalse\n")
    told.do(told.fail_of("x", "crash"))
    folder = aq.machine.path / "logs" / "x"
    folder.mkdir(parents=True)
    (folder / "1.log").write_text("".join(f"line {n}\n" for n in range(40)))
    said = aq("show", "x").out.splitlines()
    assert said[1] == "ended: crash on ada in attempt 1 of 1: no luck"
    assert next(line for line in said if line.startswith("    | ")) == "    | line 30"
    facts = aq("show", "x", "--json").json["diagnosis"]
    assert (facts["why"], facts["log"][-1]) == ("crash on ada in attempt 1 of 1: no luck", "line 39")
    assert facts["runs"][0]["outcome"] == "crash"
    aq("requeue", "x", "-m", "once more")
    said_again = aq("show", "x").out
    assert "submission 2" in said_again
    assert "crash: no luck" in said_again
    assert aq("show", "x", "--json").json["diagnosis"] is None


def test_the_board_says_who_cancelled_a_job_and_not_how_its_last_run_went(aq: Person, told: Story) -> None:
    told.testing("x")
    told.do(Cancel(at=told.job("x").record.since, by="bob", op_id="1", job="x"))
    told.testing("y")
    aq("cancel", "y", "-m", "not needed")
    notes = {row["job"]: row["note"] for row in aq("status", "--json").json["rows"]}
    assert notes == {"x": "cancelled", "y": "cancelled: not needed"}
