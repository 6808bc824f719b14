"""Chat completions, as OpenAI began them and most servers speak them. Input tokens include the cached."""

from __future__ import annotations

import time

from tests.engines.stub.wire import (
    CACHED,
    INPUT,
    OUTPUT,
    TOKENS,
    Answer,
    Dialect,
    Json,
    Problem,
    Reply,
    Request,
    events,
    new_id,
    objects,
    one,
)

_USAGE = {
    "prompt_tokens": INPUT,
    "completion_tokens": OUTPUT,
    "total_tokens": TOKENS,
    "prompt_tokens_details": {"cached_tokens": CACHED},
}

_FULL = "This model's maximum context length is 128000 tokens."


def _tools(body: Json) -> dict[str, Json]:
    offered = [tool.get("function") or {} for tool in objects(body.get("tools"))]
    return {function.get("name", ""): function.get("parameters") or {} for function in offered}


def _answered(body: Json) -> bool:
    return any(message.get("role") == "tool" for message in objects(body.get("messages")))


def _reply(request: Request, answer: Answer) -> Reply:
    call = answer.call
    base = {"id": new_id("chatcmpl"), "created": int(time.time()), "model": request.body.get("model")}
    message: Json = {"role": "assistant", "content": None if call else answer.text}
    if call:
        function = {"name": call.tool, "arguments": call.encoded}
        message["tool_calls"] = [{"id": new_id("call"), "type": "function", "function": function}]
    reason = "tool_calls" if call else "stop"
    if not request.stream:
        choice = {"index": 0, "message": message, "finish_reason": reason}
        return one({**base, "object": "chat.completion", "choices": [choice], "usage": _USAGE})
    chunk = {**base, "object": "chat.completion.chunk"}
    delta = {**message}
    if call:
        delta["tool_calls"] = [{"index": 0, **message["tool_calls"][0]}]
    return events(
        [
            {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
            {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
            {**chunk, "choices": [], "usage": _USAGE},
        ],
        done=True,
    )


def openai_error(problem: Problem) -> Json:
    """The error body of both of OpenAI's protocols."""
    full = problem.code == "context_length_exceeded"
    error = {
        "message": _FULL if full else problem.words,
        "type": problem.kind,
        "code": problem.code,
        "param": None,
    }
    return {"error": error}


DIALECT = Dialect("chat", _tools, _answered, _reply, openai_error)
