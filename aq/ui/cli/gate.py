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
from aq.ui.cli.common import asked, complete_jobs, here, perform_all

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


def _ask(kind: Callable[..., Operation], jobs: list[str], *, as_json: bool, **fields: object) -> int:
    with here() as queue:
        by = queue.who.name
        return perform_all(queue, (kind(**asked(by), job=job, **fields) for job in jobs), as_json=as_json)


def ship(jobs: list[str] = _JOBS, override: str = _OVERRIDE, as_json: bool = _JSON) -> int:
    """Accept tested work."""
    return _ask(Ship, jobs, as_json=as_json, override=override)


def promote(jobs: list[str] = _JOBS, override: str = _OVERRIDE, as_json: bool = _JSON) -> int:
    """Accept reviewed work."""
    return _ask(Promote, jobs, as_json=as_json, override=override)


def reject(
    job: str = _JOB,
    words: list[str] = typer.Argument(None, help="The message, if not given with -m."),
    message: str = _MESSAGE,
    requeue_it: bool = typer.Option(False, "--requeue", help="Run it again, with the message in the prompt."),
    as_json: bool = _JSON,
) -> int:
    """Refuse work."""
    text = message or " ".join(words or [])
    if not text:
        raise UsageError("a rejection needs a message", f'`aq reject {job} "what is wrong"`')
    return _ask(Reject, [job], as_json=as_json, message=text, requeue=requeue_it)


def approve(jobs: list[str] = _JOBS, message: str = _MESSAGE, as_json: bool = _JSON) -> int:
    """Record your approval."""
    return _ask(Approve, jobs, as_json=as_json, message=message)


def requeue(jobs: list[str] = _JOBS, message: str = _MESSAGE, as_json: bool = _JSON) -> int:
    """Run ended jobs again."""
    return _ask(Requeue, jobs, as_json=as_json, message=message)


def cancel(jobs: list[str] = _JOBS, message: str = _MESSAGE, as_json: bool = _JSON) -> int:
    """End jobs."""
    return _ask(Cancel, jobs, as_json=as_json, message=message)


def pause(
    job: str = _MAYBE,
    why: str = typer.Option("", "--why", "-m", help="Why; it is shown to everyone."),
    stop: bool = typer.Option(False, "--stop", help="Also stop running engines; their work is kept."),
    as_json: bool = _JSON,
) -> int:
    """Stop claims."""
    if job and stop:
        raise UsageError("--stop is for the whole queue", f"`aq cancel {job}` stops one job")
    if job:
        return _ask(PauseJob, [job], as_json=as_json, message=why)
    with here() as queue:
        return perform_all(queue, [PauseFleet(**asked(queue.who.name), why=why, stop=stop)], as_json=as_json)


def resume(
    job: str = _MAYBE,
    budget: str = typer.Option(
        "",
        "--budget",
        metavar="LIMITS",
        help="For a job that spent its budget: what each of its runs may spend from now on, such as "
        "usd=10,tokens=2M,wall=4h.",
    ),
    as_json: bool = _JSON,
) -> int:
    """Lift a pause or a hold."""
    from aq.core.overrun import parse_budget

    if budget and not job:
        raise UsageError("--budget is for one job", "name it: `aq resume JOB --budget usd=10`")
    if job:
        more = parse_budget(budget) if budget else None
        return _ask(ResumeJob, [job], as_json=as_json, budget=more)
    with here() as queue:
        return perform_all(queue, [ResumeFleet(**asked(queue.who.name))], as_json=as_json)
