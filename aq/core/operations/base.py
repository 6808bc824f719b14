"""What all operations share: who and when, and the one way in which a job may move."""

from __future__ import annotations

from abc import abstractmethod

from aq.core.change import Change, JobEdit, Refusal
from aq.core.errors import IllegalTransitionError
from aq.core.event import Event
from aq.core.instants import Instant, require_instant
from aq.core.job import Job
from aq.core.layout import folder_of
from aq.core.lease import Fence, Lease
from aq.core.lifecycle import Stage, Trigger, lease_allowed, transition
from aq.core.record import Record, Run
from aq.core.settings import Spend
from aq.core.snapshot import Snapshot
from aq.core.value import Value, replace


class Operation(Value, kw_only=True):
    """`at` is fixed when the operation is asked, however often it is asked again; `op_id` is random
    and makes its commit unlike any other."""

    at: Instant
    by: str
    op_id: str

    def __post_init__(self) -> None:
        require_instant(self.at)

    @property
    def proof(self) -> Fence | None:
        """The lease that it names, for a landing."""
        fence = getattr(self, "fence", None)
        return fence if isinstance(fence, Fence) else None

    @property
    def about(self) -> str:
        """The job that it is about, or nothing."""
        proof = self.proof
        return proof.job if proof else str(getattr(self, "job", "") or getattr(self, "schedule", ""))

    @abstractmethod
    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """What to write on this tip, or why not."""

    def change(
        self,
        trigger: Trigger,
        before: Job | None,
        after: Job,
        *,
        host: str = "",
        detail: str = "",
        spend: dict[str, Spend] | None = None,
        extra: tuple[tuple[str, str], ...] = (),
    ) -> Change:
        """The change that moves one job by one row of the table. Raises IllegalTransitionError."""
        row = transition(trigger, before.stage if before else None, after.stage)
        held, holds = (before.lease if before else None), after.lease
        if not lease_allowed(row.lease, before=held is not None, after=holds is not None, same=held == holds):
            raise IllegalTransitionError(f"{trigger} of {after.id}: {row.lease} is the rule")
        event = Event(
            op=trigger,
            by=self.by,
            op_id=self.op_id,
            job=after.id,
            source=before.stage if before else None,
            target=after.stage,
            host=host,
            epoch=after.record.epoch,
            attempt=after.record.attempts,
            detail=detail,
            extra=tuple((name, value) for name, value in extra if value),
        )
        return Change(event, (JobEdit(before, after),), spend=spend or {})

    def placed(self, job: Job, stage: Stage, record: Record, lease: Lease | None = None) -> Job:
        """The job in a stage with a record that says so."""
        since = record.since if stage is job.stage and record.since else self.at
        stamped = replace(record, stage=stage, since=since, blob=record.blob or job.blob)
        folder = job.folder if stage is job.stage else folder_of(stage, self.at)
        return replace(job, stage=stage, folder=folder, record=stamped, lease=lease)


class Asked(Operation, kw_only=True):
    """Somebody names a job, and perhaps the `epoch` of the work that they looked at."""

    job: str
    epoch: int = 0

    def found(self, snapshot: Snapshot, *stages: Stage) -> Job | Refusal:
        """The job, which must be in play, in one of the stages and as it was seen, or the refusal."""
        job = snapshot.find(self.job)
        if job is None or job.stage not in stages:
            return missing_job(snapshot, self.job)
        if self.epoch not in (0, job.record.epoch):
            return Refusal(f"{job.id} was run again since you looked", "look at what it is now")
        return out_of_play(job) or job


def missing_job(snapshot: Snapshot, job: str) -> Refusal:
    """The refusal for a job that is not where the operation needs it."""
    found = snapshot.find(job)
    if found:
        return Refusal(f"{job} is in {found.stage}", f"`aq show {job}` tells its story")
    return Refusal(f"there is no job {job}", "`aq status --all` lists the jobs")


def out_of_play(job: Job) -> Refusal | None:
    """The refusal for a job that was changed by hand in an illegal way (rule 12)."""
    return (
        Refusal(f"{job.id} is out of play: {job.problem}", "`aq doctor --fix` repairs it")
        if job.problem
        else None
    )


def held(snapshot: Snapshot, fence: Fence, *stages: Stage) -> Job | Refusal:
    """The job that this exact lease holds in one of the stages, or the refusal (rule 7)."""
    job = snapshot.find(fence.job)
    if job is None:
        return missing_job(snapshot, fence.job)
    run = next((run for run in reversed(job.record.runs) if run.nonce == fence.nonce), None)
    if run and run.ended and run.outcome not in ("lost", "cancelled"):
        return Refusal(f"the result of {fence.job}, epoch {fence.epoch}, is written already", done=True)
    if not job.held_by(fence) or job.stage not in stages:
        holder = (
            f"held by {job.lease.host} in epoch {job.lease.epoch}"
            if job.lease
            else f"in {job.stage} without a lease"
        )
        return Refusal(f"fenced: {fence.host} held {fence.job} in epoch {fence.epoch}, now it is {holder}")
    return out_of_play(job) or job


def returned_spend(snapshot: Snapshot, job: Job, usd: float | None) -> dict[str, Spend]:
    """The day's spend once the newest run's reservation is settled at its cost. An unknown cost
    settles at the reservation (rule 10)."""
    run = job.record.last_run
    if run is None or not run.spend_day or run.ended:
        return {}
    known = run.usd if usd is None else usd
    cost = run.reserved if known is None else known
    spend = snapshot.spend.get(run.spend_day, Spend())
    return {run.spend_day: spend.moved(job.manifest.product, -run.reserved, cost)}


def engine_facts(run: Run, model: str, version: str) -> dict[str, str]:
    """What a run's engine was, as it is known now: what is not told anew stays."""
    return {"model": model or run.model, "version": version or run.version}


def ended_run(record: Record, at: Instant, outcome: str, reason: str = "", **changes: object) -> Record:
    """The record with its newest run ended."""
    return record.with_last_run(ended=at, outcome=outcome, reason=reason, **changes)
