"""A good run of every engine: success, and its usage, words, session and model in one normal form."""

from __future__ import annotations

import pytest

from aq.core.engine.classify import Verdict
from aq.core.engine.events import ToolCalled, ToolDone
from aq.core.engine.usage import Usage
from aq.host.engines import ENGINES
from tests.engines.replay import Stream, events, report, verdict
from tests.engines.streams import DONE, GOOD, SESSION

OURS = {"local", "shell"}
FOUND = {
    "claude": (SESSION, "m-1", Usage(468, 2000, 112, None, 0.25), 2, DONE),
    "codex": (SESSION, "", Usage(468, 2000, 100, 12, None), 2, DONE),
    "gemini": (SESSION, "m-1", Usage(468, 2000, 112, 10, None), 2, DONE),
    "copilot": (SESSION, "m-1", Usage(478, 2000, 113, None, None), 2, DONE),
    "opencode": ("ses_1", "", Usage(468, 2000, 112, 8, 0.25), 2, DONE),
    "qwen": (SESSION, "m-1", Usage(468, 2000, 112, None, None), 2, DONE),
    "aider": ("", "", Usage(200, 1000, 56, None, 0.25), 1, f"{DONE}\nhello.txt"),
    "mini": ("", "", Usage(468, 2000, 100, 12, 0.5), 2, DONE),
    "devin": (SESSION, "", Usage(), None, f"Working.\n{DONE}"),
    "cursor-agent": (SESSION, "m-1", Usage(), None, DONE),
    "amp": (SESSION, "m-1", Usage(468, 2000, 112, None, 0.25), 2, DONE),
    "goose": ("", "", Usage(2468, None, 112, None, None), 1, DONE),
    "crush": ("", "", Usage(), None, DONE),
}


def test_every_engine_has_a_good_run_here() -> None:
    assert set(FOUND) == set(GOOD) == set(ENGINES) - OURS


@pytest.mark.parametrize("engine", GOOD)
def test_a_good_run_is_a_success(engine: str) -> None:
    assert verdict(engine, GOOD[engine], changed=True) == Verdict()
    found = report(engine, GOOD[engine])
    session, model, usage, turns, text = FOUND[engine]
    assert (found.session, found.model, found.usage, found.turns, found.text) == (
        session,
        model,
        usage,
        turns,
        text,
    )
    assert not found.faults
    assert not found.denied


TOLD = {"claude", "codex", "gemini", "copilot", "opencode", "cursor-agent", "amp", "goose", "aider"}


@pytest.mark.parametrize("engine", sorted(TOLD))
def test_what_its_tools_do_is_told_while_it_runs(engine: str) -> None:
    found = events(engine, GOOD[engine])
    called = [event for event in found if isinstance(event, ToolCalled)]
    done = [event for event in found if isinstance(event, ToolDone)]
    assert [event.tool for event in called] == [event.tool for event in done]
    assert len(called) == 1
    assert "hello.txt" in called[0].what
    assert done[0].ok


# Where the last line, or the file that the engine leaves, is its only end.
ENDS = {
    engine: (stream.out[:-1], "")
    for engine, stream in GOOD.items()
    if engine not in ("aider", "mini", "devin", "crush")
}
ENDS["mini"] = (GOOD["mini"].out, "")
ENDS["aider"] = (GOOD["aider"].out[:8], "")


@pytest.mark.parametrize("engine", ENDS)
@pytest.mark.parametrize("code", [0, 1])
def test_without_its_terminal_event_a_run_is_never_a_success(engine: str, code: int) -> None:
    out, artifact = ENDS[engine]
    assert verdict(engine, Stream(out, (), code, artifact), changed=True).failure == "unknown"


@pytest.mark.parametrize("engine", GOOD)
def test_killed_in_the_middle_a_run_has_crashed(engine: str) -> None:
    out = GOOD[engine].out[:1]
    assert verdict(engine, Stream(out, (), -9), changed=True).failure == "crash"


@pytest.mark.parametrize("engine", GOOD)
def test_nothing_at_all_with_a_failing_exit_code_is_no_success(engine: str) -> None:
    assert verdict(engine, Stream(code=1), changed=True).failure in ("unknown", "agent")


@pytest.mark.parametrize("engine", ["codex", "qwen"])
def test_totals_over_a_session_leave_out_its_earlier_runs(engine: str) -> None:
    earlier = Usage(400, 1000, 50, 2 if engine == "codex" else None)
    found = report(engine, GOOD[engine], SESSION, earlier)
    whole = FOUND[engine][2]
    assert found.usage == whole.less(earlier)
    assert found.session_usage == whole


@pytest.mark.parametrize("engine", ["claude", "gemini", "opencode"])
def test_totals_of_one_run_are_whole_when_a_session_goes_on(engine: str) -> None:
    assert report(engine, GOOD[engine], SESSION, Usage(400, 1000, 50)).usage == FOUND[engine][2]
