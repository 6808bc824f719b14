"""Child processes and everything they start: spawned in a group of their own, pumped into a redacted
log, stopped as a whole tree."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO

import psutil

from aq.core.value import Value
from aq.host.logfile import CappedLog, Lines
from aq.host.tree import RUN_ID, begun, each, end_all, held, marked, running

_CHUNK = 64 * 1024
_SHELL_SIGNALS = 128
MAX_LINE = 1024 * 1024
# How long a pipe may give nothing after everything that could write to it is gone.
_DRAIN_SECONDS = 5.0
# And how long it may go on: what got away from us, and goes on writing, is not listened to for good. The
# time in which we take in what was read does not count, up to the third: that is no silence of the pipe.
_DRAIN_MOST = 10.0
_DRAIN_LONGEST = 60.0
# When its parent dies this shell reads end of file, and takes the engine's group with it. It is there
# before the engine is, and told whom to watch: no engine runs unwatched while a shell starts.
_LIFELINE = 'read -r group || exit; read -r word; [ "$word" = done ] || kill -s KILL -- "-$group"'


class Exit(Value):
    """How a child ended. `stopped` is our own reason for stopping it, which always wins."""

    code: int
    stopped: str = ""

    @property
    def signal_name(self) -> str:
        """The signal that ended it, or nothing."""
        if self.code >= 0:
            return ""
        with contextlib.suppress(ValueError):
            return signal.Signals(-self.code).name
        return f"signal {-self.code}"


# Takes a line of output and whether it is of stderr; gives the lines that go into the log for it.
OnLine = Callable[[str, bool], Iterable[str]]


class Child:
    """One supervised process tree."""

    def __init__(
        self,
        argv: Iterable[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        log: Path,
        run_id: str,
        stdin: Path | None = None,
        grace: float = 10.0,
        known_secrets: tuple[str, ...] = (),
        on_start: Callable[[int, float], None] | None = None,
        on_line: OnLine | None = None,
        raw: Path | None = None,
        confined: bool = False,
    ) -> None:
        self.run_id, self.grace = run_id, grace
        self._confined = confined
        self.stopped = ""
        self.tail: deque[str] = deque(maxlen=40)
        self.last_output = time.monotonic()
        # The pipes, by whether it is stderr, of which something was read that is not in the log yet.
        self._taking_in: set[bool] = set()
        # What this process started, as far as it was seen, and what of it stands still.
        self._known: set[psutil.Process] = set()
        self._known_lock = threading.Lock()
        self._suspended: set[psutil.Process] = set()
        self._stop_lock = threading.Lock()
        self._over = False
        self._on_line = on_line
        self._log = CappedLog(log, known_secrets)
        self._raw = CappedLog(raw, known_secrets) if raw else None
        self._lifeline = _start_lifeline()
        self._pumps: list[threading.Thread] = []
        source: IO[bytes] | int = subprocess.DEVNULL
        try:
            source = stdin.open("rb") if stdin else source
            self._process = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env={**env, RUN_ID: run_id},
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if on_line else subprocess.STDOUT,
                start_new_session=os.name == "posix",
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except BaseException:
            self._tell_lifeline("")
            self._close_logs()
            raise
        finally:
            if not isinstance(source, int):
                source.close()
        self._follow(on_start)

    def _follow(self, on_start: Callable[[int, float], None] | None) -> None:
        try:
            self._tell_lifeline(f"{self.pid}\n", last=False)
            if on_start:
                on_start(self.pid, begun(self.pid))
            for pipe in self._pipes:
                name = f"pump {self.run_id[:8]} {pipe.fileno()}"
                pump = threading.Thread(target=self._pump, args=(pipe,), name=name, daemon=True)
                pump.start()
                self._pumps.append(pump)
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        """Nobody will hold this process: it must not live on."""
        self.stop("it could not be followed", at_once=True)
        self._process.wait()
        self._over = True
        if not self._pumps:
            for pipe in self._pipes:
                pipe.close()
        self._tell_lifeline("done\n")
        self._close_logs()

    @property
    def pid(self) -> int:
        """The pid of the first process, which is also its group's id."""
        return self._process.pid

    def _tell_lifeline(self, words: str, *, last: bool = True) -> None:
        pipe = self._lifeline.stdin if self._lifeline else None
        if not self._lifeline or not pipe:
            return
        with contextlib.suppress(OSError):
            pipe.write(words.encode())
            pipe.close() if last else pipe.flush()
        if last:
            self._lifeline.wait()

    @property
    def _pipes(self) -> list[IO[bytes]]:
        return [pipe for pipe in (self._process.stdout, self._process.stderr) if pipe]

    def _pump(self, pipe: IO[bytes]) -> None:
        stderr = pipe is self._process.stderr
        log, raw = self._log.stream(), self._raw.stream() if self._raw else None
        lines = Lines(MAX_LINE)
        # As much at once as there is: a redactor's work is per piece, and fast output comes in large ones.
        with contextlib.suppress(OSError, ValueError), pipe:
            while (chunk := os.read(pipe.fileno(), _CHUNK)) and not self._over:
                self.last_output = time.monotonic()
                self._taking_in.add(stderr)
                if raw:
                    raw.write(chunk)
                told = self._told(lines.feed(chunk), stderr=stderr) if self._on_line else chunk
                self.tail.extend(log.write(told))
                self._taking_in.discard(stderr)
        self._taking_in.discard(stderr)
        self.tail.extend(log.write(self._told(lines.rest(), stderr=stderr)))
        self.tail.extend(log.close())
        if raw:
            raw.close()

    def _told(self, lines: Iterable[bytes], *, stderr: bool) -> bytes:
        """What of some lines goes into the log."""
        told: list[str] = []
        for line in lines:
            text = line.decode("utf-8", "replace").rstrip("\r")
            try:
                told += self._on_line(text, stderr) if self._on_line else (text,)
            except Exception:
                # Whatever an engine says, its output is read on: a full pipe would block it for good.
                told.append(text)
        return "".join(f"{text}\n" for text in told).encode("utf-8", "replace")

    def _close_logs(self) -> None:
        for log in (self._log, self._raw):
            if log:
                log.close()

    def wait(self, timeout: float, on_tick: Callable[[], None] | None = None) -> Exit:
        """Wait for the first process, stopping the tree when `timeout` seconds pass; then clear away
        whatever it left behind. `on_tick` is called twice a second."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                self._process.wait(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                self._remember()
                if on_tick:
                    on_tick()
                if time.monotonic() > deadline and not self.stopped:
                    self.stop("timeout")
        self._finish()
        return Exit(self._code, self.stopped)

    @property
    def _code(self) -> int:
        # A sandbox says what signal ended the process in it as a shell does.
        code = self._process.returncode
        return _SHELL_SIGNALS - code if self._confined and code > _SHELL_SIGNALS else code

    def _finish(self) -> None:
        # A grandchild may hold the pipe or live on in a session of its own: nothing outlives a run.
        self._join_pumps(0.5)
        if end_all(self._survivors, self.grace) or self._pumping:
            # Nobody of ours writes any more: what is in the pipes is read to its end.
            self._drain()
        self._over = True
        self._tell_lifeline("done\n")
        self._close_logs()

    def _drain(self) -> None:
        end, listened, silent = time.monotonic() + _DRAIN_LONGEST, 0.0, 0.0
        while self._pumping and time.monotonic() < end and listened < _DRAIN_MOST and silent < _DRAIN_SECONDS:
            heard = self.last_output
            self._join_pumps(0.5)
            if not self._taking_in:
                listened += 0.5
                silent = silent + 0.5 if self.last_output == heard else 0.0

    @property
    def _pumping(self) -> bool:
        return any(pump.is_alive() for pump in self._pumps)

    def _join_pumps(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for pump in self._pumps:
            pump.join(timeout=max(0.0, deadline - time.monotonic()))

    def stop(self, reason: str, *, at_once: bool = False) -> None:
        """Stop the whole tree: TERM, a grace period, KILL; or KILL `at_once`. The first reason stays."""
        with self._stop_lock:
            self.stopped = self.stopped or reason
            self._freeze()
            end_all(self._survivors, None if at_once else self.grace)

    def _freeze(self) -> None:
        # At once, before the tree is looked for: from here on it takes no further step.
        if os.name == "posix" and self._process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGSTOP)

    def suspend(self) -> None:
        """Freeze the tree."""
        self._suspended = held(self._survivors)

    def resume(self) -> None:
        """Let a frozen tree go on."""
        each(psutil.Process.resume, {*self._suspended, *self._survivors()})
        self._suspended = set()

    def _remember(self) -> None:
        """Learn what this process started while it can be told: what leaves its parent is nobody's then."""
        fresh: list[psutil.Process] = []
        # A pid is another's as soon as its process was collected.
        if self._process.poll() is None:
            with contextlib.suppress(psutil.Error):
                first = psutil.Process(self.pid)
                fresh = [first, *first.children(recursive=True)]
        with self._known_lock:
            self._known = {process for process in {*self._known, *fresh} if running(process)}

    def _survivors(self) -> set[psutil.Process]:
        self._remember()
        session = 0 if self._over else self.pid
        return self._known | marked(self.run_id, session)


def _start_lifeline() -> subprocess.Popen[bytes] | None:
    if os.name != "posix":
        return None
    return subprocess.Popen(
        ["/bin/sh", "-c", _LIFELINE],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
