"""`aq why`: what keeps a job from starting, and each host's score for it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import typer

from aq.core.errors import AqError
from aq.core.instants import Instant, instant
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.planning.deps import circle_with, circular
from aq.core.planning.eligible import budget_blockers, fleet_blockers, job_blockers, verify_blockers
from aq.core.planning.preempt import Preemption
from aq.core.planning.retrybudget import retry_blockers
from aq.core.snapshot import Snapshot
from aq.ui.board import note_of
from aq.ui.cli.common import complete_jobs, here
from aq.ui.out import clean, say, say_json, style
from aq.ui.routing import HostView, Routing


def why(
    job: str = typer.Argument(..., help="The job's id.", autocompletion=complete_jobs),
    host: str = typer.Option("", "--host", help="Only this host."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Say why a job waits, and where it would go."""
    with here(fetch=True) as queue:
        snapshot, beats = queue.ledger.snapshot(), queue.ledger.beats
        found = snapshot.find(job)
        if found is None:
            raise AqError(f"there is no job {job}", "`aq status --all` lists the jobs")
        if host and host not in beats:
            raise AqError(f"no host {host} ever beat", "`aq hosts` lists them")
        now = instant(time.time())
        routing = Routing(snapshot, beats, now)
        general = _general(found, snapshot, now)
        taking = routing.taking(found)
        hosts = [view for view in routing.hosts(found) if host in ("", view.host)]
        waits = routing.waited(found) if found.stage is Stage.INBOX else ""
    if as_json:
        say_json(_as_json(found, general, hosts, taking))
        return
    exchange = [_exchange(found, taking)] if taking else []
    for line in _lines(found, [*general, *exchange, *([waits] if waits else [])], hosts):
        say(line)


def _exchange(job: Job, taking: Preemption) -> str:
    return taking.words if job.id == taking.job else f"gives its slot on {taking.host} to {taking.job}"


def _as_json(
    job: Job, general: list[str], hosts: list[HostView], taking: Preemption | None
) -> dict[str, object]:
    run = job.record.last_run
    return {
        "job": job.id,
        "stage": str(job.stage),
        "reasons": general,
        "hosts": {view.host: list(view.reasons) for view in hosts},
        "scores": {view.host: view.as_json() for view in hosts},
        "falls_to": next((view.host for view in hosts if view.chosen), ""),
        "takes_slot_of": taking.victim if taking and taking.job == job.id else "",
        "gives_slot_to": taking.job if taking and taking.victim == job.id else "",
        "claimed": {"host": run.host, "score": run.score} if run else None,
    }


def _lines(job: Job, general: list[str], hosts: list[HostView]) -> Iterator[str]:
    yield f"{style(clean(job.id), 'bold')} is in {job.stage}"
    for reason in general:
        yield f"  {clean(reason)}"
    run = job.record.last_run
    if run and run.score:
        yield f"  attempt {run.attempt} went to {clean(run.host)} with {clean(run.score)}"
    if job.stage is not Stage.INBOX and not job.to_be_verified:
        return
    for view in hosts:
        yield from _host_lines(view)
    if not hosts:
        yield "  no host has ever beaten: start `aq run` on a machine"


def _host_lines(view: HostView) -> Iterator[str]:
    words = clean("; ".join(view.reasons)) or style("can run it", "green")
    total = f", {view.score.total:.2f} points" if view.score else ""
    yield f"  {clean(view.host)}: {words}{total}{' (it falls to this host)' if view.chosen else ''}"
    for term in view.score.terms if view.score else ():
        yield style(f"      {clean(str(term))}", "dim")


def _general(job: Job, snapshot: Snapshot, now: Instant) -> list[str]:
    if job.stage is not Stage.INBOX:
        note = note_of(job, "", snapshot.settings)
        return [note, *(verify_blockers(job, snapshot, now) if job.to_be_verified else [])]
    around = circle_with(job.id, job.manifest.deps, snapshot)
    return (
        ([circular(around)] if around else [])
        + fleet_blockers(snapshot)
        + job_blockers(job, snapshot, now)
        + budget_blockers(job.manifest, snapshot, now)
        + retry_blockers(job, snapshot, now)
    )
