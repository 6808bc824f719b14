"""goose's JSON: one object at the end, or a stream of messages that ends with `complete`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aq.core.engine.classify import reset_of, status_of
from aq.core.engine.events import Event, Faulted, Finished, Said, ToolCalled, ToolDone, Used
from aq.core.engine.usage import Usage, counted, money
from aq.host.engines.parsers.reading import (
    DENIED,
    MAX_LINE,
    MAX_TEXT,
    items,
    mapping,
    record,
    text,
    what_of,
    without,
    word,
    words_of,
)


def usage_of(said: dict[str, Any]) -> Usage:
    """Its usage. When it tells only a total, that stands as input, so that a token budget holds."""
    given, output = counted(said.get("input_tokens")), counted(said.get("output_tokens"))
    cached = counted(said.get("cache_read_input_tokens"))
    if given is None and output is None:
        return Usage(counted(said.get("total_tokens")))
    given = given if cached is None else without(given, cached)
    return Usage(given, cached, output, usd=money(said.get("cost_usd")) or None)


class GooseParser:
    """`complete` in a stream, or `status: completed` in an object, is the end."""

    def __init__(self) -> None:
        self._text = ""
        self._message = ""
        self._turns = 0
        self._errors = 0
        self._tools: dict[str, str] = {}
        self._whole: list[str] = []
        self._size = 0

    def line(self, text: str, *, stderr: bool) -> Sequence[Event]:
        """The events of one line of a stream; the lines of an object are kept."""
        if stderr:
            return ()
        said = record(text)
        match said.get("type"):
            case "message":
                return self._said(mapping(said.get("message")))
            case "error":
                self._errors += 1
                words = words_of(said)
                return [Faulted(words, status_of(words), reset=reset_of(words))]
            case "complete":
                used = usage_of(said)
                total = [Used(used, total=True)] if used != Usage() else []
                return [*total, Finished(not self._errors, self._text, turns=self._turns or None)]
            case _:
                self._keep(text)
                return ()

    def end(self, code: int, artifact: str) -> Sequence[Event]:  # noqa: ARG002
        """The events of the one object, if that was its form."""
        lines = self._whole
        while lines and not lines[0].lstrip().startswith("{"):
            lines = lines[1:]
        whole = record("\n".join(lines))
        metadata = mapping(whole.get("metadata"))
        if not metadata:
            return ()
        found = [event for said in items(whole.get("messages")) for event in self._said(mapping(said))]
        used, ended = usage_of(metadata), word(metadata.get("status"))
        if used != Usage():
            found.append(Used(used, total=True))
        words = words_of(metadata)
        ok = ended == "completed" and code == 0
        if not ok and words:
            found.append(Faulted(words, status_of(words), reset=reset_of(words)))
        return [*found, Finished(ok, self._text, "" if ok else ended, self._turns or None)]

    def _keep(self, line: str) -> None:
        self._size += len(line)
        if self._size <= MAX_LINE:
            self._whole.append(line)

    def _said(self, message: dict[str, Any]) -> list[Event]:
        # A message streams in pieces that share its id.
        name = word(message.get("id"))
        found: list[Event] = []
        for part in map(mapping, items(message.get("content"))):
            if part.get("type") == "text" and message.get("role") == "assistant":
                same = bool(name) and name == self._message
                self._turns += not same
                self._message = name
                self._text = ((self._text if same else "") + text(part.get("text")))[-MAX_TEXT:]
                found.append(Said(self._text))
            elif part.get("type") == "toolRequest":
                call = mapping(mapping(part.get("toolCall")).get("value"))
                tool = self._tools[word(part.get("id"))] = word(call.get("name"))
                found.append(ToolCalled(tool, what_of(call.get("arguments"))))
            elif part.get("type") == "toolResponse":
                found.append(self._done(part))
        return found

    def _done(self, part: dict[str, Any]) -> Event:
        result = mapping(part.get("toolResult"))
        ok = result.get("status") == "success" and mapping(result.get("value")).get("isError") is not True
        denied = not ok and bool(DENIED.search(words_of(result)))
        return ToolDone(self._tools.get(word(part.get("id")), ""), ok=ok, denied=denied)
