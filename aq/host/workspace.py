"""Where a run works: a clone of its own for git repositories, the folder itself, or a scratch folder.
The result is captured with the mirror's git dir, so that nothing the agent planted is run."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from aq.host.repos import Mirror, WorkspaceError, git, must


@dataclass(frozen=True, slots=True)
class Captured:
    """The work of a run: its branch and tip on the target repository, or nothing when it changed
    nothing. `pushed` when the target repository has it."""

    branch: str = ""
    tip: str = ""
    pushed: bool = False


@dataclass(frozen=True, slots=True)
class Workspace:
    """A prepared folder. `mirror` and `base` are set for an isolated clone."""

    path: Path
    mirror: Mirror | None = None
    base: str = ""

    def capture(self, branch: str, nonce: str, message: str, index: Path) -> Captured:
        """Commit what changed on top of the base and push it as a task branch. Raises WorkspaceError."""
        mirror = self.mirror
        if mirror is None:
            return Captured()
        place = {
            "GIT_DIR": str(mirror.path),
            "GIT_WORK_TREE": str(self.path),
            "GIT_INDEX_FILE": str(index),
        }
        _unnest(self.path)
        must("read-tree", self.base, env=place)
        must("add", "--all", "--", ".", cwd=self.path, env=place)
        tree = must("write-tree", env=place)
        if tree == mirror.must("rev-parse", f"{self.base}^{{tree}}"):
            return Captured()
        tip = mirror.commit(tree, self.base, message)
        for name in (branch, f"{branch}-{nonce[:4]}"):
            if mirror.create(name, tip):
                return Captured(name, tip, pushed=True)
        return Captured(branch, tip, pushed=False)


def _unnest(workspace: Path) -> None:
    """Take the git folders of nested repositories out of the tree. With them git would record a link
    to a commit that nobody has instead of the files, or refuse to add anything."""
    for folder, names, files in os.walk(workspace):
        if Path(folder) == workspace:
            names[:] = [name for name in names if name != ".git"]
            continue
        if ".git" in names:
            shutil.rmtree(Path(folder) / ".git", ignore_errors=True)
            names.remove(".git")
        if ".git" in files:
            (Path(folder) / ".git").unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run needs. `source` is a repository's URL or path, `cwd` a folder of this host. The
    branches of the jobs it depends on (`under`: commits) are merged into its base (rule 9)."""

    source: str = ""
    cwd: str = ""
    base: str = ""
    in_place: bool = False
    under: tuple[str, ...] = ()


class Workspaces:
    """Prepares workspaces below one state folder."""

    def __init__(self, state: Path) -> None:
        self.mirrors = state / "mirrors"

    def source_of(self, wanted: Wanted) -> str:
        """The repository that the work belongs to, or nothing when it is no repository's."""
        if not wanted.cwd:
            return wanted.source
        top = git("rev-parse", "--show-toplevel", cwd=Path(wanted.cwd))
        return "" if wanted.in_place or top.returncode else top.stdout.decode().strip()

    def prepare(self, folder: Path, wanted: Wanted, branch: str) -> Workspace:
        """The workspace for a run; without a repository or folder, an empty one. Raises
        WorkspaceError, or ConflictError when the work it builds on does not merge."""
        source = self.source_of(wanted)
        if not source and wanted.cwd:
            return Workspace(Path(wanted.cwd))
        if not source:
            path = folder / "work"
            path.mkdir(exist_ok=True)
            return Workspace(path)
        mirror = Mirror.of(self.mirrors, source)
        start = mirror.tip(wanted.base or mirror.default_branch)
        for work in wanted.under:
            start = mirror.merged(start, work, f"Merge what {branch} depends on\n")
        return self._clone(folder, mirror, start, branch)

    def at_branch(self, folder: Path, wanted: Wanted, branch: str, tip: str) -> Workspace:
        """A clone at a task branch's tip, to verify it. Raises WorkspaceError."""
        mirror = Mirror.of(self.mirrors, self.source_of(wanted))
        if not mirror.has(tip):
            raise WorkspaceError(f"{mirror.source} has no {branch} at {tip[:12]}")
        return self._clone(folder, mirror, tip, branch)

    def deliver(self, wanted: Wanted, tip: str, message: str) -> str:
        """Merge a task branch's tip into the base branch on the target repository; the commit that
        the branch has then. Raises ConflictError or WorkspaceError."""
        mirror = Mirror.of(self.mirrors, self.source_of(wanted))
        return mirror.deliver(tip, wanted.base or mirror.default_branch, message)

    @staticmethod
    def _clone(folder: Path, mirror: Mirror, start: str, branch: str) -> Workspace:
        path = folder / "work"
        shutil.rmtree(path, ignore_errors=True)
        must("clone", "--quiet", "--no-checkout", "--no-tags", "--", str(mirror.path), str(path))
        # The agent must not reach the mirror through its clone.
        must("remote", "remove", "origin", cwd=path)
        must("checkout", "--quiet", "-B", branch, start, cwd=path)
        return Workspace(path, mirror, start)
