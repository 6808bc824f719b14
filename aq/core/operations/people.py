"""Operations that only a person asks for."""

from __future__ import annotations

from collections.abc import Iterator

from aq.core.change import Change, Refusal
from aq.core.event import Event
from aq.core.gates import scope_hold, scope_refusal
from aq.core.instants import Instant
from aq.core.job import Job
from aq.core.lifecycle import BROKEN, LIVE, Stage, Trigger
from aq.core.manifest import Budget
from aq.core.operations.base import Asked, Operation, ended_run, missing_job, returned_spend
from aq.core.overrun import budget_words, is_overrun, more_words, raised, raises
from aq.core.record import CANCELLED, REJECTED, Note, Record
from aq.core.snapshot import Snapshot
from aq.core.value import replace


def _back_to_inbox(record: Record, at: Instant) -> Record:
    """The record of a new submission: counters 0, epoch goes on."""
    return replace(
        record,
        submission=record.submission + 1,
        attempts=0,
        infra=0,
        preempted=0,
        lost=0,
        not_before=None,
        verdict=None,
        hold=None,
        branch="",
        tip="",
        approvals=(),
        queued=at,
    )


class Reject(Asked, kw_only=True):
    """Not good enough: failed, or with `requeue` again, with the message in the next prompt."""

    message: str
    requeue: bool = False

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused while a host verifies it."""
        job = self.found(snapshot, Stage.REVIEW, Stage.TESTING)
        if isinstance(job, Refusal):
            return job
        if job.lease:
            return Refusal(
                f"{job.id} is being verified on {job.lease.host}", "wait for the verdict, or `aq cancel` it"
            )
        record = replace(
            job.record,
            feedback=(*job.record.feedback, Note(self.by, self.at, self.message, REJECTED)),
            hold=None,
        )
        target = Stage.INBOX if self.requeue else Stage.FAILED
        record = _back_to_inbox(record, self.at) if self.requeue else record
        return self.change(
            Trigger.REJECT,
            job,
            self.placed(job, target, record),
            detail=self.message,
            extra=(("Aq-Reason", self.message),),
        )


class Requeue(Asked, kw_only=True):
    """An ended job runs again as a new submission."""

    message: str = ""

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused unless the job is in failed or dead_letter."""
        job = self.found(snapshot, *BROKEN)
        if isinstance(job, Refusal):
            return job
        note = (Note(self.by, self.at, self.message),) if self.message else ()
        record = replace(_back_to_inbox(job.record, self.at), feedback=job.record.feedback + note)
        return self.change(Trigger.REQUEUE, job, self.placed(job, Stage.INBOX, record), detail=self.message)


class Cancel(Asked, kw_only=True):
    """End a live job. A host that runs it finds itself fenced and stops its engine."""

    message: str = ""

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused when the job has ended."""
        job = snapshot.find(self.job)
        if job is None or job.stage not in LIVE:
            return missing_job(snapshot, self.job)
        record = job.record
        if job.lease and record.runs:
            record = ended_run(record, self.at, "cancelled", self.message)
        words = f"{CANCELLED}: {self.message}" if self.message else CANCELLED
        note = Note(self.by, self.at, words, CANCELLED)
        record = replace(record, hold=None, pause=None, feedback=(*record.feedback, note))
        spend = returned_spend(snapshot, job, None) if job.lease else None
        after = replace(self.placed(job, Stage.FAILED, record), problem="")
        return self.change(
            Trigger.CANCEL, job, after, detail=self.message, spend=spend, extra=(("Aq-Reason", self.message),)
        )


class Approve(Asked, kw_only=True):
    """A named person agrees with the work."""

    message: str = ""

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused outside review and testing, or when this person approved already."""
        job = self.found(snapshot, Stage.REVIEW, Stage.TESTING)
        if isinstance(job, Refusal):
            return job
        if job.lease:
            return Refusal(f"{job.id} is being verified on {job.lease.host}", "wait for the verdict")
        if any(note.by == self.by for note in job.record.approvals):
            return Refusal(f"{self.by} approved {job.id} already", done=True)
        record = replace(job.record, approvals=(*job.record.approvals, Note(self.by, self.at, self.message)))
        return self.change(Trigger.APPROVE, job, self.placed(job, job.stage, record))


