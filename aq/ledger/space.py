"""Full disks: the system's error, or git's words for it, become one error that names the disk."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aq.core.errors import DiskFullError

_CODES = (errno.ENOSPC, errno.EDQUOT)
_WORDS = ("No space left on device", "Disk quota exceeded")


@contextmanager
def space_for(place: Path | str) -> Iterator[None]:
    """Around a write. Raises DiskFullError when no space is left for it."""
    try:
        yield
    except OSError as error:
        if error.errno not in _CODES or isinstance(error, DiskFullError):
            raise
        raise DiskFullError(str(place)) from None


def says_full(err: str) -> str:
    """Whose disk is full by what git says: `here`, `remote`, or nothing."""
    lines = [line for line in err.splitlines() if any(words in line for words in _WORDS)]
    if not lines:
        return ""
    return "remote" if all(line.startswith("remote:") for line in lines) else "here"
