"""When a running engine is stopped, and why: by reports and by readings of a clock."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aq.core.engine.budget import RETRY_DELAY, RETRY_TOTAL, Limits, Meter, Stop
from aq.core.engine.events import (
    Event,
    Faulted,
    Finished,
    Retrying,
    Said,
    Started,
    ToolCalled,
    ToolDone,
    Used,
)
from aq.core.engine.gather import Gatherer
from aq.core.engine.usage import Usage
from aq.core.manifest import Budget

LIMITS = Limits(timeout=100, usd=2.0, tokens=1000, wall=50, silence=20)
USAGES: dict[str, tuple[Usage, str]] = {
    "nothing known": (Usage(), ""),
    "at the budget": (Usage(input=1000, usd=2.0), ""),
    "over in usd": (Usage(usd=2.01), "used 2.01 usd, the budget is 2"),
    "over in tokens of all kinds": (Usage(400, 300, 200, 101), "used 1001 tokens, the budget is 1000"),
    "negative": (Usage(input=-5, usd=-1.0), ""),
    "not a number": (Usage(usd=math.nan), ""),
}


@pytest.mark.parametrize(("usage", "reason"), USAGES.values(), ids=USAGES)
def test_a_report_over_the_budget_stops_the_engine(usage: Usage, reason: str) -> None:
    assert Meter(LIMITS, 0.0).used(usage) == (Stop("budget", reason) if reason else None)


def test_without_a_budget_nothing_is_too_much() -> None:
    assert Meter(Limits(100), 0.0).used(Usage(10**15, usd=10.0**9)) is None


@pytest.mark.parametrize("shrunk", [Usage(), Usage(1, usd=0.0), Usage(input=-1)], ids=["", "less", "minus"])
def test_what_was_used_stays_used_whatever_is_said_later(shrunk: Usage) -> None:
    meter = Meter(LIMITS, 0.0)
    assert meter.used(Usage(input=600)) is None
    assert meter.used(shrunk) is None
    assert meter.used(Usage(output=401)) == Stop("budget", "used 1001 tokens, the budget is 1000")


COUNTS = st.one_of(
    st.integers(-500, 700),
    st.just(math.nan),
    st.just(math.inf),
    st.just(-math.inf),
    st.just(10**400),
    st.none(),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(COUNTS, st.booleans()), max_size=30))
def test_whatever_is_reported_it_is_stopped_by_the_first_report_over_the_budget(
    reports: list[tuple[float | None, bool]],
) -> None:
    gatherer, meter, most = Gatherer(), Meter(Limits(100, tokens=1000), 0.0), 0
    for count, total in reports:
        gatherer.add(Used(Usage(output=count), total=total))  # type: ignore[arg-type]
        stop = meter.used(gatherer.usage)
        most = max(most, gatherer.usage.tokens or 0)
        assert bool(stop) == (most > 1000)


CLOCKS: dict[str, tuple[Limits, float, str, str]] = {
    "before anything": (LIMITS, 10, "", ""),
    "its budget of time is up": (LIMITS, 50.1, "budget", "no end within its budget of 50 s"),
    "a longer budget than timeout": (Limits(100, wall=200), 100.1, "timeout", "no end within 100 s"),
    "the same budget as timeout": (Limits(100, wall=100), 100.1, "timeout", "no end within 100 s"),
    "a budget just below, noticed late": (
        Limits(100, wall=99),
        1e9,
        "budget",
        "no end within its budget of 99 s",
    ),
    "no budget of time": (Limits(100), 99, "", ""),
    "silent for long": (Limits(100, silence=20), 20.1, "timeout", "no output for 20 s"),
    "no limit of silence": (Limits(100), 90, "", ""),
}


@pytest.mark.parametrize(("limits", "now", "failure", "reason"), CLOCKS.values(), ids=CLOCKS)
def test_the_clock_stops_an_engine(limits: Limits, now: float, failure: str, reason: str) -> None:
    found = Meter(limits, 1000.0).tick(1000.0 + now)
    assert found == (Stop(failure, reason) if failure else None)


def test_an_engine_that_is_heard_is_not_silent() -> None:
    meter = Meter(Limits(100, silence=20), 0.0)
    meter.heard(15.0)
    meter.heard(3.0)
    assert meter.silent(30.0) == 15.0
    assert meter.tick(30.0) is None
    assert meter.tick(35.1) == Stop("timeout", "no output for 20 s")


def retry(delay: float | None = None) -> Retrying:
    return Retrying(429, delay, 1, "rate limited")


@pytest.mark.parametrize(
    ("delay", "stopped"),
    [(RETRY_DELAY, False), (RETRY_DELAY + 1, True), (None, False), (math.nan, False), (-5.0, False)],
    ids=["at the limit", "over it", "unknown", "not a number", "negative"],
)
def test_an_engine_that_wants_to_wait_long_for_its_model_is_stopped(
    delay: float | None, stopped: bool
) -> None:
    found = Meter(Limits(9999), 0.0).event(retry(delay), 1.0)
    wanted = Stop("", "it wants to wait 121 s for its model", Faulted("rate limited", 429, reset=121.0))
    assert found == (wanted if stopped else None)


def test_an_engine_that_only_tries_again_is_stopped_even_in_silence() -> None:
    meter = Meter(Limits(9999), 0.0)
    assert meter.event(retry(), 10.0) is None
    assert meter.event(retry(), 10.0 + RETRY_TOTAL) is None
    assert meter.tick(10.0 + RETRY_TOTAL) is None
    reason = "it tried its model again for over 300 s"
    stop = Stop("", reason, Faulted("rate limited", 429))
    assert meter.tick(10.1 + RETRY_TOTAL) == stop
    assert meter.event(retry(), 10.1 + RETRY_TOTAL) == stop


PROGRESS: dict[str, Event] = {
    "words": Said("on"),
    "a tool": ToolCalled("read"),
    "a tool's end": ToolDone("read"),
    "its end": Finished(ok=True),
}


@pytest.mark.parametrize("event", PROGRESS.values(), ids=PROGRESS)
def test_only_the_time_spent_on_trying_again_counts(event: Event) -> None:
    meter = Meter(Limits(9999), 0.0)
    assert meter.event(retry(), 0.0) is None
    assert meter.event(event, 200.0) is None
    assert meter.tick(5000.0) is None
    assert meter.event(event, 5000.0) is None
    assert meter.event(retry(), 5000.0) is None
    assert meter.tick(5100.0) is None
    assert meter.tick(5100.1) is not None


@pytest.mark.parametrize("event", [Started("s"), Used(Usage(1))], ids=["a session", "usage"])
def test_an_event_that_moves_nothing_on_ends_no_retrying(event: Event) -> None:
    meter = Meter(Limits(9999), 0.0)
    meter.event(retry(), 0.0)
    assert meter.event(event, 200.0) is None
    assert meter.tick(RETRY_TOTAL + 1) is not None


def test_a_jobs_limits_are_its_budget_and_its_timeout() -> None:
    assert Limits.of(Budget(2.0, 1000, 50), 100, 20) == LIMITS


LEFT: dict[str, tuple[Limits, Usage, float, Limits, bool]] = {
    "part of everything": (
        LIMITS,
        Usage(input=400, usd=0.5),
        30,
        Limits(70, 1.5, 600, 20, 20),
        False,
    ),
    "nothing": (LIMITS, Usage(input=4000, usd=5.0), 300, Limits(0, 0, 0, 0, 20), True),
    "an unknown cost": (LIMITS, Usage(), 0, LIMITS, False),
    "no limits": (Limits(100), Usage(5, usd=1.0), 1, Limits(99), False),
    "no time": (Limits(100), Usage(), 100, Limits(0), True),
}


@pytest.mark.parametrize(("limits", "used", "seconds", "left", "spent"), LEFT.values(), ids=LEFT)
def test_another_round_has_what_the_first_left(
    limits: Limits, used: Usage, seconds: float, left: Limits, spent: bool
) -> None:
    assert limits.less(used, seconds) == left
    assert left.spent == spent
