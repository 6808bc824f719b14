"""A relay in front of `git daemon` on loopback that cuts one connection at one byte of one direction."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.fleet import wait_until

PUSH, FETCH = b"git-receive-pack", b"git-upload-pack"


@dataclass
class Relay:
    """What is cut next, and how much went through the last connection of each service."""

    url: str = ""
    service: bytes = b""
    up: bool = True
    at: int = -1
    cuts: int = 0
    sizes: dict[tuple[bytes, bool], int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, service: bytes, *, up: bool, at: int) -> None:
        """Cut the next connection of this service after so many bytes in this direction."""
        self.service, self.up, self.at = service, up, at

    def take(self, service: bytes) -> tuple[bool, int] | None:
        """What is to be cut of a new connection: once."""
        with self._lock:
            if self.at < 0 or service != self.service:
                return None
            found, self.at = (self.up, self.at), -1
            return found


class _Pair:
    """One connection, and the one behind it."""

    def __init__(self, relay: Relay, client: socket.socket, port: int) -> None:
        self.relay, self.client = relay, client
        self.server = socket.create_connection(("127.0.0.1", port))
        first = client.recv(65536)
        self.service = PUSH if PUSH in first else FETCH
        self.cut = relay.take(self.service)
        self.passed = {True: 0, False: 0}
        threading.Thread(target=self._pump, args=(self.server, client, False, b""), daemon=True).start()
        self._pump(client, self.server, True, first)

    def _pump(self, source: socket.socket, sink: socket.socket, up: bool, content: bytes) -> None:
        with suppress(OSError):
            while content or (content := source.recv(65536)):
                if self.cut and self.cut[0] is up and self.passed[up] + len(content) > self.cut[1]:
                    sink.sendall(content[: max(0, self.cut[1] - self.passed[up])])
                    self._break()
                    return
                sink.sendall(content)
                self.passed[up] += len(content)
                self.relay.sizes[self.service, up] = self.passed[up]
                content = b""
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _break(self) -> None:
        """Both ends see the connection die at once; what was sent to the server still arrives."""
        self.relay.cuts += 1
        with suppress(OSError):
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def relayed(folder: Path) -> Iterator[Relay]:
    """The repositories in `folder`, at `relay.url`/NAME."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    args = ["--export-all", "--enable=receive-pack", f"--base-path={folder}", "--listen=127.0.0.1"]
    daemon = subprocess.Popen(
        ["git", "daemon", *args, f"--port={port}", "--reuseaddr", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    listener = socket.create_server(("127.0.0.1", 0))
    relay = Relay(f"git://127.0.0.1:{listener.getsockname()[1]}")

    def answers() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=_Pair, args=(relay, client, port), daemon=True).start()

    try:
        wait_until(answers, 20, "git daemon")
        threading.Thread(target=serve, daemon=True).start()
        yield relay
    finally:
        listener.close()
        # `git` only starts the daemon, and does not take it along.
        os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()
