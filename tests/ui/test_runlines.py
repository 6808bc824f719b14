"""A job's runs for people: rounds, what was red before, times and test counts."""

from __future__ import annotations

import pytest

from aq.core.lifecycle import Stage
from aq.core.record import CheckResult, Round, Run, Suite, Verdict
from aq.core.value import replace
from aq.ui.board import note_of
from aq.ui.runlines import run_lines, verdict_lines
from tests.support.builders import FAILED, NOW, job

RUN = Run(1, "mac-1", "n", "claude", NOW)


def test_a_run_shows_its_rounds_and_what_was_red_before_it() -> None:
    rounds = (
        Round(1, NOW, FAILED, "b", "d" * 40, 0.25, 1200),
        Round(2, NOW, FAILED),
    )
    assert list(run_lines(replace(RUN, baseline="pytest -q", rounds=rounds))) == [
        f"  run 1      mac-1  claude  {NOW} -> …  running",
        "    red before it began: pytest -q",
        f"    fix round 1  {NOW}  test -f done: exit 1 -> b dddddddddddd  (so far 0.25 usd, 1200 tokens)",
        f"    fix round 2  {NOW}  test -f done: exit 1",
    ]


def test_a_run_that_ended_says_how() -> None:
    ended = replace(RUN, ended=NOW, outcome="crash", reason="SIGKILL")
    seen = replace(ended, outside=("a", "b\x1b"), warnings=("Partial result: no end.",))
    assert list(run_lines(seen))[1:] == [
        "    outside its scope: a, b\ufffd",
        "    look at: Partial result: no end.",
    ]
    assert list(run_lines(ended)) == [f"  run 1      mac-1  claude  {NOW} -> {NOW}  crash: SIGKILL"]


def test_a_verdict_shows_times_and_test_counts() -> None:
    checks = (
        CheckResult("true", True, seconds=0.5),
        CheckResult("pytest", False, "exit code 1", 12.25, Suite(9, 2, 1, ("a", "b"))),
        CheckResult("file_exists x", False, "there is no such file"),
    )
    assert list(verdict_lines(Verdict(1, "failed", NOW, "mac-1", checks))) == [
        f"  verdict    failed (epoch 1, mac-1, {NOW})",
        "    ok  true  (0.5 s)  ",
        "    BAD pytest  (12.25 s; 9 tests, 2 failed, 1 skipped)  exit code 1",
        "    BAD file_exists x  there is no such file",
    ]


ROUNDS: dict[str, tuple[tuple[Round, ...], str]] = {
    "none": ((), "verifying"),
    "the engine works": ((Round(1, NOW, FAILED),), "fix round 1"),
    "what it left is verified": ((Round(1, NOW, FAILED, "b", "d" * 40),), "fix round 1, verifying"),
}


@pytest.mark.parametrize(("rounds", "why"), ROUNDS.values(), ids=ROUNDS)
def test_the_board_says_which_round_a_job_is_in(rounds: tuple[Round, ...], why: str) -> None:
    found = job("a", Stage.REVIEW, host="mac-1")
    record = found.record.with_last_run(rounds=rounds)
    assert note_of(replace(found, record=record), "") == why
