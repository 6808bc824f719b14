"""The conversation, kept within the model's window: the oldest observations become one line each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aq.host.engines.local_agent.dialects import Answer, Call
from aq.host.engines.local_agent.tools import Observation

FULL = 0.75
# Characters for a token where the server did not say otherwise: code has fewer than prose.
_PER_TOKEN = 3.0
_KEPT = 2
_LONG = 400


@dataclass
class Message:
    """One message. An observation names its `tool`; `call` is the id of the native call it answers."""

    role: str
    content: str
    calls: tuple[Call, ...] = ()
    tool: str = ""
    call: str = ""

    @property
    def wire(self) -> dict[str, Any]:
        """As the protocol wants it."""
        # Tools may answer with what a call named, such as half of a surrogate pair.
        content = self.content.encode("utf-8", "replace").decode()
        found: dict[str, Any] = {"role": self.role, "content": content}
        if self.calls:
            found["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
                }
                for call in self.calls
            ]
        if self.call:
            found["tool_call_id"] = self.call
        return found

    @property
    def size(self) -> int:
        """Its length in characters."""
        return len(json.dumps(self.wire, ensure_ascii=False))


@dataclass
class History:
    """All messages. `window` is in tokens."""

    window: int
    messages: list[Message] = field(default_factory=list)
    per_token: float = _PER_TOKEN

    def add(self, role: str, content: str) -> None:
        """A message without calls."""
        self.messages.append(Message(role, content))

    def answered(self, answer: Answer) -> None:
        """The model's own message. Calls in its text stay text."""
        native = tuple(call for call in answer.calls if call.id)
        self.messages.append(Message("assistant", answer.text, native))

    def observed(self, call: Call, observation: Observation) -> None:
        """A tool's answer, in the form of the call."""
        if call.id:
            self.messages.append(Message("tool", observation.text, (), observation.tool, call.id))
        else:
            words = f"Result: {observation.text}"
            self.messages.append(Message("user", words, (), observation.tool))

    @property
    def size(self) -> int:
        """Characters in all."""
        return sum(message.size for message in self.messages)

    @property
    def tokens(self) -> int:
        """How many tokens that is, about."""
        return int(self.size / self.per_token)

    def learn(self, tokens: int | None) -> None:
        """The server says how many tokens the messages had."""
        if tokens:
            self.per_token = max(1.0, min(self.size / tokens, 8.0))

    def wire(self) -> list[dict[str, Any]]:
        """The messages to send, made to fit."""
        self.shrink(FULL * self.window)
        found: list[dict[str, Any]] = []
        for wire in (message.wire for message in self.messages):
            if found and wire["role"] == found[-1]["role"] == "user":
                # Many chat templates want the roles to take turns.
                found[-1]["content"] += f"\n\n{wire['content']}"
            else:
                found.append(wire)
        return found

    def shrink(self, limit: float) -> None:
        """Drop what is oldest until the rest is no more than `limit` tokens; the last observations stay."""
        for message in self._droppable():
            if self.tokens <= limit:
                return
            if message.tool:
                note = {"tool": message.tool, "dropped": "use the tool again if you need this"}
                message.content = json.dumps({"ok": True, **note})
            message.calls = tuple(Call(call.name, _short(call.arguments), call.id) for call in message.calls)

    def _droppable(self) -> Iterator[Message]:
        kept = [number for number, message in enumerate(self.messages) if message.tool][-_KEPT:]
        last = kept[0] if kept else len(self.messages)
        return (message for message in self.messages[:last] if message.tool or message.calls)


def _short(arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        name: "(dropped)" if isinstance(value, str) and len(value) > _LONG else value
        for name, value in arguments.items()
    }
