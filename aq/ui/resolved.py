"""What a job asks for in all, each value with where it is from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from aq.core.files.jobfile import written_key
from aq.core.job import Job
from aq.core.manifest import Manifest
from aq.core.profile import sources
from aq.core.values import plain

GIVEN = "`aq resume --budget`"


class Resolved(NamedTuple):
    """One key's value as plain data, and where it is from."""

    key: str
    value: Any
    source: str


def written(name: str) -> str:
    """How a manifest's field is written in a file."""
    return "prefers-engine" if name == "prefers_engine" else written_key(name)


def resolved(job: Job, asked: Manifest, defaults: Manifest) -> Iterator[Resolved]:
    """Every key of a job. `asked` is what its own file gives."""
    for name, source in sources(asked, job.profile, defaults).items():
        given = name == "budget" and job.record.budget is not None
        yield Resolved(written(name), plain(getattr(job.manifest, name)), GIVEN if given else source)
