"""Git tree objects as values: parse, change entries, format. Pure; no repository here."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

FILE_MODE = b"100644"
TREE_MODE = b"40000"
_ENTRY = {size: re.compile(rb"([0-7]{5,6}) ([^\0]+)\0(.{%d})" % size, re.DOTALL) for size in (20, 32)}


@dataclass(frozen=True, slots=True)
class Entry:
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

    __slots__ = ("entries", "keys")

    def __init__(self, entries: list[Entry], keys: list[bytes] | None = None) -> None:
        self.entries = entries
        self.keys = keys if keys is not None else [entry.key for entry in entries]

    @classmethod
    def parse(cls, raw: bytes, oid_size: int = 20) -> Tree:
        """A tree from the bytes of its object."""
        return cls([Entry(*match) for match in _ENTRY[oid_size].findall(raw)])

    @property
    def raw(self) -> bytes:
        """The bytes of the tree object."""
        return b"".join([entry.raw for entry in self.entries])

    def get(self, name: bytes) -> Entry | None:
        """The entry of this name, file or folder."""
        for key in (name, name + b"/"):
            at = bisect_left(self.keys, key)
            if at < len(self.keys) and self.keys[at] == key and self.entries[at].name == name:
                return self.entries[at]
        return None

    def changed(self, removed: Iterable[bytes], added: Iterable[Entry]) -> Tree:
        """A copy without the names `removed` and with the entries `added` (which replace)."""
        entries, keys = list(self.entries), list(self.keys)
        added = list(added)
        for name in [*removed, *(entry.name for entry in added)]:
            for key in (name, name + b"/"):
                at = bisect_left(keys, key)
                if at < len(keys) and keys[at] == key:
                    del keys[at], entries[at]
        for entry in added:
            at = bisect_left(keys, entry.key)
            keys.insert(at, entry.key)
            entries.insert(at, entry)
        return Tree(entries, keys)


def names_of(raw: bytes, oid_size: int = 20) -> list[tuple[bytes, bytes, bytes]]:
    """(mode, name, oid) of each entry: the fast form for reading."""
    return _ENTRY[oid_size].findall(raw)
