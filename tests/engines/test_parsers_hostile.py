"""Whatever an engine puts out, its parser does not raise, and a line that makes no sense changes nothing."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from typing import Any

import pytest

from aq.core.engine.usage import Usage
from aq.core.value import replace
from aq.host.engines import ENGINES
from tests.engines.replay import Stream, events, lines, report, verdict
from tests.engines.streams import GOOD

GARBAGE = {
    "no JSON": "this is no JSON",
    "cut JSON": '{"type":"result","subtype":"succ',
    "a list": '["result"]',
    "a number": "17",
    "nothing": "",
    "null bytes": "\x00\x00{\x00}",
    "NaN": '{"type":"garbage","usage":{"input_tokens":NaN,"output_tokens":Infinity}}',
    "deep nesting": '{"type":' + "[" * 100_000,
    "deep objects": '{"a":' * 50_000,
    "a long line": json.dumps({"type": "noise", "text": "x" * 200_000}),
    "a long line of text": "x" * 200_000,
    "a long cut line": '{"type":"noise","text":"' + "x" * 200_000,
    "half a character": '{"type":"noise","text":"\\ud800"}',
    "a huge number": '{"type":"noise","usage":{"input_tokens":' + "9" * 4000 + "}}",
    "an escape sequence": "\x1b[31mred\x1b[0m \x1b]0;title\x07",
    "a byte order mark": '\ufeff{"type":"noise"}',
}
# Text has no form: every line of it is something said.
FORMED = [engine for engine in GOOD if engine not in ("devin", "crush", "aider")]


@pytest.mark.parametrize("engine", FORMED)
@pytest.mark.parametrize("line", GARBAGE.values(), ids=GARBAGE)
def test_a_garbage_line_changes_nothing(engine: str, line: str) -> None:
    good = GOOD[engine]
    plain = report(engine, good)
    for place in (0, len(good.out) // 2):
        out = (*good.out[:place], line, *good.out[place:])
        assert report(engine, replace(good, out=out)) == plain
    assert replace(report(engine, replace(good, err=(line,))), stderr=()) == plain


@pytest.mark.parametrize("engine", [*GOOD, "shell", "local"])
@pytest.mark.parametrize("line", GARBAGE.values(), ids=GARBAGE)
def test_garbage_alone_is_never_an_error_of_ours(engine: str, line: str) -> None:
    found = report(engine, Stream((line,), (line,), 1, line))
    json.dumps(found.text).encode()
    assert found.usage == Usage()
    assert verdict(engine, Stream((line,), (line,), 1, line)).failure in ("unknown", "agent")


WRONG = (None, True, -1, 0.5, math.nan, math.inf, 10**30, "", "x", "\ud800", [], [1], {}, {"a": 1}, [None])


def twisted(value: Any, dice: random.Random) -> Any:
    """The same with some parts of a wrong type."""
    if dice.random() < 0.15:
        return dice.choice(WRONG)
    if isinstance(value, dict):
        return {key: twisted(item, dice) for key, item in value.items()}
    if isinstance(value, list):
        return [twisted(item, dice) for item in value]
    return value


def records(engine: str) -> Iterator[tuple[Any, ...]]:
    for line in GOOD[engine].out:
        yield json.loads(line) if line.startswith("{") else line


@pytest.mark.parametrize("engine", GOOD)
def test_wrong_types_in_any_place_are_never_an_error_of_ours(engine: str) -> None:
    dice = random.Random(engine)
    good = GOOD[engine]
    artifact = json.loads(good.artifact) if good.artifact else None
    for _ in range(60):
        out = lines(*(twisted(record, dice) for record in records(engine)))
        left = json.dumps(twisted(artifact, dice))
        found = report(engine, Stream(tuple(map(str, out)), (), dice.choice((0, 1, -9)), left))
        for used in (found.usage.input, found.usage.cached, found.usage.output, found.usage.usd):
            assert used is None or 0 <= used < math.inf
        json.dumps([found.text, found.session, found.model, found.denied]).encode("utf-8")
        found.text.encode("utf-8")


# The others end with their exit code, or with a file.
ENDED = [engine for engine in GOOD if engine not in ("devin", "crush", "aider", "mini")]


@pytest.mark.parametrize("engine", ENDED)
def test_a_stream_cut_anywhere_is_never_an_error_of_ours_nor_a_success(engine: str) -> None:
    whole = "\n".join(GOOD[engine].out)
    for end in range(0, len(whole) - 1, max(1, len(whole) // 60)):
        cut = Stream(tuple(whole[:end].split("\n")))
        assert verdict(engine, cut, changed=True).failure == "unknown"


@pytest.mark.parametrize("engine", ["mini", "copilot", "devin"])
def test_a_file_cut_anywhere_is_never_an_error_of_ours(engine: str) -> None:
    good = GOOD[engine]
    for end in range(0, len(good.artifact), 7):
        events(engine, replace(good, artifact=good.artifact[:end]))


def test_what_is_said_is_cut_and_clean() -> None:
    said = "\x1b[31m" + "\x00" + "x" * 100_000 + "\ud800 end"
    out = lines({"type": "assistant", "message": {"content": [{"type": "text", "text": said}]}})
    found = report("claude", Stream(out))
    assert len(found.text) <= 20_000
    assert found.text.endswith("? end")
    assert not any(ord(character) < 32 for character in found.text)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_parser_is_new_for_every_run(engine: str) -> None:
    make = ENGINES[engine].parser
    assert make() is not make()
