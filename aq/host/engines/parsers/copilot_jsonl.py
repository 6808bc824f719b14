"""GitHub Copilot CLI's JSON output, and the usage file it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aq.core.engine.classify import reset_of
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
    first,
    items,
    mapping,
    record,
    session,
    status,
    text,
    what_of,
    without,
    word,
    words_of,
)


def usage_of(said: object) -> Usage:
    """Usage where the input holds what came from the cache."""
    used = mapping(said)
    cached = counted(used.get("cacheReadTokens"))
    return Usage(without(counted(used.get("inputTokens")), cached), cached, counted(used.get("outputTokens")))


class CopilotParser:
    """It counts in credits: what a run costs in usd is unknown."""

    def __init__(self) -> None:
        self._text = ""
        self._turns = 0
        self._tools: dict[str, str] = {}
        self._failed = False
        self._session = ""
        self._model = ""
        self._refused: dict[str, Any] = {}

    def line(self, text: str, *, stderr: bool) -> Sequence[Event]:
        """The events of one line."""
        said = {} if stderr else record(text)
        if not said:
            return ()
        data = mapping(said.get("data"))
        return [*self._started(said, data), *self._event(said, data)]

    def end(self, code: int, artifact: str) -> Sequence[Event]:  # noqa: ARG002
        """The usage of all models, from the file it leaves."""
        models = mapping(record(artifact).get("modelMetrics"))
        used = Usage()
        for metrics in models.values():
            used = used.plus(usage_of(mapping(metrics).get("usage")))
        return [Used(used, total=True)] if used != Usage() else ()

    def _started(self, said: dict[str, Any], data: dict[str, Any]) -> list[Event]:
        found = session(first(said, "sessionId") or first(data, "sessionId")) or self._session
        model = word(first(data, "selectedModel", "model")) or self._model
        if (found, model) == (self._session, self._model):
            return []
        self._session, self._model = found, model
        return [Started(found, model)]

    def _event(self, said: dict[str, Any], data: dict[str, Any]) -> list[Event]:
        match said.get("type"):
            case "assistant.turn_start":
                self._turns += 1
            case "assistant.message":
                return self._message(data)
            case "model.call_failure":
                self._refused = data
            case "assistant.turn_retry":
                attempt = (counted(self._refused.get("retryAttempt")) or 0) + 1
                refused = status(self._refused.get("statusCode"))
                return [Retrying(refused, attempt=attempt, words=word(data.get("reason")))]
            case "assistant.usage":
                used = usage_of(data)
                return [Used(used)] if used != Usage() else []
            case "tool.execution_start":
                tool = self._tools[word(data.get("toolCallId"))] = word(data.get("toolName"))
                return [ToolCalled(tool, what_of(data.get("arguments")))]
            case "tool.execution_complete":
                return self._tool_done(data)
            case "session.error":
                self._failed = True
                words = words_of(data)
                return [
                    Faulted(
                        words, status(data.get("statusCode")), word(data.get("errorType")), reset_of(words)
                    )
                ]
            case "result":
                code = said.get("exitCode")
                ok = code == 0 if isinstance(code, int) else not self._failed
                return [Finished(ok, self._text, "" if ok else "failed", self._turns or None)]
            case _:
                pass
        return []

    def _message(self, data: dict[str, Any]) -> list[Event]:
        self._failed = False
        found: list[Event] = []
        if text(data.get("content")).strip():
            self._text = text(data.get("content"))
            found.append(Said(self._text))
        for request in map(mapping, items(data.get("toolRequests"))):
            self._tools.setdefault(word(request.get("toolCallId")), word(request.get("name")))
        return found

    def _tool_done(self, data: dict[str, Any]) -> list[Event]:
        ok = data.get("success") is True
        error = mapping(data.get("error"))
        words = f"{word(error.get('code'))} {words_of(error)}"
        tool = word(data.get("toolName")) or self._tools.get(word(data.get("toolCallId")), "")
        return [ToolDone(tool, ok=ok, denied=not ok and bool(DENIED.search(words)))]
