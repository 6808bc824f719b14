"""What a failed, released or lost run means for its job: again, dead letter, or failed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from aq.core.instants import Instant, later
from aq.core.job import Job
from aq.core.lifecycle import Stage

MAX_PREEMPTED = 3
MAX_LOST = 3
MAX_BACKOFF = 86400


@dataclass(frozen=True, slots=True)
class Next:
    """Where the job goes, from when it may run again, and why."""

    stage: Stage
    not_before: Instant | None
    reason: str


def backoff(job: Job, at: Instant) -> Instant:
    """When the next attempt may start: doubling, with a spread of a quarter that job and epoch fix."""
    doubled = job.manifest.retry.backoff * 2 ** min(max(job.record.attempts - 1, 0), 20)
    spread = zlib.crc32(f"{job.id}:{job.record.epoch}".encode()) / 2**32
    return later(at, min(doubled, MAX_BACKOFF) * (0.75 + 0.5 * spread))


def after_failure(job: Job, failure: str, at: Instant) -> Next:
    """The next stage after a run that was charged and failed with this class."""
    retry = job.manifest.retry
    if failure not in retry.on:
        return Next(Stage.FAILED, None, f"{failure} is not retried")
    if job.record.attempts > retry.max:
        return Next(Stage.DEAD_LETTER, None, f"{failure} in attempt {job.record.attempts} of {retry.max + 1}")
    return Next(Stage.INBOX, backoff(job, at), f"{failure}, retry {job.record.attempts} of {retry.max}")


def after_return(count: int, bound: int, what: str) -> Next:
    """The next stage after a run that ended through no fault of the job, for the count-th time."""
    if count > bound:
        return Next(Stage.DEAD_LETTER, None, f"{what} {count} times, the limit is {bound}")
    return Next(Stage.INBOX, None, what)
