"""A job as a snapshot shows it: its file, its record and its lease, together."""

from __future__ import annotations

from msgspec.structs import force_setattr

from aq.core.instants import Instant
from aq.core.lease import Fence, Lease
from aq.core.lifecycle import ENDED, Stage
from aq.core.manifest import PRIORITY_RANK, Manifest
from aq.core.profile import NO_PROFILE, Profile
from aq.core.record import Record
from aq.core.value import Value, field, replace


class Job(Value):
    """One job at one commit. `folder` is relative to `queue/`; `problem` says why it is out of play;
    `profile` is as whom it runs: the manifest has its defaults already, and the budget that a person
    gave."""

    id: str
    stage: Stage
    folder: str
    blob: str
    manifest: Manifest
    record: Record = field(default_factory=Record)
    lease: Lease | None = None
    problem: str = ""
    profile: Profile = NO_PROFILE

    def __post_init__(self) -> None:
        # However a job is made: what is reserved, limited and shown is the budget that it has now.
        given = self.record.budget
        if given is not None and given != self.manifest.budget:
            force_setattr(self, "manifest", replace(self.manifest, budget=given))

    @property
    def queued(self) -> Instant:
        """When it was submitted. Unknown sorts as oldest."""
        return self.record.queued or ""

    @property
    def title(self) -> str:
        """A line for people."""
        return self.manifest.title or self.id

    @property
    def order(self) -> tuple[int, Instant, str]:
        """Its place in the queue: priority, then age, then name."""
        return (PRIORITY_RANK[self.manifest.priority], self.queued, self.id)

    @property
    def over(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.stage in ENDED

    def held_by(self, fence: Fence) -> bool:
        """Whether the tip's lease is exactly this one."""
        return self.lease is not None and self.lease.fence == fence

    @property
    def to_be_verified(self) -> bool:
        """In review with neither a lease, a verdict for its epoch, nor a hold."""
        record = self.record
        judged = record.verdict is not None and record.verdict.epoch == record.epoch
        return self.stage is Stage.REVIEW and self.lease is None and not judged and record.hold is None

    @property
    def waits_for_person(self) -> bool:
        """In testing, or in review with a verdict or a hold."""
        if self.stage is Stage.TESTING:
            return True
        return self.stage is Stage.REVIEW and self.lease is None and not self.to_be_verified
