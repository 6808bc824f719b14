"""What is wrong with a queue, as values: pure, for `aq doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aq.core.deps import circle_with, circular
from aq.core.eligible import dep_blockers
from aq.core.fleet import Beat
from aq.core.instants import Instant, unix
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.snapshot import Snapshot
from aq.core.units import duration_text
from aq.ui.board import listed_live
from aq.ui.outlook import nobody_can, seen_lately

_WEEK = 7 * 86400
_PEOPLE_BOUND = 7 * 86400


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: `ok`, `note` or `BAD`, and what to do."""

    level: str
    what: str
    do: str = ""


def queue_findings(
    snapshot: Snapshot, beats: Mapping[str, tuple[str, Beat]], now: Instant
) -> Iterator[Finding]:
    """Everything about the queue that needs somebody."""
    if snapshot.settings_error:
        yield Finding(
            "BAD",
            f"settings are invalid, nobody claims: {snapshot.settings_error}",
            "correct queue/aq.yaml, commit and push",
        )
    if snapshot.pause:
        yield Finding(
            "note",
            f"paused by {snapshot.pause.by or 'someone'}: {snapshot.pause.why or 'no reason given'}",
            "`aq resume` lifts it",
        )
    for problem in snapshot.problems:
        yield Finding(
            "BAD", f"{problem.path}: {problem.what}", "`aq doctor --fix` removes it; git's history keeps it"
        )
    live = listed_live(beats, now, snapshot.settings.cadence.grace)
    for job in snapshot.jobs():
        yield from _job_findings(job, snapshot, beats, live, now)
    for job in snapshot.archive.undelivered():
        if job.record.hold:
            yield Finding(
                "BAD",
                f"{job.id} is shipped and not delivered: {job.record.hold.text}",
                f"merge {job.record.branch} by hand, then `aq resume {job.id}`: a host sees that it is there",
            )
    for host, (_, beat) in beats.items():
        silent = unix(now) - unix(beat.at)
        if silent > _WEEK:
            yield Finding(
                "note",
                f"host {host} was last heard {duration_text(silent)} ago",
                "`aq clean` removes its ref",
            )


def _job_findings(
    job: Job,
    snapshot: Snapshot,
    beats: Mapping[str, tuple[str, Beat]],
    live: Mapping[str, Beat],
    now: Instant,
) -> Iterator[Finding]:
    if job.problem:
        yield Finding(
            "BAD",
            f"{job.id} is out of play: {job.problem}",
            "correct the file and push, or `aq doctor --fix`, or `aq cancel`",
        )
        return
    since = unix(now) - unix(job.record.since) if job.record.since else 0
    if job.lease:
        if job.lease.host not in live:
            yield Finding(
                "note",
                f"{job.id}: its host {job.lease.host} has no recent beat",
                "any live host takes it back after TTL + grace",
            )
        if since > 2 * job.manifest.timeout + job.lease.ttl:
            yield Finding(
                "BAD",
                f"{job.id} is in {job.stage} for {duration_text(since)}, twice its timeout",
                f"`aq logs {job.id}` on {job.lease.host}, or `aq cancel {job.id}`",
            )
    elif job.waits_for_person and since > _PEOPLE_BOUND:
        yield Finding(
            "note",
            f"{job.id} waits for a person since {duration_text(since)}",
            f"`aq show {job.id}`, then ship or reject it",
        )
    elif job.stage is Stage.INBOX:
        yield from _never(job, snapshot, beats, now)


def _never(
    job: Job, snapshot: Snapshot, beats: Mapping[str, tuple[str, Beat]], now: Instant
) -> Iterator[Finding]:
    around = circle_with(job.id, job.manifest.deps, snapshot)
    if around:
        yield Finding("BAD", f"{job.id}: {circular(around)}", "cancel one of them")
    for reason in dep_blockers(job.manifest, snapshot):
        if "no such job" in reason or reason.startswith("held: "):
            yield Finding(
                "BAD",
                f"{job.id} is blocked for good: {reason}",
                "requeue or ship what it needs, or cancel it",
            )
    nobody = nobody_can(job.manifest, seen_lately(beats, now))
    if nobody:
        yield Finding("note", f"{job.id}: {nobody}", "add such a host, or change the job's requirements")
