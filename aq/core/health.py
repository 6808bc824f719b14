"""A host that breaks everything it touches stops touching: after some bad runs of distinct jobs in a row
it rests, longer each time, and then tries one job (a black hole would empty the queue in minutes)."""

from __future__ import annotations

from aq.core.engine.policy import policy
from aq.core.planning.eligible import AGENT_CLASS
from aq.core.settle import Ending, Outcome
from aq.core.value import Value, replace

LIMIT = 3
# A run that fails sooner than this says more about the host than about the job.
FAST = 10.0
FIRST_REST, LONGEST_REST = 300.0, 4 * 3600.0
_OWN_WORDS = ("agent", "crash", "unknown", "denied")


class Breaker(Value):
    """The jobs whose runs went bad here in a row, how often the host rested for that and until when (on
    its own clock), why, and whether a run ever went well."""

    bad: tuple[str, ...] = ()
    rests: int = 0
    until: float = 0.0
    why: str = ""
    proven: bool = False


def blame(outcome: Outcome, seconds: float, kind: str = AGENT_CLASS) -> str | None:
    """Why the end of a run of an engine of this kind speaks against its host; empty when it speaks for it,
    None for neither. What lets an engine rest is dealt with there."""
    match outcome.ending:
        case Ending.DONE:
            return ""
        case Ending.INFRA:
            return outcome.reason or "the host could not run it"
        case Ending.FAILED:
            return _blame_of_failure(outcome, seconds, kind)
        case _:
            return None


def _blame_of_failure(outcome: Outcome, seconds: float, kind: str) -> str | None:
    if policy(outcome.failure).rests:
        return None
    if seconds >= FAST:
        return ""
    # A script that ends with 1 says what its job asked it to say: no agent was too ill to begin.
    own = outcome.failure == "agent" and kind != AGENT_CLASS
    counts = outcome.failure in _OWN_WORDS and not own
    return f"{outcome.failure} after {seconds:.0f}s" if counts else None


def noted(breaker: Breaker, job: str, why: str, clock: float) -> Breaker:
    """The breaker after a run that ended: badly, when there is a `why`."""
    if not why:
        return Breaker(proven=True)
    bad = (*(other for other in breaker.bad if other != job), job)
    if len(bad) < (1 if breaker.rests else LIMIT):
        return replace(breaker, bad=bad, why=why)
    seconds = min(FIRST_REST * 2**breaker.rests, LONGEST_REST)
    count = f"{len(bad)} jobs in a row" if len(bad) > 1 else "the job it tried"
    return Breaker((), breaker.rests + 1, clock + seconds, f"{count} went bad here, the last: {why}")


def carried(breaker: Breaker, seconds: float) -> Breaker:
    """The breaker on another clock, which is ahead of its own by so many seconds. That a run went well is
    not carried along: who begins anew has to prove himself."""
    return replace(breaker, until=breaker.until + seconds if breaker.until else 0.0, proven=False)


def room(breaker: Breaker, fresh: int, clock: float) -> int | None:
    """How many runs may start now, None for any number. `fresh` are runs that may still fail fast: until
    one went well, no more are at stake than would let the host rest."""
    if clock < breaker.until:
        return 0
    if breaker.proven and not breaker.bad:
        return None
    at_stake = 1 if breaker.rests else LIMIT - len(breaker.bad)
    return max(0, at_stake - fresh)
