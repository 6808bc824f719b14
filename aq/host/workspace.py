"""Where a run works: a clone of its own for git repositories, the folder itself, or a scratch folder.
The result is captured with a git dir of the runner's, so that nothing the agent planted is run."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from aq.core.errors import AqError

_ENV_KEPT = (
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
)
_SAFE = (
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.attributesFile=/dev/null",
    "-c",
    "protocol.ext.allow=never",
    "-c",
    "gc.auto=0",
    "-c",
    "commit.gpgsign=false",
)
_TIMEOUT = 600


class WorkspaceError(AqError):
    """The workspace could not be prepared or captured: infrastructure, not the job's fault."""


def _git(
    *args: str, cwd: Path | None = None, env: dict[str, str] | None = None, data: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    binary = shutil.which("git") or "git"
    base = {
        name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _ENV_KEPT
    }
    base |= {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        **(env or {}),
    }
    base.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    try:
        return subprocess.run(
            [binary, *_SAFE, *args],
            cwd=cwd,
            env=base,
            input=data,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
            stdin=None if data is not None else subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise WorkspaceError(f"git {args[0]} did not end within {_TIMEOUT} s") from None


def _must(
    *args: str, cwd: Path | None = None, env: dict[str, str] | None = None, data: bytes | None = None
) -> str:
    done = _git(*args, cwd=cwd, env=env, data=data)
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        what = next((arg for arg in args if not arg.startswith("-")), "")
        raise WorkspaceError(f"git {what} failed: {words[0] if words else done.returncode}")
    return done.stdout.decode("utf-8", "replace").strip()


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
    source: str = ""
    mirror: Path | None = None
    base: str = ""

    def capture(self, branch: str, nonce: str, message: str, index: Path) -> Captured:
        """Commit what changed on top of the base and push it as a task branch. Create-only: a branch
        of that name with another commit is left alone. Raises WorkspaceError."""
        if self.mirror is None:
            return Captured()
        env = {"GIT_DIR": str(self.mirror), "GIT_WORK_TREE": str(self.path), "GIT_INDEX_FILE": str(index)}
        _must("read-tree", self.base, env=env)
        _must("add", "--all", "--", ".", cwd=self.path, env=env)
        tree = _must("write-tree", env=env)
        if tree == _must("rev-parse", f"{self.base}^{{tree}}", env={"GIT_DIR": str(self.mirror)}):
            return Captured()
        who = {
            "GIT_AUTHOR_NAME": "aq",
            "GIT_AUTHOR_EMAIL": "aq@aq.invalid",
            "GIT_COMMITTER_NAME": "aq",
            "GIT_COMMITTER_EMAIL": "aq@aq.invalid",
        }
        tip = _must("commit-tree", tree, "-p", self.base, env={**env, **who}, data=message.encode())
        for name in (branch, f"{branch}-{nonce[:4]}"):
            if self._push(name, tip):
                return Captured(name, tip, pushed=True)
        return Captured(branch, tip, pushed=False)

    def _push(self, branch: str, tip: str) -> bool:
        ref = f"refs/heads/{branch}"
        _git(
            "--git-dir",
            str(self.mirror),
            "push",
            "--quiet",
            "--no-verify",
            f"--force-with-lease={ref}:",
            "--",
            self.source,
            f"{tip}:{ref}",
        )
        # What counts is what the remote has now, not what the push said.
        return remote_has(self.source, branch, tip)


def remote_has(source: str, branch: str, tip: str) -> bool:
    """Whether the repository's branch is at exactly this commit."""
    listed = _git("ls-remote", "--", source, f"refs/heads/{branch}")
    return listed.returncode == 0 and listed.stdout.decode().split("\t")[0].strip() == tip


class Workspaces:
    """Prepares workspaces below one state folder."""

    def __init__(self, state: Path) -> None:
        self.mirrors = state / "mirrors"

    def prepare(
        self, folder: Path, *, source: str, cwd: str, base: str, in_place: bool, branch: str
    ) -> Workspace:
        """The workspace for a run. `source` is a repository's URL or path, `cwd` a folder of this
        host; without either the run gets an empty folder. Raises WorkspaceError."""
        if cwd:
            top = _git("rev-parse", "--show-toplevel", cwd=Path(cwd))
            if in_place or top.returncode:
                return Workspace(Path(cwd))
            source = top.stdout.decode().strip()
        if not source:
            path = folder / "work"
            path.mkdir(exist_ok=True)
            return Workspace(path)
        mirror = self._mirror(source)
        start = self._start(mirror, source, base)
        return self._clone(folder, mirror, source, start, branch)

    def at_branch(self, folder: Path, *, source: str, branch: str, tip: str) -> Workspace:
        """A clone at a task branch's tip, to verify it. Raises WorkspaceError."""
        mirror = self._mirror(source)
        if _git("--git-dir", str(mirror), "cat-file", "-e", f"{tip}^{{commit}}").returncode:
            raise WorkspaceError(f"{source} has no {branch} at {tip[:12]}")
        return self._clone(folder, mirror, source, tip, branch)

    def _mirror(self, source: str) -> Path:
        mirror = self.mirrors / f"{hashlib.sha256(source.encode()).hexdigest()[:16]}.git"
        self.mirrors.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(f"{mirror}.lock"):
            if not (mirror / "HEAD").exists():
                _must("init", "--quiet", "--bare", str(mirror))
            _must(
                "--git-dir",
                str(mirror),
                "fetch",
                "--quiet",
                "--no-tags",
                "--prune",
                "--no-write-fetch-head",
                "--",
                source,
                "+refs/heads/*:refs/target/*",
            )
        return mirror

    @staticmethod
    def _start(mirror: Path, source: str, base: str) -> str:
        if not base:
            listed = _must("ls-remote", "--symref", "--", source, "HEAD")
            heads = [line.split()[1] for line in listed.splitlines() if line.startswith("ref:")]
            if not heads:
                raise WorkspaceError(f"{source} has no default branch", "name one with `base:`")
            base = heads[0].removeprefix("refs/heads/")
        done = _git(
            "--git-dir", str(mirror), "rev-parse", "--verify", "--quiet", f"refs/target/{base}^{{commit}}"
        )
        if done.returncode:
            raise WorkspaceError(f"{source} has no branch {base}", "push it there, or change `base:`")
        return done.stdout.decode().strip()

    @staticmethod
    def _clone(folder: Path, mirror: Path, source: str, start: str, branch: str) -> Workspace:
        path = folder / "work"
        shutil.rmtree(path, ignore_errors=True)
        _must("clone", "--quiet", "--no-checkout", "--no-tags", "--", str(mirror), str(path))
        # The agent must not reach the mirror through its clone.
        _must("remote", "remove", "origin", cwd=path)
        _must("checkout", "--quiet", "-B", branch, start, cwd=path)
        return Workspace(path, source, mirror, start)
