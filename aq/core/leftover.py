"""What an earlier run of a job left that the next one goes on from."""

from __future__ import annotations

from itertools import takewhile

from aq.core.job import Job
from aq.core.overrun import OVERRUN
from aq.core.record import Run

# Fewer than the record keeps: a claim, which drops the oldest of many runs, changes nothing here.
_LOOK = 10
# Ends that say nothing about the work.
NOT_ITS_OWN = ("released", "preempted", "lost")
# Ends of runs that were stopped though nothing was wrong with their work.
_STOPPED = (OVERRUN, "preempted")


def leftover(job: Job) -> Run | None:
    """The newest ended run that left work, for a job that says `resume: true`, or whose work was only
    stopped: by its budget, or for a critical job. Else the next run begins at the base."""
    ended = [run for run in reversed(job.record.runs) if run.ended][:_LOOK]
    if not job.manifest.resume:
        ended = list(takewhile(lambda run: run.outcome in (*_STOPPED, *NOT_ITS_OWN), ended))
        if not any(run.outcome in _STOPPED for run in ended):
            return None
    return next((run for run in ended if run.tip), None)


def start_of(job: Job) -> str:
    """The tip that the job's next run starts from, or nothing when that is the base."""
    left = leftover(job)
    return left.tip if left else ""
