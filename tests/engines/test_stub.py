"""The stub keeps its promises: each dialect calls a tool and then talks, and fails as it is told."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.engines.stub import Stub

_SCHEMA = {"type": "object", "properties": {"path": {}, "content": {}}, "required": ["path", "content"]}
_FUNCTION = {"name": "write_file", "parameters": _SCHEMA}

# By dialect: the path, how it offers a tool, what a tool's result looks like, and where usage is told.
DIALECTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "anthropic": (
        "/v1/messages",
        {"tools": [{"name": "write_file", "input_schema": _SCHEMA}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "ok"}]}]},
    ),
    "chat": (
        "/v1/chat/completions",
        {"tools": [{"type": "function", "function": _FUNCTION}]},
        {"messages": [{"role": "tool", "content": "ok"}]},
    ),
    "responses": (
        "/v1/responses",
        {"tools": [{"type": "function", **_FUNCTION}]},
        {"input": [{"type": "function_call_output", "output": "ok"}]},
    ),
    "gemini": (
        "/v1beta/models/stub:generateContent",
        {"tools": [{"functionDeclarations": [_FUNCTION]}]},
        {"contents": [{"parts": [{"functionResponse": {"name": "write_file"}}]}]},
    ),
}
each_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def post(stub: Stub, path: str, body: dict[str, Any]) -> str:
    request = urllib.request.Request(stub.url + path, json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=10) as reply:
        return str(reply.read().decode())


def status_of(stub: Stub, path: str, body: dict[str, Any]) -> tuple[int, str]:
    """The status of a refused request, and its retry-after."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(stub, path, body)
    with caught.value as error:
        return error.code, error.headers.get("retry-after", "")


@each_dialect
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_model_calls_the_offered_tool_once_and_then_says_that_it_is_done(
    stub: Stub, dialect: str, stream: bool
) -> None:
    path, offer, result = DIALECTS[dialect]
    if stream:
        path = path.replace(":generate", ":streamGenerate")
        offer = {**offer, "stream": True}
    prompt = {"system": "make STUB_FILE=made.txt please"}
    first = post(stub, path, {**offer, **prompt})
    then = post(stub, path, {**offer, **prompt, **result})
    assert "made.txt" in first
    assert "write_file" in first
    assert "Done: hello.txt created." in then
    assert first.startswith(("data:", "event:")) == stream
    assert [asked.tool for asked in stub.asked] == ["write_file", ""]
    assert all("1000" in text for text in (first, then)), "the cached tokens are told"


@each_dialect
def test_a_counted_fault_fails_so_often_with_its_retry_after_and_then_no_more(
    stub: Stub, dialect: str
) -> None:
    path, offer, _ = DIALECTS[dialect]
    stub.fail("429:2:3")
    assert [status_of(stub, path, offer) for _ in range(2)] == [(429, "3"), (429, "3")]
    assert "write_file" in post(stub, path, offer)
    assert [asked.fault for asked in stub.asked] == ["429", "429", ""]


@each_dialect
@pytest.mark.parametrize(("fault", "status"), [("401", 401), ("402", 402), ("529", 529), ("context", 400)])
def test_an_endless_fault_always_fails(stub: Stub, dialect: str, fault: str, status: int) -> None:
    path, offer, _ = DIALECTS[dialect]
    stub.fail(fault)
    assert {status_of(stub, path, offer)[0] for _ in range(3)} == {status}


@pytest.mark.parametrize("fault", ["drop", "cut"])
def test_a_broken_connection_is_no_answer(stub: Stub, fault: str) -> None:
    path, offer, _ = DIALECTS["chat"]
    stub.fail(fault)
    with pytest.raises((http.client.HTTPException, OSError)):
        post(stub, path, offer)


def test_an_endless_loop_calls_its_tool_however_often_it_was_answered_and_never_the_same_way(
    stub: Stub,
) -> None:
    path, offer, result = DIALECTS["chat"]
    stub.fail("loop")
    said = [post(stub, path, {**offer, **result}) for _ in range(3)]
    assert [asked.tool for asked in stub.asked] == ["write_file"] * 3
    calls = [json.loads(text)["choices"][0]["message"]["tool_calls"][0]["function"] for text in said]
    assert len({call["arguments"] for call in calls}) == 3


def test_a_slow_call_leaves_half_of_its_work_before_it_sleeps(stub: Stub) -> None:
    path, _, _ = DIALECTS["chat"]
    shell = {"name": "bash", "parameters": {"type": "object", "properties": {"command": {"type": "string"}}}}
    body = {"tools": [{"type": "function", "function": shell}], "system": "STUB_SLEEP=30.5"}
    assert "echo half > half.txt; sleep 30.5; echo hello" in post(stub, path, body)


def test_it_is_steered_and_read_from_outside(stub: Stub) -> None:
    path, offer, _ = DIALECTS["chat"]
    post(stub, "/__ctl", {"fault": "401"})
    assert status_of(stub, path, {**offer, "model": "m"}) == (401, "")
    with urllib.request.urlopen(f"{stub.url}/__log", timeout=10) as reply:
        asked = json.load(reply)
    assert [(row["dialect"], row["model"], row["fault"]) for row in asked] == [("chat", "m", "401")]
