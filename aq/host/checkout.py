"""A folder of a person's: whether it is in a repository, and in which. What git will not look at is a
repository all the same, and no job may take it for a plain folder."""

from __future__ import annotations

import os
from pathlib import Path

from aq.host.gitproc import WorkspaceError, git

IN_PLACE = "`workspace: in-place` lets the job work in the folder itself"
_BARE = ("HEAD", "objects", "refs")


def in_repository(folder: Path) -> bool:
    """Whether a folder is in a repository, be it a damaged one or somebody else's."""
    real = folder.resolve()
    return any(_is_repository(place) for place in (real, *real.parents))


def _is_repository(place: Path) -> bool:
    return os.path.lexists(place / ".git") or all(os.path.lexists(place / name) for name in _BARE)


def top_of(folder: Path) -> str:
    """The top of the checkout that a folder is in. Raises WorkspaceError with git's words."""
    top = git("rev-parse", "--show-toplevel", cwd=folder)
    if top.returncode:
        said = top.stderr.decode("utf-8", "replace").strip().splitlines()
        words = next((line for line in said if line.startswith("fatal: ")), said[0] if said else "")
        raise WorkspaceError(f"git cannot use cwd {folder}: {words.removeprefix('fatal: ')}", IN_PLACE)
    return top.stdout.decode().strip()
