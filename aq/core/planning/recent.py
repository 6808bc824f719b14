"""What the fleet did lately, from the records on the tip: who ran what, how it went, what it cost. A
bounded look at the newest jobs; the archive is left alone."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from math import fsum

from aq.core.instants import Instant, later
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.record import Run
from aq.core.snapshot import Snapshot
from aq.core.value import Value, field

WINDOW = 6 * 3600.0
FAIR_WINDOW = 3600.0
MAX_JOBS = 500
# Endings that speak against the host rather than the job.
BAD_ENDINGS = ("released", "lost", "crash")
_UNDECIDED = ("", "cancelled", "preempted", "fenced")
_PLACES = (Stage.BUILDING, Stage.REVIEW, Stage.TESTING, Stage.FAILED, Stage.DEAD_LETTER)


class Past(Value):
    """One host lately: runs that ended, how many broke off, starts within the last hour, and the
    repositories and folders it worked in."""

    ended: int = 0
    bad: int = 0
    starts: int = 0
    places: frozenset[str] = frozenset()


class Recent(Value):
    """The fleet lately: each host's past, starts per product within the last hour, and the mean usd of
    a run per engine."""

    hosts: Mapping[str, Past] = field(default_factory=dict)
    products: Mapping[str, int] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)

    def of(self, host: str) -> Past:
        """One host's past."""
        return self.hosts.get(host, _NOTHING)


_NOTHING = Past()


def place_of(job: Job) -> str:
    """Where a job works: its repository or folder, or nothing."""
    manifest = job.manifest
    return f"repo:{manifest.repo}" if manifest.repo else manifest.cwd


def look_back(snapshot: Snapshot, waiting: Iterable[Job], now: Instant) -> Recent:
    """What the records say of the last hours. `waiting` are the jobs of the inbox, loaded already."""
    since, fair = later(now, -WINDOW), later(now, -FAIR_WINDOW)
    runs: dict[str, list[tuple[Job, Run]]] = {}
    products: dict[str, int] = {}
    costs: dict[str, list[float]] = {}
    for job, run in _runs(snapshot, waiting, since):
        runs.setdefault(run.host, []).append((job, run))
        if run.started >= fair:
            products[job.manifest.product] = products.get(job.manifest.product, 0) + 1
        if run.usd is not None:
            costs.setdefault(run.engine, []).append(run.usd)
    return Recent(
        {host: _past(each, fair) for host, each in runs.items()},
        products,
        {engine: round(fsum(each) / len(each), 6) for engine, each in costs.items()},
    )


def _runs(snapshot: Snapshot, waiting: Iterable[Job], since: Instant) -> Iterator[tuple[Job, Run]]:
    known = (job for job in snapshot.jobs(*_PLACES) if (job.record.since or "") >= since and not job.problem)
    again = (job for job in waiting if job.record.runs and not job.problem)
    newest = heapq.nlargest(MAX_JOBS, (*known, *again), key=lambda job: (job.record.since or "", job.id))
    for job in newest:
        for run in job.record.runs:
            if run.started >= since and not run.verify_only:
                yield job, run


def _past(runs: list[tuple[Job, Run]], fair: Instant) -> Past:
    return Past(
        ended=sum(run.outcome not in _UNDECIDED for _, run in runs),
        bad=sum(run.outcome in BAD_ENDINGS for _, run in runs),
        starts=sum(run.started >= fair for _, run in runs),
        places=frozenset(place_of(job) for job, _ in runs) - {""},
    )
