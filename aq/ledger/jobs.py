"""Jobs from the files of a stage folder, parsed when they are looked at, and what shows that one was
changed by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache

from aq.core.instants import Instant
from aq.core.job import Job
from aq.core.layout import JOB_SUFFIX, LEASE_SUFFIX, QUEUE, RECORD_SUFFIX
from aq.core.lease import Lease
from aq.core.lifecycle import Stage
from aq.core.manifest import Manifest
from aq.core.profile import Profile, applied, pinned, profile_for
from aq.core.record import Record
from aq.core.snapshot import Archive, NoArchive, Problem
from aq.core.value import replace
from aq.ledger.listing import Files, Listing
from aq.ledger.manifests import ParseCache
from aq.ledger.objects import Objects
from aq.ledger.order import OrderIndex
from aq.ledger.profiles import Profiles
from aq.ledger.settled import Settled

# When a job of the inbox at a tip arrived.
Arrived = Callable[[str, str], Instant | None]
_BLANK = Record()


class Folder(Mapping[str, Job]):
    """The jobs of one stage folder, parsed when they are looked at. What `old` has parsed is taken
    over, but for the jobs that its listing and this one do not share."""

    def __init__(
        self,
        parser: JobParser,
        stage: Stage,
        path: str,
        listing: Listing,
        old: Folder | None = None,
        tree: str = "",
    ) -> None:
        self._parser, self.stage, self.path, self.listing = parser, stage, path, listing
        self.files, self.tree = listing.files, tree
        self._jobs: dict[str, Job] = dict(old._jobs) if old is not None else {}
        for name in listing.touched:
            self._jobs.pop(name, None)

    def __getitem__(self, name: str) -> Job:
        job = self._jobs.get(name)
        if job is None:
            job = self._jobs[name] = self._parser.parse(self, [name])[0]
        return job

    def __contains__(self, name: object) -> bool:
        return name in self.files

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The files here that are not a job's."""
        return self.listing.problems(self.stage)

    def forget(self, name: str) -> None:
        """Parse this job anew when it is looked at next."""
        self._jobs.pop(name, None)

    def load(self, names: Iterable[str] | None = None) -> list[Job]:
        """Parse all jobs, or some, at once: far fewer round trips than one by one."""
        wanted = list(self.files if names is None else names)
        fresh = [name for name in wanted if name not in self._jobs]
        if fresh:
            self._jobs.update(zip(fresh, self._parser.parse(self, fresh), strict=True))
        return [self._jobs[name] for name in wanted]

    def first(self, count: int) -> list[Job]:
        """The first waiting jobs in order."""
        defaults = self._parser.defaults
        priority = str(defaults.priority) if "priority" in defaults.given else ""
        return self.load(self._parser.order.first(count, self.files, priority, self.load))

    def values(self):  # type: ignore[no-untyped-def]
        """All jobs, in no particular order."""
        self.load()
        return self._jobs.values()


