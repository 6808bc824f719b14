"""Watches one engine while it runs: its output becomes events, and the events and the clock decide when
it must be stopped."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

from aq.core.engine.budget import Limits, Meter, Stop
from aq.core.engine.events import Event, Finished
from aq.core.engine.gather import STDERR_LINES, Gatherer
from aq.core.engine.report import EngineReport
from aq.core.engine.usage import Usage
from aq.core.engine.words import words
from aq.core.value import Value
from aq.host.engines.base import Launch, Parser
from aq.host.ownfiles import write_own
from aq.host.process import Child, Exit

MAX_ARTIFACT = 16 * 1024 * 1024


class Played(Value):
    """A finished engine. `stop` is our own reason when the meter stopped it, `last` the last line of
    its output, `seconds` how long it took."""

    ended: Exit
    report: EngineReport
    stop: Stop | None
    last: str
    seconds: float


class Watch:
    """One engine's output and limits. Lines come from pump threads, ticks from the run's own."""

    def __init__(
        self, parser: Parser, limits: Limits, session: str = "", earlier: Usage | None = None
    ) -> None:
        self.started = time.monotonic()
        self.stop: Stop | None = None
        self._child: Child | None = None
        self._stopping = False
        self._parser, self._meter = parser, Meter(limits, self.started)
        self._gatherer = Gatherer(session, earlier)
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._lock = threading.Lock()
        self._paused = False

    def attach(self, child: Child) -> None:
        """The process whose output this is: what is to be stopped."""
        with self._lock:
            self._child = child
            self._stop(None)

    def line(self, text: str, stderr: bool) -> Iterable[str]:
        """Take in a line of output; the lines that people read for it."""
        with self._lock:
            if stderr:
                self._stderr.append(text)
            events = self._parser.line(text, stderr=stderr)
            self._take(events)
        if events:
            return [line for line in map(words, events) if line]
        return () if text.startswith("{") else (text,)

    def _take(self, events: Sequence[Event]) -> None:
        now = time.monotonic()
        found: Stop | None = None
        for event in events:
            self._gatherer.add(event)
            found = found or self._meter.event(event, now)
        found = found or self._meter.used(self._gatherer.usage)
        # Who is done already cannot be stopped, only judged.
        if not any(isinstance(event, Finished) for event in events):
            self._stop(found)

    def _stop(self, found: Stop | None) -> None:
        self.stop = self.stop or found
        if self.stop and self._child and not self._stopping:
            self._stopping = True
            # Who is asked to end may go on spending while it does. What it wrote is kept all the same.
            how = {"at_once": self.stop.failure == "budget"}
            # In a thread of its own: who reads the output must go on reading.
            stop = self._child.stop
            threading.Thread(target=stop, args=(self.stop.reason,), kwargs=how, daemon=True).start()

    def tick(self) -> None:
        """Time went by."""
        now = time.monotonic()
        with self._lock:
            self._hear(now)
            self._stop(self._meter.tick(now))

    def pause(self, *, on: bool) -> None:
        """The engine is frozen by us, or goes on: its silence is not its own."""
        self._paused = on

    def silent(self) -> float:
        """For how many seconds the engine put nothing out."""
        now = time.monotonic()
        with self._lock:
            self._hear(now)
            return self._meter.silent(now)

    def _hear(self, now: float) -> None:
        if self._paused:
            self._meter.heard(now)
        elif self._child:
            self._meter.heard(self._child.last_output)

    def finish(self, child: Child, ended: Exit, artifact: Path | None) -> Played:
        """The facts, once the process is gone."""
        with self._lock:
            for event in self._parser.end(ended.code, _read(artifact)):
                self._gatherer.add(event)
            report = self._gatherer.report(ended.code, self._stderr)
        last = next((line for line in reversed(child.tail) if line.strip()), "")
        # The first reason wins; and ours wins over an engine that ended by itself just then.
        stop = self.stop if self.stop and ended.stopped in ("", self.stop.reason) else None
        return Played(ended, report, stop, last, time.monotonic() - self.started)


def write_files(launch: Launch) -> None:
    """Write what an engine needs to find. They may hold an engine's settings: nobody else's to read."""
    for path, content in launch.files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_own(path, content)


def _read(artifact: Path | None) -> str:
    try:
        if artifact is None or artifact.is_symlink() or not artifact.is_file():
            return ""
        with artifact.open("rb") as file:
            return file.read(MAX_ARTIFACT).decode("utf-8", "replace")
    except OSError:
        return ""
