"""The board as values: what `aq status` prints, and its JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aq.core.fleet import Beat
from aq.core.gates import auto_blockers, gates
from aq.core.instants import Instant, unix
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.planning.eligible import verify_blockers
from aq.core.planning.plan import plan
from aq.core.settings import Settings
from aq.core.snapshot import OPEN_STAGES, Snapshot
from aq.core.units import duration_text
from aq.core.value import Value, as_dict


class Row(Value):
    """One job on the board. `age` is in seconds, None when unknown."""

    job: str
    stage: str
    title: str
    priority: str
    profile: str
    engine: str
    host: str
    age: int | None
    attempt: int
    note: str


class Board(Value):
    """Everything the board shows. `counts` has every stage, also those that are not listed."""

    tip: str
    counts: Mapping[str, int]
    rows: tuple[Row, ...]
    alerts: tuple[str, ...]
    hosts: int
    slots_used: int
    slots: int

    def as_json(self) -> dict[str, Any]:
        """The board as plain data."""
        return {
            **as_dict(self),
            "rows": [as_dict(row) for row in self.rows],
            "alerts": list(self.alerts),
        }


def listed_live(beats: Mapping[str, tuple[str, Beat]], now: Instant, grace: float) -> dict[str, Beat]:
    """The hosts that seem alive by the time they wrote: good enough to show, never to decide."""
    return {
        host: beat
        for host, (_, beat) in beats.items()
        if not beat.stopped and unix(now) - unix(beat.at) <= beat.ttl + grace
    }


def make_board(
    snapshot: Snapshot,
    beats: Mapping[str, tuple[str, Beat]],
    now: Instant,
    *,
    limit: int | None,
    stages: tuple[Stage, ...] = OPEN_STAGES,
    pending: tuple[str, ...] = (),
) -> Board:
    """The board of a snapshot. `limit` is how many jobs of each stage to list, None for all."""
    live = listed_live(beats, now, snapshot.settings.cadence.grace)
    waiting = plan(snapshot, live, now, first=limit).waiting if Stage.INBOX in stages else {}
    rows: list[Row] = []
    for stage in (*stages, *((Stage.SHIPPED,) if stages == OPEN_STAGES else ())):
        jobs = _listed(snapshot, stage, limit) if stage in stages else _held_back(snapshot)
        for job in jobs:
            waits = waiting.get(job.id, "") or _unverified(job, snapshot, now)
            rows.append(_row(job, waits, now, live, snapshot.settings))
    counts = {str(stage): len(snapshot.stages.get(stage, {})) for stage in OPEN_STAGES}
    counts[str(Stage.SHIPPED)] = len(snapshot.archive)
    used = sum(1 for _ in snapshot.leased())
    return Board(
        snapshot.tip,
        counts,
        tuple(rows),
        _alerts(snapshot, pending),
        len(live),
        used,
        sum(beat.slots for beat in live.values()),
    )


def _held_back(snapshot: Snapshot) -> list[Job]:
    """Shipped jobs whose delivery waits for a person: they are shipped, and not done."""
    return [job for job in snapshot.archive.undelivered() if job.record.hold]


def _by_age(jobs: Iterable[Job]) -> list[Job]:
    return sorted(jobs, key=lambda job: (job.record.since or "", job.id))


def _listed(snapshot: Snapshot, stage: Stage, limit: int | None) -> list[Job]:
    if stage is Stage.INBOX:
        return list(snapshot.waiting(limit))
    if stage is Stage.SHIPPED:
        return snapshot.archive.recent(limit)
    return _by_age(snapshot.jobs(stage))[:limit]


def _row(job: Job, waits: str, now: Instant, live: Mapping[str, Beat], settings: Settings) -> Row:
    run, record = job.record.last_run, job.record
    since = record.queued if job.stage is Stage.INBOX else record.since
    return Row(
        job=job.id,
        stage=str(job.stage),
        title=job.title,
        priority=str(job.manifest.priority),
        profile=job.manifest.profile,
        engine=(job.lease.engine if job.lease else "")
        or job.manifest.engine
        or (run.engine if run else "")
        or job.manifest.engine_class,
        host=job.lease.host if job.lease else (run.host if run and job.stage is not Stage.INBOX else ""),
        age=max(0, unix(now) - unix(since)) if since else None,
        attempt=record.attempts,
        note=note_of(job, waits, settings) + (", stalled" if _stalled(job, live) else ""),
    )


def _unverified(job: Job, snapshot: Snapshot, now: Instant) -> str:
    """What keeps a landed job from being verified."""
    return next(iter(verify_blockers(job, snapshot, now)), "") if job.to_be_verified else ""


def _stalled(job: Job, live: Mapping[str, Beat]) -> bool:
    """Whether the host that runs the job says that its engine has put nothing out for long."""
    beat = live.get(job.lease.host) if job.lease else None
    return beat is not None and job.id in beat.stalled


def note_of(job: Job, waits: str, settings: Settings | None = None) -> str:
    """Why the job is where it is, in a few words."""
    record = job.record
    if job.problem:
        return f"INVALID {job.problem}"
    if job.stage is Stage.INBOX:
        return waits or "ready"
    if job.stage is Stage.BUILDING:
        return f"attempt {record.attempts}"
    if record.hold:
        return f"on hold: {record.hold.text}"
    if job.stage is Stage.REVIEW:
        if job.lease:
            return _round(job) or "verifying"
        return (waits or "to be verified") if job.to_be_verified else f"waits for `aq promote {job.id}`"
    if job.stage is Stage.TESTING:
        return _tested(job, settings or Settings())
    run = record.last_run
    if record.ended_by:
        return record.ended_by.text
    return f"{run.outcome}: {run.reason}" if run and run.reason else (run.outcome if run else "")


def _tested(job: Job, settings: Settings) -> str:
    """What a job in testing waits for: what is still missing, or a person and why no host did it."""
    closed = gates(job, settings)
    if closed:
        return f"{closed[0].why}: {closed[0].do}"
    auto = auto_blockers(job, settings) if job.manifest.review_policy.by_hosts else ()
    return f"waits for `aq ship {job.id}`{f', {auto[0]}' if auto else ''}"


def _alerts(snapshot: Snapshot, pending: tuple[str, ...]) -> tuple[str, ...]:
    alerts = []
    if snapshot.pause:
        alerts.append(f"PAUSED by {snapshot.pause.who}: {snapshot.pause.reason} (`aq resume` lifts it)")
    if snapshot.settings_error:
        alerts.append(f"PAUSED, the settings are invalid: {snapshot.settings_error}")
    alerts += [f"{problem.path}: {problem.what}" for problem in snapshot.problems]
    alerts += [f"{path} is not obeyed: {why}" for path, why in snapshot.distrust.files.items()]
    alerts += [
        f"{job} is gone: {why}" for job, why in snapshot.distrust.jobs.items() if not snapshot.known(job)
    ]
    alerts += [f"queue/{job.folder}/{job.id}.md: {job.problem}" for job in snapshot.jobs(Stage.SHIPPED)]
    return (*alerts, *pending)


def age_text(age: int | None) -> str:
    """An age for people."""
    return "?" if age is None else duration_text(age)


def _round(job: Job) -> str:
    """The fix round that the job is in, if any."""
    run = job.record.last_run
    last = run.rounds[-1] if run and run.rounds else None
    return f"fix round {last.number}{', verifying' if last.tip else ''}" if last else ""
