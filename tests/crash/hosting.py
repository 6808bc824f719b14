"""The parts of `aq run` that touch the disk and the hub, put together without its loop: one step at a time
may die, and a restart finds what a restarted host finds."""

from __future__ import annotations

import secrets

from aq.core.fleet import Beat, Lapse
from aq.core.operations import Operation, Reclaim, Verified
from aq.core.results import Landed, Refused
from aq.host.memory import HostMemory
from aq.ledger.beatwriter import BeatWriter
from aq.ledger.clone import ResultSpool
from aq.ledger.commits import Identity
from tests.crash.world import World
from tests.support.fleet import beat, claim_of, op, wait_until
from tests.support.story import Story

_ME = "ada"


def runs_of(world: World) -> list[str]:
    """The epochs that the engine ran in, in order."""
    path = world.root / "runs"
    return path.read_text().split() if path.exists() else []


class Host:
    """Host `ada`, just started."""

    def __init__(self, world: World) -> None:
        machine = world.machine(_ME)
        state = machine.state / "host"
        self.memory = HostMemory(state)
        self.memory.lock(_ME)
        self.spool = ResultSpool(state / "spool")
        self.ledger = machine.ledger(f"run-{_ME}")
        who = Identity(_ME, f"{_ME}@hosts.aq.invalid")
        self.beats = BeatWriter(self.ledger.committer, who, _ME, "refs/aq/hosts", state)
        self.beats.compose = self._beat
        self.story = Story(self.ledger, world.hub, _ME)

    def close(self) -> None:
        self.memory.unlock()
        self.ledger.close()

    def _beat(self) -> Beat:
        return beat(_ME)

    def _perform(self, *operations: Operation) -> int:
        for result in self.ledger.perform(operations, self.beats):
            assert isinstance(result, (Landed, Refused)), result
            if isinstance(result, Refused):
                assert result.refusal.done, result
            self.spool.remove(result.operation)
        if not self.beats.confirmed:
            wait_until(self._confirm, 20, "a confirmed beat")
        return 0

    def _confirm(self) -> bool:
        self.ledger.perform([], self.beats)
        return self.beats.confirmed

    def restart(self) -> int:
        """Look, know our own beat, and bring what was spooled."""
        self.ledger.fetch()
        self.beats.look(self.ledger.beats.get(_ME, ("",))[0])
        return self._perform(*self.spool.waiting())

    def beat(self) -> int:
        """Three beats, one after the other."""
        for _ in range(3):
            self._perform()
        return 0

    def claim(self, job: str) -> int:
        nonce = secrets.token_hex(8)
        self.memory.add_nonce(nonce)
        return self._perform(claim_of(job, _ME, nonce=nonce))

    def result(self, operation: Operation) -> int:
        """A result: on disk first, then in the queue."""
        self.spool.save(operation)
        return self._perform(operation)

    def verified(self, job: str) -> Operation:
        return Verified(**op(_ME), fence=self.story.fence(job))

    def reclaim(self, job: str) -> int:
        fence = self.story.fence(job)
        return self._perform(
            Reclaim(**op(_ME), job=job, lapse=Lapse(fence.key, fence.host, "absent", 9.0, 3.0, 0.5))
        )

    def leased(self, job: str) -> bool:
        return self.story.job(job).lease is not None

    def holds(self, job: str) -> bool:
        """Whether the job is leased to us; if so, we know that lease as ours."""
        lease = self.story.job(job).lease
        if lease and not self._is_seed(lease.nonce):
            assert lease.nonce in self.memory.nonces(), "our own claim is not known to us"
        return lease is not None

    def _is_seed(self, nonce: str) -> bool:
        # Claimed while the state before the operation was made.
        return not self.memory.nonces()

    def landed(self, job: str) -> bool:
        return self.story.job(job).stage == "review"
