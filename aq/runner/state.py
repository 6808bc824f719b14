"""What one host's loop knows: its ports, the leases it serves, the operations it still has to push.
The steps of the loop work on this; none of them is here."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aq.core.accepts import EVERYTHING, Accepts
from aq.core.fleet import Cooling
from aq.core.health import Breaker
from aq.core.job import Job
from aq.core.lease import Fence
from aq.core.manifest import Manifest
from aq.core.operations import Claim, Operation, Reclaim, VerifyClaim
from aq.core.planning.plan import Memory
from aq.core.settings import Settings
from aq.core.settle import Outcome
from aq.core.value import Value
from aq.runner.ports import BeatPort, BenchPort, ClockPort, ClonePort, LedgerPort, MemoryPort, SpoolPort
from aq.runner.watch import Watch

BEAT_RETRY = 5.0


class Me(Value):
    """This host, as it tells the fleet."""

    host: str
    boot: str
    incarnation: str
    slots: int
    offers: frozenset[str]
    engines: dict[str, str]
    version: str
    accepts: Accepts = EVERYTHING


@dataclass
class Held:
    """A lease that this process serves, and how far its run is. `yields_to` is the critical job for which it
    was stopped."""

    fence: Fence
    job: Job
    landed: bool = False
    fenced: bool = False
    stopping: bool = False
    yields_to: str = ""
    outcome: Outcome | None = None
    since: float = 0.0


@dataclass
class State:
    """Everything that lasts from tick to tick. `say` tells a person what happened, one line each."""

    me: Me
    ledger: LedgerPort
    bench: BenchPort
    clock: ClockPort
    beat: BeatPort
    spool: SpoolPort
    memory: MemoryPort
    clone: ClonePort
    say: Callable[[str], None]
    held: dict[Fence, Held] = field(default_factory=dict)
    pending: dict[str, Operation] = field(default_factory=dict)
    draining: bool = False
    stopping: bool = False
    frozen: str = ""
    offline: str = ""
    hurry: bool = True
    idle: bool = False
    named: bool = False
    suspended: bool = False
    confirmed_at: float | None = None
    beat_due: float = 0.0
    beat_delay: float = BEAT_RETRY
    plan_memory: Memory = field(default_factory=Memory)
    refuses: dict[str, tuple[str, float]] = field(default_factory=dict)
    delivering: dict[str, float] = field(default_factory=dict)
    orphans: frozenset[str] = frozenset()
    cooling: dict[str, Cooling] = field(default_factory=dict)
    breaker: Breaker = field(default_factory=Breaker)
    unsaved: set[str] = field(default_factory=set)
    unwritten: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.watch = Watch(self.memory.load_evidence())
        self.cooling = dict(self.memory.load_cooling())

    @property
    def settings(self) -> Settings:
        """The fleet's settings at the known tip."""
        return self.ledger.snapshot().settings if self.ledger.tip else Settings()

    def now_op(self) -> dict[str, Any]:
        """The fields that every operation of this host has."""
        return {"at": self.clock.now(), "by": self.me.host, "op_id": secrets.token_hex(8)}

    def submit(self, operation: Operation) -> None:
        """Queue an operation for the next push; results survive a crash from here on."""
        self.pending[operation.op_id] = operation
        if not isinstance(operation, (Claim, VerifyClaim, Reclaim)):
            self.save(operation)

    def save(self, operation: Operation) -> None:
        """Write a result down; one that the disk does not take is tried again."""
        if self.write("results", lambda: self.spool.save(operation)):
            self.unsaved.discard(operation.op_id)
        else:
            self.unsaved.add(operation.op_id)

    def write(self, what: str, write: Callable[[], None]) -> bool:
        """Write something down; whether the disk took it, which is said once. A full disk must not end the
        loop, and with it all that runs."""
        try:
            write()
        except OSError as error:
            if what not in self.unwritten:
                self.say(f"this host's {what} cannot be written: {error}; running work goes on")
            self.unwritten.add(what)
            return False
        self.unwritten.discard(what)
        return True

    def busy(self, job: str) -> bool:
        """Whether an operation about the job is on its way."""
        return any(operation.about == job for operation in self.pending.values())

    def runs(self, job: str) -> bool:
        """Whether a run of the job is still here, be it one that lost its lease and is being stopped: two
        would share a folder."""
        return any(fence.job == job for fence in self.held)

    def why_not(self, job: Job) -> str:
        """Why this host refuses a job, or nothing."""
        return _asked(self.bench.why_not, job, "run")

    def why_not_delivering(self, job: Job) -> str:
        """Why this host cannot deliver a job's shipped work, or nothing."""
        return _asked(self.bench.why_not_delivering, job, "deliver")

    def slots_free(self) -> int:
        """Slots that neither a lease nor a pending claim takes."""
        return max(0, self.me.slots - len(self.held) - self.claims())

    def claims(self) -> int:
        """Claims on their way."""
        return sum(isinstance(op, (Claim, VerifyClaim)) for op in self.pending.values())

    def hold(self, held: Held) -> None:
        """Serve a lease from now on."""
        held.since = self.clock.boottime()
        self.held[held.fence] = held

    def drop(self, fence: Fence) -> None:
        """A lease is settled."""
        self.held.pop(fence, None)
        self.bench.finish(fence)


def _asked(why_not: Callable[[Manifest], str], job: Job, what: str) -> str:
    # One job must not end the loop of all.
    try:
        return why_not(job.manifest)
    except Exception as error:
        return f"this host cannot tell whether it may {what} it: {error or type(error).__name__}"
