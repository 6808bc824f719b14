"""An engine's events as its log shows them."""

from __future__ import annotations

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
from aq.core.engine.usage import Usage
from aq.core.engine.words import words

LINES: dict[str, tuple[Event, str]] = {
    "a session": (Started("s1", "m1"), "[model m1, session s1]"),
    "a session without a name": (Started(), "[a session]"),
    "words, whole": (Said(" I see.\nTwo lines. \n"), "I see.\nTwo lines."),
    "a tool": (ToolCalled("Bash", "ls\n -l"), "> Bash ls -l"),
    "a long call": (ToolCalled("Write", "x" * 600), f"> Write {'x' * 492} …"),
    "a tool came back": (ToolDone("Bash"), ""),
    "a tool failed": (ToolDone("Bash", ok=False), "  Bash failed"),
    "a tool was denied": (ToolDone("", denied=True), "  tool was denied"),
    "again": (Retrying(429, 1.5, 3, "slow"), "[retry 3, status 429, waits 1.5 s] slow"),
    "again, without details": (Retrying(), "[retry]"),
    "an error": (Faulted("too many", 429, "rate_limit"), "[error 429 rate_limit] too many"),
    "an error without words": (Faulted(""), "[error]"),
    "done": (Finished(ok=True), "[done]"),
    "not done": (Finished(ok=False, code="error_max_turns"), "[ended without success: error_max_turns]"),
    "what it used": (Used(Usage(1)), ""),
}


@pytest.mark.parametrize(("event", "line"), LINES.values(), ids=LINES)
def test_an_event_is_a_line_for_people(event: Event, line: str) -> None:
    assert words(event) == line
