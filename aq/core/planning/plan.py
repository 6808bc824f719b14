"""What each host should do next: pure, and the same on every host for the same view. Jobs by turn, each
to the host that suits it best, as long as there are slots (DESIGN section 7)."""

from __future__ import annotations

from collections.abc import Container, Mapping
from functools import partial

from aq.core.fleet import Beat
from aq.core.instants import Instant, day
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.manifest import Priority
from aq.core.planning.choose import NO_FREE_SLOT, Assignment, Chooser
from aq.core.planning.deps import NO_DEPS, circles, circular, open_edges
from aq.core.planning.eligible import (
    budget_blockers,
    fleet_blockers,
    job_blockers,
    reservation,
    verify_blockers,
)
from aq.core.planning.patience import Memory, claims_underway, remember
from aq.core.planning.preempt import Preemption, Yielding
from aq.core.planning.recent import look_back
from aq.core.planning.retrybudget import Starts, starts_of
from aq.core.planning.score import WEIGHTS, Scorer
from aq.core.planning.turn import in_turn
from aq.core.settings import Spend
from aq.core.snapshot import Snapshot
from aq.core.value import Value, replace

__all__ = ["Assignment", "Memory", "Plan", "free_slots", "plan", "remember"]


class Plan(Value):
    """Assignments for the whole fleet in the order of their turn, why each other waiting job waits, and
    the runs that give their slots to critical ones."""

    assignments: tuple[Assignment, ...]
    waiting: Mapping[str, str]
    preemptions: tuple[Preemption, ...] = ()

    def of(self, host: str) -> tuple[Assignment, ...]:
        """What falls to one host."""
        return tuple(a for a in self.assignments if a.host == host)

    def starting(self, host: str) -> tuple[str, ...]:
        """The jobs that one host is to start: now, or once a run there gave way."""
        taking = (p.job for p in self.preemptions if p.host == host)
        return (*(a.job for a in self.of(host)), *taking)

    def without(self, host: str, jobs: Container[str]) -> Plan:
        """The plan when one host leaves some jobs alone."""
        return replace(
            self,
            assignments=tuple(a for a in self.assignments if a.host != host or a.job not in jobs),
            preemptions=tuple(p for p in self.preemptions if p.host != host or p.job not in jobs),
        )


def free_slots(snapshot: Snapshot, hosts: Mapping[str, Beat]) -> dict[str, int]:
    """Slots in the beat less leases on the tip, for the hosts that take work."""
    free = {
        name: beat.slots
        for name, beat in hosts.items()
        if not beat.draining and not beat.stopped and not beat.resting
    }
    for job in snapshot.leased():
        if job.lease and job.lease.host in free:
            free[job.lease.host] -= 1
    return {name: max(0, count) for name, count in free.items()}


def scorer_for(snapshot: Snapshot, hosts: Mapping[str, Beat], waiting: list[Job], now: Instant) -> Scorer:
    """What scores the hosts for the jobs of a snapshot."""
    return Scorer(hosts, look_back(snapshot, waiting, now), snapshot.settings.weights, now)


def plan(
    snapshot: Snapshot,
    hosts: Mapping[str, Beat],
    now: Instant,
    memory: Memory | None = None,
    first: int | None = None,
) -> Plan:
    """Who takes which job now. `hosts` are the live ones, the observer included. With `first`, only what
    the first waiting jobs would get if they were all."""
    blocked = fleet_blockers(snapshot)
    waiting_jobs = list(snapshot.jobs(Stage.INBOX)) if first is None else snapshot.waiting(first)
    if blocked:
        return Plan((), {job.id: blocked[0] for job in waiting_jobs})
    to_verify = [
        job
        for job in snapshot.jobs(Stage.REVIEW)
        if job.to_be_verified
        and job.record.tip
        and not job.problem
        and not verify_blockers(job, snapshot, now)
    ]
    if not waiting_jobs and not to_verify:
        return Plan((), {})
    scorer = scorer_for(snapshot, hosts, waiting_jobs, now)
    passed = (memory or Memory()).passed
    chooser = Chooser(hosts, free_slots(snapshot, hosts), passed, scorer, claims_underway(snapshot, hosts))
    planner = _Planner(snapshot, now, chooser, waiting_jobs)
    for job in sorted(to_verify, key=lambda job: job.order):
        planner.verify(job)
    weight = snapshot.settings.weights.get("starvation", WEIGHTS["starvation"])
    for job in in_turn(waiting_jobs, now, weight, scorer.recent.products):
        planner.start(job)
    return Plan(tuple(planner.assignments), planner.waiting, tuple(planner.preemptions))


