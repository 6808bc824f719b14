"""Where things are in the queue's tree. Paths are POSIX text, relative to the repository."""

from __future__ import annotations

from collections.abc import Iterable

from aq.core.change import Change
from aq.core.instants import Instant, day
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.record import Record
from aq.core.value import Value

QUEUE = "queue"
SETTINGS = f"{QUEUE}/aq.yaml"
PAUSED = f"{QUEUE}/PAUSED"
SPEND = f"{QUEUE}/spend"
PROFILES = "profiles"
SIGNERS = "trust/signers.yaml"
JOB_SUFFIX = ".md"
RECORD_SUFFIX = ".record.yaml"
LEASE_SUFFIX = ".lease.yaml"
_NO_ATTEMPT = ("~", ".swp", ".tmp", ".draft.md", RECORD_SUFFIX, LEASE_SUFFIX)


def folder_of(stage: Stage, at: Instant) -> str:
    """The folder of a stage, relative to `queue/`. Shipped jobs are archived by UTC day: a flat
    folder of 10 000 writes 23 times the tree bytes."""
    return f"{stage}/{day(at).replace('-', '/')}" if stage is Stage.SHIPPED else str(stage)


def is_no_attempt(name: str) -> bool:
    """Whether a name in the inbox is not meant as a job: hidden, a draft, left by an editor, or aq's own."""
    autosaved = name.startswith("#") and name.endswith("#")
    return autosaved or name.startswith(".") or name == "README.md" or name.endswith(_NO_ATTEMPT)


class FileEdit(Value):
    """One path: new `content`, an existing `blob`, or neither to remove it."""

    path: str
    content: bytes | None = None
    blob: str = ""


def _files(job: Job) -> dict[str, FileEdit]:
    from aq.core.encoding import encode  # yaml is slow to import, and reading does not need it

    base = f"{QUEUE}/{job.folder}/{job.id}"
    files = {base + JOB_SUFFIX: FileEdit(base + JOB_SUFFIX, blob=job.blob)}
    if job.record != Record(queued=job.record.queued):
        files[base + RECORD_SUFFIX] = FileEdit(base + RECORD_SUFFIX, content=encode(job.record))
    if job.lease:
        files[base + LEASE_SUFFIX] = FileEdit(base + LEASE_SUFFIX, content=encode(job.lease))
    return files


def names_on(path: str) -> list[str]:
    """The names of a path in the tree, from the root. A stage folder is flat but for the archive: what
    looks like a path below it is one name, which only a hostile client can have written."""
    below = path.split("/", 2)
    flat = len(below) == 3 and below[0] == QUEUE and below[1] in set(Stage) - {Stage.SHIPPED}
    return below if flat else path.split("/")


def _left(before: Job | None) -> Iterable[str]:
    """The paths that a job leaves. What was changed by hand may have files that do not show in the job."""
    if before and before.problem:
        return [
            f"{QUEUE}/{before.folder}/{before.id}{suffix}"
            for suffix in (JOB_SUFFIX, RECORD_SUFFIX, LEASE_SUFFIX)
        ]
    return _files(before) if before else ()


def file_edits(change: Change) -> list[FileEdit]:
    """The file edits of a change."""
    from aq.core.encoding import encode  # as above

    edits: dict[str, FileEdit] = {}
    for edit in change.jobs:
        edits.update({path: FileEdit(path) for path in _left(edit.before)})
        edits.update(_files(edit.after))
    edits.update({path: FileEdit(path) for path in change.removed})
    edits.update({path: FileEdit(path, content=content) for path, content in change.files.items()})
    if change.pause:
        value = change.pause.value
        edits[PAUSED] = FileEdit(PAUSED, content=encode(value)) if value else FileEdit(PAUSED)
    for date, spend in change.spend.items():
        edits[f"{SPEND}/{date}.yaml"] = FileEdit(f"{SPEND}/{date}.yaml", content=encode(spend))
    return list(edits.values())
