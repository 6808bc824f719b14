"""The queue at a commit as a Snapshot, incrementally: a folder whose tree did not change is reused,
a job whose files did not change is reused, a blob that was parsed is not parsed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations

from aq.core.instants import Instant
from aq.core.job import Job
from aq.core.layout import JOB_SUFFIX, LEASE_SUFFIX, PROFILES, QUEUE, RECORD_SUFFIX
from aq.core.lease import Lease
from aq.core.lifecycle import Stage
from aq.core.manifest import Manifest
from aq.core.record import Record
from aq.core.settings import Pause, Settings, Spend
from aq.core.snapshot import OPEN_STAGES, Archive, NoArchive, Problem, Snapshot
from aq.ledger.archive import TreeArchive
from aq.ledger.commits import parse_commit
from aq.ledger.listing import Files, Listing
from aq.ledger.manifests import ParseCache
from aq.ledger.objects import Objects
from aq.ledger.trees import FILE_MODE, TREE_MODE, names_of

Ages = Callable[[str, list[str]], Mapping[str, Instant]]
_SPEND_DAYS = 3


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

    def load(self) -> None:
        """Parse everything at once: far fewer round trips than one by one."""
        names = [name for name in self.files if name not in self._jobs]
        if names:
            self._jobs.update(zip(names, self._parser.parse(self, names), strict=True))

    def values(self):  # type: ignore[no-untyped-def]
        """All jobs, in no particular order."""
        self.load()
        return self._jobs.values()


class JobParser:
    """Turns the files of jobs into Job values."""

    def __init__(self, objects: Objects, cache: ParseCache, ages: Ages) -> None:
        self.objects, self.cache, self.ages = objects, cache, ages
        self.defaults = Manifest()
        self.archive: Archive = NoArchive()
        self.duplicates: Mapping[str, str] = {}
        self.tip = ""

    def parse(self, folder: Folder, names: list[str]) -> list[Job]:
        """The jobs of these names."""
        files = [folder.files[name] for name in names]
        blobs = [blob for f in files for blob in (f.job, f.record, f.lease) if blob]
        unknown = list(dict.fromkeys(self.cache.missing(blobs)))
        contents = dict(zip(unknown, self.objects.read_many(unknown), strict=True))
        jobs = [self._job(folder, name, f, contents) for name, f in zip(names, files, strict=True)]
        return self._aged(jobs)

    def _job(self, folder: Folder, name: str, files: Files, contents: Mapping[str, bytes]) -> Job:
        where = f"{QUEUE}/{folder.path}/{name}"
        record, lease = Record(), None
        problems: list[str] = []
        if files.record:
            read = self.cache.value(Record, files.record, contents.get(files.record), where + RECORD_SUFFIX)
            record, problems = (Record(), [read]) if isinstance(read, str) else (read, [])
        manifest: Manifest | str = Manifest()
        if files.job:
            text, allowed = contents.get(files.job), record.secret_allowed
            manifest = self.cache.manifest(files.job, text, secret_allowed=allowed)
        if isinstance(manifest, str):
            problems.append(f"{where}{JOB_SUFFIX}:{manifest.removeprefix('line ')}")
            manifest = Manifest()
        if files.lease:
            held = self.cache.value(Lease, files.lease, contents.get(files.lease), where + LEASE_SUFFIX)
            if isinstance(held, str):
                problems.append(f"{held} (it was written by hand)")
            else:
                lease = held
        manifest = (
            replace(manifest.over(self.defaults), every=None)
            if record.schedule
            else manifest.over(self.defaults)
        )
        job = Job(name, folder.stage, folder.path, files.job, manifest, record, lease)
        problem = "; ".join(problems) or self.duplicates.get(f"{folder.path}/{name}", "") or _illegal(job)
        if not files.job:
            problem = "its file was removed or moved by hand"
        if not problem and folder.stage is Stage.INBOX and not files.record and name in self.archive:
            problem = "the same id was shipped before: this newer file is out of play"
        return replace(job, problem=problem) if problem else job

    def _aged(self, jobs: list[Job]) -> list[Job]:
        ageless = [job.id for job in jobs if job.record.queued is None and job.stage is Stage.INBOX]
        if not ageless:
            return jobs
        ages = self.ages(self.tip, ageless)
        return [
            replace(job, record=replace(job.record, queued=ages[job.id])) if job.id in ages else job
            for job in jobs
        ]


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


def _seniority(folder: Folder, name: str) -> tuple[bool, bool, bool]:
    recorded = bool(folder.files[name].record)
    return recorded, recorded and folder[name].record.stage is folder.stage, folder.stage is Stage.INBOX


class Reader:
    """Reads snapshots from one store, remembering the last one."""

    def __init__(self, objects: Objects, cache: ParseCache, ages: Ages, oid_size: int = 20) -> None:
        self.objects, self.cache, self.oid_size = objects, cache, oid_size
        self.parser = JobParser(objects, cache, ages)
        self.settled_records: set[str] = set()
        self._last: Snapshot | None = None
        self._oids: dict[str, str] = {}

    def snapshot(self, tip: str) -> Snapshot:
        """The queue at a commit. Raises MissingObjectError when the store is damaged."""
        if self._last and self._last.tip == tip:
            return self._last
        root = self._entries(parse_commit(self.objects.read(tip)).tree)
        queue = self._entries(root.get(QUEUE, (b"", ""))[1])
        self.parser.tip = tip
        settings, settings_error = self._settings(queue)
        archive = self._archive(queue)
        self.parser.archive = archive
        stages = self._stages(queue)
        problems = tuple(problem for folder in stages.values() for problem in folder.problems)
        problems += tuple(
            Problem(f"{QUEUE}/{s}", "a file has the name of a stage folder: remove it")
            for s in Stage
            if s in queue and queue[s][0] != TREE_MODE
        )
        profiles = {
            n.removesuffix(".md"): oid
            for n, (mode, oid) in self._entries(root.get(PROFILES, (b"", ""))[1]).items()
            if n.endswith(".md") and mode == FILE_MODE
        }
        self._last = Snapshot(
            tip,
            stages,
            archive,
            problems,
            settings,
            settings_error,
            self._pause(queue),
            self._spend(queue),
            profiles,
        )
        return self._last

    def _entries(self, tree: str) -> dict[str, tuple[bytes, str]]:
        if not tree:
            return {}
        found = names_of(self.objects.tree(tree), self.oid_size)
        return {name.decode("utf-8", "replace"): (mode, oid.hex()) for mode, name, oid in found}

    def _stages(self, queue: Mapping[str, tuple[bytes, str]]) -> dict[Stage, Folder]:
        stages: dict[Stage, Folder] = {}
        for stage in OPEN_STAGES:
            mode, oid = queue.get(stage, (TREE_MODE, ""))
            stages[stage] = self._folder(stage, oid if mode == TREE_MODE else "")
        misplaced = self._misplaced(queue)
        if misplaced:
            stages[Stage.SHIPPED] = misplaced
        old = self._last.stages if self._last else {}
        if any(old.get(stage) is not folder for stage, folder in stages.items()):
            self._find_duplicates(list(stages.values()))
        return stages

    def _misplaced(self, queue: Mapping[str, tuple[bytes, str]]) -> Folder | None:
        """What a person put straight into `shipped`, outside the day folders."""
        mode, oid = queue.get(Stage.SHIPPED, (b"", ""))
        found = names_of(self.objects.tree(oid), self.oid_size) if oid and mode == TREE_MODE else []
        flat = [line for line in found if not line[1].startswith(b".") and not line[1].isdigit()]
        if not flat:
            return None
        raw = b"".join(b"%s %s\0%s" % line for line in flat)
        return Folder(self.parser, Stage.SHIPPED, Stage.SHIPPED, Listing().after(raw, self.oid_size))

    def _folder(self, stage: Stage, tree: str) -> Folder:
        old = self._last.stages.get(stage) if self._last else None
        before = old if isinstance(old, Folder) else None
        if before and before.tree == tree:
            return before
        listing = before.listing if before else Listing()
        raw = self.objects.tree(tree) if tree else b""
        return Folder(self.parser, stage, str(stage), listing.after(raw, self.oid_size), before, tree)

    def _find_duplicates(self, folders: list[Folder]) -> None:
        """The same id in two folders: the older copy stays in play. It is the one whose record says that
        it is there, or without any record the one in the inbox."""
        names: set[str] = set()
        for one, other in combinations(folders, 2):
            names |= one.files.keys() & other.files.keys()
        found: dict[str, str] = {}
        for name in names:
            copies = [folder for folder in folders if name in folder]
            keeper = max(copies, key=lambda copy: _seniority(copy, name))
            why = f"the id is also in {keeper.stage}: this copy is out of play"
            found.update({f"{copy.path}/{name}": why for copy in copies if copy is not keeper})
        if found != self.parser.duplicates:
            by_path = {folder.path: folder for folder in folders}
            for key in set(found) ^ set(self.parser.duplicates):
                path, name = key.rsplit("/", 1)
                if path in by_path:
                    by_path[path].forget(name)
            self.parser.duplicates = found

    def _archive(self, queue: Mapping[str, tuple[bytes, str]]) -> Archive:
        mode, oid = queue.get(Stage.SHIPPED, (TREE_MODE, ""))
        last = self._last.archive if self._last else None
        if isinstance(last, TreeArchive) and last.oid == oid:
            return last
        return TreeArchive(
            self, oid if mode == TREE_MODE else "", last if isinstance(last, TreeArchive) else None
        )

    def _blob(self, queue: Mapping[str, tuple[bytes, str]], name: str) -> tuple[str, bytes | None]:
        mode, oid = queue.get(name, (b"", ""))
        return (oid, self.objects.read(oid)) if oid and mode == FILE_MODE else ("", None)

    def _settings(self, queue: Mapping[str, tuple[bytes, str]]) -> tuple[Settings, str]:
        oid = queue.get("aq.yaml", (b"", ""))[1]
        if self._last and self._oids.get("aq.yaml") == oid:
            return self._last.settings, self._last.settings_error
        self._oids["aq.yaml"] = oid
        _, content = self._blob(queue, "aq.yaml")
        settings, error = read_settings(content, self._last.settings if self._last else Settings())
        if settings.defaults != self.parser.defaults:
            self.parser.defaults = settings.defaults
            self._oids = {"aq.yaml": oid}
            self._last = None
        return settings, error

    def _pause(self, queue: Mapping[str, tuple[bytes, str]]) -> Pause | None:
        if "PAUSED" not in queue:
            return None
        oid, content = self._blob(queue, "PAUSED")
        if content is None or not content.strip():
            return Pause(why="queue/PAUSED is there")
        value = self.cache.value(Pause, oid, content, f"{QUEUE}/PAUSED")
        return Pause(why=f"queue/PAUSED cannot be read: {value}") if isinstance(value, str) else value

    def _spend(self, queue: Mapping[str, tuple[bytes, str]]) -> dict[str, Spend]:
        days = self._entries(queue.get("spend", (b"", ""))[1])
        names = sorted(
            name for name, (mode, _) in days.items() if name.endswith(".yaml") and mode == FILE_MODE
        )[-_SPEND_DAYS:]
        found: dict[str, Spend] = {}
        for name in names:
            oid = days[name][1]
            value = self.cache.value(Spend, oid, self.objects.read(oid), f"{QUEUE}/spend/{name}")
            if not isinstance(value, str):
                found[name.removesuffix(".yaml")] = value
        return found


def read_settings(content: bytes | None, fallback: Settings) -> tuple[Settings, str]:
    """The settings, or the last good ones with what is wrong: an invalid file counts as paused."""
    if content is None:
        return Settings(), ""
    from aq.core.errors import InvalidFileError
    from aq.core.settingsfile import parse_settings  # pydantic is slow to import

    try:
        return parse_settings(content), ""
    except InvalidFileError as error:
        return fallback, str(error)
