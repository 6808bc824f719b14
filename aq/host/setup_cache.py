"""What a job's `setup:` made, kept for the next run with the same lock files.

Kept are only ignored files, whole, and only when they are all that the setup made: nothing that git sees,
nothing that names the workspace's own path (it would be wrong in any other), and nothing that an agent had a
hand in: the commands of a lock file run the repository's own code, so the run must begin with a commit of its
base branch, which is not a run's own, and each branch has its own results. Copies are
real ones: what a run writes never reaches another."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from aq.core.globs import matches
from aq.core.scope import Kind
from aq.host.capture import RefusedError, names
from aq.host.gitproc import WorkspaceError
from aq.host.repos import Mirror
from aq.host.workspace import Workspace

_LOCKS = (
    "*.lock",
    "*.lockb",
    "*.lockfile",
    "*-lock.json",
    "*-lock.yaml",
    "*.lock.json",
    "npm-shrinkwrap.json",
    "requirements*.txt",
    "constraints*.txt",
    "pylock*.toml",
    "go.sum",
    "Package.resolved",
)
# An installation that leads back into the workspace.
_EDITABLE = (".egg-info", ".egg-link", ".pth")
_FORM = "2"
_TASKS = "aq/"
_MAX_BYTES = 2 * 1024**3
_MAX_FILES = 200_000
_KEPT = 8
_CHUNK = 1024 * 1024


class SetupCache:
    """The kept results of this host, one folder each."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def key(self, workspace: Workspace, command: str, base: str = "") -> str:
        """What a result depends on; nothing where no lock file says what would be installed, or where the
        files may be an agent's. `base` is the job's own word for its base branch."""
        if workspace.mirror is None or not _is_of_base(workspace.mirror, workspace.start, base):
            return ""
        listed = names(workspace.mirror.read("ls-tree", "-r", "-z", workspace.start))
        locks = sorted(line for line in listed if _is_lock(line.partition("\t")[2]))
        facts = [_FORM, sys.platform, workspace.mirror.source, base, command, *locks]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32] if locks else ""

    def restore(self, workspace: Workspace, key: str) -> bool:
        """Bring what is kept into a fresh workspace; whether it is all there."""
        place = self.root / key
        try:
            paths = json.loads((place / "paths.json").read_text("utf-8"))
            os.utime(place)
            if not all(_lies_within(workspace.path, path) for path in paths):
                return False
            for number, path in enumerate(paths):
                _copy(place / str(number), workspace.path / path)
        except (OSError, ValueError, subprocess.SubprocessError):
            return False
        return True

    def keep(self, workspace: Workspace, key: str) -> bool:
        """Keep what a setup made in a fresh workspace; whether it can be kept."""
        paths = _made(workspace)
        if not paths or (self.root / key).exists():
            return False
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=self.root))
        try:
            for number, path in enumerate(paths):
                _copy(workspace.path / path, part / str(number))
            (part / "paths.json").write_text(json.dumps(paths), encoding="utf-8")
            os.rename(part, self.root / key)
        except (OSError, subprocess.SubprocessError):
            shutil.rmtree(part, ignore_errors=True)
            return False
        self._drop_old()
        return True

    def _drop_old(self) -> None:
        found = sorted(self.root.iterdir(), key=lambda place: place.stat().st_mtime, reverse=True)
        for place in found[_KEPT:]:
            shutil.rmtree(place, ignore_errors=True)


def _is_of_base(mirror: Mirror, commit: str, base: str) -> bool:
    """Whether a commit is one of the base branch, and that is no task branch."""
    try:
        branch = base or mirror.default_branch
        own = not branch.lower().startswith(_TASKS)
        return own and mirror.does("merge-base", "--is-ancestor", commit, mirror.tip(branch))
    except WorkspaceError:
        return False


def _is_lock(path: str) -> bool:
    return any(matches(pattern, path) for pattern in _LOCKS)


def _lies_within(root: Path, path: str) -> bool:
    """Whether a path leads to a place in the folder where nothing is yet, and through no link."""
    target = root / path
    return target.parent.resolve().is_relative_to(root.resolve()) and not os.path.lexists(target)


def _made(workspace: Workspace) -> list[str]:
    """The ignored paths that a setup made, when they are all that it made and may be used elsewhere."""
    if workspace.start != workspace.base or workspace.seal is None:
        return []
    try:
        changes = workspace.left().changes
    except (WorkspaceError, RefusedError):
        return []
    paths = [change.path.rstrip("/") for change in changes]
    if any(change.kind not in (Kind.OUTPUT, Kind.IGNORED) for change in changes):
        return []
    return paths if _may_move(workspace.path, paths) else []


def _may_move(root: Path, paths: Iterable[str]) -> bool:
    """Whether the files are few and small enough, and none of them names the place where it is."""
    own = os.fsencode(root)
    size = 0
    for count, path in enumerate(_files(root, paths), 1):
        size += path.lstat().st_size
        if count > _MAX_FILES or size > _MAX_BYTES:
            return False
        if any(part.endswith(_EDITABLE) for part in path.parts) or _names(path, own):
            return False
    return True


def _files(root: Path, paths: Iterable[str]) -> Iterator[Path]:
    for path in paths:
        top = root / path
        if top.is_symlink() or not top.is_dir():
            yield top
            continue
        for place, folders, files in os.walk(top):
            links = [name for name in folders if os.path.islink(os.path.join(place, name))]
            yield from (Path(place, name) for name in (*files, *links))


def _names(path: Path, words: bytes) -> bool:
    if path.is_symlink():
        return words in os.fsencode(os.readlink(path))
    if not path.is_file():
        return True
    kept = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if words in kept + chunk:
                return True
            kept = chunk[-len(words) :]
    return False


def _copy(source: Path, target: Path) -> None:
    """A copy that shares nothing with its source but, where the file system can, unchanged blocks."""
    target.parent.mkdir(parents=True, exist_ok=True)
    how = {"linux": ("-a", "--reflink=auto"), "darwin": ("-c", "-R", "-p")}.get(sys.platform)
    copy = shutil.which("cp")
    if copy and how:
        subprocess.run([copy, *how, "--", str(source), str(target)], check=True, capture_output=True)
    elif source.is_dir() and not source.is_symlink():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target, follow_symlinks=False)
