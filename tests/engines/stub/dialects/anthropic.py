"""The messages protocol of Anthropic. Its input tokens exclude what came from the cache."""

from __future__ import annotations

from tests.engines.stub.wire import (
    CACHED,
    FRESH,
    OUTPUT,
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


def _tools(body: Json) -> dict[str, Json]:
    return {tool.get("name", ""): tool.get("input_schema") or {} for tool in objects(body.get("tools"))}


def _answered(body: Json) -> bool:
    return any(
        part.get("type") == "tool_result"
        for message in objects(body.get("messages"))
        for part in objects(message.get("content"))
    )


def _reply(request: Request, answer: Answer) -> Reply:
    call = answer.call
    usage = {
        "input_tokens": FRESH,
        "output_tokens": OUTPUT,
        "cache_read_input_tokens": CACHED,
        "cache_creation_input_tokens": 0,
    }
    block: Json = {"type": "text", "text": answer.text}
    if call:
        block = {"type": "tool_use", "id": new_id("toolu"), "name": call.tool, "input": call.args}
    message = {
        "id": new_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": request.body.get("model"),
        "content": [block],
        "stop_reason": "tool_use" if call else "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }
    return events(_stream(message, block, answer), named=True) if request.stream else one(message)


def _stream(message: Json, block: Json, answer: Answer) -> list[Json]:
    start: Json = {"type": "text", "text": ""}
    delta: Json = {"type": "text_delta", "text": answer.text}
    if answer.call:
        start = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": answer.call.encoded}
    begun = {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    return [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": start},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": {"output_tokens": OUTPUT}},
        {"type": "message_stop"},
    ]


def _error(problem: Problem) -> Json:
    error = {"type": problem.kind, "message": problem.words}
    return {"type": "error", "error": error, "request_id": "req_stub"}


DIALECT = Dialect("anthropic", _tools, _answered, _reply, _error)
