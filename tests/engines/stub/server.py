"""The stub's server: what it was asked, what it answers, and how it fails. It is steered in the process
by a `Stub`, or from outside: POST /__ctl {"fault": ...} sets the fault, GET /__log lists the requests."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.engines.stub import faults, script
from tests.engines.stub.dialects import dialect_of
from tests.engines.stub.wire import Answer, Call, Dialect, Json, Reply, Request, one

_MODELS = {
    "object": "list",
    "data": [{"id": "stub-model", "object": "model", "created": 1, "owned_by": "stub"}],
    "models": [],
}
_CREDENTIALS = ("authorization", "x-api-key", "x-goog-api-key", "api-key")
_COUNTS = {"/messages/count_tokens": {"input_tokens": 100}, ":countTokens": {"totalTokens": 100}}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to the model. `credentials` are the names of the headers that carried some; `fault` is
    how it failed; `tool` is what it was told to use."""

    at: float
    dialect: str
    path: str
    model: str
    tools: tuple[str, ...]
    credentials: tuple[str, ...]
    stream: bool
    fault: str = ""
    tool: str = ""


@dataclass
class Stub:
    """A running stub, and what it was asked so far."""

    url: str = ""
    fault: faults.Fault = field(default_factory=faults.Fault)
    asked: list[Asked] = field(default_factory=list)
    calls: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)

    def fail(self, text: str) -> None:
        """From now on fail as `429:2:1` says; an empty text ends it. The counters begin anew."""
        with self._lock:
            self.fault, self.calls = faults.Fault.parse(text), 0
            self.asked.clear()

    def decide(self, dialect: Dialect, request: Request, credentials: tuple[str, ...]) -> tuple[str, Answer]:
        """How this request fails, if it does, and what is answered otherwise."""
        tools = dialect.tools(request.body)
        with self._lock:
            fault = self.fault.of(len(self.asked) + 1)
            call = None if fault not in ("", faults.LOOP) else self._call(dialect, request, tools, fault)
            self.asked.append(
                Asked(
                    time.time(),
                    dialect.name,
                    request.path,
                    str(request.body.get("model")),
                    tuple(tools),
                    credentials,
                    request.stream,
                    fault,
                    call.tool if call else "",
                )
            )
        return fault, Answer(call, script.words_for(request.words))

    def _call(self, dialect: Dialect, request: Request, tools: dict[str, Json], fault: str) -> Call | None:
        if dialect.answered(request.body) and fault != faults.LOOP:
            return script.submission(tools, request.words)
        call = script.call_for(tools, request.words, self.calls + 1)
        self.calls += call is not None
        return call

    def hang(self) -> None:
        """Wait until the stub ends."""
        self._over.wait()

    def end(self) -> None:
        self._over.set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: Stub

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""

    def do_HEAD(self) -> None:
        self._send(200, Reply(b""))

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/__log":
            self._send(200, Reply(json.dumps([asdict(asked) for asked in self.stub.asked]).encode()))
        elif path.endswith("/models"):
            self._send(200, one(_MODELS))
        else:
            self._send(404, one({"error": {"type": "not_found_error", "message": "no such path"}}))

    def do_POST(self) -> None:
        raw, path = self._body(), self.path.split("?")[0]
        try:
            body = json.loads(raw or b"{}")
        except ValueError:
            body = {}
        if path == "/__ctl":
            self.stub.fail(str(body.get("fault", "")))
            return self._send(200, one({"ok": True}))
        for end, count in _COUNTS.items():
            if path.endswith(end):
                return self._send(200, one(count))
        dialect = dialect_of(path)
        if not dialect:
            return self._send(404, one({"error": {"message": "no such path"}}))
        request = Request(path, body, raw.decode("utf-8", "replace").replace("\\/", "/"))
        with suppress(BrokenPipeError, ConnectionResetError):
            self._model(dialect, request)
        return None

    def _model(self, dialect: Dialect, request: Request) -> None:
        credentials = tuple(name for name in _CREDENTIALS if self.headers.get(name))
        fault, answer = self.stub.decide(dialect, request, credentials)
        match fault:
            case "" | faults.LOOP:
                self._send(200, dialect.reply(request, answer))
            case faults.HANG:
                self.stub.hang()
                self.close_connection = True
            case faults.DROP:
                self._drop()
            case faults.CUT:
                self._send(200, dialect.reply(request, answer), cut=True)
            case faults.GARBAGE:
                self._send(200, Reply(b"data: {not json\n\n", "text/event-stream"))
            case _:
                retry = self.stub.fault.retry
                problem = faults.problem(fault, retry)
                extra = {"retry-after": f"{retry:g}"} if retry is not None else {}
                self._send(problem.status, one(dialect.error(problem)), extra)

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _send(
        self, status: int, reply: Reply, extra: dict[str, str] | None = None, *, cut: bool = False
    ) -> None:
        self.send_response(status)
        headers = {"content-type": reply.content, "content-length": str(len(reply.body)), **(extra or {})}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body[: len(reply.body) // 2] if cut else reply.body)
        if cut:
            self.wfile.flush()
            self._drop()

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        whole = b""
        while size := int(self.rfile.readline().split(b";")[0].strip() or b"0", 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is nothing to talk about."""


@contextmanager
def stub_server(port: int = 0) -> Iterator[Stub]:
    """A stub on loopback for as long as the context lasts."""
    stub = Stub()
    server = _Server(("127.0.0.1", port), type("Handler", (_Handler,), {"stub": stub}))
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        stub.end()
        server.shutdown()
        server.server_close()
        thread.join()
