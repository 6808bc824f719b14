"""Tools that an engine was not allowed to use, and errors that it got over."""

from __future__ import annotations

import pytest

from tests.engines.replay import Stream, lines, verdict
from tests.engines.streams import (
    AIDER,
    CLAUDE_INIT,
    CLAUDE_RESULT,
    COPILOT_RESULT,
    GEMINI_RESULT,
    GOOSE_MESSAGES,
)


def denied_claude() -> Stream:
    denials = [{"tool_name": "Bash", "tool_use_id": "t", "tool_input": {"command": "x"}}]
    return Stream(lines(CLAUDE_INIT, {**CLAUDE_RESULT, "permission_denials": denials}))


_DENIED = {"type": "FORBIDDEN", "message": "Tool execution denied by policy"}
_GOOSE_DENIED = {
    "role": "user",
    "content": [
        {"type": "toolResponse", "toolResult": {"status": "error", "error": "The user has declined"}}
    ],
}
DENIALS = {
    "claude": denied_claude(),
    "qwen": denied_claude(),
    "amp": denied_claude(),
    "cursor-agent": Stream(
        lines(
            {
                "type": "tool_call",
                "subtype": "completed",
                "tool_call": {"shellToolCall": {"result": {"rejected": {}}}},
            },
            CLAUDE_RESULT,
        )
    ),
    "codex": Stream(
        lines(
            {"type": "item.completed", "item": {"type": "command_execution", "status": "declined"}},
            {"type": "turn.completed", "usage": {}},
        )
    ),
    "gemini": Stream(
        lines(
            {"type": "tool_use", "tool_name": "shell", "tool_id": "t"},
            {"type": "tool_result", "tool_id": "t", "status": "error", "error": _DENIED},
            GEMINI_RESULT,
        )
    ),
    "copilot": Stream(
        lines(
            {
                "type": "tool.execution_complete",
                "data": {"toolCallId": "c", "success": False, "error": {"code": "denied", "message": "no"}},
            },
            COPILOT_RESULT,
        )
    ),
    "opencode": Stream(
        lines(
            {
                "type": "tool_use",
                "part": {
                    "tool": "bash",
                    "state": {"status": "error", "error": "The user rejected permission to use this tool"},
                },
            },
            {"type": "step_finish", "part": {"reason": "stop"}},
        )
    ),
    "goose": Stream(
        lines(
            *({"type": "message", "message": message} for message in (GOOSE_MESSAGES[1], _GOOSE_DENIED)),
            {"type": "complete"},
        )
    ),
}


@pytest.mark.parametrize("engine", DENIALS)
def test_a_denied_tool_and_nothing_changed_is_denied_although_the_engine_is_content(engine: str) -> None:
    found = verdict(engine, DENIALS[engine])
    assert (found.failure, found.reset) == ("denied", None)
    assert "needs permission" in found.reason
    assert verdict(engine, DENIALS[engine], changed=True).failure == ""


def test_a_tool_that_failed_is_not_denied() -> None:
    failed = {"type": "tool_result", "tool_id": "t", "status": "error", "error": {"message": "No such file"}}
    assert verdict("gemini", Stream(lines(failed, GEMINI_RESULT))).failure == ""


def test_a_run_goes_on_after_errors_that_it_got_over() -> None:
    again = {"type": "error", "message": "Reconnecting... 1/5 (429 Too Many)"}
    out = lines(again, {"type": "turn.completed", "usage": {}})
    assert verdict("codex", Stream(out), changed=True).failure == ""
    said = ("litellm.RateLimitError: no", "Retrying in 0.2 seconds...", *AIDER[4:])
    assert verdict("aider", Stream(said), changed=True).failure == ""
    stop = {"type": "step_finish", "part": {"reason": "stop"}}
    over = lines({"type": "error", "error": {"name": "APIError"}}, stop)
    assert verdict("opencode", Stream(over), changed=True).failure == ""
