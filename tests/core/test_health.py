"""The breaker of a host: three bad runs of distinct jobs in a row, and it rests, longer each time."""

from __future__ import annotations

import pytest

from aq.core.health import FAST, FIRST_REST, LIMIT, LONGEST_REST, Breaker, blame, carried, noted, room
from aq.core.settle import Ending, Outcome
from aq.core.value import replace


@pytest.mark.parametrize(
    ("outcome", "seconds", "why"),
    [
        pytest.param(Outcome(Ending.DONE), 1.0, "", id="work that was done speaks for the host"),
        pytest.param(
            Outcome(Ending.INFRA, reason="disk full"), 900.0, "disk full", id="what broke here is bad"
        ),
        pytest.param(Outcome(Ending.INFRA), 1.0, "the host could not run it", id="also without words"),
        pytest.param(Outcome(Ending.FAILED, "crash"), 2.0, "crash after 2s", id="a fast crash is bad"),
        pytest.param(Outcome(Ending.FAILED, "agent"), FAST, "", id="a slow failure shows that engines run"),
        pytest.param(
            Outcome(Ending.FAILED, "verify_failed"), 1.0, None, id="a failed check is the job's own"
        ),
        pytest.param(Outcome(Ending.FAILED, "quota"), 1.0, None, id="an engine without quota rests itself"),
        pytest.param(Outcome(Ending.STOPPED), 1.0, None, id="a stop says nothing"),
        pytest.param(Outcome(Ending.FENCED), 1.0, None, id="nor does a lost lease"),
        pytest.param(Outcome(Ending.HELD), 1.0, None, id="nor a hold"),
    ],
)
def test_what_the_end_of_a_run_says_of_its_host(outcome: Outcome, seconds: float, why: str | None) -> None:
    assert blame(outcome, seconds) == why


def after(*jobs: str, breaker: Breaker | None = None, clock: float = 100.0) -> Breaker:
    breaker = breaker or Breaker()
    for job in jobs:
        breaker = noted(breaker, job, "crash after 1s", clock)
    return breaker


def test_three_distinct_jobs_in_a_row_let_the_host_rest() -> None:
    assert (after("a", "b").rests, room(after("a", "b"), 0, 100.0)) == (0, 1)
    tripped = after("a", "b", "c")
    assert (tripped.rests, tripped.until) == (1, 100.0 + FIRST_REST)
    assert tripped.why == "3 jobs in a row went bad here, the last: crash after 1s"


def test_one_job_that_fails_again_and_again_is_not_the_host() -> None:
    assert after("a", "a", "a", "a").rests == 0
    assert after("a", "b", "a", "b").rests == 0


def test_a_good_run_between_begins_anew() -> None:
    good = noted(after("a", "b"), "x", "", 100.0)
    assert good == Breaker(proven=True)
    assert after("c", "d", breaker=good).rests == 0


def test_each_rest_is_twice_as_long_and_ends_with_one_job_as_a_try() -> None:
    breaker, clock, rests = Breaker(rests=0), 0.0, []
    breaker = after("a", "b", "c", clock=clock)
    for n in range(8):
        rests.append(breaker.until - clock)
        clock = breaker.until
        assert room(breaker, 0, clock - 0.1) == 0
        assert room(breaker, 0, clock) == 1
        assert room(breaker, 1, clock) == 0
        breaker = noted(breaker, f"try{n}", "crash after 1s", clock)
        assert breaker.why.startswith("the job it tried went bad here")
    assert rests == [min(FIRST_REST * 2**n, LONGEST_REST) for n in range(8)]
    assert rests[-1] == 4 * 3600


def test_a_try_that_goes_well_lifts_everything() -> None:
    healed = noted(after("a", "b", "c"), "d", "", 9999.0)
    assert healed == Breaker(proven=True)
    assert room(healed, 50, 9999.0) is None


@pytest.mark.parametrize(
    ("breaker", "fresh", "may"),
    [
        pytest.param(Breaker(), 0, LIMIT, id="an unproven host starts as many as may go bad"),
        pytest.param(Breaker(), 2, 1, id="less what may still fail fast"),
        pytest.param(Breaker(), 7, 0, id="and never less than none"),
        pytest.param(Breaker(bad=("a",), proven=True), 0, 2, id="a proven host with a bad run is careful"),
        pytest.param(Breaker(proven=True), 7, None, id="a proven host is free"),
    ],
)
def test_no_more_is_at_stake_than_lets_the_host_rest(breaker: Breaker, fresh: int, may: int | None) -> None:
    assert room(breaker, fresh, 0.0) == may


@pytest.mark.parametrize(
    ("failure", "kind", "why"),
    [
        pytest.param("agent", "shell", None, id="a script that ends with 1 is the job's own"),
        pytest.param("crash", "shell", "crash after 0s", id="one that is killed at once may not be"),
        pytest.param("agent", "agentic-coder", "agent after 0s", id="an agent that gives up at once is bad"),
    ],
)
def test_a_fast_failure_counts_by_what_its_engine_can_tell(failure: str, kind: str, why: str | None) -> None:
    assert blame(Outcome(Ending.FAILED, failure), 0.2, kind) == why


def test_what_is_carried_to_another_clock_has_to_prove_itself_anew() -> None:
    rested = after("a", "b", "c")
    moved = carried(rested, 1000.0)
    assert moved == replace(rested, until=rested.until + 1000.0)
    assert carried(Breaker(bad=("a",), proven=True), 1000.0) == Breaker(bad=("a",))
