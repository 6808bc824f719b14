"""Files of the runner's own in a folder where an engine may write too: whatever it put at their names is
neither followed nor waited for."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from pathlib import Path
from typing import BinaryIO

from aq.host.seal import open_up

_SAFE = os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_NEW = _SAFE | os.O_CREAT | os.O_EXCL
_MORE = _SAFE | os.O_CREAT | os.O_APPEND | getattr(os, "O_NONBLOCK", 0)


def write_own(path: Path, data: str | bytes) -> None:
    """Write a file, whole or not at all, in place of whatever is there. Raises OSError."""
    part = _beside(path)
    try:
        with open(os.open(part, _NEW, 0o600), "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        if stat.S_ISDIR(_mode(path)):
            os.rename(path, _beside(path))
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def append_own(path: Path) -> BinaryIO:
    """A file to add to, without a buffer; what is there and is no file is moved aside. Raises OSError."""
    if _mode(path) and not stat.S_ISREG(_mode(path)):
        os.rename(path, _beside(path))
    handle = os.open(path, _MORE, 0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(f"{path} is no file")
    return open(handle, "ab", buffering=0)


def clear_away(path: Path) -> None:
    """Nothing is at this path afterwards. What cannot be removed is moved aside. Raises OSError."""
    if stat.S_ISDIR(_mode(path)):
        with contextlib.suppress(OSError):
            path.chmod(0o700)
        open_up(path)
        shutil.rmtree(path, ignore_errors=True)
    elif _mode(path):
        path.unlink()
    if _mode(path):
        os.rename(path, _beside(path))


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")


def _mode(path: Path) -> int:
    """What is at a path, or 0."""
    try:
        return path.lstat().st_mode
    except OSError:
        return 0
