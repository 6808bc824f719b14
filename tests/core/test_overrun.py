"""A spent budget holds its job, with the work kept; a person gives more, and it goes on from there."""

from __future__ import annotations

import pytest

from aq.core.errors import AqError
from aq.core.instants import later
from aq.core.leftover import start_of
from aq.core.lifecycle import Stage
from aq.core.manifest import Budget, Retry
from aq.core.operations import Cancel, Hold, Operation, PauseJob, Requeue, ResumeJob
from aq.core.overrun import (
    budget_words,
    hold_words,
    is_overrun,
    more_words,
    parse_budget,
    raised,
    raises,
    spent_words,
)
from aq.core.record import Record, Run
from aq.core.settings import Amount, Budgets
from aq.core.value import replace
from tests.support.builders import NOW, Queue, job, refusal_of

TIP = "e" * 40
KEPT = {"branch": "aq/a/1", "tip": TIP, "usd": 1.5}


def overrun(**keys: object) -> Queue:
    """A job that spent 1.50 of 1 usd."""
    queue = Queue()
    fence = queue.started(**{"budget": Budget(usd=1.0, tokens=500), **keys})
    queue.do(queue.fail_of(fence, "budget", reason="used 1.5 usd, the budget is 1", **KEPT))
    return queue


def more(queue: Queue, **limits: float) -> Operation:
    return ResumeJob(**queue.common(), job="a", budget=Budget(**limits) if limits else None)  # type: ignore[arg-type]


def test_a_run_that_its_budget_stopped_is_held_in_the_inbox_with_what_it_spent_and_its_work() -> None:
    queue = overrun()
    held = queue.job()
    assert (held.stage, held.lease, is_overrun(held.record)) == (Stage.INBOX, None, True)
    assert held.record.hold
    assert held.record.hold.text == (
        "its budget is spent: used 1.5 usd, the budget is 1 (1.5 of 1 usd, unknown of 500 tokens); "
        "`aq resume a --budget usd=N` gives it more"
    )
    assert (held.record.runs[-1].outcome, held.record.runs[-1].tip) == ("budget", TIP)
    queue.refused(queue.claim_of(), "on hold: its budget is spent")


def test_a_plain_resume_of_a_spent_budget_is_refused_with_what_to_write() -> None:
    queue = overrun()
    refusal = queue.refused(more(queue), "its budget is spent")
    assert "aq resume a --budget usd=N" in refusal.hint
    queue.do(PauseJob(**queue.common(), job="a"))
    queue.do(more(queue))
    assert (queue.job().record.pause, is_overrun(queue.job().record)) == (None, True)


def test_more_money_lifts_the_hold_and_the_job_goes_on_from_the_kept_branch() -> None:
    queue = overrun()
    queue.do(PauseJob(**queue.common(), job="a"))
    change = queue.do(more(queue, usd=10.0))
    given = queue.job()
    assert change.event.detail == "budget usd=10,tokens=500"
    record = given.record
    assert (record.hold, record.pause, record.submission, record.attempts, record.epoch) == (
        None,
        None,
        2,
        0,
        1,
    )
    assert given.manifest.budget == record.budget == Budget(usd=10.0, tokens=500)
    assert start_of(given) == TIP
    assert queue.claim().epoch == 2
    assert given.blob == "blob-a"


def test_a_claim_reserves_what_a_person_gave_and_not_what_the_file_says() -> None:
    queue = Queue()
    queue.limit(budgets=Budgets(fleet_usd=8.0))
    fence = queue.started(budget=Budget(usd=3.0))
    queue.do(queue.fail_of(fence, "budget", usd=3.0))
    queue.do(more(queue, usd=6.0))
    queue.refused(queue.claim_of(), "has 5.00 of 8.00 usd left today and this job reserves 6.00")
    queue.limit(budgets=Budgets(fleet_usd=9.0))
    queue.claim()
    assert queue.now.spend[NOW[:10]].fleet == Amount(6.0, 3.0)


def test_a_job_that_is_to_be_retried_for_its_budget_is_retried() -> None:
    queue = overrun(retry=Retry(on=("budget",)))
    assert (queue.job().record.hold, queue.job().stage) == (None, Stage.INBOX)
    queue.at = later(NOW, 3600)
    queue.do(queue.fail_of(queue.claim(), "budget"))
    assert queue.job().stage is Stage.DEAD_LETTER


def test_no_other_hold_takes_the_place_of_a_spent_budget() -> None:
    queue = overrun()
    hold = Hold(**queue.common("mac-1"), job="a", reason="conflict")
    queue.refused(hold, "on hold already", done=True)


def test_more_money_is_only_for_a_job_that_spent_its_own() -> None:
    queue = Queue()
    queue.add()
    assert "budget:" in queue.refused(more(queue, usd=5.0), "not on hold for its budget").hint


def test_what_a_person_gave_is_kept_when_the_job_is_cancelled_and_runs_again() -> None:
    queue = overrun()
    queue.do(more(queue, usd=4.0))
    queue.do(Cancel(**queue.common(), job="a"))
    queue.do(Requeue(**queue.common(), job="a"))
    assert queue.job().manifest.budget == Budget(usd=4.0, tokens=500)


def test_a_job_has_the_budget_of_its_record_however_it_is_made() -> None:
    given = job("a", record=Record(budget=Budget(usd=7.0)), budget=Budget(usd=1.0))
    assert given.manifest.budget == Budget(usd=7.0)
    assert replace(given, record=Record(budget=Budget(wall=1.0))).manifest.budget == Budget(wall=1.0)


@pytest.mark.parametrize("limits", [{"usd": -1.0}, {"tokens": -1}, {"wall": float("nan")}], ids=str)
def test_a_budget_that_cannot_be_kept_is_none_of_a_record(limits: dict[str, float]) -> None:
    assert refusal_of(AqError, lambda: Record(budget=Budget(**limits)))  # type: ignore[arg-type]


