"""When the agent must stop although its model would go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from aq.core.value import Value
from aq.host.engines.local_agent.dialects import Call

REPEATS = 3
UNREADABLE = 3
_CHANGING = ("write_file", "run_command")


class Stop(Value):
    """Why it stopped before the model was done: a failure class, and words."""

    failure: str
    words: str


NO_TIME = Stop("budget", "no time is left")


@dataclass
class Guards:
    """All limits of one run. `left` says how many seconds there are; None is no limit."""

    turns: int
    tokens: int | None
    left: Callable[[], float]
    asked: int = 0
    used: int = 0
    unreadable: int = 0
    _seen: dict[str, int] = field(default_factory=dict)
    _ever: set[str] = field(default_factory=set)

    def before_turn(self) -> Stop | None:
        """Whether the model may be asked again; counts it if so."""
        if self.asked >= self.turns:
            return Stop("budget", f"no end after {self.turns} turns")
        if self.tokens is not None and self.used >= self.tokens:
            return Stop("budget", f"used {self.used} tokens, the budget is {self.tokens}")
        if self.left() <= 0:
            return NO_TIME
        self.asked += 1
        return None

    def called(self, call: Call) -> Stop | None:
        """A call is about to be made. Something new that changes files makes earlier looks worth
        repeating, but no write is."""
        if call.name in _CHANGING and call.key not in self._ever:
            self._seen = {key: n for key, n in self._seen.items() if key.startswith("write_file ")}
        self._ever.add(call.key)
        self._seen[call.key] = self._seen.get(call.key, 0) + 1
        if self._seen[call.key] >= REPEATS:
            return Stop("agent", f"the same call of {call.name[:80]} {REPEATS} times")
        return None

    def read(self, problem: str) -> Stop | None:
        """An answer was read, or not because of a problem."""
        self.unreadable = self.unreadable + 1 if problem else 0
        if self.unreadable >= UNREADABLE:
            return Stop("agent", f"{UNREADABLE} answers in a row cannot be read: {problem}")
        return None
