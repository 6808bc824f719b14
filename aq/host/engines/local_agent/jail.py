"""The workspace as the only files there are. A path is resolved, must lie inside, and is then opened one
component after the other without following links: what changes in between is refused, not followed."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from aq.core.value import Value

_DRIVE = re.compile(r"^[A-Za-z]:|^[\\/]{2}")
# Characters that some file systems leave out of a name: `.g<joiner>it` is `.git` there.
_IGNORED = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_GIT_NAMES = (".git", "git~1")
_HAS_FOLDERS = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NO_FOLLOW
_FILE = os.O_RDONLY | _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | getattr(os, "O_BINARY", 0)
_MAX_PATH = 1024
MAX_FILE = 4 * 1024 * 1024
_TOO_LONG = f"it has more than {MAX_FILE // 1024**2} MiB"


class JailError(Exception):
    """A path that leads out of the workspace, or to what is not the agent's."""


class _Folder(Value):
    """An open folder; without descriptors for folders only its path."""

    path: Path
    fd: int = -1

    def of(self, name: str) -> str:
        return name if self.fd >= 0 else str(self.path / name)

    @property
    def at(self) -> dict[str, Any]:
        return {"dir_fd": self.fd} if self.fd >= 0 else {}


class Entry(Value):
    """One name in a folder: `kind` is file, folder, link or other."""

    name: str
    kind: str
    size: int


def is_git(name: str) -> bool:
    """Whether a file system may take the name for `.git`."""
    plain = _IGNORED.sub("", name).split(":")[0].rstrip(". ").casefold()
    return plain in _GIT_NAMES


class Jail:
    """All that the tools can reach. Raises JailError for what is outside, OSError for what is not there."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve(strict=True)

    def parts(self, path: str) -> tuple[str, ...]:
        """The components below the root that a path really has, links resolved."""
        if not path.isprintable() or len(path) > _MAX_PATH:
            raise JailError("the path is too long, or has characters that no path should have")
        if _DRIVE.search(path) or "\\" in path or path.split("/")[0] == "~":
            raise JailError(f"{path} is no path of the workspace: write it relative to it, with /")
        real = Path(os.path.realpath(self.root / path))
        if not real.is_relative_to(self.root):
            raise JailError(f"{path} is outside the workspace")
        parts = real.relative_to(self.root).parts
        if any(is_git(part) for part in (*Path(path).parts, *parts)):
            raise JailError(f"{path} is git's own: leave it alone")
        return parts

    @contextmanager
    def _folder(self, parts: tuple[str, ...], *, make: bool = False) -> Iterator[_Folder]:
        if not _HAS_FOLDERS:
            folder = _Folder(self.root.joinpath(*parts))
            if make:
                folder.path.mkdir(parents=True, exist_ok=True)
            yield folder
            return
        fd = os.open(self.root, _FOLDER)
        try:
            for part in parts:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=fd)
                deeper = os.open(part, _FOLDER, dir_fd=fd)
                os.close(fd)
                fd = deeper
            yield _Folder(self.root.joinpath(*parts), fd)
        finally:
            os.close(fd)

    def read(self, path: str) -> bytes:
        """A plain file's content."""
        parts = self.parts(path)
        if not parts:
            raise IsADirectoryError(21, "it is a folder", path)
        with self._folder(parts[:-1]) as folder:
            fd = os.open(folder.of(parts[-1]), _FILE, **folder.at)
        with os.fdopen(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(22, "it is not a plain file", path)
            if found.st_size > MAX_FILE:
                raise OSError(27, _TOO_LONG, path)
            return file.read(MAX_FILE)

    def write(self, path: str, content: bytes) -> bool:
        """Write a file, whole or not at all; whether it is new. A link in its place is replaced, never
        followed."""
        parts = self.parts(path)
        if not parts:
            raise IsADirectoryError(21, "it is a folder", path)
        if len(content) > MAX_FILE:
            raise OSError(27, _TOO_LONG, path)
        with self._folder(parts[:-1], make=True) as folder:
            mode = self._mode(folder, parts[-1])
            part = f".{secrets.token_hex(6)}.part"
            fd = os.open(folder.of(part), _NEW, 0o666 if mode is None else 0o600, **folder.at)
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(content)
                    if mode is not None and hasattr(os, "fchmod"):
                        os.fchmod(fd, mode)
                self._replace(folder, part, parts[-1])
            except OSError:
                with suppress(OSError):
                    os.unlink(folder.of(part), **folder.at)
                raise
        return mode is None

    @staticmethod
    def _mode(folder: _Folder, name: str) -> int | None:
        try:
            found = os.stat(folder.of(name), follow_symlinks=False, **folder.at)
        except FileNotFoundError:
            return None
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(21, "it is a folder", name)
        return stat.S_IMODE(found.st_mode) & 0o777 if stat.S_ISREG(found.st_mode) else 0o644

    @staticmethod
    def _replace(folder: _Folder, part: str, name: str) -> None:
        both = {"src_dir_fd": folder.fd, "dst_dir_fd": folder.fd} if folder.fd >= 0 else {}
        os.replace(folder.of(part), folder.of(name), **both)

    def entries(self, path: str) -> list[Entry]:
        """What a folder holds, without git's own, by name."""
        with (
            self._folder(self.parts(path)) as folder,
            os.scandir(folder.fd if folder.fd >= 0 else folder.path) as names,
        ):
            found = [_entry(name) for name in names if not is_git(name.name)]
        return sorted(found, key=lambda entry: entry.name)

    def files(self, path: str = ".") -> Iterator[str]:
        """Every plain file below a folder, in order; links are not followed."""
        pending = ["/".join(self.parts(path))]
        while pending:
            where = pending.pop()
            entries: list[Entry] = []
            with suppress(OSError, JailError):
                entries = self.entries(where or ".")
            below = [f"{where}/{entry.name}" if where else entry.name for entry in entries]
            for name, entry in zip(below, entries, strict=True):
                if entry.kind == "file":
                    yield name
            folders = [name for name, entry in zip(below, entries, strict=True) if entry.kind == "folder"]
            pending += reversed(folders)


def _entry(found: os.DirEntry[str]) -> Entry:
    if found.is_symlink():
        return Entry(found.name, "link", 0)
    if found.is_dir(follow_symlinks=False):
        return Entry(found.name, "folder", 0)
    if not found.is_file(follow_symlinks=False):
        return Entry(found.name, "other", 0)
    size = 0
    with suppress(OSError):
        size = found.stat(follow_symlinks=False).st_size
    return Entry(found.name, "file", size)
