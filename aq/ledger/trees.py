"""Git tree objects as values: parse, change entries, format. Pure; no repository here."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise

from aq.core.value import Value

FILE_MODE = b"100644"
TREE_MODE = b"40000"
_GIT_MODES = frozenset({FILE_MODE, TREE_MODE, b"100755", b"120000", b"160000"})
_ENTRY = {size: re.compile(rb"([0-7]{5,6}) ([^\0]+)\0(.{%d})" % size, re.DOTALL) for size in (20, 32)}


class Entry(Value):
    """One line of a tree: mode, name and raw object id."""

    mode: bytes
    name: bytes
    oid: bytes

    @property
    def key(self) -> bytes:
        """Git sorts folders as if their name ended in a slash."""
        return self.name + b"/" if self.mode == TREE_MODE else self.name

    @property
    def raw(self) -> bytes:
        """The entry's bytes in the tree object."""
        return b"%s %s\0%s" % (self.mode, self.name, self.oid)


class Tree:
    """A tree that can be copied with changes in time proportional to the changes."""

    __slots__ = ("keys", "lines")

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        ordered = sorted(entries, key=lambda entry: entry.key)
        self.keys = [entry.key for entry in ordered]
        self.lines = [entry.raw for entry in ordered]

    @classmethod
    def parse(cls, raw: bytes, oid_size: int = 20) -> Tree:
        """A tree from the bytes of its object."""
        tree = cls()
        found = names_of(raw, oid_size)
        tree.keys = [name + b"/" if mode == TREE_MODE else name for mode, name, _ in found]
        tree.lines = [b"%s %s\0%s" % line for line in found]
        return tree

    @property
    def raw(self) -> bytes:
        """The bytes of the tree object."""
        return b"".join(self.lines)

    def _at(self, name: bytes) -> int | None:
        for key in (name, name + b"/"):
            at = bisect_left(self.keys, key)
            if at < len(self.keys) and self.keys[at] == key:
                return at
        return None

    def get(self, name: bytes) -> Entry | None:
        """The entry of this name, file or folder."""
        at = self._at(name)
        if at is None:
            return None
        line = self.lines[at]
        mode = line.partition(b" ")[0]
        return Entry(mode, name, line[len(mode) + len(name) + 2 :])

    def changed(self, removed: Iterable[bytes], added: Iterable[Entry]) -> Tree:
        """A copy without the names `removed` and with the entries `added` (which replace)."""
        copy = Tree()
        copy.keys, copy.lines = list(self.keys), list(self.lines)
        added = list(added)
        for name in [*removed, *(entry.name for entry in added)]:
            at = copy._at(name)
            if at is not None:
                del copy.keys[at], copy.lines[at]
        for entry in added:
            at = bisect_left(copy.keys, entry.key)
            copy.keys.insert(at, entry.key)
            copy.lines.insert(at, entry.raw)
        return copy


def names_of(raw: bytes, oid_size: int = 20) -> list[tuple[bytes, bytes, bytes]]:
    """(mode, name, oid) of each entry: the fast form for reading."""
    return _ENTRY[oid_size].findall(raw)


def entries_of(raw: bytes, oid_size: int = 20) -> dict[str, tuple[bytes, str]]:
    """Mode and object id of each entry, by name."""
    found = names_of(raw, oid_size)
    return {name.decode("utf-8", "replace"): (mode, oid.hex()) for mode, name, oid in found}


def is_sound(raw: bytes, oid_size: int = 20) -> bool:
    """Whether git could have written a tree: each name once and in order, with a mode as git writes it. Git
    reads others too, and sees something else in them than we do."""
    found = names_of(raw, oid_size)
    keys = [name + b"/" if mode == TREE_MODE else name for mode, name, _ in found]
    whole = b"".join(b"%s %s\0%s" % line for line in found) == raw
    names = {name for _, name, _ in found}
    ordered = all(before < after for before, after in pairwise(keys))
    known = all(mode in _GIT_MODES for mode, _, _ in found)
    return (
        whole and ordered and known and len(names) == len(found) and not any(b"/" in name for name in names)
    )
