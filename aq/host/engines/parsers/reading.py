"""Reading what an engine says without trusting it: wrong types, NaN, cut lines, deep nesting and odd
characters give nothing, never an error."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

MAX_TEXT = 20_000
MAX_WHAT = 200
MAX_LINE = 4 * 1024 * 1024
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
# What a tool is used on, in the words of the engines' tools.
_SUBJECTS = ("command", "cmd", "file_path", "filePath", "path", "absolute_path", "pattern", "query", "url")
DENIED = re.compile(
    r"permission|not allowed|not permitted|denied|rejected|declined|disallowed"
    r"|(?:requires?|needs?|awaiting) (?:user )?(?:approval|confirmation)",
    re.IGNORECASE,
)


def record(line: str) -> dict[str, Any]:
    """The JSON object of a line, or an empty one."""
    start = line.lstrip("\x00 \t\ufeff")
    if not start.startswith("{") or len(start) > MAX_LINE:
        return {}
    try:
        found = json.loads(start, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def mapping(value: object) -> dict[str, Any]:
    """A mapping, or an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """A list, or an empty one."""
    return value if isinstance(value, list) else []


def text(value: object, limit: int = MAX_TEXT) -> str:
    """Text that can be shown and stored: no escapes, no control characters, no half characters."""
    if not isinstance(value, str):
        return ""
    plain = _CONTROL.sub("", _ANSI.sub("", value[-limit:]))
    return plain.encode("utf-8", "replace").decode()


def word(value: object) -> str:
    """One short line of text."""
    return " ".join(text(value, MAX_WHAT * 4).split())[:MAX_WHAT]


def session(value: object) -> str:
    """A session's id that is safe to hand back to the engine as an argument, or nothing."""
    return value if isinstance(value, str) and _SESSION.fullmatch(value) else ""


def status(value: object) -> int | None:
    """An HTTP status."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 100 <= value < 600 else None


def what_of(arguments: object) -> str:
    """What a tool is used on: its command, file or pattern."""
    given = mapping(arguments)
    return next((word(given[name]) for name in _SUBJECTS if isinstance(given.get(name), str)), "")


def words_of(error: object) -> str:
    """The words of an error in any of the forms that engines give it."""
    if isinstance(error, str):
        return text(error)
    given = mapping(error)
    for name in ("message", "error", "detail", "reason"):
        if given.get(name):
            return words_of(given[name])
    return words_of(given["data"]) if given.get("data") else ""


def header(headers: object, name: str) -> str:
    """A header by its name in any case."""
    for key, value in mapping(headers).items():
        if key.lower() == name:
            return word(value if isinstance(value, str) else str(value))
    return ""


def without(total: int | None, part: int | None) -> int | None:
    """What of a total is not the part; unknown stays unknown."""
    return total if total is None or part is None else max(0, total - part)


def first(values: Mapping[str, Any], *names: str) -> Any:
    """The first of these keys that has a value."""
    return next((values[name] for name in names if values.get(name) is not None), None)
