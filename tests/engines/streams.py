"""One good run of every engine, in the shapes that its real program was seen to put out."""

from __future__ import annotations

import json

from tests.engines.replay import Stream, lines

SESSION = "0b8cf1d2-1111-4222-8333-944455556666"
DONE = "Done: hello.txt created."
USED = {"input_tokens": 468, "cache_read_input_tokens": 2000, "output_tokens": 112}

CLAUDE_INIT = {"type": "system", "subtype": "init", "session_id": SESSION, "model": "m-1"}
CLAUDE_RESULT = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "num_turns": 2,
    "result": DONE,
    "session_id": SESSION,
    "total_cost_usd": 0.25,
    "usage": USED,
    "permission_denials": [],
    "terminal_reason": "completed",
}
_HALF = {"input_tokens": 234, "cache_read_input_tokens": 1000, "output_tokens": 1}
_CALL = {"type": "tool_use", "id": "t1", "name": "Write", "input": {"file_path": "hello.txt"}}
CLAUDE = lines(
    CLAUDE_INIT,
    {"type": "assistant", "message": {"id": "m1", "content": [_CALL], "usage": _HALF}},
    {
        "type": "user",
        "message": {"content": [{"type": "tool_result", "tool_use_id": "t1", "is_error": False}]},
    },
    {
        "type": "assistant",
        "message": {"id": "m2", "content": [{"type": "text", "text": DONE}], "usage": _HALF},
    },
    CLAUDE_RESULT,
)
QWEN = lines(CLAUDE_INIT, {key: value for key, value in CLAUDE_RESULT.items() if key != "total_cost_usd"})
_CURSOR_CALL = {"writeToolCall": {"args": {"path": "hello.txt"}, "result": {"success": {}}}}
CURSOR = lines(
    CLAUDE_INIT,
    {"type": "tool_call", "subtype": "started", "call_id": "c", "tool_call": _CURSOR_CALL},
    {"type": "tool_call", "subtype": "completed", "call_id": "c", "tool_call": _CURSOR_CALL},
    {"type": "assistant", "message": {"content": [{"type": "text", "text": DONE}]}},
    {"type": "result", "subtype": "success", "is_error": False, "result": DONE, "session_id": SESSION},
)

CODEX_STARTED = {"type": "thread.started", "thread_id": SESSION}
_COMMAND = {"id": "i1", "type": "command_execution", "command": "touch hello.txt"}
CODEX_ENDED = {
    "type": "turn.completed",
    "usage": {
        "input_tokens": 2468,
        "cached_input_tokens": 2000,
        "output_tokens": 112,
        "reasoning_output_tokens": 12,
    },
}
CODEX = lines(
    CODEX_STARTED,
    {"type": "turn.started"},
    {"type": "item.started", "item": {**_COMMAND, "status": "in_progress"}},
    {"type": "item.completed", "item": {**_COMMAND, "exit_code": 0, "status": "completed"}},
    {"type": "item.completed", "item": {"id": "i2", "type": "agent_message", "text": DONE}},
    CODEX_ENDED,
)

GEMINI_INIT = {"type": "init", "session_id": SESSION, "model": "m-1"}
GEMINI_STATS = {"total_tokens": 2590, "input_tokens": 2468, "output_tokens": 112, "cached": 2000}
GEMINI_RESULT = {"type": "result", "status": "success", "stats": GEMINI_STATS}
GEMINI_CALL = {
    "type": "tool_use",
    "tool_name": "write_file",
    "tool_id": "t1",
    "parameters": {"file_path": "hello.txt"},
}
GEMINI = lines(
    GEMINI_INIT,
    {"type": "message", "role": "user", "content": "Create hello.txt."},
    GEMINI_CALL,
    {"type": "tool_result", "tool_id": "t1", "status": "success"},
    {"type": "message", "role": "assistant", "content": "Done: ", "delta": True},
    {"type": "message", "role": "assistant", "content": "hello.txt created.", "delta": True},
    GEMINI_RESULT,
)

COPILOT_CALL = {"toolCallId": "c1", "toolName": "create", "arguments": {"path": "hello.txt"}}
COPILOT_RESULT = {"type": "result", "sessionId": SESSION, "exitCode": 0, "usage": {"premiumRequests": 0}}
COPILOT = lines(
    {"type": "session.tools_updated", "data": {"model": "m-1"}},
    {"type": "assistant.turn_start", "data": {"turnId": "0"}},
    {
        "type": "assistant.message",
        "data": {"model": "m-1", "content": "", "toolRequests": [{"toolCallId": "c1", "name": "create"}]},
    },
    {"type": "tool.execution_start", "data": COPILOT_CALL},
    {"type": "tool.execution_complete", "data": {"toolCallId": "c1", "success": True}},
    {"type": "assistant.turn_start", "data": {"turnId": "1"}},
    {"type": "assistant.message", "data": {"model": "m-1", "content": DONE, "toolRequests": []}},
    COPILOT_RESULT,
)
COPILOT_USAGE = json.dumps(
    {
        "modelMetrics": {
            "m-1": {"usage": {"inputTokens": 2468, "outputTokens": 112, "cacheReadTokens": 2000}},
            "m-2": {"usage": {"inputTokens": 10, "outputTokens": 1, "cacheReadTokens": 0}},
        }
    }
)

