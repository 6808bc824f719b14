"""Command lines of the model: only those that are allowed, in a process group of their own, in bounded
time and with bounded output."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from aq.core.value import Value
from aq.host.engines.local_agent.address import NAMES

HALF = 4096
_GRACE = 2.0


class Allowed(Value):
    """What may run: everything with `yolo`, else exactly the lines that aq runs anyway."""

    yolo: bool = False
    lines: tuple[str, ...] = ()

    def permits(self, line: str) -> bool:
        """Whether the line may run."""
        return self.yolo or line.strip() in [allowed.strip() for allowed in self.lines]


class Ran(Value):
    """How a command ended. `code` is None when it had to be stopped."""

    code: int | None
    output: str
    truncated: bool


@dataclass
class _HeadTail:
    """The first and the last bytes of a stream."""

    head: bytes = b""
    tail: bytes = b""
    cut: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, data: bytes) -> None:
        with self.lock:
            room = HALF - len(self.head)
            self.head += data[:room]
            rest = self.tail + data[room:]
            self.cut += max(0, len(rest) - HALF)
            self.tail = rest[-HALF:]

    @property
    def text(self) -> str:
        with self.lock:
            middle = f"\n[{self.cut} bytes cut]\n".encode() if self.cut else b""
            return (self.head + middle + self.tail).decode("utf-8", "replace")


def clip(text: str) -> tuple[str, bool]:
    """The text's head and tail, and whether something is missing."""
    kept = _HeadTail()
    kept.add(text.encode("utf-8", "replace"))
    return kept.text, kept.cut > 0


def clean_env(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command: without what is only the agent's, such as its key."""
    return {name: value for name, value in env.items() if name not in NAMES}


def run_line(line: str, folder: Path, seconds: float) -> Ran:
    """Run a line and end everything it started. Raises OSError."""
    shell = shutil.which("sh")
    kept = _HeadTail()
    process: subprocess.Popen[bytes] | None = None
    try:
        with _undisturbed():
            process = subprocess.Popen(
                [shell, "-c", line] if shell else shlex.split(line),
                cwd=folder,
                env=clean_env(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0 if os.name == "posix" else None,
            )
        assert process.stdout
        pump = threading.Thread(target=_pump, args=(process.stdout, kept), daemon=True)
        pump.start()
        code = _waited(process, seconds)
    finally:
        if process:
            _signal(process, "SIGKILL")
            process.wait()
    pump.join(_GRACE)
    return Ran(code, kept.text, kept.cut > 0)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A stop waits for the end of the body: a process whose start it broke off would be nobody's to end."""
    stops: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: stops.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if stops:
            signal.raise_signal(signal.SIGTERM)


def _waited(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """The exit code; None for a process that is still there after its time and was asked to end."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        _signal(process, "SIGTERM")
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
        return None


def _pump(stream: IO[bytes], kept: _HeadTail) -> None:
    with suppress(OSError, ValueError), stream:
        while data := os.read(stream.fileno(), 65536):
            kept.add(data)


def _signal(process: subprocess.Popen[bytes], name: str) -> None:
    with suppress(OSError):
        if os.name == "posix":
            os.killpg(process.pid, getattr(signal, name))
        else:
            process.kill()