class _Planner:
    """One pass over the jobs: what was given away so far counts for those that come later."""

    def __init__(self, snapshot: Snapshot, now: Instant, chooser: Chooser, waiting: list[Job]) -> None:
        self.snapshot, self.now, self.chooser = snapshot, now, chooser
        self.retries = _Retries(snapshot, now, waiting)
        self.assignments: list[Assignment] = []
        self.preemptions: list[Preemption] = []
        self.waiting: dict[str, str] = {}
        self.locks: set[str] = set()
        self._around: Mapping[str, tuple[str, ...]] | None = None
        self._yielding: Yielding | None = None
        settings = snapshot.settings
        self.spend = snapshot.spend.get(day(now), Spend())
        self.limited = settings.budgets.fleet_usd is not None or bool(settings.budgets.products)
        limit = settings.wip_building
        self.room = None if limit is None else limit - sum(1 for _ in snapshot.leased())

    def verify(self, job: Job) -> None:
        """A landed job, before any new work."""
        if job.manifest.lock in self.locks or self.room == 0:
            return
        for assignment in self.chooser.choose_verifier(job):
            self._assign(job, assignment)

    def start(self, job: Job) -> None:
        """A waiting job: assigned, or told apart with its reason."""
        reason = self._keeps(job)
        chosen = None if reason else self.chooser.choose(job)
        if chosen:
            self._assign(job, chosen)
            return
        reason = reason or self.chooser.why(job)
        taking = self._take_slot(job) if reason == NO_FREE_SLOT else None
        self.waiting[job.id] = taking.words if taking else reason

    def _take_slot(self, job: Job) -> Preemption | None:
        """The slot of another run, for a critical job that waits for nothing else. One run gives way and
        one starts: the limit of `wip.building` is not touched."""
        if job.manifest.priority is not Priority.CRITICAL:
            return None
        if self._yielding is None:
            self._yielding = Yielding(self.snapshot, self.chooser)
        taking = self._yielding.to(job)
        if taking:
            self.preemptions.append(taking)
            self.locks |= {job.manifest.lock} - {""}
            self._reserve(job)
        return taking

    def _reserve(self, job: Job) -> None:
        """What the start of a job takes from the fleet's limits."""
        if job.record.attempts:
            self.retries.take()
        self.spend = self.spend.moved(job.manifest.product, reservation(job.manifest, self.snapshot), 0.0)

    def _keeps(self, job: Job) -> str:
        manifest = job.manifest
        reasons = job_blockers(job, self.snapshot, self.now)
        if reasons and manifest.deps != NO_DEPS and job.id in self._circles():
            return circular(self._circles()[job.id])
        if not reasons and self.limited:
            reasons = budget_blockers(manifest, self.snapshot, self.now, self.spend)
        if reasons:
            return reasons[0]
        if manifest.lock in self.locks:
            return f"lock {manifest.lock!r} goes to an earlier job"
        if job.record.attempts and self.retries.blocker:
            return self.retries.blocker
        full = f"earlier jobs fill wip.building ({self.snapshot.settings.wip_building})"
        return full if self.room == 0 else ""

    def _circles(self) -> Mapping[str, tuple[str, ...]]:
        if self._around is None:
            self._around = circles(open_edges(self.snapshot))
        return self._around

    def _assign(self, job: Job, assignment: Assignment) -> None:
        self.assignments.append(assignment)
        if assignment.host in self.chooser.passed.get(job.id, frozenset()):
            # It had its turn, and nobody else can do it: what it may never claim keeps nothing from others.
            return
        self.locks |= {job.manifest.lock} - {""}
        if not assignment.verify:
            self._reserve(job)
        if self.room is not None:
            self.room -= 1


class _Retries:
    """What is left of the fleet's retries in one pass. Found when the first retry asks."""

    def __init__(self, snapshot: Snapshot, now: Instant, waiting: list[Job]) -> None:
        self._find = partial(starts_of, snapshot, waiting, now)
        self._budget, self._now = snapshot.settings.retry_budget, now
        self._starts: Starts | None = None
        self._blocker: str | None = None

    @property
    def blocker(self) -> str:
        """Why no further retry may begin, or nothing."""
        if self._blocker is None:
            self._starts = self._starts or self._find()
            self._blocker = self._starts.blocker(self._budget)
        return self._blocker

    def take(self) -> None:
        """One more begins."""
        self._starts, self._blocker = (self._starts or self._find()).with_retry(self._now), None
