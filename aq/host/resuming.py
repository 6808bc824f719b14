"""Going on where the last attempt stopped: a folder that lasts, and the engine's own session."""

from __future__ import annotations

from pathlib import Path

from aq.core.engine.usage import Usage
from aq.core.settle import Ending, Outcome
from aq.host.run import Run
from aq.host.sessions import Session
from aq.host.supervise import Played


def place_of(run: Run) -> Path:
    """Where the workspace is made. Engines find their sessions by the folder they worked in: a job that
    resumes has one that lasts from run to run."""
    if not _resumes(run):
        return run.dir.path
    run.lasting = run.kit.sessions.begin(run.order.fence.job)
    if not run.lasting:
        return run.dir.path
    place = run.kit.runs / run.order.fence.job / "resumed"
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    return place


def session_of(run: Run) -> Session | None:
    """The session to go on with."""
    found = run.kit.sessions.of(run.order.fence.job, run.order.engine)
    return found if _resumes(run) and run.lasting else None


def keep_session(run: Run, played: Played, outcome: Outcome) -> None:
    """Remember the session for the next attempt. One that failed before it even began is not there any
    more: the next attempt starts anew."""
    if not _resumes(run):
        return
    job, engine, report = run.order.fence.job, run.order.engine, played.report
    if report.session:
        before = run.kit.sessions.of(job, engine)
        known = before.usage if before and before.session == report.session else Usage()
        usage = known.most(report.session_usage)
        session = Session(engine, report.session, usage, outcome.branch, outcome.tip)
        run.kit.sessions.keep(job, session)
    elif outcome.ending is Ending.FAILED:
        run.kit.sessions.keep(job, None)


def _resumes(run: Run) -> bool:
    return run.order.manifest.resume and run.engine.resumes
