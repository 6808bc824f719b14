"""The host's own breaker: what ended here is noted, and a host that rests says so in its beat."""

from __future__ import annotations

from aq.core.health import FAST, LONGEST_REST, Breaker, blame, carried, noted, room
from aq.core.instants import later, unix
from aq.core.planning.eligible import AGENT_CLASS
from aq.core.settle import Outcome
from aq.core.value import replace
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
    # On the wall's clock: the machine may be started anew before the rest is over.
    kept = carried(runner.breaker, unix(runner.clock.now()) - clock)
    runner.write("breaker", lambda: runner.memory.save_breaker(kept))
    if runner.breaker.rests > before:
        runner.beat_due = 0.0
        runner.say(f"this host rests: {resting(runner)}")


def remember(runner: State) -> None:
    """Go on with what an earlier process of this host noted: a restart is no cure."""
    clock = runner.clock.boottime()
    found = carried(runner.memory.load_breaker(), clock - unix(runner.clock.now()))
    runner.breaker = replace(found, until=min(found.until, clock + LONGEST_REST))
    if resting(runner):
        runner.say(f"this host rests: {resting(runner)}; `aq run --wake` if it is well again")


def wake(runner: State) -> None:
    """Somebody says that the host is well: forget what went bad."""
    runner.breaker = Breaker()
    runner.write("breaker", lambda: runner.memory.save_breaker(runner.breaker))


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
