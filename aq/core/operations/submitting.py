"""Operations that bring a job in, or change it before its first claim."""

from __future__ import annotations

from aq.core.change import Change, Refusal
from aq.core.ids import is_id, suffixed
from aq.core.instants import latest_slot
from aq.core.job import Job
from aq.core.lifecycle import Stage, Trigger
from aq.core.manifest import Manifest
from aq.core.operations.base import Operation, missing_job
from aq.core.planning.deps import circle_with, circular
from aq.core.record import Record
from aq.core.snapshot import Snapshot
from aq.core.value import replace


def _circular(around: tuple[str, ...]) -> Refusal:
    return Refusal(circular(around), "take one of these deps out")


class Add(Operation, kw_only=True):
    """A job file, already stored as `blob`. Adding the same content again changes nothing. With an
    idempotency key, other content supersedes the job while it waits for its first claim. A person
    may say that what looks like a secret in it is none."""

    job: str
    blob: str
    manifest: Manifest
    secret_allowed: bool = False

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused when the id belongs to other content."""
        if not is_id(self.job):
            return Refusal(f"{self.job!r} is not a job id", "use a-z, 0-9, - and _")
        present = snapshot.find(self.job)
        if present is None and snapshot.known(self.job):
            return Refusal(f"the id {self.job} is taken by an ended job", "give the file another name")
        if present is None:
            record = Record(queued=self.at, secret_allowed=self.secret_allowed)
            around = circle_with(self.job, self.manifest.deps, snapshot)
            if around:
                return _circular(around)
            manifest, profile = snapshot.completed(self.manifest)
            inbox = Stage.INBOX
            job = Job(self.job, inbox, str(inbox), self.blob, manifest, record, profile=profile)
            return self.change(Trigger.ADD, None, job)
        if self.blob in (present.blob, present.record.blob):
            return Refusal(f"{self.job} is submitted already and is in {present.stage}", done=True)
        key = self.manifest.idempotency_key
        if key and present.manifest.idempotency_key == key:
            return self._supersede(present, snapshot)
        return Refusal(
            f"the id {self.job} belongs to other content, in {present.stage}", "give the file another name"
        )

    def _supersede(self, present: Job, snapshot: Snapshot) -> Change | Refusal:
        if present.stage is not Stage.INBOX:
            return Refusal(
                f"{self.job} has this idempotency key, other content, and is in {present.stage} already",
                "give the file another key, or leave it out",
            )
        return Revise(
            at=self.at, by=self.by, op_id=self.op_id, job=self.job, blob=self.blob, manifest=self.manifest
        ).decide(snapshot)


class Revise(Operation, kw_only=True):
    """New content for a job that no host ever claimed. `base` is the content that the edit was made from;
    what supersedes a job by its idempotency key has none."""

    job: str
    blob: str
    manifest: Manifest
    base: str = ""

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused once the job was claimed: its file never changes after that (I7). Refused also when it has
        other content than the edit was made from: somebody's revision would be lost unseen."""
        job = snapshot.stages.get(Stage.INBOX, {}).get(self.job) or snapshot.find(self.job)
        if job and job.blob == self.blob:
            return Refusal(f"{self.job} has this content already", done=True)
        if job is None or job.stage is not Stage.INBOX:
            return missing_job(snapshot, self.job)
        if job.record.epoch > 0:
            return Refusal(
                f"{self.job} was claimed before: its file cannot change any more",
                f"`aq add` the new text as another job, or `aq cancel {self.job}` first",
            )
        if self.base and self.base != job.blob:
            return Refusal(
                f"somebody revised {self.job} meanwhile, and your edit was made from what it was before",
                "move your file out of the inbox, `git pull`, look at theirs, and save yours again",
            )
        around = circle_with(self.job, self.manifest.deps, snapshot)
        if around:
            return _circular(around)
        record = replace(job.record, blob=self.blob) if job.record.blob else job.record
        manifest, profile = snapshot.completed(self.manifest)
        after = replace(job, blob=self.blob, manifest=manifest, record=record, problem="", profile=profile)
        return self.change(Trigger.REVISE, job, after)


class Spawn(Operation, kw_only=True):
    """A schedule submits the copy that is due. The slot is in the id, so it happens once."""

    schedule: str

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused when the copy for the latest slot exists, or the schedule is paused."""
        job = snapshot.stages.get(Stage.INBOX, {}).get(self.schedule)
        if job is None or job.problem:
            return missing_job(snapshot, self.schedule)
        if job.manifest.every is None or job.record.pause:
            return Refusal(f"{self.schedule} is not an active schedule")
        slot = latest_slot(self.at, int(job.manifest.every))
        name = suffixed(self.schedule, slot[:16].replace("-", "").replace(":", "").lower() + "z")
        if snapshot.known(name):
            return Refusal(f"{name} was submitted already", done=True)
        copy = Job(
            name,
            Stage.INBOX,
            str(Stage.INBOX),
            job.blob,
            replace(job.manifest, every=None),
            Record(queued=self.at, blob=job.blob, schedule=self.schedule),
            profile=job.profile,
        )
        return self.change(Trigger.SPAWN, None, copy, host=self.by, extra=(("Aq-Schedule", self.schedule),))
