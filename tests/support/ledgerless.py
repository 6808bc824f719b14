"""A queue's history in memory: what operations decide, as the commits that an audit reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aq.core.audit.auditor import Commit
from aq.core.change import Change
from aq.core.codec import decode_as
from aq.core.event import render
from aq.core.files.profilefile import parse_profile
from aq.core.files.settingsfile import parse_settings
from aq.core.layout import file_edits
from aq.core.lease import Lease
from aq.core.manifest import Manifest
from aq.core.profile import ProfileFile
from aq.core.record import Record
from aq.core.settings import Settings, Spend


@dataclass
class Texts:
    """Reads what the commits of `commit_of` wrote. A blob's id is its content, or a job's name for it."""

    manifests: dict[str, Manifest] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)

    def manifest(self, blob: str) -> Manifest | str:
        return self.manifests.get(blob, "not a job")

    def record(self, blob: str) -> Record | str:
        return self._value(Record, blob)

    def lease(self, blob: str) -> Lease | str:
        return self._value(Lease, blob)

    def spend(self, blob: str) -> Spend | str:
        return self._value(Spend, blob)

    def profile(self, blob: str) -> ProfileFile | str:
        return parse_profile(self.contents[blob]) if blob in self.contents else "no profile"

    def settings(self, blob: str) -> Settings | str:
        return parse_settings(self.contents[blob]) if blob in self.contents else "no settings"

    def _value(self, kind: Any, blob: str) -> Any:
        return decode_as(kind, self.contents[blob], blob) if blob in self.contents else f"{blob} is garbled"

    def put(self, content: bytes) -> str:
        """The blob of a content."""
        blob = f"blob:{content!r}"
        self.contents[blob] = content
        return blob

    def commit_of(self, change: Change, oid: str = "c") -> Commit:
        """The commit that a change becomes."""
        for edit in change.jobs:
            self.manifests[edit.after.blob] = edit.after.manifest
        changes = {
            edit.path: edit.blob or (self.put(edit.content) if edit.content is not None else "")
            for edit in file_edits(change)
        }
        return Commit(oid, render(change.event), changes)

    def commits_of(self, changes: Iterable[Change]) -> list[Commit]:
        """One commit for each change."""
        return [self.commit_of(change, f"c{n}") for n, change in enumerate(changes)]
