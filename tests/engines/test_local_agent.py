"""The local agent's loop against a model that says just what each test needs."""

from __future__ import annotations

import json

import pytest

from aq.host.engines.local_agent.loop import MAX_CALLS
from tests.engines.local_bench import DONE, WRITE, Bench, Serve, failure, observations
from tests.engines.scripted import Json, Refusal, calling, saying
from tests.engines.stub import Stub

TEXT_CALL = json.dumps({"name": "write_file", "arguments": {"path": "a.txt", "content": "hello\n"}})
XML_CALL = (
    "<function=write_file><parameter=path>a.txt</parameter><parameter=content>hello</parameter></function>"
)


def test_a_run_with_native_calls(bench: Bench, model: Serve) -> None:
    server = model(calling("list_directory"), WRITE, DONE)
    report = bench.play(server.url)
    assert (bench.work / "a.txt").read_text() == "hello\n"
    assert failure(report) == ""
    assert (report.finished, report.text, report.model, report.turns) == (True, DONE["content"], "tiny", 3)
    assert (report.usage.input, report.usage.output, report.usage.usd) == (300, 30, None)
    first, second, third = server.asked
    assert [tool["function"]["name"] for tool in first["tools"]] == [
        "read_file",
        "write_file",
        "list_directory",
        "run_command",
        "search_files",
    ]
    assert [message["role"] for message in first["messages"]] == ["system", "user"]
    assert first["messages"][1]["content"] == "Write a.txt."
    call, seen = second["messages"][2:]
    assert (call["role"], seen["role"]) == ("assistant", "tool")
    assert call["tool_calls"][0]["id"] == seen["tool_call_id"]
    assert json.loads(seen["content"]) == {
        "ok": True,
        "tool": "list_directory",
        "data": {"entries": []},
        "truncated": False,
    }
    assert len(observations(third)) == 2


@pytest.mark.parametrize(
    "text", [TEXT_CALL, f"```json\n{TEXT_CALL}\n```", XML_CALL], ids=["JSON", "fence", "XML"]
)
def test_a_run_with_calls_in_the_text(bench: Bench, model: Serve, text: str) -> None:
    server = model(saying(text), DONE)
    assert failure(bench.play(server.url)) == ""
    assert bench.written
    roles = [message["role"] for message in server.asked[1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert observations(server.asked[1])[0].startswith('Result: {"ok": true, "tool": "write_file"')


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(Refusal(400, {"error": {"message": "tiny does not support tools"}}), id="Ollama"),
        pytest.param(Refusal(500, {"error": {"message": "tools need --jinja"}}), id="llama.cpp"),
    ],
)
def test_a_server_without_tools_is_told_of_them_in_words(
    bench: Bench, model: Serve, refusal: Refusal
) -> None:
    server = model(refusal, saying(TEXT_CALL), DONE)
    assert failure(bench.play(server.url)) == ""
    assert bench.written
    assert "tools" not in server.asked[1]
    assert '"name": "search_files"' in server.asked[1]["messages"][0]["content"]


def test_results_of_several_calls_in_a_text_come_in_one_message(bench: Bench, model: Serve) -> None:
    """Many chat templates refuse two messages of a user in a row."""
    two = f'{TEXT_CALL}\n{{"name": "read_file", "arguments": {{"path": "a.txt"}}}}'
    server = model(saying(two), DONE)
    bench.play(server.url)
    roles = [message["role"] for message in server.asked[1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert server.asked[1]["messages"][3]["content"].count("Result: ") == 2


def test_no_more_than_a_few_calls_of_one_answer_are_made(bench: Bench, model: Serve) -> None:
    lines = [json.dumps({"name": "read_file", "arguments": {"path": f"{n}"}}) for n in range(MAX_CALLS + 5)]
    bench.play(model(saying("\n".join(lines)), DONE).url)
    assert len(bench.said("tool")) == MAX_CALLS


def test_a_context_overflow_is_tried_once_with_less(bench: Bench, model: Serve) -> None:
    (bench.work / "big.txt").write_text("word word word word\n" * 400)
    full = Refusal(400, {"error": {"message": "the request exceeds the available context size"}})
    looks = [calling("read_file", path="big.txt", offset=n) for n in range(1, 5)]
    server = model(*looks, full, WRITE, DONE)
    assert failure(bench.play(server.url, window=100_000)) == ""
    before, after = server.asked[4], server.asked[5]
    assert len(json.dumps(after)) < 0.75 * len(json.dumps(before))
    assert "dropped" in observations(after)[0]
    assert "word word" in observations(after)[-1]


def test_a_prompt_that_cannot_fit_is_not_sent_to_be_cut_in_silence(bench: Bench, model: Serve) -> None:
    server = model(DONE)
    report = bench.play(server.url, window=1000, task="word " * 2000)
    assert failure(report) == "context"
    assert server.asked == []


def test_the_oldest_observations_give_way_before_the_window_is_full(bench: Bench, model: Serve) -> None:
    (bench.work / "big.txt").write_text("word word word word\n" * 320)
    looks = [calling("read_file", path="big.txt", offset=n) for n in range(1, 9)]
    server = model(*looks, DONE, usage=None)
    bench.play(server.url, window=8000, turns=20)
    last = server.asked[-1]
    assert all(len(json.dumps(body["messages"])) / 3 <= 8000 for body in server.asked)
    seen = observations(last)
    assert len(seen) == 8
    assert [("dropped" in text) for text in (seen[0], seen[-2], seen[-1])] == [True, False, False]
    assert "\n" not in seen[0]
    assert last["messages"][0]["role"] == "system"
    assert last["messages"][1]["content"] == "Write a.txt."


def test_what_the_model_must_not_do_is_told_as_denied(bench: Bench, model: Serve) -> None:
    server = model(calling("run_command", command="id"), calling("read_file", path="../x"), DONE)
    report = bench.play(server.url)
    assert report.denied == ("run_command", "read_file")
    assert failure(report, changed=False) == "denied"


def test_cached_tokens_are_not_counted_twice(bench: Bench, stub: Stub) -> None:
    report = bench.play(f"{stub.url}/v1")
    assert (report.usage.input, report.usage.cached, report.usage.output) == (468, 2000, 112)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": "many"}, {"prompt_tokens": -1}])
def test_what_a_server_does_not_count_is_unknown_but_still_limited(
    bench: Bench, model: Serve, usage: Json | None
) -> None:
    server = model(WRITE, calling("read_file", path="a.txt"), DONE, usage=usage)
    report = bench.play(server.url, tokens=20)
    assert report.usage.tokens is None
    assert failure(report) == "budget"


def test_an_answer_that_was_cut_writes_nothing(bench: Bench, model: Serve) -> None:
    bench.play(model(saying(XML_CALL), finish="length").url)
    assert not bench.written


def test_half_of_a_surrogate_pair_in_an_answer_breaks_nothing(bench: Bench, model: Serve) -> None:
    bad = calling("write_file", path="b\ud800", content="\ud800")
    server = model({**bad, "content": "\ud800"}, calling("\ud800"), WRITE, DONE)
    assert failure(bench.play(server.url)) == ""


def test_every_line_of_the_agent_is_short(bench: Bench, model: Serve) -> None:
    long = saying("word " * 100_000)
    report = bench.play(model(calling("read_file", path="x" * 5000), long).url)
    assert report.finished
    assert max(len(json.dumps(line)) for line in bench.lines) < 20_000