GIVEN = {
    "usd=10": Budget(usd=10.0),
    "tokens=2M": Budget(tokens=2_000_000),
    " usd = 0.5 , wall=4h": Budget(usd=0.5, wall=14400.0),
}


@pytest.mark.parametrize(("text", "budget"), GIVEN.items())
def test_a_budget_is_read_from_the_command_line(text: str, budget: Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize(
    "text", ["", "10", "usd", "usd=", "usd=-1", "eur=1", "usd=1,usd=2", "usd=0", "wall=4"]
)
def test_what_is_no_budget_is_refused_with_an_example(text: str) -> None:
    error = refusal_of(AqError, lambda: parse_budget(text))
    assert error
    assert error.hint


def test_limits_that_are_not_given_stay() -> None:
    before = Budget(usd=1.0, tokens=5, wall=60.0)
    assert raised(before, Budget(tokens=9)) == Budget(usd=1.0, tokens=9, wall=60.0)
    assert budget_words(before) == "usd=1,tokens=5,wall=1m"
    assert budget_words(Budget()) == ""


def test_the_words_tell_each_limit_and_what_is_unknown() -> None:
    run = Run(1, "ada", "n", "claude", "2026-11-21T10:00:00Z", ended="2026-11-21T10:01:01Z", tokens=7)
    words = spent_words(Budget(usd=1.0, tokens=5, wall=60.0), run)
    assert words == "unknown of 1 usd, 7 of 5 tokens, 1m01s of 1m"
    assert spent_words(Budget(wall=60.0), replace(run, ended=None)) == ""
    assert hold_words(job("a"), replace(run, reason="its model said so")).startswith(
        "its budget is spent: its model said so; `aq resume"
    )


ALL = Budget(usd=1.0, tokens=500, wall=60.0)
# What a run spent of ALL (and for how many seconds), and what it takes to go on.
SPENT = {
    "money": (2.0, 7, 5, "usd=N"),
    "money to the cent": (1.0, None, 5, "usd=N"),
    "tokens": (0.5, 501, 5, "tokens=N"),
    "money and tokens": (1.5, 900, 5, "usd=N,tokens=N"),
    "money, and long with its setup": (1.5, 7, 400, "usd=N"),
    "time": (0.5, 7, 60, "wall=TIME"),
    "nothing that can be seen": (None, 7, 5, "usd=N,tokens=N,wall=TIME"),
}


def spent(usd: float | None, tokens: int | None, seconds: int) -> Run:
    return Run(1, "ada", "n", "claude", NOW, ended=later(NOW, seconds), usd=usd, tokens=tokens)


@pytest.mark.parametrize(("usd", "tokens", "seconds", "asked"), SPENT.values(), ids=list(SPENT))
def test_the_limit_that_was_reached_is_the_one_to_be_raised(
    usd: float | None, tokens: int | None, seconds: int, asked: str
) -> None:
    run = spent(usd, tokens, seconds)
    assert more_words(ALL, run) == asked
    reached = asked.split(",")
    for name, more in {
        "usd=N": Budget(usd=3.0),
        "tokens=N": Budget(tokens=900),
        "wall=TIME": Budget(wall=61),
    }.items():
        assert raises(ALL, more, run) is (name in reached and len(reached) != 2)
    assert raises(ALL, Budget(usd=3.0, tokens=900, wall=90.0), run)
    assert not raises(ALL, ALL, run)
    assert not raises(ALL, Budget(usd=0.5, tokens=400, wall=30.0), run)


def test_a_limit_that_a_budget_does_not_have_is_not_to_be_raised() -> None:
    run = spent(9.0, 999, 5)
    assert more_words(Budget(tokens=500), run) == "tokens=N"
    assert not raises(Budget(tokens=500), Budget(usd=20.0), run)
    assert not raises(Budget(wall=60.0), Budget(usd=20.0), run)
    assert more_words(Budget(wall=60.0), replace(run, ended=None)) == "wall=TIME"
    # Instants have whole seconds.
    assert more_words(Budget(usd=10.0, wall=5.5), run) == "wall=TIME"
    assert more_words(ALL, None) == "usd=N,tokens=N,wall=TIME"
    # A hold that somebody wrote by hand.
    assert (more_words(Budget(), run), raises(Budget(), Budget(usd=1.0), run)) == ("usd=N", True)


@pytest.mark.parametrize("limits", [{"usd": 0.5}, {"usd": 1.0}, {"tokens": 900}, {"wall": 3600.0}], ids=str)
def test_a_budget_that_does_not_raise_what_was_spent_is_refused(limits: dict[str, float]) -> None:
    queue = overrun()
    refusal = queue.refused(more(queue, **limits), "does not raise the limit that its run came to")
    assert "aq resume a --budget usd=N" in refusal.hint
    assert "usd=1,tokens=500" in refusal.reason
    assert is_overrun(queue.job().record)


def test_a_run_that_took_its_time_asks_for_time() -> None:
    queue = Queue()
    fence = queue.started(budget=Budget(wall=60.0, usd=5.0))
    queue.at = later(queue.at, 61)
    queue.do(queue.fail_of(fence, "budget", reason="no end within its budget of 60 s", usd=0.5))
    assert queue.job().record.hold.text.endswith("`aq resume a --budget wall=TIME` gives it more")  # type: ignore[union-attr]
    assert "--budget wall=TIME" in queue.refused(more(queue), "its budget is spent").hint
    queue.refused(more(queue, usd=9.0), "does not raise")
    queue.do(more(queue, wall=3600.0))
    assert not is_overrun(queue.job().record)
