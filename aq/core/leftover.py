"""What an earlier run of a job left that the next one goes on from."""

from __future__ import annotations

from aq.core.job import Job
from aq.core.record import Run

# Fewer than the record keeps: a claim, which drops the oldest of many runs, changes nothing here.
_LOOK = 10


def leftover(job: Job) -> Run | None:
    """The newest ended run that left work, for a job that says `resume: true`; else the next run begins
    at the base."""
    if not job.manifest.resume:
        return None
    ended = [run for run in job.record.runs if run.ended][-_LOOK:]
    return next((run for run in reversed(ended) if run.tip), None)


def start_of(job: Job) -> str:
    """The tip that the job's next run starts from, or nothing when that is the base."""
    left = leftover(job)
    return left.tip if left else ""
