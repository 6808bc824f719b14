"""What a failure class means for the job and for the host: whether it costs the job an attempt, and how
long the engine rests on this host. One table; code and docs read it."""

from __future__ import annotations

from aq.core.value import Value

MINUTE = 60.0
# Nobody says for longer than a day that an engine must rest: after that it is worth a try.
LONGEST_REST = 24 * 3600.0
_LONG = (5 * MINUTE, 15 * MINUTE, 60 * MINUTE)
_SHORT = (1 * MINUTE, 5 * MINUTE, 15 * MINUTE)


class Policy(Value):
    """`released`: the job goes back without spending an attempt. `rests`: how long the engine rests on
    this host after the first such failure in a row, the second, and each later one, when no reset time
    is known; empty when it does not rest."""

    released: bool = False
    rests: tuple[float, ...] = ()


POLICIES: dict[str, Policy] = {
    "auth": Policy(released=True, rests=_LONG),
    "quota": Policy(released=True, rests=_LONG),
    "rate_limit": Policy(released=True, rests=_LONG),
    "overloaded": Policy(released=True, rests=_SHORT),
    "network": Policy(released=True, rests=_SHORT),
    "context": Policy(),
    "timeout": Policy(),
    "budget": Policy(),
    "denied": Policy(),
    "agent": Policy(),
    "crash": Policy(),
    "verify_failed": Policy(),
    "unknown": Policy(),
}


def policy(failure: str) -> Policy:
    """The row of a class. A class that nobody knows is charged."""
    return POLICIES.get(failure, POLICIES["unknown"])


def rest(failure: str, times: int, reset: float | None, jitter: float) -> float:
    """For how many seconds an engine rests after failing like this for the `times`-th time in a row, 0
    for not at all: until its limit resets when that is known, and never less. A reset within a minute is
    what the engine itself waited for in vain, and no help. `jitter` (0 to 1) spreads the hosts that ran
    into the same limit."""
    steps = policy(failure).rests
    if not steps:
        return 0.0
    if reset is not None and reset >= MINUTE:
        return min(reset, LONGEST_REST) + jitter * min(MINUTE, reset / 10)
    return steps[min(max(times, 1), len(steps)) - 1] * (0.75 + 0.5 * jitter)