class PauseJob(Asked, kw_only=True):
    """This job is not claimed until it is resumed. A run in flight goes on."""

    message: str = ""

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused when the job has ended or is paused."""
        job = self.found(snapshot, *LIVE)
        if isinstance(job, Refusal):
            return job
        if job.record.pause:
            return Refusal(f"{job.id} is paused already by {job.record.pause.by}", done=True)
        record = replace(job.record, pause=Note(self.by, self.at, self.message))
        return self.change(
            Trigger.PAUSE_JOB, job, self.placed(job, job.stage, record, job.lease), detail=self.message
        )


class ResumeJob(Asked, kw_only=True):
    """Lifts the pause or the hold of a job. One whose budget is spent needs a `budget` that raises
    what its run came to, and begins a new submission with it. Work outside its scope stays on hold: that
    takes a reason."""

    budget: Budget | None = None

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused when there is nothing to lift, or more money is needed, or given where none is or too
        little, or only the scope is in the way."""
        job = self.found(snapshot, *LIVE, Stage.SHIPPED)
        if isinstance(job, Refusal):
            return job
        spent = is_overrun(job.record)
        if self.budget is not None:
            return self._raised(job, self.budget) if spent else _not_spent(job)
        if not job.record.pause and not job.record.hold:
            return Refusal(f"{job.id} is neither paused nor on hold", done=True)
        kept = job.record.hold if spent else scope_hold(job, self.by, self.at)
        if kept and kept == job.record.hold and not job.record.pause:
            return _more_money(job) if spent else scope_refusal(job)
        record = replace(job.record, pause=None, hold=kept)
        return self.change(Trigger.RESUME_JOB, job, self.placed(job, job.stage, record, job.lease))

    def _raised(self, job: Job, more: Budget) -> Change | Refusal:
        if not raises(job.manifest.budget, more, job.record.last_run):
            return _not_raised(job, more)
        budget = raised(job.manifest.budget, more)
        record = replace(_back_to_inbox(job.record, self.at), budget=budget, pause=None)
        words = f"budget {budget_words(budget)}"
        after = self.placed(job, job.stage, record)
        return self.change(Trigger.RESUME_JOB, job, after, detail=words, extra=(("Aq-Reason", words),))


def _more_money(job: Job) -> Refusal:
    return Refusal(f"{job.id} is on hold, as its budget is spent", _how_more(job))


def _not_raised(job: Job, more: Budget) -> Refusal:
    had, given = budget_words(job.manifest.budget), budget_words(more)
    what = f"{given} does not raise the limit that its run came to: {job.id} spent its budget of {had}"
    return Refusal(what, _how_more(job))


def _how_more(job: Job) -> str:
    limits = more_words(job.manifest.budget, job.record.last_run)
    return f"give it more, and it goes on: `aq resume {job.id} --budget {limits}`"


def _not_spent(job: Job) -> Refusal:
    return Refusal(
        f"{job.id} is not on hold for its budget",
        "a new budget is for a job that spent its own; write `budget:` into the file of a new job",
    )


class Repair(Asked, kw_only=True):
    """Puts right what an illegal hand edit did: the job's own file, back in the inbox."""

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused when nothing is wrong."""
        job = snapshot.find(self.job)
        if job is None:
            return missing_job(snapshot, self.job)
        if not job.problem:
            return Refusal(f"{job.id} needs no repair", done=True)
        if job.id in snapshot.distrust.jobs:
            # Putting it back would make a stranger's work look like this person's.
            return Refusal(f"{job.id} is not trusted: {job.problem}", f"or `aq cancel {job.id}`")
        blob = job.record.blob or job.blob
        if not blob:
            return Refusal(f"the file of {job.id} is nowhere", "put it back from git's history, then push")
        record, run = job.record, job.record.last_run
        if run and not run.ended:
            record = ended_run(record, self.at, "lost", "changed by hand")
        after = self.placed(job, Stage.INBOX, _back_to_inbox(record, self.at))
        return self.change(
            Trigger.REPAIR,
            job,
            replace(after, blob=blob, problem=""),
            detail=job.problem,
            spend=returned_spend(snapshot, job, None),
            extra=(("Aq-Reason", job.problem),),
        )


class RemoveStray(Operation, kw_only=True):
    """Takes a file out of the queue that belongs to no job, or is a copy out of play of one that is
    elsewhere. Git's history keeps it."""

    path: str

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused for the file of a job."""
        stray = any(problem.path == self.path for problem in snapshot.problems)
        if not stray and not any(self.path == copy for copy in _copies(snapshot)):
            return Refusal(f"{self.path} is not a stray file", done=True)
        event = Event(Trigger.REPAIR, self.by, self.op_id, detail=f"remove {self.path}")
        return Change(event, removed=(self.path,))


def _copies(snapshot: Snapshot) -> Iterator[str]:
    """The files of jobs out of play whose id another job has."""
    for job in snapshot.jobs():
        if job.problem and snapshot.find(job.id) != job:
            yield f"queue/{job.folder}/{job.id}.md"
