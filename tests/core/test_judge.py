"""What a finished verify means: a fix round, the verdict, or a person's turn. Pure tables."""

from __future__ import annotations

from typing import Any

import pytest

from aq.core.judge import Progress, rounds_of, same_failure, settle_fix, settle_verify, spent
from aq.core.lease import Fence
from aq.core.lifecycle import Stage
from aq.core.manifest import Budget, Manifest
from aq.core.operations import Fail, FixRound, Hold, Release, Verified
from aq.core.record import Changes, CheckResult, Suite
from aq.core.settle import Ending, Outcome
from tests.support.builders import FAILED, NOW, PASSED, Queue

FENCE = Fence("a", "mac-1", 1, "n1")
COMMON: dict[str, Any] = {"at": NOW, "by": "mac-1", "op_id": "op", "fence": FENCE}
RED = FAILED[0]
TESTS = CheckResult("pytest -q", False, "exit code 1: 3 failed, 9 passed in 1.25s")


def judged(manifest: Manifest, checks: tuple[CheckResult, ...] = FAILED, **progress: Any) -> object:
    return settle_verify(FENCE, checks, NOW, "op", manifest, Progress(**{"askable": True, **progress}))


def test_a_failed_verify_goes_back_to_the_engine() -> None:
    assert judged(Manifest(), (*PASSED, *FAILED), usd=0.5, tokens=7) == FixRound(
        **COMMON, number=1, failed=FAILED, usd=0.5, tokens=7
    )
    assert judged(Manifest(fix_max=3), round=2) == FixRound(**COMMON, number=3, failed=FAILED)


def test_what_passes_is_verified_at_the_cost_of_the_whole_run() -> None:
    assert judged(Manifest(), PASSED, usd=0.5, tokens=7, round=1) == Verified(
        **COMMON, checks=PASSED, usd=0.5, tokens=7
    )


ENDS: dict[str, tuple[Manifest, dict[str, Any], str]] = {
    "no rounds wanted": (Manifest(fix_max=0), {}, ""),
    "the engine cannot be asked": (Manifest(), {"askable": False}, ""),
    "the only round is over": (Manifest(), {"round": 1}, "; after 1 fix round"),
    "all rounds are over": (Manifest(fix_max=2), {"round": 2}, "; after 2 fix rounds"),
    "no budget is left": (
        Manifest(budget=Budget(usd=1)),
        {"usd": 1.0},
        "; no fix round: its usd budget is spent",
    ),
    "no budget is left for the second": (
        Manifest(fix_max=2, budget=Budget(usd=1)),
        {"usd": 1.0, "round": 1},
        "; after 1 fix round; no fix round: its usd budget is spent",
    ),
    "another check was red before": (
        Manifest(fix_max=0),
        {"baseline": CheckResult("lint", False), "tip": "f" * 40},
        "; before the engine began another check failed: lint",
    ),
    "the same was red before, but not provably for the same reason": (
        Manifest(fix_max=0),
        {"baseline": RED, "tip": "f" * 40},
        "; it failed before the engine began, too",
    ),
}


@pytest.mark.parametrize(("manifest", "progress", "words"), ENDS.values(), ids=ENDS)
def test_a_failed_verify_fails_the_run_when(manifest: Manifest, progress: dict[str, Any], words: str) -> None:
    assert judged(manifest, **progress) == Fail(
        **COMMON,
        failure="verify_failed",
        reason=f"test -f done: exit 1{words}",
        checks=FAILED,
        usd=progress.get("usd"),
    )


def test_work_on_a_base_that_was_red_in_the_same_way_waits_for_a_person() -> None:
    held = judged(Manifest(fix_max=0), (TESTS,), baseline=TESTS, tip="f" * 40, usd=0.5)
    assert isinstance(held, Hold)
    assert (held.job, held.fence, held.usd) == ("a", FENCE, 0.5)
    assert held.reason == (
        f"{TESTS.words}; it failed before the engine began, too; "
        "`aq promote --override` accepts the work all the same"
    )


def test_without_work_there_is_nothing_for_a_person_to_accept() -> None:
    assert isinstance(judged(Manifest(fix_max=0), (TESTS,), baseline=TESTS), Fail)


def test_a_red_base_does_not_keep_the_engine_from_its_rounds() -> None:
    assert isinstance(judged(Manifest(), (TESTS,), baseline=TESTS, tip="f" * 40), FixRound)


def test_a_job_held_for_a_red_base_is_neither_charged_again_nor_lost() -> None:
    queue = Queue()
    fence = queue.landed()
    progress = Progress(baseline=TESTS, tip="f" * 40)
    queue.do(settle_verify(fence, (TESTS,), NOW, "op", Manifest(), progress))
    job = queue.job()
    assert (job.stage, job.lease, job.waits_for_person, job.record.attempts) == (Stage.REVIEW, None, True, 1)
    assert job.record.branch == "aq/a/1"


def said(words: str) -> CheckResult:
    return CheckResult("t", False, words)


def suite(*names: str, failed: int | None = None) -> Suite:
    return Suite(9, len(names) if failed is None else failed, 0, names)


