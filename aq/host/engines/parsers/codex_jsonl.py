"""Codex's `exec --json`: threads, turns and items."""

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
from aq.host.engines.parsers.reading import items, mapping, record, session, text, without, word, words_of

_RECONNECTING = re.compile(r"^Reconnecting\W+(\d+)/\d+")
_TOOLS = {
    "command_execution": "shell",
    "file_change": "edit",
    "mcp_tool_call": "mcp",
    "web_search": "web_search",
}


def usage_of(said: object) -> Usage:
    """Usage where the input holds what came from the cache, and the output holds the reasoning."""
    used = mapping(said)
    cached, reasoning = counted(used.get("cached_input_tokens")), counted(used.get("reasoning_output_tokens"))
    return Usage(
        without(counted(used.get("input_tokens")), cached),
        cached,
        without(counted(used.get("output_tokens")), reasoning),
        reasoning,
    )


class CodexParser:
    """Its usage counts the whole thread, so a resumed run must subtract."""

    def __init__(self) -> None:
        self._text = ""
        self._items = 0
        self._open: set[str] = set()

    def line(self, text: str, *, stderr: bool) -> Sequence[Event]:
        """The events of one line."""
        said = {} if stderr else record(text)
        match said.get("type"):
            case "thread.started":
                return [Started(session(said.get("thread_id")))]
            case "item.started" | "item.updated" | "item.completed":
                return self._item(mapping(said.get("item")), done=said["type"] == "item.completed")
            case "turn.completed":
                used = usage_of(said.get("usage"))
                total = [Used(used, total=True, session=True)] if used != Usage() else []
                return [*total, Finished(True, self._text, turns=self._items or None)]
            case "error":
                return self._error(words_of(said))
            case "turn.failed":
                words = words_of(said.get("error"))
                return [_fault(words), Finished(False, self._text, "turn.failed", self._items or None)]
            case _:
                return ()

    def end(self, code: int, artifact: str) -> Sequence[Event]:  # noqa: ARG002
        """Nothing more: `turn.completed` has it all."""
        return ()

    def _error(self, words: str) -> list[Event]:
        again = _RECONNECTING.match(words)
        if again:
            return [Retrying(status_of(words), reset_of(words), min(int(again[1][:6]), 10**6), word(words))]
        return [_fault(words)]

    def _item(self, item: dict[str, Any], *, done: bool) -> list[Event]:
        kind, name = word(item.get("type")), word(item.get("id"))
        if done and (kind == "agent_message" or kind in _TOOLS):
            self._items += 1
        if kind == "agent_message":
            self._text = text(item.get("text")) or self._text
            return [Said(self._text)] if done else []
        tool = _TOOLS.get(kind)
        if not tool:
            return []
        found: list[Event] = []
        if not name or name not in self._open:
            self._open.add(name)
            found.append(ToolCalled(word(item.get("tool")) or tool, _what(item)))
        if done:
            ended = item.get("status")
            ok = item.get("exit_code") in (0, None) and ended in ("completed", None)
            found.append(ToolDone(tool, ok=ok, denied=ended == "declined"))
        return found


def _fault(words: str) -> Faulted:
    return Faulted(words, status_of(words), reset=reset_of(words))


def _what(item: dict[str, Any]) -> str:
    paths = ", ".join(word(mapping(change).get("path")) for change in items(item.get("changes"))[:5])
    return word(item.get("command")) or word(item.get("query")) or word(paths)
