"""Fix rounds in the queue: written before the engine is asked and when it left work, under one lease."""

from __future__ import annotations

from typing import Any

import pytest

from aq.core.codec import decode_as
from aq.core.encoding import encode
from aq.core.lease import Fence
from aq.core.lifecycle import Stage
from aq.core.manifest import Budget
from aq.core.operations import FixRound, Hold, Verified
from aq.core.record import MAX_ROUNDS, Changes, CheckResult, Record, Round, Run, Suite
from aq.core.value import replace
from tests.support.builders import FAILED, NOW, PASSED, Queue

TIP, FIXED = "f" * 40, "d" * 40


def asked(queue: Queue, fence: Fence, number: int = 1, **more: Any) -> FixRound:
    return FixRound(**queue.common(fence.host), fence=fence, number=number, failed=FAILED, **more)


def left(queue: Queue, fence: Fence, number: int = 1, **more: Any) -> FixRound:
    work = {"branch": f"aq/a/1-fix{number}", "tip": FIXED, "pushed": True, **more}
    return FixRound(**queue.common(fence.host), fence=fence, number=number, **work)


def test_a_round_stays_in_review_under_the_same_lease_and_says_what_failed() -> None:
    queue = Queue()
    fence = queue.landed()
    change = queue.do(asked(queue, fence, usd=0.5, tokens=10))
    job = queue.job()
    assert (job.stage, queue.fence(), job.record.tip, job.record.feedback) == (Stage.REVIEW, fence, TIP, ())
    run = job.record.runs[-1]
    assert run.rounds == (Round(1, NOW, FAILED, usd=0.5, tokens=10),)
    assert (run.usd, run.tokens, run.ended) == (0.5, 10, None)
    assert change.event.detail == "round 1: test -f done: exit 1"
    assert dict(change.event.extra) == {
        "Aq-Fix-Round": "1",
        "Aq-Reason": "test -f done: exit 1",
        "Aq-Cost-Usd": "0.5",
        "Aq-Tokens": "10",
    }


def test_the_work_of_a_round_is_what_is_verified_next() -> None:
    queue = Queue()
    fence = queue.landed(land={"usd": 0.5})
    queue.do(asked(queue, fence))
    change = queue.do(left(queue, fence, usd=0.75))
    record = queue.job().record
    assert (record.branch, record.tip) == ("aq/a/1-fix1", FIXED)
    assert (record.runs[-1].branch, record.runs[-1].tip, record.runs[-1].usd) == ("aq/a/1-fix1", FIXED, 0.75)
    assert record.runs[-1].rounds == (Round(1, NOW, FAILED, "aq/a/1-fix1", FIXED, 0.75),)
    assert (change.event.detail, change.event.get("Aq-Branch")) == ("round 1: done", "aq/a/1-fix1")
    queue.do(queue.verified_of(fence))
    assert (queue.job().stage, queue.job().record.tip, queue.job().record.attempts) == (
        Stage.TESTING,
        FIXED,
        1,
    )


def test_a_host_that_dies_after_a_round_leaves_its_work_to_be_verified_by_another() -> None:
    queue = Queue()
    fence = queue.landed()
    queue.do(asked(queue, fence))
    queue.do(left(queue, fence))
    queue.do(queue.reclaim_of(fence))
    assert queue.job().to_be_verified
    queue.do(queue.verify_claim_of())
    queue.do(queue.verified_of(queue.fence()))
    assert (queue.job().stage, queue.job().record.tip) == (Stage.TESTING, FIXED)


def test_a_round_is_refused_while_its_branch_is_not_on_the_remote() -> None:
    queue = Queue()
    fence = queue.landed()
    queue.do(asked(queue, fence))
    queue.refused(left(queue, fence, pushed=False), "the branch aq/a/1-fix1 of a is not on its remote")


def test_a_round_is_written_once_however_often_it_is_asked() -> None:
    queue = Queue()
    fence = queue.landed()
    queue.do(asked(queue, fence))
    queue.refused(asked(queue, fence), "fix round 1 of a is written already", done=True)
    queue.do(left(queue, fence))
    queue.refused(left(queue, fence), "fix round 1 of a is written already", done=True)
    queue.refused(asked(queue, fence), "fix round 1 of a is written already", done=True)
    queue.do(asked(queue, fence, 2))
    assert [(one.number, one.tip) for one in queue.job().record.runs[-1].rounds] == [(1, FIXED), (2, "")]


