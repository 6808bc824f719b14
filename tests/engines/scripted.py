"""A model server that answers word for word what a test gives it, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
USAGE: Json = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}


@dataclass
class Refusal:
    """An answer that is none: a status, a body and headers."""

    status: int
    body: object
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Scripted:
    """What it will say, in order; the last answer again and again. `models` is the list of its models."""

    answers: Sequence[Json | Refusal]
    models: object = field(default_factory=lambda: {"data": [{"id": "tiny"}]})
    usage: Json | None = field(default_factory=lambda: dict(USAGE))
    finish: str = "stop"
    url: str = ""
    asked: list[Json] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def reply(self, body: Json) -> Refusal:
        answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
        self.asked.append(body)
        if isinstance(answer, Refusal):
            return answer
        choice = {"index": 0, "message": {"role": "assistant", **answer}, "finish_reason": self.finish}
        usage = {} if self.usage is None else {"usage": self.usage}
        return Refusal(200, {"object": "chat.completion", "choices": [choice], **usage})


def calling(name: str, **arguments: Any) -> Json:
    """A native tool call."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"content": None, "tool_calls": [{"id": f"id-{name}", "type": "function", "function": function}]}


def saying(text: str) -> Json:
    return {"content": text}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: Scripted

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""

    def do_GET(self) -> None:
        found = self.model.models
        self._send(found if isinstance(found, Refusal) else Refusal(200, found))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)))
        self.model.headers.append(dict(self.headers))
        self._send(self.model.reply(body))

    def _send(self, reply: Refusal) -> None:
        data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {"content-length": str(len(data)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def scripted(*answers: Json | Refusal, **more: Any) -> Iterator[Scripted]:
    """The server on loopback for as long as the context lasts."""
    model = Scripted(answers, **more)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"model": model}))
    server.daemon_threads = True
    model.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
