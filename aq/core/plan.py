"""What each host should do next: pure, and the same on every host for the same view. Here: priority,
then age, then a rendezvous hash that gives each job to one host (DESIGN section 7)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from aq.core.eligible import (
    budget_blockers,
    fleet_blockers,
    host_blockers,
    job_blockers,
    resolve_engine,
    verify_blockers,
)
from aq.core.fleet import Beat
from aq.core.instants import Instant
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.manifest import Manifest
from aq.core.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Assignment:
    """A job and the host it falls to. `verify` when only its verify is to be run."""

    job: str
    host: str
    engine: str
    verify: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """What one observer remembers between plans: who was chosen for a job and since when (seconds
    on its own clock), and which hosts let their turn pass."""

    chosen: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    passed: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """Assignments for the whole fleet, and why each other waiting job waits."""

    assignments: tuple[Assignment, ...]
    waiting: Mapping[str, str]

    def of(self, host: str) -> tuple[Assignment, ...]:
        """What falls to one host."""
        return tuple(a for a in self.assignments if a.host == host)


def rendezvous(host: str, job: str) -> bytes:
    """A number that host and job fix together: the highest wins, and a host that leaves moves only
    its own jobs."""
    return hashlib.blake2b(f"{host}|{job}".encode(), digest_size=8).digest()


def free_slots(snapshot: Snapshot, hosts: Mapping[str, Beat]) -> dict[str, int]:
    """Slots in the beat less leases on the tip, for the hosts that take work."""
    free = {name: beat.slots for name, beat in hosts.items() if not beat.draining and not beat.stopped}
    for job in snapshot.leased():
        if job.lease and job.lease.host in free:
            free[job.lease.host] -= 1
    return {name: max(0, count) for name, count in free.items()}


def plan(
    snapshot: Snapshot,
    hosts: Mapping[str, Beat],
    now: Instant,
    memory: Memory | None = None,
    first: int | None = None,
) -> Plan:
    """Who takes which job now. `hosts` are the live ones, the observer included. With `first`, only what
    the first waiting jobs get: it does not depend on those behind them."""
    passed = (memory or Memory()).passed
    blocked = fleet_blockers(snapshot)
    waiting_jobs = snapshot.waiting(first)
    if blocked:
        return Plan((), {job.id: blocked[0] for job in waiting_jobs})
    to_verify = [
        job
        for job in snapshot.jobs(Stage.REVIEW)
        if job.to_be_verified and job.record.tip and not job.problem and not verify_blockers(job, snapshot)
    ]
    free = free_slots(snapshot, hosts)
    chooser = _Chooser(hosts, free, passed)
    assignments: list[Assignment] = []
    waiting: dict[str, str] = {}
    locks: set[str] = set()
    for job in sorted(to_verify, key=lambda job: job.order):
        if job.manifest.lock not in locks:
            verifier = chooser.choose_verifier(job)
            assignments += verifier
            locks |= {job.manifest.lock for _ in verifier} - {""}
    for job in waiting_jobs:
        lock = job.manifest.lock
        reasons = job_blockers(job, snapshot, now) or budget_blockers(job.manifest, snapshot, now)
        if not reasons and lock in locks:
            reasons = [f"lock {lock!r} goes to an earlier job"]
        chosen = None if reasons else chooser.choose(job)
        if chosen:
            assignments.append(chosen)
            locks |= {lock} - {""}
        else:
            waiting[job.id] = reasons[0] if reasons else chooser.why(job)
    return Plan(tuple(assignments), waiting)


class _Chooser:
    """Gives jobs to hosts, one slot each, remembering what is left."""

    def __init__(
        self, hosts: Mapping[str, Beat], free: dict[str, int], passed: Mapping[str, frozenset[str]]
    ) -> None:
        self.hosts, self.free, self.passed = hosts, free, passed
        # Many jobs ask for the same things: the hosts that can are found once for each such group.
        self.capable: dict[tuple[object, ...], list[str]] = {}

    def able(self, manifest: Manifest) -> list[str]:
        key = (manifest.engine, manifest.engine_class, manifest.repo, manifest.capabilities)
        if key not in self.capable:
            self.capable[key] = [
                name
                for name, beat in sorted(self.hosts.items())
                if not host_blockers(manifest, beat.offers, beat.engines)
            ]
        return self.capable[key]

    def _pick(self, job: Job, names: list[str]) -> str:
        ready = [
            name for name in names if self.free.get(name, 0) > 0 and job.id not in self.hosts[name].refuses
        ]
        skipped = self.passed.get(job.id, frozenset())
        # When every host let its turn pass, start over: better a race than a job that waits.
        candidates = [name for name in ready if name not in skipped] or ready
        name = max(candidates, key=lambda name: rendezvous(name, job.id), default="")
        if name:
            self.free[name] -= 1
        return name

    def choose(self, job: Job) -> Assignment | None:
        if not any(self.free.values()):
            return None
        name = self._pick(job, self.able(job.manifest))
        return (
            Assignment(job.id, name, resolve_engine(job.manifest, self.hosts[name].engines)) if name else None
        )

    def choose_verifier(self, job: Job) -> list[Assignment]:
        need = f"repo:{job.manifest.repo}"
        able = [name for name, beat in self.hosts.items() if not job.manifest.repo or need in beat.offers]
        name = self._pick(job, able)
        return [Assignment(job.id, name, "", verify=True)] if name else []

    def why(self, job: Job) -> str:
        able = self.able(job.manifest)
        if able:
            willing = [name for name in able if job.id not in self.hosts[name].refuses]
            if not willing:
                return f"{able[0]}: {self.hosts[able[0]].refuses[job.id]}"
            taking = any(self.hosts[name].slots for name in willing if name in self.free)
            return "waits for a free slot" if taking else "no host takes work"
        if not self.hosts:
            return "no live host"
        reasons = [
            (host_blockers(job.manifest, beat.offers, beat.engines), name)
            for name, beat in sorted(self.hosts.items())
        ]
        clauses, name = min(reasons, key=lambda pair: len(pair[0]))
        return f"no live host can run it: {name} {', '.join(clauses)}"


def remember(memory: Memory, planned: Plan, clock: float, patience: float, me: str) -> Memory:
    """The memory after a plan: a host that was chosen for longer than `patience` and did not claim
    has let its turn pass. Jobs that are no longer assigned are forgotten."""
    chosen: dict[str, tuple[str, float]] = {}
    passed: dict[str, frozenset[str]] = {}
    for assignment in planned.assignments:
        job, host = assignment.job, assignment.host
        before = memory.chosen.get(job)
        since = before[1] if before and before[0] == host else clock
        skipped = memory.passed.get(job, frozenset())
        if host != me and clock - since > patience:
            skipped |= {host}
        chosen[job] = (host, since)
        if skipped:
            passed[job] = skipped
    return Memory(chosen, passed)
