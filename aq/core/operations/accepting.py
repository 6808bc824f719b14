"""Operations that accept work. Every closed gate is named, and an override names who and why."""

from __future__ import annotations

from collections.abc import Iterable

from aq.core.change import Change, Refusal
from aq.core.gates import BEFORE_TESTING, Gate, auto_blockers, gates, refusal, work_epoch
from aq.core.job import Job
from aq.core.lifecycle import Stage, Trigger
from aq.core.operations.base import Asked
from aq.core.record import Note, Override, Record
from aq.core.snapshot import Snapshot
from aq.core.value import replace


class _Accepting(Asked, kw_only=True):
    """A person accepts work, and with `override`, a reason, also what closed gates keep back."""

    override: str = ""

    def _accepted(
        self, job: Job, closed: Iterable[Gate], said: str
    ) -> tuple[Record, str, tuple[tuple[str, str], ...]]:
        """The record with the override in it, what the commit's subject says, and its trailers."""
        record, names = job.record, tuple(dict.fromkeys(str(gate.name) for gate in closed))
        record = replace(record, hold=None)
        if not self.override:
            return record, "", ()
        note = Note(self.by, self.at, f"{said}: {self.override}")
        record = replace(record, feedback=(*record.feedback, note))
        if not names:
            return record, self.override, (("Aq-Reason", self.override),)
        passed = Override(self.by, self.at, self.override, names, work_epoch(record))
        record = replace(record, overrides=(*record.overrides, passed))
        trailers = (("Aq-Override", " ".join(names)), ("Aq-Reason", self.override))
        return record, f"{self.by} overrode {', '.join(names)}: {self.override}", trailers


class Promote(_Accepting, kw_only=True):
    """review to testing: a person accepts the verdict, or overrides a missing one, or a hold."""

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused while verify is to run, or runs, and on hold, unless overridden with a reason."""
        job = self.found(snapshot, Stage.REVIEW)
        if isinstance(job, Refusal):
            return job
        if job.lease:
            return Refusal(
                f"{job.id} is being verified on {job.lease.host}", "wait for the verdict, or `aq cancel` it"
            )
        closed = [gate for gate in gates(job, snapshot.settings) if gate.name in BEFORE_TESTING]
        if closed and not self.override:
            return refusal(job, closed)
        record, detail, extra = self._accepted(job, closed, "promoted")
        return self.change(
            Trigger.PROMOTE, job, self.placed(job, Stage.TESTING, record), detail=detail, extra=extra
        )


class Ship(_Accepting, kw_only=True):
    """testing to shipped. Work that is to be merged is delivered afterwards by a host."""

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused while any gate is closed, unless overridden with a reason."""
        job = self.found(snapshot, Stage.TESTING)
        if isinstance(job, Refusal):
            return _not_testable(job, snapshot, self.job)
        closed = gates(job, snapshot.settings)
        if closed and not self.override:
            return refusal(job, closed)
        record, detail, extra = self._accepted(job, closed, "shipped")
        after = self.placed(job, Stage.SHIPPED, _to_deliver(job, record))
        extra = (("Aq-Branch", record.branch), *extra)
        return self.change(Trigger.SHIP, job, after, detail=detail, extra=extra)


class AutoShip(Asked, kw_only=True):
    """A host ships what `review-policy: auto` lets it ship. It can override nothing."""

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused for anything that is a person's to judge, and while the queue is paused."""
        job = self.found(snapshot, Stage.TESTING)
        if isinstance(job, Refusal):
            return _not_testable(job, snapshot, self.job)
        if snapshot.pause or snapshot.settings_error:
            return Refusal(f"{job.id} is not shipped by a host while the queue is paused", "`aq resume`")
        reasons = auto_blockers(job, snapshot.settings)
        if reasons:
            return Refusal(f"{job.id} waits for a person: {'; '.join(reasons)}", f"`aq ship {job.id}`")
        note = Note(self.by, self.at, "shipped by its review-policy: verify passed, the risk is low")
        record = replace(job.record, feedback=(*job.record.feedback, note))
        after = self.placed(job, Stage.SHIPPED, _to_deliver(job, record))
        extra = (("Aq-Branch", record.branch), ("Aq-Policy", "auto"))
        return self.change(Trigger.SHIP, job, after, host=self.by, detail="by its review-policy", extra=extra)


def _to_deliver(job: Job, record: Record) -> Record:
    wanted = "" if job.manifest.deliver == "branch" or not record.tip else "wanted"
    return replace(record, delivery=wanted)


def _not_testable(refused: Refusal, snapshot: Snapshot, name: str) -> Refusal:
    if name in snapshot.archive:
        return Refusal(f"{name} is shipped already", done=True)
    job = snapshot.find(name)
    if job and job.stage is Stage.REVIEW and not job.problem:
        return Refusal(f"{name} is in review, not in testing", f"accept it with `aq promote {name}` first")
    return refused