SAME: dict[str, tuple[CheckResult | None, CheckResult, bool]] = {
    "nothing was red": (None, RED, False),
    "another check": (CheckResult("lint", False, TESTS.detail), TESTS, False),
    "the same words": (TESTS, TESTS, True),
    "the same words at another time": (
        said("exit code 1: 3 failed, 9 passed in 12.31s (0:00:12)"),
        said("exit code 1: 3 failed, 17 passed in 900 ms (0:00:12)"),
        True,
    ),
    "more failures": (said("exit code 1: 3 failed in 1s"), said("exit code 1: 4 failed in 1s"), False),
    "other words": (said("exit code 1: no such module"), said("exit code 1: 3 failed"), False),
    "another exit code": (said("exit code 1: broken"), said("exit code 2: broken"), False),
    "no words": (said("exit code 1"), said("exit code 1"), False),
    "no command": (said("there is no such file"), said("there is no such file"), False),
    "stopped": (said("stopped: timeout"), said("stopped: timeout"), False),
    "counted once": (
        CheckResult("t", False, "exit code 1: x", suite=suite("a")),
        said("exit code 1: x"),
        True,
    ),
    "the same tests": (
        CheckResult("t", False, suite=suite("a", "b")),
        CheckResult("t", False, suite=suite("b", "a")),
        True,
    ),
    "fewer tests": (
        CheckResult("t", False, suite=suite("a", "b")),
        CheckResult("t", False, suite=suite("b")),
        True,
    ),
    "a new test": (
        CheckResult("t", False, suite=suite("a", "b")),
        CheckResult("t", False, suite=suite("c")),
        False,
    ),
    "more tests": (
        CheckResult("t", False, suite=suite("a")),
        CheckResult("t", False, suite=suite("a", "b")),
        False,
    ),
    "too many to name": (
        CheckResult("t", False, suite=suite("a", failed=5)),
        CheckResult("t", False, suite=suite("c")),
        True,
    ),
}


@pytest.mark.parametrize(("before", "now", "same"), SAME.values(), ids=SAME)
def test_a_check_fails_as_before_where_there_is_evidence(
    before: CheckResult | None, now: CheckResult, same: bool
) -> None:
    assert same_failure(before, now) is same


BUDGETS: dict[str, tuple[Budget, dict[str, Any], str]] = {
    "no budget": (Budget(), {"usd": 99.0, "tokens": 10**9, "seconds": 1e9}, ""),
    "something is left of each": (
        Budget(usd=1, tokens=10, wall=60),
        {"usd": 0.5, "tokens": 9, "seconds": 59.0},
        "",
    ),
    "usd are spent": (Budget(usd=1), {"usd": 1.0}, "no fix round: its usd budget is spent"),
    "tokens are spent": (Budget(tokens=10), {"tokens": 11}, "no fix round: its tokens budget is spent"),
    "the time is over": (Budget(wall=60), {"seconds": 60.5}, "no fix round: its wall budget is spent"),
    "the cost is unknown": (
        Budget(usd=2.5),
        {},
        "no fix round: what it used of its budget of 2.5 usd is unknown",
    ),
}


@pytest.mark.parametrize(("budget", "progress", "words"), BUDGETS.values(), ids=BUDGETS)
def test_a_round_needs_something_left_of_every_budget(
    budget: Budget, progress: dict[str, Any], words: str
) -> None:
    assert spent(Manifest(budget=budget), Progress(**progress)) == words


ROUNDS = {
    "an agent": (Manifest(), "claude", 1),
    "an agent that wants none": (Manifest(fix_max=0, given=("fix_max",)), "claude", 0),
    "a script": (Manifest(), "shell", 0),
    "a script that wants it": (Manifest(fix_max=2, given=("fix_max",)), "shell", 2),
}


@pytest.mark.parametrize(("manifest", "engine", "count"), ROUNDS.values(), ids=ROUNDS)
def test_a_script_runs_again_only_when_its_job_says_so(manifest: Manifest, engine: str, count: int) -> None:
    assert rounds_of(manifest, engine) == count


def fixed(outcome: Outcome) -> object:
    return settle_fix(FENCE, 1, (*PASSED, *FAILED), outcome, NOW, "op")


WORK: dict[str, Any] = {"branch": "aq/a/1-fix1", "tip": "d" * 40}


def test_the_work_of_a_round_is_named_before_it_is_verified() -> None:
    seen: dict[str, Any] = {"outside": ("x",), "warnings": ("y",), "changes": Changes(1, 2, 3, ("x",))}
    assert fixed(Outcome(Ending.DONE, **WORK, **seen, pushed=True, usd=0.5, tokens=7)) == FixRound(
        **COMMON, **WORK, **seen, number=1, pushed=True, usd=0.5, tokens=7
    )


def test_a_round_without_new_work_is_verified_at_once() -> None:
    assert fixed(Outcome(Ending.DONE, usd=0.5)) is None


def test_a_stopped_round_gives_the_job_back() -> None:
    assert fixed(Outcome(Ending.STOPPED, reason="stopped by the operator", usd=0.5, **WORK)) == Release(
        **COMMON, **WORK, reason="stopped by the operator", usd=0.5
    )


def test_a_round_that_its_budget_stopped_ends_as_a_run_that_its_budget_stopped() -> None:
    stopped = Outcome(Ending.FAILED, "budget", "3 of 2 usd", usd=3.0, **WORK)
    reason = f"{RED.words}; fix round 1: budget: 3 of 2 usd"
    expected = Fail(**COMMON, **WORK, failure="budget", reason=reason, usd=3.0, checks=(*PASSED, *FAILED))
    assert fixed(stopped) == expected


FAILS = {
    "a failed engine": (Outcome(Ending.FAILED, "timeout", "no end within 5 s"), "timeout: no end within 5 s"),
    "infrastructure": (Outcome(Ending.INFRA, reason="disk full"), "infra: disk full"),
    "no reason": (Outcome(Ending.FAILED, "crash"), "crash"),
}


@pytest.mark.parametrize(("outcome", "words"), FAILS.values(), ids=FAILS)
def test_where_a_round_fails_the_verdict_before_it_stands(outcome: Outcome, words: str) -> None:
    assert fixed(outcome) == Fail(
        **COMMON,
        failure="verify_failed",
        reason=f"test -f done: exit 1; fix round 1: {words}",
        checks=(*PASSED, *FAILED),
    )
