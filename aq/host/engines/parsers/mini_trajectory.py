"""mini-swe-agent: text while it runs, and a trajectory file that tells how it ended."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from aq.core.engine.classify import reset_of, status_of
from aq.core.engine.events import Event, Faulted, Finished, Retrying, ToolCalled, Used
from aq.core.engine.usage import Usage, counted, money
from aq.host.engines.parsers.reading import items, mapping, record, text, without, word

_STEP = re.compile(r"\(step (\d{1,6}), \$(\d{1,9}(?:\.\d{1,9})?)\)")
_AGAIN = re.compile(r"Retrying .{1,300}? in (\d{1,6}(?:\.\d{1,6})?) seconds as it raised (.{1,2000})")
_DONE = "Submitted"


def usage_of(said: object) -> Usage:
    """One answer's usage, its input with what came from the cache."""
    used = mapping(said)
    cached = counted(mapping(used.get("prompt_tokens_details")).get("cached_tokens"))
    reasoning = counted(mapping(used.get("completion_tokens_details")).get("reasoning_tokens"))
    given, output = counted(used.get("prompt_tokens")), counted(used.get("completion_tokens"))
    return Usage(
        given if cached is None else without(given, cached),
        cached,
        output if reasoning is None else without(output, reasoning),
        reasoning,
    )


class MiniParser:
    """Its price is 0 for a model that it knows no price of."""

    def line(self, text: str, *, stderr: bool) -> Sequence[Event]:  # noqa: ARG002
        """Steps with their price so far, and retries."""
        line = text[:8000]
        step = _STEP.search(line)
        if step:
            price = money(float(step[2])) or None
            used = [Used(Usage(usd=price), total=True)] if price else []
            return [ToolCalled("step", step[1]), *used]
        again = _AGAIN.search(line)
        if again:
            return [Retrying(status_of(again[2]), float(again[1]), words=word(again[2]))]
        return ()

    def end(self, code: int, artifact: str) -> Sequence[Event]:  # noqa: ARG002
        """The end by the trajectory; without one there is no end."""
        trajectory = record(artifact)
        info = mapping(trajectory.get("info"))
        ended = word(info.get("exit_status"))
        messages = [mapping(message) for message in items(trajectory.get("messages"))]
        found: list[Event] = []
        used = _total(messages, mapping(info.get("model_stats")))
        if used != Usage():
            found.append(Used(used, total=True))
        if not ended:
            return found
        said = text(info.get("submission")).strip()
        turns = counted(mapping(info.get("model_stats")).get("api_calls"))
        if ended != _DONE:
            words = next((_content(m) for m in reversed(messages) if m.get("role") == "exit"), "")
            words = words or said or ended
            found.append(Faulted(f"{ended}: {words}", status_of(words), ended, reset_of(words)))
        return [*found, Finished(ended == _DONE, said, "" if ended == _DONE else ended, turns or None)]


def _total(messages: list[dict[str, Any]], stats: dict[str, Any]) -> Usage:
    used = Usage()
    for message in messages:
        answer = mapping(mapping(message.get("extra")).get("response"))
        used = used.plus(usage_of(answer.get("usage")))
    return used.plus(Usage(usd=money(stats.get("instance_cost")) or None))


def _content(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return text(content)
    return " ".join(text(mapping(part).get("text")) for part in items(content))