def test_a_round_needs_the_lease_and_a_landing() -> None:
    queue = Queue()
    queue.refused(asked(queue, queue.started("b")), "fenced")
    fence = queue.landed()
    queue.refused(asked(queue, replace(fence, epoch=2)), "fenced")


def test_only_so_many_rounds_are_kept() -> None:
    run = Run(1, "mac-1", "n", "shell", NOW)
    for number in range(1, MAX_ROUNDS + 4):
        run = replace(run, rounds=run.rounds_with(number, at=NOW))
    assert [one.number for one in run.rounds] == list(range(4, MAX_ROUNDS + 4))


@pytest.mark.parametrize("told", [True, False], ids=["told with the verdict", "told before"])
def test_a_verdict_settles_the_cost_that_is_known_last(told: bool) -> None:
    queue = Queue()
    fence = queue.landed(land={"usd": 0.5, "tokens": 5}, budget=Budget(usd=2.0))
    cost: dict[str, Any] = {"usd": 0.75, "tokens": 9} if told else {}
    queue.do(Verified(**queue.common(fence.host), fence=fence, checks=PASSED, **cost))
    run = queue.job().record.runs[-1]
    assert (run.usd, run.tokens) == ((0.75, 9) if told else (0.5, 5))
    (spend,) = queue.now.spend.values()
    assert (spend.fleet.reserved, spend.fleet.settled) == (0.0, run.usd)


def test_a_hold_of_a_verified_run_settles_its_cost() -> None:
    queue = Queue()
    fence = queue.landed(budget=Budget(usd=2.0))
    queue.do(Hold(**queue.common("mac-1"), job="a", fence=fence, reason="red before", usd=0.25, tokens=7))
    run = queue.job().record.runs[-1]
    assert (run.usd, run.tokens, run.outcome) == (0.25, 7, "held")
    (spend,) = queue.now.spend.values()
    assert (spend.fleet.reserved, spend.fleet.settled) == (0.0, 0.25)


def test_no_tokens_is_not_the_same_as_unknown_tokens() -> None:
    queue = Queue()
    queue.do(queue.fail_of(queue.landed(), usd=0.0, tokens=0))
    assert (queue.job().record.runs[-1].usd, queue.job().record.runs[-1].tokens) == (0.0, 0)


def test_the_landing_says_what_was_red_before() -> None:
    queue = Queue()
    queue.landed(land={"baseline": "pytest -q"})
    assert queue.job().record.runs[-1].baseline == "pytest -q"


def test_what_lies_outside_the_scope_is_that_of_the_newest_work() -> None:
    queue = Queue()
    before = {"outside": ("a",), "warnings": ("b:1 looks odd",), "changes": Changes(1, 1, 0, ("go.mod",))}
    fence = queue.landed(land=before)
    run = queue.job().record.runs[-1]
    assert {name: getattr(run, name) for name in before} == before
    assert (run.risk, len(run.risks)) == ("high", 3)
    queue.do(asked(queue, fence))
    assert queue.job().record.runs[-1] == replace(run, rounds=queue.job().record.runs[-1].rounds)
    queue.do(left(queue, fence, outside=("c",), changes=Changes()))
    run = queue.job().record.runs[-1]
    assert (run.outside, run.warnings, run.changes) == (("c",), (), Changes())
    assert (run.risk, run.risks) == ("high", ("outside its scope: c",))


def test_work_whose_changes_nobody_knows_lands_as_risky() -> None:
    queue = Queue()
    queue.landed()
    run = queue.job().record.runs[-1]
    assert (run.risk, run.risks) == ("high", ("nobody could tell what it changed",))


def test_rounds_and_test_counts_survive_the_file() -> None:
    check = CheckResult("pytest -q", False, "exit 1", 1.25, Suite(3, 1, 1, ("a::b",)))
    run = Run(1, "mac-1", "n", "shell", NOW, rounds=(Round(1, NOW, (check,), "b", FIXED, 0.5, 7),))
    record = Record(runs=(run,))
    read = decode_as(Record, encode(record), "x.record.yaml")
    assert read == record
    assert read.runs[0].rounds[0].failed[0].seconds == 1.25


@pytest.mark.parametrize(
    ("result", "words"), [(CheckResult("make", False), "make"), (FAILED[0], "test -f done: exit 1")]
)
def test_a_result_in_words(result: CheckResult, words: str) -> None:
    assert result.words == words
