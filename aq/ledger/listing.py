"""What lies in one stage folder: the files of each job, and everything that is not a job. A listing
is made from the one before in time that depends on what changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from aq.core.ids import is_id
from aq.core.layout import JOB_SUFFIX, LEASE_SUFFIX, QUEUE, RECORD_SUFFIX
from aq.core.lifecycle import Stage
from aq.core.snapshot import Problem
from aq.core.value import Value, field
from aq.ledger.trees import FILE_MODE, TREE_MODE, names_of

Item = TypeVar("Item")
# In the order of the fields of Files.
_KINDS = {JOB_SUFFIX: "job", RECORD_SUFFIX: "record", LEASE_SUFFIX: "lease"}
_RAW_SUFFIXES = tuple(suffix.encode() for suffix in _KINDS)
_REFUSED = (".", "..", ".git")
_MODES = {
    b"120000": "a symbolic link",
    b"160000": "a nested repository",
    b"100755": "an executable file",
    TREE_MODE: "a folder",
}


class Files(Value):
    """The blob ids of one job's files in one folder. Empty when it has none of that kind; a record
    alone tells of a job whose file was taken away by hand."""

    job: str = ""
    record: str = ""
    lease: str = ""


class Listing(Value):
    """The entries of one folder by name, sorted out. `touched` names the jobs whose files differ from
    the listing before."""

    entries: Mapping[bytes, tuple[bytes, bytes]] = field(default_factory=dict)
    files: Mapping[str, Files] = field(default_factory=dict)
    strays: Mapping[str, str] = field(default_factory=dict)
    touched: frozenset[str] = frozenset()

    def problems(self, stage: Stage) -> tuple[Problem, ...]:
        """What is wrong with the files that are not a job's."""
        return tuple(Problem(f"{QUEUE}/{stage}/{name}", self.strays[name]) for name in sorted(self.strays))

    def after(self, raw: bytes, oid_size: int) -> Listing:
        """The listing of the same folder with another tree."""
        entries = {name: (mode, oid) for mode, name, oid in names_of(raw, oid_size)}
        changed = {name for name, _ in self.entries.items() ^ entries.items()} if self.entries else entries
        files, strays = dict(self.files), dict(self.strays)
        touched = set()
        for raw_name in changed:
            name = raw_name.decode("utf-8", "surrogateescape")
            stem = _stem(name)
            if stem:
                touched.add(stem)
            else:
                _put(strays, name, _stray(name, entries.get(raw_name)))
        for stem in touched:
            found = [entries.get(stem.encode() + suffix) for suffix in _RAW_SUFFIXES]
            blobs = [entry[1].hex() if entry and entry[0] == FILE_MODE else "" for entry in found]
            known = bool(blobs[0] or blobs[1])
            _put(files, stem, Files(*blobs) if known else None)
            for suffix, entry, blob in zip(_KINDS, found, blobs, strict=True):
                if entry and not (blob and known):
                    strays[stem + suffix] = _irregular(entry) or f"a {_KINDS[suffix]} without a job"
                elif strays:
                    strays.pop(stem + suffix, None)
        return Listing(entries, files, strays, frozenset(touched))


def _put(values: dict[str, Item], name: str, value: Item | None) -> None:
    if value:
        values[name] = value
    else:
        values.pop(name, None)


def _stem(name: str) -> str:
    """The job that a file of this name belongs to, or nothing."""
    stem, dot, rest = name.partition(".")
    return stem if dot + rest in _KINDS and is_id(stem) else ""


def _irregular(entry: tuple[bytes, bytes]) -> str:
    mode = entry[0]
    return "" if mode == FILE_MODE else f"{_MODES.get(mode, 'not a plain file')}, not a plain file: remove it"


def _stray(name: str, entry: tuple[bytes, bytes] | None) -> str:
    if entry is None or name == "README.md":
        return ""
    if "/" in name or name in _REFUSED:
        return "a name that git itself refuses: remove it"
    if name.startswith("."):
        return ""
    if irregular := _irregular(entry):
        return irregular
    if name.lower().endswith(JOB_SUFFIX):
        return "not a job: rename it to <id>.md with a-z, 0-9, - and _"
    return "not a job file: remove it"
