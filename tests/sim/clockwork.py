"""Time and turns: one queue of events, and programs that run until they wait. No threads, no real clock."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any

from greenlet import getcurrent, greenlet


class Killed(BaseException):
    """kill -9. No handler of the product may catch it."""


class Clockwork:
    """The event queue. A step is one event taken from it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0
        self.main = getcurrent()
        self.running: Program | None = None
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = count()

    def after(self, seconds: float, do: Callable[..., None], *args: Any) -> None:
        """Let something happen later."""
        heappush(self._events, (self.now + seconds, next(self._number), do, args))

    def step(self) -> None:
        """The next event."""
        self.now, _, do, args = heappop(self._events)
        self.steps += 1
        do(*args)


class Program:
    """Something that runs on a machine. It gives the turn away only where it waits, so that every wait is a
    place where it can be overtaken, put to sleep or killed."""

    def __init__(self, works: Clockwork, body: Callable[[], None], awake: Callable[[], bool]) -> None:
        self.works, self.awake = works, awake
        self._turn = greenlet(lambda _: body())
        self._ticket = 0
        self._missed: list[tuple[int, Any]] = []
        self._waits = False

    @property
    def alive(self) -> bool:
        return not self._turn.dead

    def start(self) -> None:
        """The first turn."""
        self._go(None)

    def ticket(self) -> int:
        """What the next wake-up must show: a late one is for a wait that is over."""
        return self._ticket

    def wait(self) -> Any:
        """Give the turn away until somebody wakes this program; what they say."""
        assert getcurrent() is self._turn
        self._waits = True
        return self.works.main.switch()

    def sleep(self, seconds: float) -> Any:
        """Wait for so long, or until somebody says something."""
        self.works.after(max(0.0, seconds), self.wake, self._ticket, None)
        return self.wait()

    def wake(self, ticket: int, said: Any = None) -> None:
        """End a wait. A machine that sleeps hears it when it wakes up."""
        if ticket != self._ticket or self._turn.dead or not self._waits:
            return
        if not self.awake():
            self._missed.append((ticket, said))
            return
        self._go(said)

    def _go(self, said: Any) -> None:
        self._ticket += 1
        self._waits = False
        before, self.works.running = self.works.running, self
        try:
            self._turn.switch(said)
        finally:
            self.works.running = before

    def catch_up(self) -> None:
        """The machine is awake again."""
        missed, self._missed = self._missed, []
        for ticket, said in missed:
            self.wake(ticket, said)

    def kill(self) -> None:
        """End it wherever it waits."""
        if not self._turn.dead:
            before, self.works.running = self.works.running, self
            try:
                self._turn.throw(Killed)
            finally:
                self.works.running = before
