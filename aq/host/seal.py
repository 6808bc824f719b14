"""How the files of a workspace were when the engine got them. What differs later was touched: the time of
a file's last change is the kernel's, and nobody can set it back."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from pathlib import Path

from aq.core.value import Value

# A file that changes again within one tick of the kernel's clock shows the same time.
_TICK_NS = 20_000_000
_Stamp = tuple[int, int, int, int, int]


class Touched(Value):
    """The known paths that are not as they were: still a file or a link, or neither any more."""

    changed: tuple[str, ...]
    gone: tuple[str, ...]


class Seal:
    """The stamps of every known file below a folder. `submodules` are folders in it that belong to other
    repositories."""

    def __init__(self, root: Path, paths: Iterable[str], submodules: Iterable[str] = ()) -> None:
        self.root = root
        self.place = _place(root)
        self.submodules = tuple(submodules)
        paths = list(paths)
        self.folders = sorted(_folders(paths), key=lambda folder: folder.count("/"))
        self.sealed_at = time.time_ns()
        self.stamps = {path: stamp(f"{root}/{path}") for path in paths}

    def intact(self) -> bool:
        """Whether the folder itself is the one that was sealed, and no link to another."""
        try:
            return _place(self.root) == self.place
        except OSError:
            return False

    def touched(self) -> Touched:
        """What differs now. A file below a link is gone, whatever the link leads to."""
        real = {"": True}
        for folder in self.folders:
            above = folder.rpartition("/")[0]
            real[folder] = real[above] and _opened(f"{self.root}/{folder}")
        young = self.sealed_at - _TICK_NS
        changed: list[str] = []
        gone: list[str] = []
        for path, before in self.stamps.items():
            now = stamp(f"{self.root}/{path}") if real[path.rpartition("/")[0]] else None
            if now is None:
                gone.append(path)
            elif now != before or now[4] >= young:
                (changed if is_content(now[0]) else gone).append(path)
        return Touched(tuple(changed), tuple(gone))


def is_content(mode: int) -> bool:
    """Whether git can record what has this mode: a file or a link."""
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


def _place(root: Path) -> tuple[int, int, bool]:
    found = os.lstat(root)
    return found.st_dev, found.st_ino, stat.S_ISDIR(found.st_mode)


def stamp(path: str) -> _Stamp | None:
    """What tells one state of a file from any other, or None when it is not there."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _opened(path: str) -> bool:
    """Whether it is a folder; one that was closed is opened again, so that nothing hides in it."""
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISDIR(mode) and mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(path, mode | stat.S_IRWXU)
    except OSError:
        return False
    return stat.S_ISDIR(mode)


def open_up(root: Path) -> None:
    """Open every folder below a root that was closed to its owner."""
    for folder, names, _ in os.walk(root):
        for name in names:
            _opened(os.path.join(folder, name))


def _folders(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found
