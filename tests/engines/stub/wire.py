"""What the dialects of the stub have in common: requests, answers, problems, and how they are encoded."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

# Of every answer. With the cached part told apart: 234 + 1000 + 56 tokens.
INPUT, CACHED, OUTPUT = 1234, 1000, 56
FRESH = INPUT - CACHED
TOKENS = INPUT + OUTPUT


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that the model wants used."""

    tool: str
    args: Json

    @property
    def encoded(self) -> str:
        """The arguments as a JSON string, as most dialects carry them."""
        return json.dumps(self.args)


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the model: `stream` when it wants server-sent events."""

    path: str
    body: Json
    words: str

    @property
    def stream(self) -> bool:
        return bool(self.body.get("stream")) or "stream" in self.path


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says: a tool call, or text."""

    call: Call | None
    text: str


@dataclass(frozen=True, slots=True)
class Problem:
    """An error of the provider. `retry` is its retry-after in seconds."""

    status: int
    words: str
    kind: str
    code: str | None = None
    retry: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A body and its content type."""

    body: bytes
    content: str = "application/json"


@dataclass(frozen=True, slots=True)
class Dialect:
    """One provider's protocol. `tools` maps the offered tools to their schemas; `answered` tells whether
    a tool result is in the history."""

    name: str
    tools: Callable[[Json], dict[str, Json]]
    answered: Callable[[Json], bool]
    reply: Callable[[Request, Answer], Reply]
    error: Callable[[Problem], Json]


def one(body: Json) -> Reply:
    """A plain JSON body."""
    return Reply(json.dumps(body).encode())


def events(rows: Iterable[Json], *, named: bool = False, done: bool = False) -> Reply:
    """Server-sent events."""
    parts = [(f"event: {row['type']}\n" if named else "") + f"data: {json.dumps(row)}\n\n" for row in rows]
    return Reply(("".join(parts) + ("data: [DONE]\n\n" if done else "")).encode(), "text/event-stream")


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(6)}"


def objects(value: object) -> list[Json]:
    """The objects in what should be a list of them."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
