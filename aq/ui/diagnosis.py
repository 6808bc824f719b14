"""What is wrong with a queue, as values: pure, for `aq doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aq.core.fleet import Beat
from aq.core.instants import Instant, unix
from aq.core.job import Job
from aq.core.lifecycle import LIVE, Stage
from aq.core.overrun import is_overrun, more_words
from aq.core.planning.deps import circle_with, circular
from aq.core.planning.eligible import dep_blockers, job_blockers
from aq.core.snapshot import Snapshot
from aq.core.units import duration_text
from aq.ui.board import listed_live
from aq.ui.finding import Finding
from aq.ui.fleet_diagnosis import delivery_findings, host_findings, limit_findings
from aq.ui.outlook import nobody_can, seen_lately

_PEOPLE_BOUND = 7 * 86400
_WAITING_BOUND = 86400
_VERIFY_BOUND = 3600


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
    for path, why in snapshot.distrust.files.items():
        yield Finding("BAD", f"{path} is not obeyed: {why}", "write it anew with a trusted key")
    live = listed_live(beats, now, snapshot.settings.cadence.grace)
    for name, profile in sorted(snapshot.profiles.items()):
        if profile.problem:
            do = "correct it, commit and push: its jobs wait"
            yield Finding("BAD", f"profile {name}: {profile.problem}", do)
    for job in snapshot.jobs():
        yield from _job_findings(job, snapshot, beats, live, now)
    yield from delivery_findings(snapshot, live, now)
    yield from limit_findings(snapshot, now)
    yield from host_findings(snapshot, beats, live, now)


def _job_findings(
    job: Job,
    snapshot: Snapshot,
    beats: Mapping[str, tuple[str, Beat]],
    live: Mapping[str, Beat],
    now: Instant,
) -> Iterator[Finding]:
    if job.problem:
        trusted = job.id not in snapshot.distrust.jobs
        do = "correct the file and push, or `aq doctor --fix`, or `aq cancel`"
        yield Finding(
            "BAD",
            f"{job.id} is out of play: {job.problem}",
            do if trusted else "put back what the commit changed, have it accepted, or `aq cancel` the job",
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
        return
    yield from _stopped(job)
    if job.waits_for_person and since > _PEOPLE_BOUND:
        yield Finding(
            "note",
            f"{job.id} waits for a person since {duration_text(since)}",
            f"`aq show {job.id}`, then ship or reject it",
        )
    if job.to_be_verified and since > _VERIFY_BOUND:
        place = f"`repo: {job.manifest.repo}`" if job.manifest.repo else "its `cwd`"
        yield Finding(
            "BAD",
            f"{job.id} waits to be verified since {duration_text(since)}",
            f"start a host that has {place}, or `aq promote {job.id} --override REASON`",
        )
    if job.stage is Stage.INBOX:
        yield from _never(job, snapshot, beats, now)
        yield from _long(job, snapshot, now)


def _stopped(job: Job) -> Iterator[Finding]:
    """What a person or a host put on hold, and only a person lets go on."""
    record, name = job.record, job.id
    if record.hold and job.stage in LIVE:
        limits = more_words(job.manifest.budget, record.last_run)
        more = f" --budget {limits}" if is_overrun(record) else ""
        do = f"`aq show {name}`, then `aq resume {name}{more}` or `aq cancel {name}`"
        yield Finding("note", f"{name} is on hold since {record.hold.at}: {record.hold.text}", do)
    if record.pause and job.stage in LIVE:
        why = record.pause.text or "no reason given"
        yield Finding("note", f"{name} is paused by {record.pause.by}: {why}", f"`aq resume {name}`")


def _long(job: Job, snapshot: Snapshot, now: Instant) -> Iterator[Finding]:
    """A job that could start, and that nobody took for very long."""
    waited = unix(now) - unix(job.queued) if job.queued else 0
    if waited > _WAITING_BOUND and not job_blockers(job, snapshot, now):
        what = f"{job.id} could start and waits since {duration_text(waited)}"
        yield Finding("note", what, f"`aq why {job.id}` says what each host makes of it")


def _never(
    job: Job, snapshot: Snapshot, beats: Mapping[str, tuple[str, Beat]], now: Instant
) -> Iterator[Finding]:
    around = circle_with(job.id, job.manifest.deps, snapshot)
    if around:
        yield Finding("BAD", f"{job.id}: {circular(around)}", "cancel one of them")
    profile = job.profile
    if profile.problem and profile.name not in snapshot.profiles:
        yield Finding(
            "BAD", f"{job.id} can never start: {profile.problem}", "add the profile, or cancel the job"
        )
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
