"""A hub behind smart http: git's own backend, started by a small server on loopback."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from aq.core.lifecycle import Stage
from tests.support.audit import audit
from tests.support.fleet import Fleet, wait_until

CALM = "cadence: {preset: local, poll: 0.5s, beat: 2s, ttl: 90s, grace: 5s, patience: 1s}\n"


class _Backend(BaseHTTPRequestHandler):
    """`git http-backend` as a CGI program."""

    root = ""

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            self._serve(b"".join(iter(self._chunk, b"")))
        else:
            self._serve(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    def _serve(self, body: bytes) -> None:
        url = urlsplit(self.path)
        environ = {
            **{
                name: value
                for name, value in os.environ.items()
                if name in ("PATH", "HOME", "GIT_CONFIG_GLOBAL")
            },
            "GIT_PROJECT_ROOT": self.root,
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": unquote(url.path),
            "QUERY_STRING": url.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "alice",
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(
            ["git", "http-backend"], env=environ, input=body, capture_output=True, check=False
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(fields.pop("Status", "200 OK").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        del args


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The server's URL; it serves every repository below the fleet's folder."""
    handler = type("Backend", (_Backend,), {"root": str(tmp_path / "fleet")})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_two_hosts_work_through_a_queue_over_http(tmp_path: Path, hermetic_home: Path, web: str) -> None:
    fleet = Fleet(tmp_path / "fleet", CALM, url=f"{web}/hub.git")
    try:
        names = [f"job-{n}" for n in range(4)]
        for name in names:
            fleet.you.drop(
                name, f"---\nengine: shell\nverify: 'true'\n---\nmktemp {tmp_path}/ran.$AQ_JOB.XXXX\n"
            )
        fleet.you.aq("status")
        for host in ("ada", "bob"):
            fleet.start(host)
        wait_until(
            lambda: len(fleet.snapshot().stages[Stage.TESTING]) == len(names), 120, "every job to be verified"
        )
        assert audit(fleet.hub).claims() == dict.fromkeys(names, 1)
        assert len(list(tmp_path.glob("ran.*"))) == len(names)
    finally:
        fleet.end()
