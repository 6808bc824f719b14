"""Operations that take a lease or give it back without a result."""

from __future__ import annotations

from aq.core.accepts import EVERYTHING, Accepts
from aq.core.change import Change, Refusal
from aq.core.fleet import Lapse
from aq.core.instants import Instant, day
from aq.core.job import Job
from aq.core.lease import Fence, Lease
from aq.core.lifecycle import Stage, Trigger
from aq.core.operations.base import (
    Operation,
    ended_run,
    engine_facts,
    held,
    missing_job,
    out_of_play,
    returned_spend,
)
from aq.core.planning.eligible import (
    budget_blockers,
    fleet_blockers,
    host_blockers,
    job_blockers,
    reservation,
    verify_blockers,
)
from aq.core.planning.retrybudget import retry_blockers
from aq.core.record import Record, Run
from aq.core.retry import MAX_LOST, MAX_PREEMPTED, Next, after_return, infra_backoff
from aq.core.settings import Spend
from aq.core.snapshot import Snapshot
from aq.core.value import field, replace


class _Taking(Operation, kw_only=True):
    """A host takes a lease. Its own limits are checked on the very tip the claim is written on."""

    job: str
    host: str
    boot: str
    nonce: str
    engine: str
    ttl: float
    slots: int
    offers: frozenset[str] = frozenset()
    engines: dict[str, str] = field(default_factory=dict)
    accepts: Accepts = EVERYTHING

    def full(self, snapshot: Snapshot) -> Refusal | None:
        held_now = sum(job.lease is not None and job.lease.host == self.host for job in snapshot.leased())
        return (
            Refusal(f"{self.host} holds {held_now} of {self.slots} slots") if held_now >= self.slots else None
        )

    def lease(self, job: Job, epoch: int, attempt: int, profile: str) -> Lease:
        return Lease(
            job.id, self.host, self.boot, self.nonce, epoch, attempt, self.engine, self.ttl, self.at, profile
        )


class Claim(_Taking, kw_only=True):
    """inbox to building: epoch + 1, one charge, and the money set aside (rules 4, 8 and 10)."""

    score: str = ""

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused for anything that keeps the job, the fleet or this host from running it now."""
        job = snapshot.stages.get(Stage.INBOX, {}).get(self.job)
        if job is None:
            return missing_job(snapshot, self.job)
        blockers = fleet_blockers(snapshot) + job_blockers(job, snapshot, self.at)
        blockers += budget_blockers(job.manifest, snapshot, self.at)
        blockers += retry_blockers(job, snapshot, self.at)
        blockers += host_blockers(job.manifest, self.offers, self.engines, self.accepts)
        if blockers:
            return Refusal(blockers[0])
        return self.full(snapshot) or self._claimed(job, snapshot)

    def _claimed(self, job: Job, snapshot: Snapshot) -> Change:
        record, reserved, today = job.record, reservation(job.manifest, snapshot), day(self.at)
        epoch, attempt = record.epoch + 1, record.attempts + 1
        run = Run(
            epoch,
            self.host,
            self.nonce,
            self.engine,
            self.at,
            attempt,
            reserved=reserved,
            spend_day=today if reserved else "",
            score=self.score,
            profile=job.profile.pin,
            submission=record.submission,
        )
        charged = replace(
            record.with_run(run),
            epoch=epoch,
            attempts=attempt,
            not_before=None,
            verdict=None,
            branch="",
            tip="",
            approvals=(),
        )
        lease = self.lease(job, epoch, attempt, job.profile.pin)
        after = self.placed(job, Stage.BUILDING, charged, lease)
        spend = (
            {today: snapshot.spend.get(today, Spend()).moved(job.manifest.product, reserved, 0.0)}
            if reserved
            else None
        )
        return self.change(
            Trigger.CLAIM,
            job,
            after,
            host=self.host,
            spend=spend,
            extra=(("Aq-Engine", self.engine), ("Aq-Lease", self.nonce)),
        )


class VerifyClaim(_Taking, kw_only=True):
    """Take a landed branch whose verifier is gone: epoch + 1, no attempt charged."""

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused unless the job is in review, unverified, and names a branch."""
        job = snapshot.stages.get(Stage.REVIEW, {}).get(self.job)
        if job is None or not job.to_be_verified or not job.record.tip:
            return missing_job(snapshot, self.job)
        blockers = fleet_blockers(snapshot) + verify_blockers(job, snapshot, self.at)
        blockers += [f"lacks repo:{job.manifest.repo}"] if self._lacks_repo(job) else []
        refusal = out_of_play(job) or (Refusal(blockers[0]) if blockers else None) or self.full(snapshot)
        if refusal:
            return refusal
        record = job.record
        epoch, attempt, pin = record.epoch + 1, record.attempts, job.profile.pin
        run = Run(epoch, self.host, self.nonce, self.engine, self.at, attempt, verify_only=True, profile=pin)
        run = replace(run, submission=record.submission)
        taken = replace(record.with_run(run), epoch=epoch, not_before=None)
        after = self.placed(job, Stage.REVIEW, taken, self.lease(job, epoch, attempt, pin))
        return self.change(
            Trigger.VERIFY_CLAIM, job, after, host=self.host, extra=(("Aq-Lease", self.nonce),)
        )

    def _lacks_repo(self, job: Job) -> bool:
        return bool(job.manifest.repo) and f"repo:{job.manifest.repo}" not in self.offers


