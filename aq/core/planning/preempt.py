"""Which low run gives its slot to a critical job: pure, and the same on every host for the same view."""

from __future__ import annotations

from collections.abc import Mapping

from aq.core.fleet import Beat
from aq.core.instants import Instant
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.manifest import Priority
from aq.core.planning.choose import Chooser, rendezvous
from aq.core.retry import MAX_PREEMPTED
from aq.core.snapshot import Snapshot
from aq.core.value import Value


class Preemption(Value):
    """A critical job that waits for nothing but a slot, and the run on a host that gives way to it."""

    job: str
    victim: str
    host: str

    @property
    def words(self) -> str:
        """For people, about the critical job."""
        return f"takes the slot of {self.victim} on {self.host}"


class Yielding:
    """The runs that may give way in one pass, each to one job. The one that started last goes first: it
    loses least. It stays the first choice until it is gone, so while its host stops it nobody asks for
    another one; a further critical job in front of the first only adds a choice."""

    def __init__(self, snapshot: Snapshot, chooser: Chooser) -> None:
        self.chooser = chooser
        self._runs = _runs(snapshot, chooser.hosts)

    def to(self, job: Job) -> Preemption | None:
        """The run that gives way to this critical job, if any may."""
        fitting = [name for name in self.chooser.willing(job) if self._runs.get(name)] if self._runs else []
        if not fitting:
            return None

        def lateness(name: str) -> tuple[Instant, bytes]:
            return _began(self._runs[name][-1]), rendezvous(name, job.id)

        name = max(fitting, key=lateness)
        return Preemption(job.id, self._runs[name].pop().id, name)


def _runs(snapshot: Snapshot, hosts: Mapping[str, Beat]) -> Mapping[str, list[Job]]:
    """The low runs by host, the one that started last at the end."""
    leases: dict[str, int] = {}
    low: dict[str, list[Job]] = {}
    for job in snapshot.leased():
        host = job.lease.host if job.lease else ""
        leases[host] = leases.get(host, 0) + 1
        if host in hosts and _may_yield(job):
            low.setdefault(host, []).append(job)
    for host, jobs in low.items():
        jobs.sort(key=lambda job, host=host: (_began(job), rendezvous(host, job.id)))  # type: ignore[misc]
    # Where more runs than there are slots, one that ends makes no room.
    return {host: jobs for host, jobs in low.items() if leases[host] <= hosts[host].slots}


def _may_yield(job: Job) -> bool:
    """Low by its own word, not landed, and not given up so often that once more would end it."""
    return (
        job.stage is Stage.BUILDING
        and job.manifest.priority is Priority.LOW
        and job.record.preempted < MAX_PREEMPTED
        and not job.problem
    )


def _began(job: Job) -> Instant:
    return job.lease.acquired_at if job.lease else ""
