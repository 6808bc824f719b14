"""opencode's `run --format json`: steps, parts and errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aq.core.engine.classify import reset_of
from aq.core.engine.events import Event, Faulted, Finished, Said, Started, ToolCalled, ToolDone, Used
from aq.core.engine.usage import Usage, counted, money
from aq.host.engines.parsers.reading import (
    DENIED,
    MAX_TEXT,
    header,
    mapping,
    record,
    session,
    status,
    text,
    what_of,
    word,
    words_of,
)

_GOES_ON = ("tool-calls", "tool_calls")


def usage_of(part: dict[str, Any]) -> Usage:
    """One step's usage, its input without the cache. A price of nothing means that it knows no price."""
    tokens = mapping(part.get("tokens"))
    cache = mapping(tokens.get("cache"))
    fresh, written = counted(tokens.get("input")), counted(cache.get("write"))
    return Usage(
        fresh if not written else written + (fresh or 0),
        counted(cache.get("read")),
        counted(tokens.get("output")),
        counted(tokens.get("reasoning")),
        money(part.get("cost")) or None,
    )


class OpencodeParser:
    """A run is finished when a step stops for no more tools."""

    def __init__(self) -> None:
        self._session = ""
        self._text = ""
        self._steps = 0

    def line(self, text: str, *, stderr: bool) -> Sequence[Event]:
        """The events of one line."""
        said = {} if stderr else record(text)
        if not said:
            return ()
        found: list[Event] = []
        name = session(said.get("sessionID"))
        if name and name != self._session:
            self._session = name
            found.append(Started(name))
        return [*found, *self._event(said, mapping(said.get("part")))]

    def end(self, code: int, artifact: str) -> Sequence[Event]:  # noqa: ARG002
        """Nothing more: the last step or error has it all."""
        return ()

    def _event(self, said: dict[str, Any], part: dict[str, Any]) -> list[Event]:
        match said.get("type"):
            case "text":
                self._text = (self._text + text(part.get("text")))[-MAX_TEXT:]
                return [Said(self._text)]
            case "tool_use":
                return self._tool(part)
            case "step_finish":
                return self._step(part)
            case "error":
                return self._error(mapping(said.get("error")), said.get("error"))
            case _:
                return []

    def _tool(self, part: dict[str, Any]) -> list[Event]:
        self._text = ""
        tool, state = word(part.get("tool")), mapping(part.get("state"))
        found: list[Event] = [ToolCalled(tool, what_of(state.get("input")))]
        match state.get("status"):
            case "completed":
                found.append(ToolDone(tool))
            case "error":
                denied = bool(DENIED.search(words_of(state)))
                found.append(ToolDone(tool, ok=False, denied=denied))
            case _:
                pass
        return found

    def _step(self, part: dict[str, Any]) -> list[Event]:
        self._steps += 1
        used = usage_of(part)
        found: list[Event] = [Used(used)] if used != Usage() else []
        reason = word(part.get("reason"))
        if reason and reason not in _GOES_ON:
            ok = reason == "stop"
            found.append(Finished(ok, self._text, "" if ok else reason, self._steps))
        return found

    def _error(self, error: dict[str, Any], raw: object) -> list[Event]:
        data = mapping(error.get("data"))
        words = words_of(data) or words_of(raw)
        wait = header(data.get("responseHeaders"), "retry-after")
        reset = reset_of(f"retry-after: {wait}") if wait else reset_of(words)
        name = word(error.get("name"))
        return [
            Faulted(words or name, status(data.get("statusCode")), name, reset),
            Finished(False, self._text, name, self._steps or None),
        ]
