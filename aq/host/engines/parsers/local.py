"""The lines of our own agent: one JSON object each, named by `event`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

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
from aq.core.engine.usage import Usage, counted, money

_MAX_STATUS = 999


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""


def _status(said: dict[str, Any]) -> int | None:
    value = counted(said.get("status"))
    return value if value and value <= _MAX_STATUS else None


_EVENTS: dict[str, Callable[[dict[str, Any]], Event]] = {
    "started": lambda said: Started(model=_text(said, "model")),
    "said": lambda said: Said(_text(said, "text")),
    "tool": lambda said: ToolCalled(_text(said, "tool"), _text(said, "what")),
    "tool_done": lambda said: ToolDone(
        _text(said, "tool"), ok=said.get("ok") is True, denied=said.get("denied") is True
    ),
    "retry": lambda said: Retrying(
        _status(said), money(said.get("delay")), counted(said.get("attempt")) or 0, _text(said, "words")
    ),
    "usage": lambda said: Used(
        Usage(counted(said.get("input")), counted(said.get("cached")), counted(said.get("output")))
    ),
    "fault": lambda said: Faulted(
        _text(said, "words"), _status(said), _text(said, "code"), money(said.get("reset"))
    ),
    "finished": lambda said: Finished(
        said.get("ok") is True, _text(said, "text"), _text(said, "code"), counted(said.get("turns"))
    ),
}


class LocalParser:
    """Reads the agent's events; a line that is none is passed over."""

    def line(self, text: str, *, stderr: bool) -> Sequence[Event]:
        """The event of one line."""
        if stderr or not text.startswith("{"):
            return ()
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            return ()
        name = said.get("event") if isinstance(said, dict) else None
        make = _EVENTS.get(name) if isinstance(name, str) else None
        return (make(said),) if make else ()

    def end(self, code: int, artifact: str) -> Sequence[Event]:  # noqa: ARG002
        """Nothing more: the agent says itself when it is finished."""
        return ()
