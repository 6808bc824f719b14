"""The responses protocol of OpenAI. Input tokens include the cached."""

from __future__ import annotations

import time

from tests.engines.stub.dialects.chat import openai_error
from tests.engines.stub.wire import (
    CACHED,
    INPUT,
    OUTPUT,
    TOKENS,
    Answer,
    Call,
    Dialect,
    Json,
    Reply,
    Request,
    events,
    new_id,
    objects,
    one,
)

_USAGE = {
    "input_tokens": INPUT,
    "input_tokens_details": {"cached_tokens": CACHED},
    "output_tokens": OUTPUT,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": TOKENS,
}


def _tools(body: Json) -> dict[str, Json]:
    return {
        str(tool.get("name") or tool.get("type")): tool.get("parameters") or {}
        for tool in objects(body.get("tools"))
    }


def _answered(body: Json) -> bool:
    return any(str(item.get("type")).endswith("_call_output") for item in objects(body.get("input")))


def _reply(request: Request, answer: Answer) -> Reply:
    item = _call(answer.call) if answer.call else _message(answer.text)
    response = {
        "id": new_id("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed",
        "model": request.body.get("model"),
        "output": [item],
        "usage": _USAGE,
        "error": None,
    }
    if not request.stream:
        return one(response)
    pending = {**response, "status": "in_progress", "output": [], "usage": None}
    empty: Json = {"arguments": ""} if answer.call else {"content": []}
    begun = {**item, "status": "in_progress", **empty}
    rows: list[Json] = [
        {"type": "response.created", "response": pending},
        {"type": "response.output_item.added", "output_index": 0, "item": begun},
        *(_call_rows(item) if answer.call else _message_rows(item)),
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response},
    ]
    return events([{**row, "sequence_number": number} for number, row in enumerate(rows)], named=True)


def _call(call: Call) -> Json:
    return {
        "type": "function_call",
        "id": new_id("fc"),
        "call_id": new_id("call"),
        "name": call.tool,
        "arguments": call.encoded,
        "status": "completed",
    }


def _message(text: str) -> Json:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {
        "type": "message",
        "id": new_id("msg"),
        "role": "assistant",
        "status": "completed",
        "content": content,
    }


def _call_rows(item: Json) -> list[Json]:
    at = {"item_id": item["id"], "output_index": 0}
    name = "response.function_call_arguments"
    return [
        {"type": f"{name}.delta", **at, "delta": item["arguments"]},
        {"type": f"{name}.done", **at, "arguments": item["arguments"]},
    ]


def _message_rows(item: Json) -> list[Json]:
    part = item["content"][0]
    at = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    return [
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", **at, "delta": part["text"]},
        {"type": "response.output_text.done", **at, "text": part["text"]},
        {"type": "response.content_part.done", **at, "part": part},
    ]


DIALECT = Dialect("responses", _tools, _answered, _reply, openai_error)
