"""Our own YAML files (records, leases, beats, PAUSED, spend) as values. Read as strictly as a person's
file: whoever can push can write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar

from msgspec import convert
from msgspec.structs import fields

from aq.core.errors import AqError, InvalidFileError
from aq.core.files.document import decode, read_yaml, without_nothing
from aq.core.value import Value

Made = TypeVar("Made", bound=Value)
# A record of 20 full runs with their verdicts has about 1 500 events.
MAX_OWN_EVENTS = 50_000
_MAX_WORDS = 200
# How msgspec ends an error: "- at `$.runs[0].attempt`", with `[...]` for a key of a mapping. What it says
# before may hold the file's own words, and so what looks like an end.
_WHERE = re.compile(r"(?P<what>.*) - at `\$(?P<path>[^`]{0,300})`", re.DOTALL)
_STEP = re.compile(r"\[(\d{1,6})\]|\[(\.\.\.)\]|([^.\[\]]+)")
# As YAML 1.1 has them: who stops the fleet by hand is not asked for a spelling.
_WORDS = {"yes": True, "y": True, "on": True, "no": False, "n": False, "off": False}


def decode_as(cls: type[Made], data: bytes, file: str) -> Made:
    """A value from a YAML file. Raises InvalidFileError naming the file."""
    try:
        front, lines = read_yaml(decode(data), max_events=MAX_OWN_EVENTS)
    except InvalidFileError as error:
        raise error.located(file) from None
    try:
        # A YAML file is read as text throughout: numbers are what the fields make of it.
        return convert(_with_flags(cls, without_nothing(front)), cls, strict=False)
    except AqError as error:
        raise InvalidFileError(error.what, error.hint, file=file, line=1) from None
    except ValueError as error:
        raise _refusal(str(error), lines, file) from None


def _with_flags(cls: type[Value], front: dict[str, Any]) -> dict[str, Any]:
    said = {name: front[name] for name in _flags(cls) if isinstance(front.get(name), str)}
    return {**front, **{name: _WORDS.get(word.lower(), word) for name, word in said.items()}}


@lru_cache(maxsize=32)
def _flags(cls: type[Value]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls) if field.type is bool)


def _refusal(message: str, lines: Mapping[tuple[str | int, ...], int], file: str) -> InvalidFileError:
    found = _WHERE.fullmatch(message)
    what, path = (found["what"], found["path"]) if found else (message, "")
    steps = tuple(int(index) if index else any_key or name for index, any_key, name in _STEP.findall(path))
    key = ".".join(str(step) for step in steps)
    what = what if len(what) <= _MAX_WORDS else f"{what[:_MAX_WORDS]}…"
    return InvalidFileError(
        f"{key}: {what}" if key else what,
        "`aq doctor` offers the repair",
        file=file,
        line=_line(lines, steps),
    )


def _line(lines: Mapping[tuple[str | int, ...], int], steps: tuple[str | int, ...]) -> int:
    """The line of the innermost part that is known."""
    inner = (steps[:depth] for depth in range(len(steps), 0, -1))
    return next((lines[part] for part in inner if part in lines), 1)
