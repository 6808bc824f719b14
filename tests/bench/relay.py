"""A counting relay in front of `git daemon` on loopback: what a fetch costs on the wire."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 65536


@dataclass
class Traffic:
    """Bytes since the last `reset`, and the URL that leads through the counter."""

    base: str
    down: int = 0
    up: int = 0

    def reset(self) -> None:
        self.down = self.up = 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _pump(source: socket.socket, sink: socket.socket, traffic: Traffic, *, up: bool) -> None:
    with suppress(OSError):
        while content := source.recv(_CHUNK):
            if up:
                traffic.up += len(content)
            else:
                traffic.down += len(content)
            sink.sendall(content)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _serve(listener: socket.socket, port: int, traffic: Traffic) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        server = socket.create_connection(("127.0.0.1", port))
        for source, sink, up in ((client, server, True), (server, client, False)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(
                target=_pump, args=(source, sink, traffic), kwargs={"up": up}, daemon=True
            ).start()


def _wait_for(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError("git daemon does not answer")


@contextmanager
def counted(folder: Path) -> Iterator[Traffic]:
    """Serve the repositories in `folder` at `traffic.base`/NAME, counting every byte."""
    port = _free_port()
    args = ["git", "daemon", "--export-all", f"--base-path={folder}", "--listen=127.0.0.1", f"--port={port}"]
    daemon = subprocess.Popen(
        [*args, "--reuseaddr", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    listener = socket.create_server(("127.0.0.1", 0))
    traffic = Traffic(f"git://127.0.0.1:{listener.getsockname()[1]}")
    try:
        _wait_for(port)
        threading.Thread(target=_serve, args=(listener, port, traffic), daemon=True).start()
        yield traffic
    finally:
        listener.close()
        daemon.terminate()
        daemon.wait()
