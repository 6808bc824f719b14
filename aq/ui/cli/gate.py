"""The commands by which a person decides: each builds one operation and reports what landed."""

from __future__ import annotations

from collections.abc import Callable

import typer

from aq.core.errors import UsageError
from aq.core.operations import (
    Approve,
    Cancel,
    Operation,
    PauseFleet,
    PauseJob,
    Promote,
    Reject,
    Requeue,
    ResumeFleet,
    ResumeJob,
    Ship,
)
from aq.ui.cli.common import asked, complete_jobs, here, perform, report

_JOB = typer.Argument(..., help="The job's id.", autocompletion=complete_jobs)
_JOBS = typer.Argument(..., help="The jobs' ids.", autocompletion=complete_jobs)
_MAYBE = typer.Argument("", help="A job's id; without it, the whole queue.", autocompletion=complete_jobs)
_MESSAGE = typer.Option("", "--message", "-m", help="Why; it goes into the record.")
_OVERRIDE = typer.Option(
    "",
    "--override",
    metavar="REASON",
    help="Do it in spite of a hold or missing approvals, with this reason.",
)
_JSON = typer.Option(False, "--json", help="Print JSON.")


def _ask(kind: Callable[..., Operation], jobs: list[str], *, as_json: bool, **fields: object) -> None:
    with here() as queue:
        for job in jobs:
            report(perform(queue, kind(**asked(queue.who.name), job=job, **fields)), as_json=as_json)


def ship(jobs: list[str] = _JOBS, override: str = _OVERRIDE, as_json: bool = _JSON) -> None:
    """Accept tested work."""
    _ask(Ship, jobs, as_json=as_json, override=override)


def promote(jobs: list[str] = _JOBS, override: str = _OVERRIDE, as_json: bool = _JSON) -> None:
    """Accept reviewed work."""
    _ask(Promote, jobs, as_json=as_json, override=override)


def reject(
    job: str = _JOB,
    words: list[str] = typer.Argument(None, help="The message, if not given with -m."),
    message: str = _MESSAGE,
    requeue_it: bool = typer.Option(False, "--requeue", help="Run it again, with the message in the prompt."),
    as_json: bool = _JSON,
) -> None:
    """Refuse work."""
    text = message or " ".join(words or [])
    if not text:
        raise UsageError("a rejection needs a message", f'`aq reject {job} "what is wrong"`')
    _ask(Reject, [job], as_json=as_json, message=text, requeue=requeue_it)


def approve(jobs: list[str] = _JOBS, message: str = _MESSAGE, as_json: bool = _JSON) -> None:
    """Record your approval."""
    _ask(Approve, jobs, as_json=as_json, message=message)


def requeue(jobs: list[str] = _JOBS, message: str = _MESSAGE, as_json: bool = _JSON) -> None:
    """Run ended jobs again."""
    _ask(Requeue, jobs, as_json=as_json, message=message)


def cancel(jobs: list[str] = _JOBS, message: str = _MESSAGE, as_json: bool = _JSON) -> None:
    """End jobs."""
    _ask(Cancel, jobs, as_json=as_json, message=message)


def pause(
    job: str = _MAYBE,
    why: str = typer.Option("", "--why", "-m", help="Why; it is shown to everyone."),
    stop: bool = typer.Option(False, "--stop", help="Also stop running engines; their work is kept."),
    as_json: bool = _JSON,
) -> None:
    """Stop claims."""
    if job and stop:
        raise UsageError("--stop is for the whole queue", f"`aq cancel {job}` stops one job")
    if job:
        _ask(PauseJob, [job], as_json=as_json, message=why)
        return
    with here() as queue:
        report(perform(queue, PauseFleet(**asked(queue.who.name), why=why, stop=stop)), as_json=as_json)


def resume(job: str = _MAYBE, as_json: bool = _JSON) -> None:
    """Lift a pause or a hold."""
    if job:
        _ask(ResumeJob, [job], as_json=as_json)
        return
    with here() as queue:
        report(perform(queue, ResumeFleet(**asked(queue.who.name))), as_json=as_json)
