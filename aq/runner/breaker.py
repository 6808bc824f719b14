"""The host's own breaker: what ended here is noted, and a host that rests says so in its beat."""

from __future__ import annotations

from aq.core.eligible import AGENT_CLASS
from aq.core.health import FAST, blame, noted, room
from aq.core.instants import later
from aq.core.settle import Outcome
from aq.runner.state import Held, State


def note_end(runner: State, held: Held, outcome: Outcome) -> None:
    """Take in the end of an engine's run."""
    clock = runner.clock.boottime()
    lease = held.job.lease
    kind = runner.me.engines.get(lease.engine, AGENT_CLASS) if lease else AGENT_CLASS
    why = blame(outcome, clock - held.since, kind)
    if why is None:
        return
    before = runner.breaker.rests
    runner.breaker = noted(runner.breaker, held.fence.job, why, clock)
    if runner.breaker.rests > before:
        runner.beat_due = 0.0
        runner.say(f"this host rests: {resting(runner)}")


def resting(runner: State) -> str:
    """Why this host takes no work now, and until when; empty when it does."""
    left = runner.breaker.until - runner.clock.boottime()
    return f"{runner.breaker.why}; until {later(runner.clock.now(), left)}" if left > 0 else ""


def may_start(runner: State, slots: int) -> int:
    """How many of the free slots may be used now."""
    clock = runner.clock.boottime()
    fresh = sum(clock - held.since < FAST for held in runner.held.values())
    claims = runner.claims()
    allowed = room(runner.breaker, fresh + claims, clock)
    return slots if allowed is None else min(slots, allowed)
