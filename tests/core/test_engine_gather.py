"""Events folded into a report: totals replace, increments add up, and hostile numbers change nothing."""

from __future__ import annotations

import math

import pytest

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
from aq.core.engine.gather import MAX_DENIED, MAX_FAULTS, MAX_TEXT, STDERR_LINES, Gatherer
from aq.core.engine.report import EngineReport
from aq.core.engine.usage import Usage
from tests.support.gathering import gather


def used(count: int | None = None, usd: float | None = None, *, total: bool = False) -> Used:
    return Used(Usage(input=count, usd=usd), total=total)


USAGES: dict[str, tuple[list[Used], Usage]] = {
    "never told": ([], Usage()),
    "increments add up": ([used(2), used(3, 0.5)], Usage(5, usd=0.5)),
    "a total replaces increments": ([used(90), used(80, total=True)], Usage(80)),
    "increments go on from a total": ([used(80, total=True), used(5)], Usage(85)),
    "a later total counts the increments in": (
        [used(80, total=True), used(5), used(85, total=True)],
        Usage(85),
    ),
    "a total does not shrink": ([used(80, total=True), used(3, total=True)], Usage(80)),
    "what a total does not know stays counted": ([used(5, 0.5), used(7, total=True)], Usage(7, usd=0.5)),
    "negative is unknown": ([used(5), used(-3), used(-9, -1.0, total=True)], Usage(5)),
    "not a number is unknown": ([used(5, math.nan), Used(Usage(usd=math.nan), total=True)], Usage(5)),
}


@pytest.mark.parametrize(("events", "usage"), USAGES.values(), ids=USAGES)
def test_usage_is_the_newest_total_and_what_came_since(events: list[Used], usage: Usage) -> None:
    gatherer = Gatherer()
    for event in events:
        gatherer.add(event)
    assert gatherer.usage == usage
    assert gather(events).usage == usage


EARLIER = Usage(input=2468, output=112)
SESSIONS: dict[str, tuple[list[Event], Usage, Usage]] = {
    "the same session": (
        [Started("s"), Used(Usage(3702, output=168), session=True)],
        Usage(1234, output=56),
        Usage(3702, output=168),
    ),
    "a session without a name": ([Started(), Used(Usage(3000), session=True)], Usage(532), Usage(3000)),
    "another session than asked for": (
        [Started("t"), Used(Usage(3702), session=True)],
        Usage(3702),
        Usage(3702),
    ),
    "a total below the earlier one": ([Used(Usage(10), session=True)], Usage(0), Usage(10)),
    "increments are the run's own": ([Started("s"), Used(Usage(7))], Usage(7), Usage()),
}


@pytest.mark.parametrize(("events", "usage", "session"), SESSIONS.values(), ids=SESSIONS)
def test_the_totals_of_a_resumed_session_count_from_where_it_stopped(
    events: list[Event], usage: Usage, session: Usage
) -> None:
    gatherer = Gatherer("s", EARLIER)
    for event in events:
        gatherer.add(event)
    report = gatherer.report()
    assert (report.usage, report.session_usage) == (usage, session)


def test_a_run_is_the_sum_of_its_events() -> None:
    events: list[Event] = [
        Started("s", "m"),
        Said("I look."),
        ToolCalled("read", "a"),
        ToolDone("read"),
        ToolDone("write", ok=False, denied=True),
        ToolDone("", denied=True),
        Retrying(429, 1.0),
        Faulted("too many", 429, "rate_limit", 3.0),
        Said(" "),
        Finished(ok=True, code="end", turns=2),
    ]
    assert gather(events, 3, ["a", "b"]) == EngineReport(
        finished=True,
        text="I look.",
        session="s",
        model="m",
        turns=2,
        denied=("write", "a tool"),
        faults=(Faulted("too many", 429, "rate_limit", 3.0),),
        end_code="end",
        code=3,
        stderr=("a", "b"),
    )


def test_the_words_of_the_terminal_event_are_the_summary() -> None:
    assert gather([Said("working"), Finished(ok=False, text="Sum")]).text == "Sum"
    assert gather([Finished(ok=True, turns=4), Finished(ok=False)]).turns == 4
    assert gather([Finished(ok=True, turns=-1)]).turns is None
    assert gather([]).finished is None


def test_a_session_keeps_the_name_it_was_told_once() -> None:
    report = gather([Started("s", "m"), Started("", "")])
    assert (report.session, report.model) == ("s", "m")


def test_what_an_engine_says_without_end_is_kept_within_bounds() -> None:
    noise: list[Event] = [Said("x" * (MAX_TEXT + 1)), Finished(ok=False, text="y" * (MAX_TEXT + 1))]
    noise += [Faulted(f"{'z' * MAX_TEXT} {n}", reset=-1.0) for n in range(MAX_FAULTS + 1)]
    noise += [ToolDone(str(n), denied=True) for n in range(MAX_DENIED + 1)]
    report = gather(noise, stderr=[str(n) for n in range(STDERR_LINES + 1)])
    assert (len(report.text), len(report.faults), len(report.denied)) == (MAX_TEXT, MAX_FAULTS, MAX_DENIED)
    assert (len(report.faults[-1].words), report.faults[-1].reset) == (MAX_TEXT, None)
    assert report.faults[-1].words.endswith(str(MAX_FAULTS))
    assert report.stderr[-1] == str(STDERR_LINES)
    assert len(report.stderr) == STDERR_LINES
