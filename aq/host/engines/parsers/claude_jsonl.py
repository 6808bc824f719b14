"""Claude Code's stream-json, and its close relatives: Qwen Code, Amp and Cursor's agent."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
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
from aq.host.engines.parsers.reading import items, mapping, record, session, status, text, what_of, word

_SYNTHETIC = "<synthetic>"
_LIMIT_ENDS = re.compile(r"limit reached\|(\d{10})\b")


def usage_of(said: object, usd: object = None) -> Usage:
    """Usage where `input_tokens` leaves out what was read from the cache."""
    used = mapping(said)
    fresh, written = counted(used.get("input_tokens")), counted(used.get("cache_creation_input_tokens"))
    return Usage(
        fresh if written is None else written + (fresh or 0),
        counted(used.get("cache_read_input_tokens")),
        counted(used.get("output_tokens")),
        usd=money(usd),
    )


class ClaudeParser:
    """`api_errors`: a result may be an error that only its words tell. `session_totals`: the result's
    usage counts earlier runs of the session too."""

    def __init__(self, *, api_errors: bool = False, session_totals: bool = False) -> None:
        self._api_errors, self._session_totals = api_errors, session_totals
        self._counted: set[str] = set()
        self._tools: dict[str, str] = {}
        self._error = ""
        self._session = ""

    def line(self, text: str, *, stderr: bool) -> Sequence[Event]:
        """The events of one line."""
        said = {} if stderr else record(text)
        match said.get("type"):
            case "system":
                return self._system(said)
            case "assistant":
                return self._assistant(said)
            case "user":
                return self._tool_results(said)
            case "tool_call":
                return self._cursor_tool(said)
            case "result":
                return self._result(said)
            case _:
                return ()

    def end(self, code: int, artifact: str) -> Sequence[Event]:  # noqa: ARG002
        """Nothing more: the result line has it all."""
        return ()

    def _system(self, said: dict[str, Any]) -> list[Event]:
        match said.get("subtype"):
            case "init":
                self._session = session(said.get("session_id"))
                return [Started(self._session, word(said.get("model")))]
            case "api_retry":
                delay = money(said.get("retry_delay_ms"))
                return [
                    Retrying(
                        status(said.get("error_status")),
                        None if delay is None else delay / 1000,
                        counted(said.get("attempt")) or 0,
                        word(said.get("error")),
                    )
                ]
            case _:
                return []

    def _assistant(self, said: dict[str, Any]) -> list[Event]:
        self._error = word(said.get("error")) or self._error
        message = mapping(said.get("message"))
        found: list[Event] = []
        for block in map(mapping, items(message.get("content"))):
            if block.get("type") == "tool_use":
                tool = self._tools[word(block.get("id"))] = word(block.get("name"))
                found.append(ToolCalled(tool, what_of(block.get("input"))))
            elif block.get("type") == "text" and message.get("model") != _SYNTHETIC:
                found.append(Said(text(block.get("text"))))
        # One message comes in several lines, each with the same usage.
        name = word(message.get("id"))
        if message.get("usage") and name not in self._counted:
            self._counted |= {name} - {""}
            found.append(Used(usage_of(message["usage"])))
        return found

    def _tool_results(self, said: dict[str, Any]) -> list[Event]:
        blocks = map(mapping, items(mapping(said.get("message")).get("content")))
        return [
            ToolDone(
                self._tools.get(word(block.get("tool_use_id")), ""), ok=block.get("is_error") is not True
            )
            for block in blocks
            if block.get("type") == "tool_result"
        ]

    def _cursor_tool(self, said: dict[str, Any]) -> list[Event]:
        call = mapping(said.get("tool_call"))
        name = next((key for key in call if key.endswith("ToolCall")), next(iter(call), ""))
        inner, tool = mapping(call.get(name)), word(name.removesuffix("ToolCall"))
        if said.get("subtype") == "started":
            return [ToolCalled(tool, what_of(inner.get("args")))]
        outcome = mapping(inner.get("result"))
        return [ToolDone(tool, ok="error" not in outcome, denied="rejected" in outcome)]

    def _result(self, said: dict[str, Any]) -> list[Event]:
        found: list[Event] = [
            ToolDone(word(mapping(denial).get("tool_name")), ok=False, denied=True)
            for denial in items(said.get("permission_denials"))
        ]
        name = session(said.get("session_id"))
        if name and name != self._session:
            found.append(Started(name))
        used = usage_of(said.get("usage"), said.get("total_cost_usd"))
        if used != Usage():
            found.append(Used(used, total=True, session=self._session_totals))
        words, subtype = text(said.get("result")), word(said.get("subtype"))
        ok = said.get("is_error") is not True and subtype == "success"
        ok = ok and not (self._api_errors and words.startswith("[API Error"))
        if not ok:
            found.append(self._fault(said, words))
        return [*found, Finished(ok, words, "" if ok else _ending(said), counted(said.get("num_turns")))]

    def _fault(self, said: dict[str, Any], words: str) -> Faulted:
        errors = "; ".join(word(error) for error in items(said.get("errors")))
        ends = _LIMIT_ENDS.search(words)
        return Faulted(
            words or errors or _ending(said),
            status(said.get("api_error_status")),
            self._error or _ending(said),
            max(0.0, int(ends[1]) - time.time()) if ends else None,
        )


def _ending(said: dict[str, Any]) -> str:
    """Why a failed run ended: its subtype is `success` even then."""
    subtype = word(said.get("subtype"))
    reason = word(said.get("terminal_reason"))
    return subtype if subtype not in ("success", "") else reason if reason != "completed" else "error"
