"""The generateContent protocol of Gemini. Input tokens include the cached."""

from __future__ import annotations

import json
from typing import Any

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
    objects,
    one,
)

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


def _tools(body: Json) -> dict[str, Json]:
    offered = [
        function
        for tool in objects(body.get("tools"))
        for function in objects(tool.get("functionDeclarations"))
    ]
    return {
        function.get("name", ""): function.get("parametersJsonSchema") or function.get("parameters") or {}
        for function in offered
    }


def _answered(body: Json) -> bool:
    return any(
        "functionResponse" in part
        for content in objects(body.get("contents"))
        for part in objects(content.get("parts"))
    )


def _reply(request: Request, answer: Answer) -> Reply:
    config = request.body.get("generationConfig") or {}
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    part: Json = {"text": answer.text}
    if answer.call:
        part = {"functionCall": {"name": answer.call.tool, "args": answer.call.args}}
    elif schema:
        part = {"text": json.dumps(_filled(schema))}
    content = {"role": "model", "parts": [part]}
    body = {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": INPUT,
            "candidatesTokenCount": OUTPUT,
            "cachedContentTokenCount": CACHED,
            "totalTokenCount": TOKENS,
        },
        "modelVersion": "stub",
    }
    return events([body]) if request.stream else one(body)


def _filled(schema: Json) -> Json:
    """The CLI's own side questions (which model, is it a loop) want JSON of a schema."""

    def value(kind: Json) -> Any:
        name = str(kind.get("type", "")).lower()
        if name == "string":
            return (kind.get("enum") or ["stub"])[0]
        return 0 if name in ("integer", "number") else False

    return {name: value(kind) for name, kind in schema.get("properties", {}).items()}


def _error(problem: Problem) -> Json:
    details: list[Json] = []
    if problem.status == 429:
        delay = f"{problem.retry or 1:g}s"
        details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]
    status = _STATUS.get(problem.status, "INTERNAL")
    error = {"code": problem.status, "message": problem.words, "status": status, "details": details}
    return {"error": error}


DIALECT = Dialect("gemini", _tools, _answered, _reply, _error)
