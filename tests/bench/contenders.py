"""What one competing host does: the queue's own way, and the naive loop that people write first.
Each runs in a process of its own, on a clone of its own."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from aq.core.fleet import Beat
from aq.core.instants import instant
from aq.core.lease import Fence
from aq.core.lifecycle import Stage
from aq.core.operations import Claim, Land, Operation, Unverified
from aq.core.planning.plan import Memory, plan, remember
from aq.core.results import Landed
from aq.core.snapshot import Snapshot
from aq.core.value import replace
from aq.ledger.beatwriter import BeatWriter
from aq.ledger.ledger import Ledger
from tests.bench.fixtures import ENGINES, OFFERS, beat_of, open_ledger

_POLL, _PATIENCE = 3.0, 10.0


class Gate(Protocol):
    """What a multiprocessing barrier does."""

    def wait(self, timeout: float | None = None) -> int: ...


@dataclass
class Tally:
    """What one contender did: (seconds since the start, job) of each claim, and its pushes."""

    host: str
    claims: list[tuple[float, str]] = field(default_factory=list)
    pushes: int = 0
    lost: int = 0


@dataclass
class Host:
    """One host: plans for the fleet and claims what falls to it, as the runner does. Without `finish`
    it has `free` slots free at any time; with it, it has `free` slots, and a claimed job ends at
    once, so that its slot is free again when the landing is in the queue."""

    name: str
    ledger: Ledger
    beat: BeatWriter
    free: int
    finish: bool
    peers: dict[str, Beat] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    fetched: float = 0.0
    held: dict[str, Fence] = field(default_factory=dict)

    def live(self, snapshot: Snapshot) -> Mapping[str, Beat]:
        if self.finish:
            return self.peers
        taken = dict.fromkeys(self.peers, 0)
        for job in snapshot.leased():
            if job.lease:
                taken[job.lease.host] += 1
        return {name: replace(beat, slots=taken[name] + self.free) for name, beat in self.peers.items()}

    def wanted(self) -> list[Operation]:
        """This round's operations: landings first, else claims. Empty when nothing falls to us."""
        if self.held:
            return [operation for fence in self.held.values() for operation in self._landing(fence)]
        snapshot, clock = self.ledger.snapshot(), time.monotonic()
        planned = plan(snapshot, self.live(snapshot), instant(time.time()), self.memory)
        self.memory = remember(self.memory, planned.assignments, clock, _PATIENCE, self.name)
        return [self._claim(assignment.job) for assignment in planned.of(self.name)[: self.free]]

    def _asked(self) -> dict[str, Any]:
        return {"at": instant(time.time()), "by": self.name, "op_id": secrets.token_hex(8)}

    def _claim(self, job: str) -> Claim:
        nonce, slots = secrets.token_hex(8), self.free if self.finish else 1_000_000
        return Claim(
            **self._asked(),
            job=job,
            host=self.name,
            boot="boot",
            nonce=nonce,
            engine="shell",
            ttl=300.0,
            slots=slots,
            offers=OFFERS,
            engines=ENGINES,
        )

    def _landing(self, fence: Fence) -> list[Operation]:
        return [Land(**self._asked(), fence=fence), Unverified(**self._asked(), fence=fence)]

    def round(self) -> list[str]:
        """One tick. The jobs that were claimed in it."""
        if time.monotonic() - self.fetched > _POLL:
            self.look()
        operations = self.wanted()
        if not operations:
            self.look()
            return []
        claimed = []
        for result in self.ledger.perform(operations):
            if not isinstance(result, Landed):
                continue
            if isinstance(result.operation, Claim):
                claimed.append(result.operation.job)
                if self.finish:
                    job = result.change.jobs[0].after
                    assert job.lease
                    self.held[job.id] = job.lease.fence
            elif isinstance(result.operation, Unverified):
                del self.held[result.operation.fence.job]
        return claimed

    def look(self) -> None:
        self.ledger.fetch()
        self.fetched = time.monotonic()

    @property
    def over(self) -> bool:
        return not self.held and not self.ledger.snapshot().stages[Stage.INBOX]


def join(ledger: Ledger, folder: Path, name: str, free: int, gate: Gate, *, finish: bool = True) -> Host:
    """A host that has published its beat and seen those of all others, who meet at the gate for it."""
    beat = BeatWriter(ledger.committer, ledger.who, name, "refs/aq/hosts", folder / "state")
    beat.compose = lambda: beat_of(name, free)
    ledger.perform([], beat)
    gate.wait()
    me = Host(name, ledger, beat, free, finish)
    me.look()
    me.peers = {peer: value for peer, (_, value) in ledger.beats.items()}
    ledger.snapshot()
    me.wanted()
    ledger.pusher.pushes = ledger.pusher.lost = 0
    return me


def host(
    hub: str,
    folder: str,
    name: str,
    free: int,
    finish: bool,
    seconds: float,
    gate: Gate,
    report: Callable[[Tally], None],
) -> None:
    """One host's process: publish a beat, meet the others, claim until the time is up."""
    ledger = open_ledger(hub, Path(folder), name)
    ledger.fetch()
    me = join(ledger, Path(folder), name, free, gate, finish=finish)
    gate.wait()
    started, tally = time.monotonic(), Tally(name)
    while time.monotonic() - started < seconds and not me.over:
        claimed = me.round()
        now = time.monotonic() - started
        tally.claims += [(now, job) for job in claimed]
    tally.pushes, tally.lost = ledger.pusher.pushes, ledger.pusher.lost
    ledger.close()
    report(tally)


def naive(
    hub: str, folder: str, name: str, seconds: float, gate: Gate, report: Callable[[Tally], None]
) -> None:
    """One host's process in the naive way: fetch, reset, move, commit, push, and again after a loss."""
    clone, tally = Path(folder), Tally(name)
    subprocess.run(["git", "clone", "--quiet", hub, folder], check=True)
    gate.wait()
    gate.wait()
    started = time.monotonic()

    def git(*args: str) -> int:
        return subprocess.run(["git", *args], cwd=clone, capture_output=True, check=False).returncode

    while time.monotonic() - started < seconds:
        if git("fetch", "--quiet", "origin") or git("reset", "--quiet", "--hard", "origin/main"):
            continue
        job = min((path.stem for path in (clone / "queue" / "inbox").glob("*.md")), default="")
        if not job:
            break
        lease = clone / "queue" / "building" / f"{job}.lease.yaml"
        lease.write_text(f"host: {name}\nnonce: {secrets.token_hex(8)}\n")
        git("mv", f"queue/inbox/{job}.md", f"queue/building/{job}.md")
        git("add", "queue/building")
        git("commit", "--quiet", "-m", f"claim {job} on {name}")
        tally.pushes += 1
        if git("push", "--quiet", "origin", "HEAD:main") == 0:
            tally.claims.append((time.monotonic() - started, job))
        else:
            tally.lost += 1
    report(tally)
