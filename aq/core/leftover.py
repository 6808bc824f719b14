"""What an earlier run of a job left that the next one goes on from."""

from __future__ import annotations

from aq.core.job import Job
from aq.core.overrun import OVERRUN
from aq.core.record import Run

# Fewer than the record keeps: a claim, which drops the oldest of many runs, changes nothing here.
_LOOK = 10
# Ends that say nothing about the work.
NOT_ITS_OWN = ("released", "preempted", "lost")


def leftover(job: Job) -> Run | None:
    """The newest ended run that left work, for a job that says `resume: true`, or whose work only its
    budget stopped; else the next run begins at the base."""
    ended = [run for run in job.record.runs if run.ended][-_LOOK:]
    if not job.manifest.resume and not _only_stopped(ended):
        return None
    return next((run for run in reversed(ended) if run.tip), None)


def _only_stopped(ended: list[Run]) -> bool:
    """Whether nothing was said of the work since a budget stopped it: what came after ended through no
    fault of its own."""
    told = (run for run in reversed(ended) if run.outcome not in NOT_ITS_OWN)
    last = next(told, None)
    return last is not None and last.outcome == OVERRUN


def start_of(job: Job) -> str:
    """The tip that the job's next run starts from, or nothing when that is the base."""
    left = leftover(job)
    return left.tip if left else ""
