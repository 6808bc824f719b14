"""The queue as an audit knows it while it replays: files by path, and what they say of each job."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from aq.core.ids import is_id
from aq.core.layout import QUEUE, SETTINGS
from aq.core.lease import Lease
from aq.core.lifecycle import Stage
from aq.core.manifest import Manifest
from aq.core.profile import NO_PROFILE, ProfileFile, applied, pinned
from aq.core.record import Record
from aq.core.settings import Settings, Spend
from aq.core.value import Value

JOB_FILE = re.compile(
    rf"{QUEUE}/(?P<folder>[a-z_]+(?:/\d{{4}}/\d\d/\d\d)?)/(?P<job>[a-z0-9_-]+)\.(?P<kind>md|record\.yaml|lease\.yaml)"
)


class Reading(Protocol):
    """What files say, by blob id; text instead of a value is what is wrong with it."""

    def manifest(self, blob: str) -> Manifest | str:
        """A job file."""

    def record(self, blob: str) -> Record | str:
        """A record."""

    def lease(self, blob: str) -> Lease | str:
        """A lease."""

    def settings(self, blob: str) -> Settings | str:
        """The fleet's settings."""

    def spend(self, blob: str) -> Spend | str:
        """One day's spend."""

    def profile(self, blob: str) -> ProfileFile | str:
        """A profile's file."""


class Files(Value):
    """The blobs of one job in one folder."""

    md: str = ""
    record: str = ""
    lease: str = ""


_FIELDS = {"md": "md", "record.yaml": "record", "lease.yaml": "lease"}


class Seen(Value):
    """One job at one commit, in the one folder that it is in. `broken` says which file cannot be read."""

    job: str
    folder: str
    blob: str
    record: Record
    lease: Lease | None
    broken: str = ""

    @property
    def stage(self) -> Stage:
        """The stage of its folder."""
        return Stage(self.folder.split("/")[0])


def place_of(path: str) -> tuple[str, str, str] | None:
    """Folder, job and kind of a job's file, or None for any other path."""
    match = JOB_FILE.fullmatch(path)
    if not match or match["folder"].split("/")[0] not in set(Stage) or not is_id(match["job"]):
        return None
    return match["folder"], match["job"], _FIELDS[match["kind"]]


@dataclass
class Replay:
    """The files so far, changed commit by commit."""

    reading: Reading
    jobs: dict[str, dict[str, Files]] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)

    def put(self, changes: Mapping[str, str]) -> None:
        """Take in the paths that a commit changed, each with its new blob, empty when it is gone."""
        for path, blob in changes.items():
            place = place_of(path)
            if place is None:
                self.others.pop(path, None)
                self.others |= {path: blob} if blob else {}
                continue
            folder, job, kind = place
            folders = self.jobs.setdefault(job, {})
            values = {name: getattr(folders.get(folder, Files()), name) for name in _FIELDS.values()}
            files = Files(**{**values, kind: blob})
            folders[folder] = files
            if files == Files():
                del folders[folder]
            if not folders:
                del self.jobs[job]

    def seen(self, job: str) -> Seen | None:
        """The job, in the first of its folders that has its file; None when none has."""
        for folder, files in sorted(self.jobs.get(job, {}).items()):
            if files.md:
                return self._read(job, folder, files)
        return None

    def _read(self, job: str, folder: str, files: Files) -> Seen:
        record = self.reading.record(files.record) if files.record else Record()
        lease = self.reading.lease(files.lease) if files.lease else None
        broken = " and ".join(text for text in (record, lease) if isinstance(text, str))
        return Seen(
            job,
            folder,
            files.md,
            record if isinstance(record, Record) else Record(),
            lease if isinstance(lease, Lease) else None,
            broken,
        )

    @property
    def settings(self) -> Settings:
        """The fleet's settings at this commit; the built-in ones where they cannot be read."""
        blob = self.others.get(SETTINGS, "")
        found = self.reading.settings(blob) if blob else Settings()
        return found if isinstance(found, Settings) else Settings()

    def manifest(self, blob: str) -> Manifest:
        """What a job asks for, with the fleet's defaults; an unreadable file asks for nothing."""
        found = self.reading.manifest(blob)
        return (found if isinstance(found, Manifest) else Manifest()).over(self.settings.defaults)

    def asked(self, seen: Seen) -> Manifest:
        """What a job asks for, with its profile as its claim wrote it down and the fleet's defaults."""
        found = self.reading.manifest(seen.blob)
        manifest, defaults = found if isinstance(found, Manifest) else Manifest(), self.settings.defaults
        run = seen.record.last_run
        name = manifest.profile or defaults.profile
        profile = pinned(name, run.profile, self.reading.profile) if run else None
        return applied(manifest, profile or NO_PROFILE, defaults)

    def folders(self, job: str) -> Iterable[str]:
        """Where the job has files."""
        return sorted(self.jobs.get(job, {}))
