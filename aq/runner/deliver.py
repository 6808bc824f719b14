"""Bringing shipped work into its target branch: one host that has the repository merges, or opens a pull
request, reads the result back, and says so; a conflict becomes a hold (DESIGN section 5, rule 9)."""

from __future__ import annotations

import math
from collections.abc import Mapping

from aq.core.fleet import Beat
from aq.core.job import Job
from aq.core.operations import Delivered, Hold, Operation
from aq.core.planning.choose import elected, staying
from aq.core.planning.eligible import delivery_blockers
from aq.core.work import Brought
from aq.runner.state import State

RETRY_SECONDS = 60.0


def deliver(runner: State, hosts: Mapping[str, Beat]) -> bool:
    """Start the merges that fall to this host; whether any is under way."""
    clock = runner.clock.boottime()
    runner.delivering = {job: until for job, until in runner.delivering.items() if until > clock}
    if not runner.stopping and runner.confirmed_at is not None:
        for job in runner.ledger.snapshot().archive.undelivered():
            if job.id not in runner.delivering and _mine(runner, job, hosts):
                _begin(runner, job)
    return math.inf in runner.delivering.values()


def _begin(runner: State, job: Job) -> None:
    runner.delivering[job.id] = math.inf
    try:
        runner.bench.deliver(job)
    except Exception as error:
        # One job must not end the work of all.
        _later(runner, job.id, str(error) or type(error).__name__)


def _later(runner: State, job: str, why: str) -> None:
    runner.say(f"{job}: not delivered yet: {why}")
    runner.delivering[job] = runner.clock.boottime() + RETRY_SECONDS


def _mine(runner: State, job: Job, hosts: Mapping[str, Beat]) -> bool:
    manifest = job.manifest
    if job.record.hold or runner.why_not_delivering(job):
        return False
    if not manifest.repo:
        return True
    able = {
        name: beat
        for name, beat in hosts.items()
        if not beat.stopped and not delivery_blockers(manifest, beat.offers)
    }
    return elected(staying(able), job.id) == runner.me.host


def brought(runner: State, report: Brought) -> list[Operation]:
    """The operation that a finished merge means; none when it is to be tried again later."""
    if report.error or not (report.oid or report.conflict):
        _later(runner, report.job, report.error or "nobody said why")
        return []
    if report.oid:
        runner.say(f"{report.job}: delivered as {report.url or report.oid[:12]}")
        return [Delivered(**runner.now_op(), job=report.job, oid=report.oid, url=report.url)]
    runner.say(f"{report.job}: not delivered: {report.conflict}")
    return [Hold(**runner.now_op(), job=report.job, reason=f"delivery: {report.conflict}")]
