"""The changed paths between two trees, as the runner's own git sees them: modes, lines, renames, and what
looks like a secret. No attribute, driver or text conversion of the repository has a say."""

from __future__ import annotations

import os

from aq.core.scope import Change, Kind
from aq.core.secrecy.secrets import diff_warnings
from aq.host.gitproc import WorkspaceError, head
from aq.host.repos import Mirror

_PLAIN = ("--no-ext-diff", "--no-textconv", "--no-renames", "--ignore-submodules=none")
_KINDS = {"A": Kind.ADDED, "D": Kind.DELETED, "M": Kind.MODIFIED, "T": Kind.MODIFIED}
_MAX_PATCH = 8 * 1024 * 1024


def changes_between(mirror: Mirror, before: str, after: str) -> tuple[Change, ...]:
    """Every path that differs, a file that only moved as one. Raises WorkspaceError for a link to a
    commit of another repository that was not there before."""
    data = mirror.read("diff-tree", "-r", "-z", "--raw", "--numstat", *_PLAIN, before, after)
    entries, lines = _parsed(data)
    moved = _moves(entries)
    sources = set(moved.values())
    found = []
    for path, (letter, old_mode, mode, old, new) in sorted(entries.items()):
        if mode == "160000" and letter != "M":
            raise WorkspaceError(f"{path} is a link to another repository's commit")
        if path in sources:
            continue
        kind = _KINDS.get(letter, Kind.MODIFIED)
        if path in moved:
            kind = Kind.RENAMED
        elif letter == "M" and old == new and mode != old_mode:
            kind = Kind.MODE
        added, removed = (0, 0) if kind is Kind.RENAMED else lines.get(path, (None, None))
        found.append(
            Change(path, kind, moved.get(path, ""), "" if kind is Kind.DELETED else mode, added, removed)
        )
    return tuple(found)


def entries_before(mirror: Mirror, before: str, after: str) -> dict[str, bytes]:
    """Every path that differs, with the entry of the earlier tree as git reads it into an index."""
    entries, _ = _parsed(mirror.read("diff-tree", "-r", "-z", "--raw", *_PLAIN, before, after))
    return {
        path: f"{old_mode} {old}\t".encode() + os.fsencode(path) + b"\0"
        for path, (_, old_mode, _, old, _) in entries.items()
    }


_Entry = tuple[str, str, str, str, str]


def _parsed(data: bytes) -> tuple[dict[str, _Entry], dict[str, tuple[int | None, int | None]]]:
    """The entries `(letter, old mode, mode, old id, id)` and the lines by path."""
    entries: dict[str, _Entry] = {}
    lines: dict[str, tuple[int | None, int | None]] = {}
    parts = iter(os.fsdecode(part) for part in data.split(b"\0"))
    for part in parts:
        if part.startswith(":"):
            old_mode, mode, old, new, letter = part[1:].split(" ")
            entries[next(parts)] = (letter[:1], old_mode, mode, old, new)
        elif part:
            added, removed, path = part.split("\t", 2)
            lines[path] = (_count(added), _count(removed))
    return entries, lines


def _count(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _moves(entries: dict[str, _Entry]) -> dict[str, str]:
    """New paths whose very content was at a path that is gone."""
    gone: dict[str, list[str]] = {}
    for path, (letter, _, _, old, _) in sorted(entries.items(), reverse=True):
        if letter == "D":
            gone.setdefault(old, []).append(path)
    return {
        path: gone[new].pop()
        for path, (letter, _, _, _, new) in sorted(entries.items())
        if letter == "A" and gone.get(new)
    }


def secret_warnings(mirror: Mirror, before: str, after: str) -> tuple[str, ...]:
    """Where added lines look like a secret: the place and the kind, never the value."""
    args = ("diff-tree", "-r", "-p", "-U0", "--no-color", "--text", *_PLAIN, before, after)
    return diff_warnings(head("--git-dir", str(mirror.path), *args, limit=_MAX_PATCH))
