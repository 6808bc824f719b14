"""The whole queue at one commit, immutable. Every decision is a function of this."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, runtime_checkable

from aq.core.change import Change
from aq.core.distrust import NOTHING, Distrust
from aq.core.instants import Instant
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.manifest import Manifest
from aq.core.profile import Profile, applied, profile_for
from aq.core.settings import Pause, Settings, Spend
from aq.core.value import Value, field, replace

OPEN_STAGES = tuple(stage for stage in Stage if stage is not Stage.SHIPPED)


class Archive(Protocol):
    """The shipped jobs. There may be very many, so they are looked up, not loaded."""

    def __contains__(self, job: object) -> bool: ...

    def __len__(self) -> int: ...

    def get(self, job: str) -> Job | None:
        """The shipped job with its record."""

    def recent(self, limit: int | None) -> list[Job]:
        """The jobs shipped last, at most `limit`, None for all."""

    def undelivered(self) -> list[Job]:
        """Shipped jobs whose work is still to be merged into its target."""

    def starts(self, since: Instant) -> Iterable[tuple[Instant, bool]]:
        """When the runs of the jobs began that were shipped on the day of `since` or later, and whether each
        was a retry."""


@runtime_checkable
class Ordered(Protocol):
    """Jobs that know their order without being looked at one by one."""

    def first(self, count: int) -> list[Job]:
        """The first ones."""


class Problem(Value):
    """A file in the queue that is not a valid job, and why."""

    path: str
    what: str


class NoArchive:
    """An archive with nothing in it."""

    def __contains__(self, job: object) -> bool:
        return False

    def __len__(self) -> int:
        return 0

    def get(self, job: str) -> Job | None:
        """Nothing was shipped."""
        del job
        return None

    def recent(self, limit: int | None) -> list[Job]:
        """Nothing was shipped."""
        del limit
        return []

    def undelivered(self) -> list[Job]:
        """Nothing was shipped."""
        return []

    def starts(self, since: Instant) -> Iterable[tuple[Instant, bool]]:
        """Nothing was shipped."""
        del since
        return ()


class Snapshot(Value):
    """`stages` has every job that is not in the archive, by stage and id. `distrust` and `signers` are of a
    host that trusts signed commits only: what it does not obey, and the commit that its signers are from."""

    tip: str
    stages: Mapping[Stage, Mapping[str, Job]]
    archive: Archive = field(default_factory=NoArchive)
    problems: tuple[Problem, ...] = ()
    settings: Settings = field(default_factory=Settings)
    settings_error: str = ""
    pause: Pause | None = None
    spend: Mapping[str, Spend] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    distrust: Distrust = NOTHING
    signers: str = ""

    def find(self, job: str) -> Job | None:
        """The job wherever it is, shipped included. Of several copies: the one in play, or else the one
        with a history."""
        copies = [found for jobs in self.stages.values() if (found := jobs.get(job))]
        in_play = next((copy for copy in copies if not copy.problem), None)
        return (
            in_play
            or self.archive.get(job)
            or max(copies, key=lambda copy: bool(copy.record.blob), default=None)
        )

    def completed(self, asked: Manifest) -> tuple[Manifest, Profile]:
        """What a job file asks for in all: with its profile's and the queue's defaults."""
        defaults = self.settings.defaults
        profile = profile_for(asked, defaults, self.profiles)
        return applied(asked, profile, defaults), profile

    def known(self, job: str) -> bool:
        """Whether the id is taken."""
        return any(job in jobs for jobs in self.stages.values()) or job in self.archive

    def jobs(self, *stages: Stage) -> Iterator[Job]:
        """The jobs of some stages, or of all but the archive."""
        for stage in stages or Stage:
            yield from self.stages.get(stage, {}).values()

    def waiting(self, first: int | None = None) -> list[Job]:
        """The jobs of the inbox in their order: all, or only the first ones."""
        inbox = self.stages.get(Stage.INBOX, {})
        if first is not None and isinstance(inbox, Ordered):
            return inbox.first(first)
        return sorted(inbox.values(), key=lambda job: job.order)[:first]

    def for_people(self) -> Iterator[Job]:
        """The jobs that only a person can move on."""
        return (job for job in self.jobs(Stage.REVIEW, Stage.TESTING) if job.waits_for_person)

    def for_hosts_to_ship(self) -> Iterator[Job]:
        """The jobs in testing that the hosts are to ship, once nothing is against it."""
        tested = self.jobs(Stage.TESTING)
        return (job for job in tested if job.manifest.review_policy.by_hosts and not job.problem)

    def leased(self) -> Iterator[Job]:
        """The jobs that a host holds."""
        return (job for job in self.jobs(Stage.BUILDING, Stage.REVIEW) if job.lease)

    def apply(self, change: Change, tip: str = "") -> Snapshot:
        """The snapshot that the change leaves. Shipped jobs leave the stages; the archive is the ledger's."""
        stages = {stage: dict(jobs) for stage, jobs in self.stages.items()}
        for edit in change.jobs:
            if edit.before:
                stages.get(edit.before.stage, {}).pop(edit.before.id, None)
            if edit.after and edit.after.stage is not Stage.SHIPPED:
                stages.setdefault(edit.after.stage, {})[edit.after.id] = edit.after
        pause = change.pause.value if change.pause else self.pause
        return replace(
            self, tip=tip or self.tip, stages=stages, pause=pause, spend={**self.spend, **change.spend}
        )
