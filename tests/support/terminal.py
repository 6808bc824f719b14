"""A command at a real terminal of its own: what it shows, and the keys that a person presses."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
from dataclasses import dataclass

from tests.support.fleet import Machine, wait_until


@dataclass
class Terminal:
    """One command that runs at a terminal. `shown` is everything that it printed so far."""

    process: subprocess.Popen[bytes]
    handle: int
    shown: str = ""
    _seen: int = 0

    @classmethod
    def running(cls, machine: Machine, *args: str) -> Terminal:
        """`aq` on a machine, typed at a terminal."""
        handle, other = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "aq", *args],
            cwd=machine.path,
            env={**machine.env, "TERM": "xterm"},
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
        )
        os.close(other)
        os.set_blocking(handle, False)
        return cls(process, handle)

    def _read(self) -> None:
        try:
            while data := os.read(self.handle, 65536):
                self.shown += data.decode("utf-8", "replace").replace("\r\n", "\n")
        except OSError:
            return

    def until(self, words: str) -> str:
        """What is shown up to these words, since the last look."""

        def found() -> bool:
            self._read()
            return words in self.shown[self._seen :]

        wait_until(found, 60, f"{words!r} in {self.shown[self._seen :]!r}")
        end = self.shown.index(words, self._seen) + len(words)
        text, self._seen = self.shown[self._seen : end], end
        return text

    def press(self, key: str) -> None:
        """One key, once the command waits for one: what comes before that, the terminal throws away."""
        wait_until(lambda: not termios.tcgetattr(self.handle)[3] & termios.ICANON, 60, "a wait for a key")
        os.write(self.handle, key.encode())

    def type(self, line: str) -> None:
        """A line of text, and the return key."""
        os.write(self.handle, f"{line}\r".encode())

    def ended(self) -> int:
        """The exit code, once it is over."""
        code = self.process.wait(60)
        self._read()
        os.close(self.handle)
        return code