_TOKENS = {"input": 234, "output": 56, "reasoning": 4, "cache": {"read": 1000, "write": 0}}
OPENCODE_STOP = {
    "type": "step_finish",
    "sessionID": "ses_1",
    "part": {"reason": "stop", "tokens": _TOKENS, "cost": 0.125},
}
OPENCODE = lines(
    {"type": "step_start", "sessionID": "ses_1", "part": {}},
    {
        "type": "tool_use",
        "sessionID": "ses_1",
        "part": {
            "tool": "write",
            "state": {"status": "completed", "input": {"filePath": "hello.txt"}},
        },
    },
    {
        "type": "step_finish",
        "sessionID": "ses_1",
        "part": {"reason": "tool-calls", "tokens": _TOKENS, "cost": 0.125},
    },
    {"type": "text", "sessionID": "ses_1", "part": {"text": DONE}},
    OPENCODE_STOP,
)

AIDER_SENT = "Tokens: 1.2k sent, 1k cache hit, 56 received. Cost: $0.25 message, $0.25 session."
AIDER = (
    "Aider v0.86.2",
    "Model: openai/m-1 with diff edit format",
    "Git repo: .git with 1 files",
    "",
    DONE,
    "hello.txt",
    "```",
    "<<<<<<< SEARCH",
    "=======",
    "hello",
    ">>>>>>> REPLACE",
    "```",
    AIDER_SENT,
    "Applied edit to hello.txt",
)

_ANSWER = {
    "usage": {
        "prompt_tokens": 1234,
        "completion_tokens": 56,
        "prompt_tokens_details": {"cached_tokens": 1000},
        "completion_tokens_details": {"reasoning_tokens": 6},
    }
}
MINI_MESSAGES = [
    {"role": "user", "content": "Create hello.txt."},
    {"role": "assistant", "content": "", "extra": {"response": _ANSWER}},
    {"role": "assistant", "content": [{"type": "text", "text": "x"}], "extra": {"response": _ANSWER}},
]
MINI_INFO = {
    "exit_status": "Submitted",
    "submission": DONE,
    "model_stats": {"instance_cost": 0.5, "api_calls": 2},
}
MINI = ("mini-swe-agent (step 1, $0.25):", "some words", "mini-swe-agent (step 2, $0.50):")


def trajectory(**info: object) -> str:
    return json.dumps({"info": {**MINI_INFO, **info}, "messages": MINI_MESSAGES}, indent=2)


_GOOSE_CALL = {
    "type": "toolRequest",
    "id": "t1",
    "toolCall": {"status": "success", "value": {"name": "edit", "arguments": {"path": "hello.txt"}}},
}
GOOSE_MESSAGES = [
    {"role": "user", "content": [{"type": "text", "text": "Create hello.txt."}]},
    {"id": "a", "role": "assistant", "content": [_GOOSE_CALL]},
    {
        "role": "user",
        "content": [{"type": "toolResponse", "id": "t1", "toolResult": {"status": "success", "value": {}}}],
    },
    {"id": "b", "role": "assistant", "content": [{"type": "text", "text": "Done: "}]},
    {"id": "b", "role": "assistant", "content": [{"type": "text", "text": "hello.txt created."}]},
]
GOOSE_COMPLETE = {"type": "complete", "total_tokens": 2580, "input_tokens": 2468, "output_tokens": 112}
GOOSE = lines(*({"type": "message", "message": message} for message in GOOSE_MESSAGES), GOOSE_COMPLETE)

GOOD: dict[str, Stream] = {
    "claude": Stream(CLAUDE),
    "codex": Stream(CODEX),
    "gemini": Stream(GEMINI),
    "copilot": Stream(COPILOT, artifact=COPILOT_USAGE),
    "opencode": Stream(OPENCODE),
    "qwen": Stream(QWEN),
    "aider": Stream(AIDER),
    "mini": Stream(MINI, artifact=trajectory()),
    "devin": Stream(("Working.", DONE), artifact=json.dumps({"session_id": SESSION, "steps": []})),
    "cursor-agent": Stream(CURSOR),
    "amp": Stream(CLAUDE),
    "goose": Stream(GOOSE),
    "crush": Stream((DONE,)),
}
