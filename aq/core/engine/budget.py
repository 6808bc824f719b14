"""When a running engine must be stopped: by what it used, by the clock, by its silence, or because it
only tries its model again and again. Numbers come in, a reason comes out; nothing here has a clock."""

from __future__ import annotations

from aq.core.engine.events import Event, Faulted, Finished, Retrying, Said, ToolCalled, ToolDone
from aq.core.engine.usage import Usage, money
from aq.core.manifest import Budget
from aq.core.value import Value, replace

RETRY_DELAY = 120.0
RETRY_TOTAL = 300.0
_PROGRESS = (Said, ToolCalled, ToolDone, Finished)


class Stop(Value):
    """Why to stop an engine. `failure` is the class; or it follows from the `fault` that the engine
    tried to get over."""

    failure: str
    reason: str
    fault: Faulted | None = None


class Limits(Value):
    """What a run may use; None is no limit. `timeout` and `wall` are both seconds since the start:
    the first that is reached gives its name to the end. `silence` is in seconds without output."""

    timeout: float
    usd: float | None = None
    tokens: int | None = None
    wall: float | None = None
    silence: float | None = None

    @classmethod
    def of(cls, budget: Budget, timeout: float, silence: float | None) -> Limits:
        """The limits of a whole run."""
        return cls(timeout, budget.usd, budget.tokens, budget.wall, silence)

    def less(self, used: Usage, seconds: float) -> Limits:
        """What is left of them for another round of the same run."""
        return replace(
            self,
            timeout=max(0.0, self.timeout - seconds),
            usd=None if self.usd is None else max(0.0, self.usd - (used.usd or 0.0)),
            tokens=None if self.tokens is None else max(0, self.tokens - (used.tokens or 0)),
            wall=None if self.wall is None else max(0.0, self.wall - seconds),
        )

    @property
    def spent(self) -> bool:
        """Whether nothing is left of one of them: another round may not begin."""
        return 0 in (self.timeout, self.wall, self.usd, self.tokens)


class Meter:
    """Watches one engine. All moments are readings of one clock, in seconds."""

    def __init__(self, limits: Limits, started: float) -> None:
        self.limits, self.started = limits, started
        self._heard = started
        self._most = Usage()
        self._retrying: float | None = None
        self._retried = 0.0
        self._fault: Faulted | None = None

    def heard(self, now: float) -> None:
        """The engine put something out then, or was not free to."""
        self._heard = max(self._heard, now)

    def silent(self, now: float) -> float:
        """For how long it put nothing out."""
        return now - self._heard

    def used(self, usage: Usage) -> Stop | None:
        """The usage of the run so far. What was once used stays used."""
        self._most = self._most.most(usage.possible())
        usd, tokens = self._most.usd, self._most.tokens
        if self.limits.usd is not None and usd is not None and usd > self.limits.usd:
            return Stop("budget", f"used {usd:.4g} usd, the budget is {self.limits.usd:g}")
        if self.limits.tokens is not None and tokens is not None and tokens > self.limits.tokens:
            return Stop("budget", f"used {tokens} tokens, the budget is {self.limits.tokens}")
        return None

    def event(self, event: Event, now: float) -> Stop | None:
        """One more event; its usage comes by `used`."""
        if isinstance(event, _PROGRESS):
            self._retried += 0.0 if self._retrying is None else now - self._retrying
            self._retrying = None
            return None
        if not isinstance(event, Retrying):
            return None
        delay = money(event.delay)
        self._fault = Faulted(event.words, event.status, reset=delay)
        if self._retrying is None:
            self._retrying = now
        if delay is not None and delay > RETRY_DELAY:
            return Stop("", f"it wants to wait {delay:.0f} s for its model", self._fault)
        return self._retry_stop(now)

    def tick(self, now: float) -> Stop | None:
        """Time went by."""
        limits, passed = self.limits, now - self.started
        if limits.wall is not None and limits.wall < limits.timeout and passed > limits.wall:
            return Stop("budget", f"no end within its budget of {limits.wall:g} s")
        if passed > limits.timeout:
            return Stop("timeout", f"no end within {limits.timeout:g} s")
        if limits.silence is not None and self.silent(now) > limits.silence:
            return Stop("timeout", f"no output for {limits.silence:g} s")
        return self._retry_stop(now)

    def _retry_stop(self, now: float) -> Stop | None:
        if self._retrying is None or self._retried + now - self._retrying <= RETRY_TOTAL:
            return None
        return Stop("", f"it tried its model again for over {RETRY_TOTAL:.0f} s", self._fault)
