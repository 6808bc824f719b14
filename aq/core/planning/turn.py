"""Whose turn it is: priority with ageing, then the products by equal shares, then age."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count

from aq.core.instants import Instant, later
from aq.core.job import Job
from aq.core.manifest import PRIORITY_RANK, Priority

# A job that waits this long counts as one priority higher; waiting never makes it critical.
AGE_STEP = 3600.0
# How many starts a product that was idle may catch up before it shares equally again.
MAX_CREDIT = 8
_LEVELS = tuple(Priority)
_HIGH = PRIORITY_RANK[Priority.HIGH]
_LOW = PRIORITY_RANK[Priority.LOW]


def level_of(job: Job, steps: tuple[Instant, ...]) -> int:
    """The rank of the priority that the job has by now. `steps` are the times of arrival that earn one
    rank each."""
    rank = PRIORITY_RANK[job.manifest.priority]
    if rank <= _HIGH:
        return rank
    queued = job.record.queued or ""
    for step in steps:
        if queued > step or rank == _HIGH:
            break
        rank -= 1
    return rank


def ageing(now: Instant, weight: float) -> tuple[Instant, ...]:
    """The times of arrival that earn one rank each; none when ageing is turned off."""
    if weight <= 0:
        return ()
    return tuple(later(now, -AGE_STEP / weight * times) for times in range(1, _LOW - _HIGH + 1))


def priority_by_now(job: Job, now: Instant, weight: float) -> Priority:
    """How urgent the job has become by waiting."""
    return _LEVELS[level_of(job, ageing(now, weight))]


def in_turn(jobs: Iterable[Job], now: Instant, weight: float, started: Mapping[str, int]) -> list[Job]:
    """The jobs in the order in which they are served. Within one level the products take turns; one
    that had more starts lately than the others waits for them to catch up, within bounds."""
    steps = ageing(now, weight)
    aged = sorted((level_of(job, steps), job.record.queued or "", job.id, job) for job in jobs)
    products = {job.manifest.product for _, _, _, job in aged}
    if len(products) < 2:
        return [job for _, _, _, job in aged]
    least = min(started.get(product, 0) for product in products)
    heads = {product: min(started.get(product, 0) - least, MAX_CREDIT) for product in products}
    places = {}
    turns = []
    for level, queued, name, job in aged:
        key = (level, job.manifest.product)
        if key not in places:
            places[key] = count(heads[job.manifest.product])
        turns.append((level, next(places[key]), queued, name, job))
    return [job for *_, job in sorted(turns)]
