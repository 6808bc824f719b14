"""`aq why`: what keeps a job from starting, for every host."""

from __future__ import annotations

import time

import typer

from aq.core.eligible import budget_blockers, fleet_blockers, host_blockers, job_blockers
from aq.core.errors import AqError
from aq.core.instants import Instant, instant
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.plan import free_slots, plan
from aq.core.snapshot import Snapshot
from aq.ui.board import listed_live, note_of
from aq.ui.cli.common import complete_jobs, here
from aq.ui.out import clean, say, say_json, style


def why(
    job: str = typer.Argument(..., help="The job's id.", autocompletion=complete_jobs),
    host: str = typer.Option("", "--host", help="Only this host."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Say why a job waits."""
    with here(fetch=True) as queue:
        snapshot, beats = queue.ledger.snapshot(), queue.ledger.beats
        found = snapshot.find(job)
        if found is None:
            raise AqError(f"there is no job {job}", "`aq status --all` lists the jobs")
        now = instant(time.time())
        live = listed_live(beats, now, snapshot.settings.cadence.grace)
        general = _general(found, snapshot, now)
        free = free_slots(snapshot, live)
        hosts = {}
        for name, (_, beat) in sorted(beats.items()):
            if host in ("", name):
                reasons = [] if name in live else ["no recent beat"]
                reasons += host_blockers(found.manifest, beat.offers, beat.engines)
                reasons += [beat.refuses[job]] if job in beat.refuses else []
                reasons += (
                    ["draining"]
                    if beat.draining
                    else []
                    if free.get(name, 0) or name not in live
                    else ["no free slot"]
                )
                hosts[name] = reasons
        chosen = next((a.host for a in plan(snapshot, live, now).assignments if a.job == job), "")
        if host and host not in hosts:
            raise AqError(f"no host {host} ever beat", "`aq hosts` lists them")
    if as_json:
        say_json(
            {"job": job, "stage": str(found.stage), "reasons": general, "hosts": hosts, "falls_to": chosen}
        )
        return
    say(f"{style(clean(job), 'bold')} is in {found.stage}")
    for reason in general:
        say(f"  {clean(reason)}")
    if found.stage is not Stage.INBOX and not found.to_be_verified:
        return
    for name, reasons in hosts.items():
        words = clean("; ".join(reasons)) or style("can run it", "green")
        say(f"  {clean(name)}: {words}{' (it falls to this host)' if name == chosen else ''}")
    if not hosts:
        say("  no host has ever beaten: start `aq run` on a machine")


def _general(job: Job, snapshot: Snapshot, now: Instant) -> list[str]:
    if job.stage is not Stage.INBOX:
        return [note_of(job, "")]
    return (
        fleet_blockers(snapshot)
        + job_blockers(job, snapshot, now)
        + budget_blockers(job.manifest, snapshot, now)
    )
