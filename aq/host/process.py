"""Child processes and everything they start: spawned in a group of their own, pumped into a redacted
log, stopped as a whole tree. The only user of psutil."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from aq.core.secrets import redact

RUN_ID = "AQ_RUN_ID"
HEAD_BYTES = 8 * 1024 * 1024
TAIL_BYTES = 2 * 1024 * 1024
_MAX_LINE = 64 * 1024
# When its parent dies this shell reads end of file, and takes the engine's group with it. It is there
# before the engine is, and told whom to watch: no engine runs unwatched while a shell starts.
_LIFELINE = 'read -r group || exit; read -r word; [ "$word" = done ] || kill -s KILL -- "-$group"'


@dataclass(frozen=True, slots=True)
class Exit:
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


class CappedLog:
    """A log file that keeps its head and its tail."""

    def __init__(self, path: Path, known_secrets: tuple[str, ...]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = path.open("ab", buffering=0)
        self._known = known_secrets
        self._written = self._file.tell()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._cut = 0

    def clean(self, line: bytes) -> str:
        """The line as it may be shown and kept."""
        return redact(line.decode("utf-8", "replace"), self._known)

    def write(self, line: str) -> None:
        """One clean line."""
        clean = line.encode()
        if self._written + len(clean) <= HEAD_BYTES:
            self._written += len(clean)
            self._file.write(clean)
            return
        self._tail.append(clean)
        self._tail_bytes += len(clean)
        while self._tail_bytes > TAIL_BYTES:
            dropped = len(self._tail.popleft())
            self._tail_bytes -= dropped
            self._cut += dropped

    def close(self) -> None:
        """Write the tail and close."""
        with contextlib.suppress(OSError), self._file:
            if self._cut:
                self._file.write(f"\n[{self._cut} bytes cut]\n".encode())
            self._file.writelines(self._tail)


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
    ) -> None:
        self.run_id, self.grace = run_id, grace
        self.stopped = ""
        self.tail: deque[str] = deque(maxlen=40)
        self.last_output = time.monotonic()
        self._known: dict[int, float] = {}
        self._stop_lock = threading.Lock()
        self._over = False
        self._log = CappedLog(log, known_secrets)
        self._lifeline = _start_lifeline()
        source: IO[bytes] | int = stdin.open("rb") if stdin else subprocess.DEVNULL
        try:
            self._process = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env={**env, RUN_ID: run_id},
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=os.name == "posix",
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError:
            self._tell_lifeline("")
            self._log.close()
            raise
        finally:
            if stdin and not isinstance(source, int):
                source.close()
        self._tell_lifeline(f"{self.pid}\n", last=False)
        if on_start:
            on_start(self.pid, _started(self.pid))
        self._pump = threading.Thread(target=self._pump_output, name=f"pump {run_id[:8]}", daemon=True)
        self._pump.start()

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

    def _pump_output(self) -> None:
        assert self._process.stdout
        with contextlib.suppress(OSError, ValueError):
            while line := self._process.stdout.readline(_MAX_LINE):
                self.last_output = time.monotonic()
                clean = self._log.clean(line)
                self.tail.append(clean.rstrip("\n"))
                with contextlib.suppress(OSError):
                    self._log.write(clean)

    def wait(self, timeout: float) -> Exit:
        """Wait for the first process, stopping the tree when `timeout` seconds pass; then clear away
        whatever it left behind."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                self._process.wait(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                self._remember()
                if time.monotonic() > deadline and not self.stopped:
                    self.stop("timeout")
        self._finish()
        return Exit(self._process.returncode, self.stopped)

    def _finish(self) -> None:
        # A grandchild may hold the pipe or live on in a session of its own: nothing outlives a run.
        self._pump.join(timeout=0.5)
        if self._pump.is_alive() or self._survivors():
            self._end(self._survivors())
            self._pump.join(timeout=2)
        self._over = True
        self._tell_lifeline("done\n")
        self._log.close()
        if self._process.stdout and not self._pump.is_alive():
            self._process.stdout.close()

    def stop(self, reason: str) -> None:
        """Stop the whole tree: TERM, a grace period, KILL. The first reason given stays."""
        with self._stop_lock:
            self.stopped = self.stopped or reason
            self._end(self._survivors())

    def suspend(self) -> None:
        """Freeze the tree."""
        for process in self._survivors():
            with contextlib.suppress(psutil.Error):
                process.suspend()

    def resume(self) -> None:
        """Let a frozen tree go on."""
        for process in self._survivors():
            with contextlib.suppress(psutil.Error):
                process.resume()

    def _remember(self) -> None:
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    self._known[process.pid] = process.create_time()

    def _survivors(self) -> list[psutil.Process]:
        self._remember()
        found: dict[int, psutil.Process] = {}
        for pid, started in self._known.items():
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                if process.create_time() == started and process.status() != psutil.STATUS_ZOMBIE:
                    found[pid] = process
        if self._process.poll() is None:
            with contextlib.suppress(psutil.Error):
                found[self.pid] = psutil.Process(self.pid)
        session = 0 if self._over else self.pid
        for process in marked(self.run_id, session):
            found[process.pid] = process
        return list(found.values())

    def _end(self, processes: list[psutil.Process]) -> None:
        end_processes(processes, self.grace)


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


def end_processes(processes: list[psutil.Process], grace: float) -> None:
    """TERM, wait `grace` seconds at most, KILL."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.resume()
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=grace)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=5)


def marked(run_id: str, session: int = 0) -> list[psutil.Process]:
    """The processes that carry a run's mark in their environment, wherever they went, and those that
    are still in its session, whatever they did to their environment."""
    found = []
    me = os.getpid()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if (
                process.pid != me
                and (_in_session(process.pid, session) or _carries(process, run_id))
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process)
    return found


def _in_session(pid: int, session: int) -> bool:
    return bool(session) and os.name == "posix" and os.getsid(pid) == session


def _carries(process: psutil.Process, run_id: str) -> bool:
    return hasattr(process, "environ") and process.environ().get(RUN_ID) == run_id


def _started(pid: int) -> float:
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0


def alive(pid: int, started: float) -> bool:
    """Whether exactly this process still runs: pids are used again, start times are not."""
    try:
        process = psutil.Process(pid)
        return process.create_time() == started and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def sweep(run_id: str, grace: float = 2.0) -> int:
    """End everything that an earlier process of ours left of a run; how many there were."""
    left = marked(run_id)
    end_processes(left, grace)
    return len(left)