def _given_back(
    job: Job, counter: str, bound: int, what: str, again: Instant | None = None
) -> tuple[Record, Next]:
    """The record with the charge moved to another counter, and where the job goes, `again` at the soonest.
    A landed branch stays in review to be verified by anyone; its attempt stays charged."""
    record = job.record
    count = getattr(record, counter) + 1
    following = after_return(count, bound, what, again)
    if job.stage is Stage.REVIEW and record.tip:
        if following.stage is Stage.INBOX:
            following = replace(following, stage=Stage.REVIEW)
        moved = {counter: count}
    else:
        moved = {counter: count, "attempts": max(0, record.attempts - 1)}
    return replace(record, not_before=following.not_before, **moved), following


class _Returning(Operation, kw_only=True):
    """The holder ends its run without a result; what it left and cost is kept, as far as it is known."""

    fence: Fence
    usd: float | None = None
    tokens: int | None = None
    branch: str = ""
    tip: str = ""
    model: str = ""
    version: str = ""

    def ended(self, job: Job, record: Record, outcome: str, why: str) -> Record:
        """The record with its newest run ended. What is not known now is what a landing said before."""
        run = job.record.runs[-1]
        return ended_run(
            record,
            self.at,
            outcome,
            why,
            usd=run.usd if self.usd is None else self.usd,
            tokens=run.tokens if self.tokens is None else self.tokens,
            branch=self.branch or run.branch,
            tip=self.tip or run.tip,
            **engine_facts(run, self.model, self.version),
        )


class Release(_Returning, kw_only=True):
    """The holder gives the job back: infrastructure failed (`failure` is its class when it is one of an
    engine's), or an operator stopped it. `broken` says that the host or what it needs was out of order: the
    job waits a while, which another engine or host would not help."""

    reason: str
    failure: str = ""
    broken: bool = False

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused when the lease is not ours any more."""
        job = held(snapshot, self.fence, Stage.BUILDING, Stage.REVIEW)
        if isinstance(job, Refusal):
            return job
        why = f"{self.failure}: {self.reason}" if self.failure else self.reason
        again = infra_backoff(job, self.at) if self.broken else None
        record, following = _given_back(job, "infra", job.manifest.retry.infra, f"released: {why}", again)
        after = self.placed(job, following.stage, self.ended(job, record, "released", why))
        spend = returned_spend(snapshot, job, self.usd)
        extra = (("Aq-Reason", why), ("Aq-Class", self.failure), ("Aq-Branch", self.branch))
        return self.change(
            Trigger.RELEASE, job, after, host=self.fence.host, detail=why, spend=spend, extra=extra
        )


class Preempt(_Returning, kw_only=True):
    """The holder gives its slot to a critical job."""

    for_job: str

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused when the lease is not ours any more."""
        job = held(snapshot, self.fence, Stage.BUILDING)
        if isinstance(job, Refusal):
            return job
        record, following = _given_back(job, "preempted", MAX_PREEMPTED, f"preempted for {self.for_job}")
        why = following.reason
        after = self.placed(job, following.stage, self.ended(job, record, "preempted", why))
        spend = returned_spend(snapshot, job, self.usd)
        detail, extra = f"for {self.for_job}", (("Aq-Reason", why), ("Aq-Branch", self.branch))
        return self.change(
            Trigger.PREEMPT, job, after, host=self.fence.host, detail=detail, spend=spend, extra=extra
        )


class Reclaim(Operation, kw_only=True):
    """Another host's lease fell silent on our clock, or our own orphan is proven dead (rule 6)."""

    job: str
    lapse: Lapse

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused when the lease that was observed is not the tip's."""
        job = snapshot.find(self.job)
        if job is None or job.lease is None or job.lease.fence.key != self.lapse.lease:
            return Refusal(f"the lease {self.lapse.lease} is gone", done=True)
        refusal = out_of_play(job)
        if refusal:
            return refusal
        why = f"{job.lease.host} was silent for {self.lapse.silent:.0f}s"
        record, following = _given_back(job, "lost", MAX_LOST, f"lost: {why}")
        record = ended_run(record, self.at, "lost", why)
        observed = f"{self.lapse.token} {self.lapse.silent:.0f}"
        extra = (("Aq-Observed", observed), ("Aq-Reason", following.reason))
        after = self.placed(job, following.stage, record)
        return self.change(
            Trigger.RECLAIM,
            job,
            after,
            host=self.by,
            detail=why,
            spend=returned_spend(snapshot, job, None),
            extra=extra,
        )
