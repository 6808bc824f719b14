"""Gemini CLI's stream-json."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from aq.core.engine.classify import reset_of, status_of
from aq.core.engine.events import (
    Event,
    Faulted,
    Finished,
    Retrying,
    Said,
    Started,
    ToolCalled,
    ToolDone,
    Used,
)
from aq.core.engine.usage import Usage, counted
from aq.host.engines.parsers.reading import (
    DENIED,
    MAX_TEXT,
    mapping,
    record,
    session,
    text,
    what_of,
    without,
    word,
    words_of,
)

_ATTEMPT = re.compile(r"^Attempt (\d{1,6}) failed\b")
_AGAIN = re.compile(r"\bRetrying (?:after (\d{1,9}(?:\.\d{1,9})?) ?ms|with backoff)")
_LOOP = re.compile(r"loop detected", re.IGNORECASE)


def usage_of(said: object) -> Usage:
    """Usage where the input holds what came from the cache; thoughts are only in the total."""
    used = mapping(said)
    given, cached = counted(used.get("input_tokens")), counted(used.get("cached"))
    output, total = counted(used.get("output_tokens")), counted(used.get("total_tokens"))
    thoughts = None if None in (given, output) else without(total, (given or 0) + (output or 0))
    return Usage(without(given, cached), cached, output, thoughts or None)


class GeminiParser:
    """It ends a run that goes in circles with a warning and calls that a success: it is none."""

    def __init__(self) -> None:
        self._text = ""
        self._turns = 0
        self._tools: dict[str, str] = {}
        self._looped = False
        self._attempt = ""

    def line(self, text: str, *, stderr: bool) -> Sequence[Event]:
        """The events of one line; only retries are told on stderr."""
        if stderr:
            return self._again(text[:4000])
        said = record(text)
        match said.get("type"):
            case "init":
                return [Started(session(said.get("session_id")), word(said.get("model")))]
            case "message":
                return self._message(said)
            case "tool_use":
                return self._tool_use(said)
            case "tool_result":
                return self._tool_result(said)
            case "error":
                return self._error(said)
            case "result":
                return self._result(said)
            case _:
                return [_fault(said["error"])] if said.get("error") and "type" not in said else ()

    def end(self, code: int, artifact: str) -> Sequence[Event]:  # noqa: ARG002
        """Nothing more: the result line has it all."""
        return ()

    def _again(self, line: str) -> list[Event]:
        # An error's words may take several lines, and the last says that it tries again.
        if _ATTEMPT.match(line):
            self._attempt = line
        again = _AGAIN.search(line)
        failed = _ATTEMPT.match(self._attempt)
        if not again or not failed:
            return []
        words, self._attempt = self._attempt, ""
        delay = float(again[1]) / 1000 if again[1] else None
        return [Retrying(status_of(words), delay, int(failed[1]), word(words))]

    def _message(self, said: dict[str, Any]) -> list[Event]:
        if said.get("role") != "assistant":
            return []
        if not self._text:
            self._turns += 1
        piece = text(said.get("content"))
        self._text = (self._text + piece if said.get("delta") is True else piece)[-MAX_TEXT:]
        return [Said(self._text)]

    def _tool_use(self, said: dict[str, Any]) -> list[Event]:
        self._turns += not self._text
        self._text = ""
        tool = self._tools[word(said.get("tool_id"))] = word(said.get("tool_name"))
        return [ToolCalled(tool, what_of(said.get("parameters")))]

    def _tool_result(self, said: dict[str, Any]) -> list[Event]:
        ok = said.get("status") == "success"
        words = f"{words_of(said.get('error'))} {mapping(said.get('error')).get('type', '')}"
        denied = not ok and bool(DENIED.search(words))
        return [ToolDone(self._tools.get(word(said.get("tool_id")), ""), ok=ok, denied=denied)]

    def _error(self, said: dict[str, Any]) -> list[Event]:
        words = words_of(said)
        if _LOOP.search(words):
            self._looped = True
            return [Faulted(words, code="loop_detected")]
        return [_fault(said)] if said.get("severity") != "warning" else []

    def _result(self, said: dict[str, Any]) -> list[Event]:
        used = usage_of(said.get("stats"))
        found: list[Event] = [Used(used, total=True)] if used != Usage() else []
        ok = said.get("status") == "success" and not self._looped
        if said.get("error"):
            found.append(_fault(said["error"]))
        code = "" if ok else "loop_detected" if self._looped else word(mapping(said.get("error")).get("type"))
        return [*found, Finished(ok, self._text, code, self._turns or None)]


def _fault(error: object) -> Faulted:
    words, given = words_of(error), mapping(error)
    status = given.get("status", given.get("code"))
    known = status if isinstance(status, int) and 400 <= status < 600 else status_of(words)
    return Faulted(words, known, word(given.get("type")), reset_of(words))
