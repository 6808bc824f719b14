"""A person's clone whose view was being moved when the process died or the disk was full: git's locks and
half the files of the new tip are in it. What is ours is taken back; what a person wrote is not touched."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aq.core.value import Value
from aq.ledger.gitproc import run
from aq.ledger.ledger import Ledger
from aq.ledger.locks import sweep_locks
from aq.ledger.objects import MissingObjectError
from aq.ledger.store import write_atomic

_OID = re.compile(r"[0-9a-f]{40,64}")
_GIT = ["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"]


class Moving(Value):
    """The note that one process moves the view of a clone."""

    ledger: Ledger
    clone: Path

    @property
    def note(self) -> Path:
        """There while the view is moved: names the commit that it is moved to."""
        return self.ledger.store.paths.home / "moving"

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether no other process moves this view now."""
        from filelock import FileLock, Timeout  # slow to import, and reading commands never need it

        lock = FileLock(str(self.note.with_name("mover")), timeout=0)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def begin(self, tip: str) -> None:
        """Before the move. The note stays when the process dies in it, or finds the disk full."""
        write_atomic(self.note, tip.encode())

    def end(self) -> None:
        """The view was moved, or was left as it is."""
        self.note.unlink(missing_ok=True)

    def mend(self) -> bool:
        """Take back what a killed process left of a move. Whether nothing of that kind is there now."""
        if not self.note.exists():
            return True
        with self.alone() as alone:
            if alone:
                with contextlib.suppress(OSError, MissingObjectError):
                    if self._mend(self.note.read_text().strip()):
                        self.note.unlink()
            return alone and not self.note.exists()

    def _mend(self, tip: str) -> bool:
        """Whether it is done: not while somebody else's git works in this clone."""
        found = run(["rev-parse", "--absolute-git-dir", "HEAD"], cwd=self.clone)
        if found.code or not _OID.fullmatch(tip):
            return True
        git_dir, head = found.out.decode().splitlines()
        places = {Path(git_dir), self.ledger.store.paths.common}
        for place in places:
            if not sweep_locks(place, self.clone):
                return False
        changed = self._changed(head, tip)
        staged = run([*_GIT, "diff-index", "--cached", "--name-only", "-z", "HEAD", "--"], cwd=self.clone)
        if set(staged.out.decode("utf-8", "surrogateescape").split("\0")) & set(changed):
            # git writes the index last: it knows the files as they are now.
            return True
        for path, (old, new) in changed.items():
            if self._is_ours(path, old, new):
                (self.clone / path).unlink()
        self._restore([path for path, (old, _) in changed.items() if old and not self._there(path)])
        return True

    def _there(self, path: str) -> bool:
        return (self.clone / path).exists() or (self.clone / path).is_symlink()

    def _restore(self, paths: list[str]) -> None:
        data = "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
        options = ["checkout", "--quiet", "HEAD", "--pathspec-from-file=-", "--pathspec-file-nul"]
        if paths:
            run([*_GIT, "--literal-pathspecs", *options], cwd=self.clone, data=data)

    def _changed(self, head: str, tip: str) -> dict[str, tuple[str, str]]:
        """The paths that differ, each with its old and its new blob; nothing for a file that is not there."""
        args = [
            "--git-dir",
            str(self.ledger.store.git_dir),
            "diff-tree",
            "-r",
            "-z",
            "--no-renames",
            head,
            tip,
        ]
        fields = run(args).out.decode("utf-8", "surrogateescape").split("\0")
        found = {}
        for facts, path in zip(fields[::2], fields[1::2], strict=False):
            old, new = (oid if oid.strip("0") else "" for oid in facts.split()[2:4])
            found[path] = (old, new)
        return found

    def _is_ours(self, path: str, old: str, new: str) -> bool:
        """Whether git wrote the file: it is the new one, or its beginning, and not the old one."""
        file = self.clone / path
        if not new or not is_beginning(file, self.ledger.read_commit_blob(new)):
            return False
        return not old or file.read_bytes() != self.ledger.read_commit_blob(old)


def is_beginning(file: Path, content: bytes) -> bool:
    """Whether a plain file holds some content or the beginning of it: what git leaves when it is killed."""
    return not file.is_symlink() and file.is_file() and content.startswith(file.read_bytes())
