"""Log files: redacted before the first byte reaches the disk, and never longer than a head and a tail."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from pathlib import Path

from aq.core.secrecy.redaction import Redactor
from aq.host.ownfiles import append_own

HEAD_BYTES = 8 * 1024 * 1024
TAIL_BYTES = 2 * 1024 * 1024
_MAX_PART = 64 * 1024


class CappedLog:
    """A log file that keeps its head and its tail. Several streams may write into it, each in whole lines."""

    def __init__(self, path: Path, known_secrets: tuple[str, ...] = ()) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = append_own(path)
        self._known = known_secrets
        self._lock = threading.Lock()
        self._room = HEAD_BYTES - self._file.seek(0, os.SEEK_END)
        self._full = False
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._cut = 0

    def stream(self) -> LogStream:
        """A way in for one source of output."""
        return LogStream(self, Redactor(self._known))

    def write(self, clean: bytes) -> None:
        """Clean text. A disk that is full stops no run."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            if not self._full and len(clean) <= self._room:
                self._room -= len(clean)
                self._file.write(clean)
                return
            for line in clean.splitlines(keepends=True):
                self._line(line)

    def _line(self, line: bytes) -> None:
        self._full = self._full or len(line) > self._room
        if not self._full:
            self._room -= len(line)
            self._file.write(line)
            return
        self._tail.append(line)
        self._tail_bytes += len(line)
        while self._tail_bytes > TAIL_BYTES:
            dropped = len(self._tail.popleft())
            self._tail_bytes -= dropped
            self._cut += dropped

    def close(self) -> None:
        """Write the tail and close."""
        with self._lock, contextlib.suppress(OSError, ValueError), self._file:
            if self._cut:
                self._file.write(f"\n[{self._cut} bytes cut]\n".encode())
            self._file.writelines(self._tail)
            self._tail.clear()


class LogStream:
    """One source of output on its way into a log. What it returns is what may be shown."""

    def __init__(self, log: CappedLog, redactor: Redactor) -> None:
        self._log, self._redactor = log, redactor
        self._part = ""

    def write(self, data: bytes) -> list[str]:
        """Take in bytes as they come; the clean lines that are complete now."""
        return self._put(self._redactor.write(data))

    def close(self) -> list[str]:
        """The end of this source; the lines that were held back."""
        lines = self._put(self._redactor.close())
        return [*lines, self._part] if self._part else lines

    def _put(self, clean: bytes) -> list[str]:
        if not clean:
            return []
        self._log.write(clean)
        *lines, part = (self._part + clean.decode("utf-8", "replace")).split("\n")
        self._part = part[-_MAX_PART:]
        return lines


def note(path: Path, text: str) -> None:
    """One line of our own in a log that may be there already."""
    log = CappedLog(path)
    log.write(text.encode() + b"\n")
    log.close()


class Lines:
    """Cuts output into whole lines, each no longer than a bound: what is beyond it is dropped."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete now, each without its newline."""
        *whole, rest = chunk.split(b"\n")
        lines = []
        for piece in whole:
            self._add(piece)
            lines.append(bytes(self._held))
            self._held.clear()
        self._add(rest)
        return lines

    def rest(self) -> list[bytes]:
        """A last line without its newline."""
        return [bytes(self._held)] if self._held else []

    def _add(self, piece: bytes) -> None:
        self._held += piece[: self._limit - len(self._held)]
