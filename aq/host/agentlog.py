"""The commits that an agent made in its own clone: their subjects, to be named in ours. Its repository is
read as data, with the runner's git dir: none of its settings is looked at."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from aq.host.gitproc import WorkspaceError, git
from aq.host.repos import Mirror

_MAX_HEAD = 4096
_MAX_PACKED = 4 * 1024 * 1024
_MAX_COMMITS = 50
_SECONDS = 10.0
_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_BRANCH = re.compile(r"refs/heads/[A-Za-z0-9][A-Za-z0-9._/-]{0,200}")


def own_commits(mirror: Mirror, workspace: Path, start: str) -> tuple[str, ...]:
    """The subjects of the commits from `start` to the head of the agent's clone, oldest first. Nothing
    when the clone cannot be read: this is a courtesy to readers, not evidence."""
    repository = workspace / ".git"
    tip = _tip(repository)
    objects = repository / "objects"
    if not tip or tip == start or not _is_folder(objects) or os.pathsep in str(objects):
        return ()
    args = ("log", "-z", "--no-show-signature", "--no-mailmap", "--no-decorate", "--format=%s", "--reverse")
    limits = (f"--max-count={_MAX_COMMITS}", tip, f"^{start}", "--")
    plain = (
        "-c",
        "core.commitGraph=false",
        "-c",
        "core.multiPackIndex=false",
        "-c",
        "log.showSignature=false",
    )
    place = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects)}
    try:
        done = git(*plain, "--git-dir", str(mirror.path), *args, *limits, env=place, timeout=_SECONDS)
    except WorkspaceError:
        return ()
    if done.returncode:
        return ()
    return tuple(part for part in done.stdout.decode("utf-8", "replace").split("\0") if part)


def _tip(repository: Path) -> str:
    if not _is_folder(repository):
        return ""
    text = _text(repository / "HEAD", _MAX_HEAD)
    if not text.startswith("ref: "):
        return text if _OID.fullmatch(text) else ""
    name = text.removeprefix("ref: ").strip()
    if not _BRANCH.fullmatch(name) or ".." in name:
        return ""
    loose = _text(repository / name, _MAX_HEAD)
    if _OID.fullmatch(loose):
        return loose
    packed = re.search(
        rf"^({_OID.pattern}) {re.escape(name)}$", _text(repository / "packed-refs", _MAX_PACKED), re.M
    )
    return packed[1] if packed else ""


def _text(path: Path, limit: int) -> str:
    """A plain file's text; nothing for a link, a pipe or what cannot be read."""
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with open(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                return ""
            return file.read(limit).decode("ascii", "replace").strip()
    except OSError:
        return ""


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False
