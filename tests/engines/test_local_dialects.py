"""Whatever form a model asks for a tool in, the call is the same; and mere words are never taken for one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aq.host.engines.local_agent.dialects import Call, read_answer
from aq.host.engines.local_agent.tools import TOOLS

ARGUMENTS = {"path": "a.txt", "content": "line 1\nline 2\n"}
JSON = json.dumps({"name": "write_file", "arguments": ARGUMENTS})
XML = (
    "<function=write_file>\n<parameter=path>\na.txt\n</parameter>\n"
    "<parameter=content>\nline 1\nline 2\n\n</parameter>\n</function>"
)
INVOKE = (
    '<invoke name="write_file"><parameter name="path">a.txt</parameter>'
    '<parameter name="content">line 1\nline 2\n\n</parameter></invoke>'
)
TAGS = "<write_file><path>a.txt</path><content>\nline 1\nline 2\n\n</content></write_file>"


def native(arguments: object, **more: object) -> dict[str, Any]:
    call = {"id": "c1", "type": "function", "function": {"name": "write_file", "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [{**call, **more}]}


FORMS: dict[str, dict[str, Any]] = {
    "native, arguments as a text": native(json.dumps(ARGUMENTS)),
    "native, arguments as an object": native(ARGUMENTS),
    "native, raw line breaks in the text": native('{"path": "a.txt", "content": "line 1\nline 2\n"}'),
    "bare JSON": {"content": JSON},
    "JSON after prose": {"content": f"I will write {{it}} now.\n{JSON}\nThen I am done."},
    "fenced JSON": {"content": f"```json\n{JSON}\n```"},
    "JSON in tags": {"content": f"<tool_call>\n{JSON}\n</tool_call>"},
    "JSON in a list": {"content": f"[TOOL_CALLS] [{JSON}]"},
    "JSON with raw line breaks": {"content": JSON.replace("\\n", "\n")},
    "JSON after a thought": {"content": f"<think>Maybe {JSON.replace('a.txt', 'b.txt')}</think>\n{JSON}"},
    "JSON as in the protocol": {"content": json.dumps({"type": "function", "function": json.loads(JSON)})},
    "JSON with other keys": {"content": json.dumps({"tool": "write_file", "parameters": ARGUMENTS})},
    "JSON with the arguments as a text": {
        "content": json.dumps({"name": "write_file", "arguments": json.dumps(ARGUMENTS)})
    },
    "flat JSON": {"content": json.dumps({"tool": "write_file", **ARGUMENTS})},
    "content in parts": {"content": [{"type": "text", "text": JSON}, {"type": "image"}, "odd"]},
    "XML": {"content": XML},
    "XML in tags": {"content": f"Now:\n<tool_call>\n{XML}\n</tool_call>"},
    "XML with JSON inside": {"content": f"<function=write_file>{json.dumps(ARGUMENTS)}</function>"},
    "invoke": {"content": f"<function_calls>{INVOKE}</function_calls>"},
    "tags named like the tool": {"content": TAGS},
}


@pytest.mark.parametrize("message", FORMS.values(), ids=FORMS)
def test_every_form_of_a_call_is_the_same_call(message: dict[str, Any]) -> None:
    answer = read_answer(message, TOOLS)
    assert answer.problem == ""
    assert [(call.name, call.arguments) for call in answer.calls] == [("write_file", ARGUMENTS)]
    assert bool(answer.calls[0].id) == ("tool_calls" in message)


def test_several_calls_keep_their_order_and_their_ids() -> None:
    functions = [{"name": "read_file", "arguments": {"path": name}} for name in "abc"]
    message = {"tool_calls": [{"id": "x", "function": functions[0]}, {"function": functions[1]}]}
    assert [call.id for call in read_answer(message, TOOLS).calls] == ["x", "call_1"]
    text = "\n".join(json.dumps(function) for function in functions)
    answer = read_answer({"content": text}, TOOLS)
    assert [call.arguments["path"] for call in answer.calls] == ["a", "b", "c"]


def test_a_call_of_a_tool_that_is_not_there_is_a_call() -> None:
    answer = read_answer({"content": '{"name": "delete_all", "arguments": {}}'}, TOOLS)
    assert [call.name for call in answer.calls] == ["delete_all"]


NO_CALLS = {
    "prose": "Done: the file is there.",
    "prose with braces": "I used {x} and [y] and {'a': 1}.",
    "JSON that is data": 'The file is now {"name": "demo", "version": "1.0.0"}.',
    "a code block": "```python\nprint({'name': 'a'})\n```",
    "tags of another kind": "<b>Done</b>",
    "many brackets": "{[" * 5000,
}


@pytest.mark.parametrize("text", NO_CALLS.values(), ids=NO_CALLS)
def test_words_are_no_call(text: str) -> None:
    answer = read_answer({"content": text}, TOOLS)
    assert (answer.calls, answer.problem, answer.text) == ((), "", text)


def test_a_thought_is_not_said() -> None:
    assert read_answer({"content": "<think>Hm.</think>Done."}, TOOLS).text == "Done."


PROBLEMS: dict[str, tuple[dict[str, Any], str]] = {
    "no words": ({"content": ""}, "empty"),
    "no message": ({}, "empty"),
    "only a thought": ({"content": "<think>Hm, let me"}, "empty"),
    "words that are none": ({"content": 7}, "empty"),
    "arguments that are no JSON": (native('{"path": '), "cannot be read"),
    "arguments that are a list": (native("[1]"), "no object"),
    "arguments that are too deep": (native("[" * 100_000), "nested too deeply"),
    "a native call without a function": ({"tool_calls": [{"id": "x"}]}, "names no tool"),
    "a native call without a name": (native({}, function={"arguments": {}}), "names no tool"),
    "a native call that is a text": ({"tool_calls": ["write_file"]}, "names no tool"),
    "half of a JSON call": ({"content": JSON[:-5]}, "cannot be read"),
    "a tag without its end": ({"content": XML.removesuffix("</function>")}, "cannot be read"),
    "a tag with nonsense": ({"content": "<tool_call>write it</tool_call>"}, "cannot be read"),
    "arguments that are a number": ({"content": '{"name": "write_file", "arguments": 7}'}, "cannot be read"),
    "broken JSON in a function": ({"content": "<function=write_file>{oops</function>"}, "cannot be read"),
}


@pytest.mark.parametrize(("message", "part"), PROBLEMS.values(), ids=PROBLEMS)
def test_what_cannot_be_read_is_a_problem_and_never_half_a_call(message: dict[str, Any], part: str) -> None:
    answer = read_answer(message, TOOLS)
    assert answer.calls == ()
    assert part in answer.problem


def test_an_answer_that_was_cut_is_not_acted_upon() -> None:
    """Half of a file would be written."""
    assert "cut off" in read_answer({"content": XML}, TOOLS, cut=True).problem
    assert read_answer(native("{}"), TOOLS, cut=True).calls


def test_the_same_call_has_the_same_key_in_whatever_order_its_arguments_are() -> None:
    one, other = Call("a", {"x": 1, "y": 2}, "1"), Call("a", {"y": 2, "x": 1}, "2")
    assert one.key == other.key != Call("a", {"x": 1, "y": 3}).key


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
_keys = st.sampled_from(["content", "tool_calls", "function", "name", "arguments", "id", "role"])
_messages = st.dictionaries(_keys, _json | st.dictionaries(_keys, _json, max_size=4), max_size=4)


@settings(max_examples=200, deadline=None)
@given(_messages, st.booleans())
def test_no_message_breaks_the_reader(message: dict[str, Any], cut: bool) -> None:
    answer = read_answer(message, TOOLS, cut=cut)
    assert all(isinstance(call.arguments, dict) and call.name for call in answer.calls)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='{}[]"<>/=:,\\ \nnametolcrgusf_', max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    read_answer({"content": text}, TOOLS)
