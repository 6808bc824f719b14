"""What a failed, released or lost run means for its job: again, dead letter, or failed."""

from __future__ import annotations

import zlib

from aq.core.instants import Instant, later
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.manifest import Budget
from aq.core.overrun import OVERRUN
from aq.core.value import Value

MAX_PREEMPTED = 3
MAX_LOST = 3
MAX_BACKOFF = 86400
# What a host lacked may be back in a moment, or in a quarter of an hour.
FIRST_INFRA, MAX_INFRA = 30, 1800


class Next(Value):
    """Where the job goes, from when it may run again, and why; `held` until a person acts."""

    stage: Stage
    not_before: Instant | None
    reason: str
    held: bool = False


def backoff(job: Job, at: Instant) -> Instant:
    """When the next attempt may start: doubling, with a spread of a quarter that job and epoch fix."""
    doubled = job.manifest.retry.backoff * 2 ** min(max(job.record.attempts - 1, 0), 20)
    return _spread(job, at, min(doubled, MAX_BACKOFF))


def infra_backoff(job: Job, at: Instant) -> Instant:
    """When a job may start again for which something was missing: an outage that lasts for minutes must
    not use up all its tries."""
    return _spread(job, at, min(FIRST_INFRA * 2 ** min(job.record.infra, 20), MAX_INFRA))


def _spread(job: Job, at: Instant, seconds: float) -> Instant:
    spread = zlib.crc32(f"{job.id}:{job.record.epoch}".encode()) / 2**32
    return later(at, seconds * (0.75 + 0.5 * spread))


def after_failure(job: Job, failure: str, at: Instant) -> Next:
    """The next stage after a run that was charged and failed with this class. An engine that came to a limit
    of its own, in a job without a budget, has failed: there is nothing that a person could raise."""
    retry = job.manifest.retry
    limited = job.manifest.budget != Budget()
    if failure == OVERRUN and limited and OVERRUN not in retry.on:
        return Next(Stage.INBOX, None, "its budget is spent, a person may give it more", held=True)
    if failure not in retry.on:
        return Next(Stage.FAILED, None, f"{failure} is not retried")
    if job.record.attempts > retry.max:
        return Next(Stage.DEAD_LETTER, None, f"{failure} in attempt {job.record.attempts} of {retry.max + 1}")
    return Next(Stage.INBOX, backoff(job, at), f"{failure}, retry {job.record.attempts} of {retry.max}")


def after_return(count: int, bound: int, what: str, again: Instant | None = None) -> Next:
    """The next stage after a run that ended through no fault of the job, for the count-th time; `again` is
    when it may run again, if not at once."""
    if count > bound:
        return Next(Stage.DEAD_LETTER, None, f"{what} {count} times, the limit is {bound}")
    return Next(Stage.INBOX, again, what)
