"""The engines that rest on this host after a failure that was no job's fault: nobody offers them, so that
the plan gives the job to another engine or host."""

from __future__ import annotations

import random

from aq.core.engine.policy import LONGEST_REST, rest
from aq.core.fleet import Cooling
from aq.core.instants import later
from aq.core.settle import Ending, Outcome
from aq.runner.state import State

# By the wall clock, not by the clock of leases: a rest outlives a reboot, and a provider's limit ends at a
# time of day, asleep or not. A clock that was set back must not make an engine rest for good.
_LONGEST = LONGEST_REST + 3600.0


def resting(runner: State) -> dict[str, Cooling]:
    """The engines that rest now."""
    now = runner.clock.now()
    bound = later(now, _LONGEST)
    return {name: one for name, one in runner.cooling.items() if now < one.until <= bound}


def engines(runner: State) -> dict[str, str]:
    """The engines that may be used now."""
    tired = resting(runner)
    return {name: kind for name, kind in runner.me.engines.items() if name not in tired}


def offers(runner: State) -> frozenset[str]:
    """What this host offers now."""
    return runner.me.offers - {f"engine:{name}" for name in resting(runner)}


def learn(runner: State, engine: str, outcome: Outcome) -> None:
    """Let an engine rest after such a failure; forget earlier ones when it did its work."""
    known = runner.cooling.get(engine)
    if outcome.ending is Ending.DONE and known:
        del runner.cooling[engine]
        runner.write("resting engines", lambda: runner.memory.save_cooling(runner.cooling))
    if outcome.ending is not Ending.FAILED:
        return
    times = known.times + 1 if known else 1
    seconds = rest(outcome.failure, times, outcome.reset, random.random())
    if seconds:
        cooling = Cooling(later(runner.clock.now(), seconds), outcome.failure, times)
        runner.cooling[engine] = cooling
        runner.write("resting engines", lambda: runner.memory.save_cooling(runner.cooling))
        runner.beat_due = 0.0
        runner.say(f"{engine} {cooling.words}")