class JobParser:
    """Turns the files of jobs into Job values."""

    def __init__(
        self, objects: Objects, cache: ParseCache, arrived: Arrived, order: OrderIndex, settled: Settled
    ) -> None:
        self.objects, self.cache, self.arrived, self.order = objects, cache, arrived, order
        self.settled = settled
        self.defaults = Manifest()
        self.profiles = Profiles(cache, {})
        self.archive: Archive = NoArchive()
        self.duplicates: Mapping[str, str] = {}
        # Jobs that distrusted commits changed, with the words for it.
        self.distrusted: Mapping[str, str] = {}
        self.tip = ""
        self.starts: dict[str, tuple[tuple[Instant, bool], ...]] = {}

    def parse(self, folder: Folder, names: list[str]) -> list[Job]:
        """The jobs of these names."""
        files = [folder.files[name] for name in names]
        blobs = [blob for f in files for blob in (f.job, f.record, f.lease) if blob]
        unknown = list(dict.fromkeys(self.cache.missing(blobs)))
        contents = dict(zip(unknown, self.objects.read_many(unknown), strict=True))
        return [self._job(folder, name, f, contents) for name, f in zip(names, files, strict=True)]

    def _job(self, folder: Folder, name: str, files: Files, contents: Mapping[str, bytes]) -> Job:
        where = f"{QUEUE}/{folder.path}/{name}"
        record = _BLANK
        problems: list[str] = []
        if files.record:
            read = self.cache.value(Record, files.record, contents.get(files.record), where + RECORD_SUFFIX)
            record, problems = (_BLANK, [read]) if isinstance(read, str) else (read, [])
        if record.queued is None and folder.stage is Stage.INBOX:
            record = self._queued(name, record)
        manifest: Manifest | str = Manifest()
        if files.job:
            text, allowed = contents.get(files.job), record.secret_allowed
            manifest = self.cache.manifest(files.job, text, secret_allowed=allowed)
        if isinstance(manifest, str):
            problems.append(f"{where}{JOB_SUFFIX}:{manifest.removeprefix('line ')}")
            manifest = Manifest()
        held = self._lease(files.lease, contents, where)
        lease, wrong = (None, [held]) if isinstance(held, str) else (held, [])
        problems = [*problems, *wrong]
        profile = self._profile(manifest, folder.stage, record)
        manifest = applied(manifest, profile, self.defaults)
        if record.schedule:
            # A copy that a schedule submitted has the schedule's own file.
            manifest = replace(manifest, every=None)
        job = Job(name, folder.stage, folder.path, files.job, manifest, record, lease, profile=profile)
        problem = (
            self.distrusted.get(name, "")
            or "; ".join(problems)
            or self.duplicates.get(f"{folder.path}/{name}", "")
            or _illegal(job)
        )
        if not files.job and not self.distrusted.get(name):
            problem = "its file was removed or moved by hand"
        if not problem and folder.stage is Stage.INBOX and not files.record and name in self.archive:
            problem = "the same id was shipped before: this newer file is out of play"
        return replace(job, problem=problem) if problem else job

    def _lease(self, blob: str, contents: Mapping[str, bytes], where: str) -> Lease | str | None:
        if not blob:
            return None
        held = self.cache.value(Lease, blob, contents.get(blob), where + LEASE_SUFFIX)
        return f"{held} (it was written by hand)" if isinstance(held, str) else held

    def _profile(self, asked: Manifest, stage: Stage, record: Record) -> Profile:
        """As whom the job runs: from its claim on as the claim wrote it down, whatever the files say now."""
        run = record.last_run
        if run and run.profile and stage is not Stage.INBOX:
            name = asked.profile or self.defaults.profile
            kept = pinned(name, run.profile, self.cache.profile)
            if kept:
                return kept
        return profile_for(asked, self.defaults, self.profiles)

    def _queued(self, name: str, record: Record) -> Record:
        """The record with the time of arrival, for a job that came by a plain commit."""
        at = self.arrived(self.tip, name)
        return (_waiting(at) if record is _BLANK else replace(record, queued=at)) if at else record


@lru_cache(maxsize=1024)
def _waiting(at: Instant) -> Record:
    # Jobs that came by one commit share it.
    return Record(queued=at)


def _illegal(job: Job) -> str:
    """What shows that a job was changed by hand in a way that the table does not hold (rule 12)."""
    record, lease = job.record, job.lease
    if record.stage is not job.stage:
        return f"moved by hand from {record.stage} to {job.stage}"
    if record.epoch and record.blob != job.blob:
        return "its file was edited by hand after the first claim"
    if lease and not _serves_newest_run(job, lease):
        return "its lease was written by hand"
    if job.stage is Stage.BUILDING and not lease:
        return "its lease was removed by hand"
    return ""


def _serves_newest_run(job: Job, lease: Lease) -> bool:
    run = job.record.last_run
    return (
        job.stage in (Stage.BUILDING, Stage.REVIEW)
        and run is not None
        and not run.ended
        and (lease.job, lease.host, lease.epoch, lease.nonce)
        == (job.id, run.host, job.record.epoch, run.nonce)
    )
