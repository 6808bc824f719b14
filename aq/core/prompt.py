"""The whole prompt that an engine gets: the job's text, and what was said of earlier attempts."""

from __future__ import annotations

from aq.core.job import Job


def prompt_of(job: Job, body: str) -> str:
    """The job's text, with the feedback of people and the failures of earlier runs below it."""
    parts = [body.strip()]
    if job.record.feedback:
        notes = "\n".join(f"- {note.by}, {note.at}: {note.text}" for note in job.record.feedback)
        parts.append(f"## Feedback on earlier attempts\n\n{notes}")
    failed = [run for run in job.record.runs if run.ended and run.reason]
    if failed:
        lines = "\n".join(
            f"- attempt {run.attempt} on {run.host}: {run.outcome}: {run.reason}" for run in failed
        )
        parts.append(f"## How earlier attempts ended\n\n{lines}")
    return "\n\n".join(parts) + "\n"
