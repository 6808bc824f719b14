"""Git objects without a process per object: reading through one long-lived `cat-file --batch`,
writing loose files ourselves (git.md section 2: 1.9 ms instead of 41 ms for a claim commit)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import subprocess
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

from aq.core.errors import AqError
from aq.ledger.gitproc import check, spawn

# Requests in flight at once: their text stays far below a pipe's buffer, so writing never blocks.
_BATCH = 100
_CACHED_BYTES = 64 * 1024 * 1024


class MissingObjectError(AqError):
    """The store lacks an object it should have: it is a cache and must be made anew."""


class Objects:
    """The objects of one bare repository. Not thread-safe: the supervisor thread owns it."""

    def __init__(self, git_dir: Path) -> None:
        self.git_dir = git_dir
        self._reader: subprocess.Popen[bytes] | None = None
        self._trees: OrderedDict[str, bytes] = OrderedDict()
        self._tree_bytes = 0

    def close(self) -> None:
        """End the reader process."""
        if self._reader and self._reader.stdin and self._reader.stdout:
            with contextlib.suppress(BrokenPipeError):
                self._reader.stdin.close()
            self._reader.wait()
            self._reader.stdout.close()
        self._reader = None

    def read(self, oid: str) -> bytes:
        """An object's content. Raises MissingObjectError."""
        return self.read_many([oid])[0]

    def read_many(self, oids: Iterable[str]) -> list[bytes]:
        """The contents of many objects, asked for in batches."""
        wanted = list(oids)
        found: list[bytes] = []
        for start in range(0, len(wanted), _BATCH):
            found += self._ask(wanted[start : start + _BATCH])
        return found

    def _ask(self, oids: list[str]) -> list[bytes]:
        reader = self._reader
        if reader is None or reader.poll() is not None:
            self.close()
            reader = self._reader = spawn(["--git-dir", str(self.git_dir), "cat-file", "--batch"])
        assert reader.stdin
        assert reader.stdout
        try:
            reader.stdin.write("".join(f"{oid}\n" for oid in oids).encode())
            reader.stdin.flush()
            return [self._answer(reader, oid) for oid in oids]
        except (OSError, ValueError, MissingObjectError) as error:
            # Answers of this batch may still be in the pipe: start over with a fresh reader.
            reader.kill()
            self.close()
            if isinstance(error, MissingObjectError):
                raise
            raise MissingObjectError(f"the store cannot be read: {error}") from None

    @staticmethod
    def _answer(reader: subprocess.Popen[bytes], oid: str) -> bytes:
        assert reader.stdout
        head = reader.stdout.readline().split()
        if len(head) != 3:
            raise MissingObjectError(f"object {oid} is missing or damaged in the store")
        content = reader.stdout.read(int(head[2]))
        reader.stdout.read(1)
        return content

    def has(self, oid: str) -> bool:
        """Whether the object is there and readable."""
        try:
            self.read(oid)
        except MissingObjectError:
            return False
        return True

    def tree(self, oid: str) -> bytes:
        """A tree's raw bytes, cached."""
        raw = self._trees.get(oid)
        if raw is None:
            raw = self.read(oid)
            self.remember_tree(oid, raw)
        else:
            self._trees.move_to_end(oid)
        return raw

    def remember_tree(self, oid: str, raw: bytes) -> None:
        """Keep a tree that was just read or written."""
        if oid not in self._trees:
            self._trees[oid] = raw
            self._tree_bytes += len(raw)
        while self._tree_bytes > _CACHED_BYTES and len(self._trees) > 1:
            _, old = self._trees.popitem(last=False)
            self._tree_bytes -= len(old)

    def write(self, kind: str, content: bytes) -> str:
        """Store an object as a loose file and return its id."""
        whole = b"%s %d\0%s" % (kind.encode(), len(content), content)
        oid = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
        folder = self.git_dir / "objects" / oid[:2]
        path = folder / oid[2:]
        if not path.exists():
            folder.mkdir(exist_ok=True)
            part = folder / f"tmp_obj_{secrets.token_hex(8)}"
            part.write_bytes(zlib.compress(whole, 1))
            part.chmod(0o444)
            try:
                os.replace(part, path)
            except OSError:
                # Windows refuses to replace a read-only file that is open: it exists, so all is well.
                part.unlink(missing_ok=True)
                if not path.exists():
                    raise
        return oid


class PlumbingObjects(Objects):
    """The same, writing through git itself: for SHA-256 repositories and on surprise."""

    def write(self, kind: str, content: bytes) -> str:
        """Store an object with `git hash-object`."""
        return check(
            ["--git-dir", str(self.git_dir), "hash-object", "-w", "-t", kind, "--stdin", "--literally"],
            data=content,
        )
