"""How models ask for a tool: native calls, JSON in the text, or XML in the text. Small models mix them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from aq.core.value import Value

_NAMES = ("name", "tool", "tool_name", "function", "action")
_ARGUMENTS = ("arguments", "parameters", "args", "input", "action_input")
_MARKERS = re.compile(r'<tool_call|<function[=_ ]|<invoke |\[TOOL_CALLS\]|"arguments"\s*:|"tool"\s*:')
_THOUGHT = re.compile(r"\A\s*<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
_FUNCTION = re.compile(r"<function=([\w.-]+)>(.*?)</function>", re.DOTALL)
_INVOKE = re.compile(r'<invoke\s+name="([\w.-]+)"\s*>(.*?)</invoke>', re.DOTALL)
_PARAMETER = re.compile(r'<parameter(?:=|\s+name=")([\w.-]+)"?>(.*?)</parameter>', re.DOTALL)
_TAG = re.compile(r"<([a-z_]+)>(.*?)</\1>", re.DOTALL)
_DECODER = json.JSONDecoder(strict=False)
_MAX_LOOKS = 200


class Call(Value):
    """A tool that the model wants used. `id` is set for a native call, whose answer must name it."""

    name: str
    arguments: dict[str, Any]
    id: str = ""

    @property
    def key(self) -> str:
        """The same for the same call."""
        return f"{self.name} {json.dumps(self.arguments, sort_keys=True)}"


class Answer(Value):
    """What a message says: calls, or words, or neither because of a `problem`."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    problem: str = ""


def read_answer(message: dict[str, Any], tools: frozenset[str], *, cut: bool = False) -> Answer:
    """The calls of a message in whichever form they come; `cut` when the server ended it early."""
    text = _words(message.get("content"))
    native = message.get("tool_calls")
    try:
        if isinstance(native, list) and native:
            return Answer(text, tuple(_native(call, number) for number, call in enumerate(native)))
    except ValueError as error:
        return Answer(text, problem=f"the tool call cannot be read: {error}")
    if cut:
        return Answer(text, problem="the answer was cut off because it is too long: use smaller steps")
    calls = tuple(_xml(text, tools)) or tuple(_json(text, tools))
    if calls:
        return Answer(text, calls)
    if _MARKERS.search(text):
        return Answer(text, problem="this looks like a tool call, but it cannot be read")
    return Answer(text, problem="" if text else "the answer is empty")


def _words(content: object) -> str:
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    return _THOUGHT.sub("", content).strip() if isinstance(content, str) else ""


def _native(call: object, number: int) -> Call:
    function = call.get("function") if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(call, dict) or not isinstance(function, dict) or not isinstance(name, str) or not name:
        raise ValueError("it names no tool")
    own = call.get("id")
    return Call(
        name, _arguments(function.get("arguments")), own if isinstance(own, str) and own else f"call_{number}"
    )


def _arguments(given: object) -> dict[str, Any]:
    # OpenAI has a JSON string here, Ollama an object.
    if isinstance(given, str):
        try:
            given = json.loads(given or "{}", strict=False)
        except RecursionError:
            raise ValueError("the arguments are nested too deeply") from None
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ValueError("the arguments are no object")
    return given


def _json(text: str, tools: frozenset[str]) -> Iterator[Call]:
    at, looks = 0, 0
    while looks < _MAX_LOOKS and (start := re.compile(r"[{\[]").search(text, at)):
        looks += 1
        try:
            found, at = _DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            at = start.start() + 1
            continue
        for item in found if isinstance(found, list) else [found]:
            call = _call_of(item, tools) if isinstance(item, dict) else None
            if call:
                yield call


def _call_of(item: dict[str, Any], tools: frozenset[str]) -> Call | None:
    inner = item.get("function")
    if isinstance(inner, dict):
        item = inner
    named = next((key for key in _NAMES if isinstance(item.get(key), str)), "")
    given = next((key for key in _ARGUMENTS if key in item), "")
    if not named or (not given and item[named] not in tools):
        return None
    flat = {key: value for key, value in item.items() if key != named}
    try:
        return Call(item[named], _arguments(item[given]) if given else flat)
    except ValueError:
        return None


def _xml(text: str, tools: frozenset[str]) -> Iterator[Call]:
    for form in (_FUNCTION, _INVOKE):
        for name, body in form.findall(text):
            call = _xml_call(name, body, _PARAMETER)
            if call:
                yield call
    if "<parameter" in text or "<function=" in text:
        return
    for name, body in _TAG.findall(text):
        if name in tools and (call := _xml_call(name, body, _TAG)):
            yield call


def _xml_call(name: str, body: str, parameter: re.Pattern[str]) -> Call | None:
    if body.strip().startswith("{"):
        try:
            return Call(name, _arguments(body.strip()))
        except ValueError:
            return None
    return Call(name, {key: _value(value) for key, value in parameter.findall(body)})


def _value(text: str) -> str:
    # The line breaks next to the tags are layout, those within are the value.
    return text.removeprefix("\n").removesuffix("\n") if "\n" in text else text
