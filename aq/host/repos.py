"""Target repositories: a bare mirror of each, owned by the runner and out of an agent's reach. All git
that touches a target repository is started here, with no hooks, filters or monitors of anybody's."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
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
_OFF = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "protocol.ext.allow": "never",
    "gc.auto": "0",
    "commit.gpgsign": "false",
}
_WHO = {
    "GIT_AUTHOR_NAME": "aq",
    "GIT_AUTHOR_EMAIL": "aq@aq.invalid",
    "GIT_COMMITTER_NAME": "aq",
    "GIT_COMMITTER_EMAIL": "aq@aq.invalid",
}
_TIMEOUT = 600
_MERGE_RACES = 5
_RACE_SIGNS = ("failed to update ref", "cannot lock ref", "incorrect old value")


class WorkspaceError(AqError):
    """A workspace could not be prepared or captured: infrastructure, not the job's fault."""


class ConflictError(AqError):
    """Two lines of work do not merge: a person has to look."""


def git(
    *args: str, cwd: Path | None = None, env: dict[str, str] | None = None, data: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run git on a target repository. Raises WorkspaceError when it does not end in time."""
    base = {name: v for name, v in os.environ.items() if not name.startswith("GIT_") or name in _ENV_KEPT}
    base |= {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_ATTR_NOSYSTEM": "1",
    }
    base.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    off = [part for name, value in _OFF.items() for part in ("-c", f"{name}={value}")]
    try:
        return subprocess.run(
            [shutil.which("git") or "git", *off, *args],
            cwd=cwd,
            env={**base, **(env or {})},
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
            input=data or b"",
        )
    except subprocess.TimeoutExpired:
        raise WorkspaceError(f"git {args[0]} did not end within {_TIMEOUT} s") from None


def must(
    *args: str, cwd: Path | None = None, env: dict[str, str] | None = None, data: bytes | None = None
) -> str:
    """The output of a git command that has to work. Raises WorkspaceError with git's words."""
    done = git(*args, cwd=cwd, env=env, data=data)
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        what = next((arg for arg in args if not arg.startswith("-")), "")
        raise WorkspaceError(f"git {what} failed: {words[0] if words else done.returncode}")
    return done.stdout.decode("utf-8", "replace").strip()


@dataclass(frozen=True)
class Mirror:
    """A mirror of one target repository. Its branches are below `refs/target/`."""

    path: Path
    source: str

    @classmethod
    def of(cls, mirrors: Path, source: str) -> Mirror:
        """The mirror of a repository, brought up to date. Raises WorkspaceError."""
        mirror = cls(mirrors / f"{hashlib.sha256(source.encode()).hexdigest()[:16]}.git", source)
        mirrors.mkdir(parents=True, exist_ok=True, mode=0o700)
        mirror.fetch()
        return mirror

    def fetch(self) -> None:
        """Bring every branch."""
        with FileLock(f"{self.path}.lock"):
            if not (self.path / "HEAD").exists():
                must("init", "--quiet", "--bare", str(self.path))
            quiet = ("--quiet", "--no-tags", "--prune", "--no-write-fetch-head")
            self.must("fetch", *quiet, "--", self.source, "+refs/heads/*:refs/target/*")

    def must(self, *args: str, env: dict[str, str] | None = None, data: bytes | None = None) -> str:
        """A git command on the mirror that has to work."""
        return must(f"--git-dir={self.path}", *args, env=env, data=data)

    def does(self, *args: str) -> bool:
        """Whether a git command on the mirror succeeds."""
        return git("--git-dir", str(self.path), *args).returncode == 0

    @cached_property
    def default_branch(self) -> str:
        """The repository's own default branch. Raises WorkspaceError."""
        listed = must("ls-remote", "--symref", "--", self.source, "HEAD")
        heads = [line.split()[1] for line in listed.splitlines() if line.startswith("ref:")]
        if not heads:
            raise WorkspaceError(f"{self.source} has no default branch", "name one with `base:`")
        return heads[0].removeprefix("refs/heads/")

    def tip(self, branch: str) -> str:
        """The commit of a branch. Raises WorkspaceError."""
        name = f"refs/target/{branch}^{{commit}}"
        done = git("--git-dir", str(self.path), "rev-parse", "--verify", "--quiet", name)
        if done.returncode:
            raise WorkspaceError(f"{self.source} has no branch {branch}", "push it there, or change `base:`")
        return done.stdout.decode().strip()

    def has(self, commit: str) -> bool:
        """Whether the commit is here."""
        return self.does("cat-file", "-e", f"{commit}^{{commit}}")

    def merged(self, ours: str, theirs: str, message: str) -> str:
        """A commit that holds both lines: one of them when it contains the other, else a merge.
        Raises ConflictError, without having touched anything."""
        if self.does("merge-base", "--is-ancestor", theirs, ours):
            return ours
        if self.does("merge-base", "--is-ancestor", ours, theirs):
            return theirs
        done = git("--git-dir", str(self.path), "merge-tree", "--write-tree", "--name-only", ours, theirs)
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        if done.returncode == 1 and lines:
            files = lines[1 : lines.index("")] if "" in lines else lines[1:]
            raise ConflictError(f"conflict in {', '.join(files[:5])}", "merge it by hand, or reject the job")
        if done.returncode:
            raise WorkspaceError(f"git merge-tree failed: {done.stderr.decode('utf-8', 'replace').strip()}")
        return self.must("commit-tree", lines[0], "-p", ours, "-p", theirs, env=_WHO, data=message.encode())

    def commit(self, tree: str, parent: str, message: str) -> str:
        """A commit of aq's."""
        return self.must("commit-tree", tree, "-p", parent, env=_WHO, data=message.encode())

    def create(self, branch: str, commit: str) -> bool:
        """Make a branch on the repository; one of that name with another commit is left alone."""
        ref = f"refs/heads/{branch}"
        lease = f"--force-with-lease={ref}:"
        self.does("push", "--quiet", "--no-verify", lease, "--", self.source, f"{commit}:{ref}")
        # What counts is what the remote has now, not what the push said.
        return self.remote_tip(branch) == commit

    def remote_tip(self, branch: str) -> str:
        """The commit that the repository's branch has now, or nothing."""
        listed = git("ls-remote", "--", self.source, f"refs/heads/{branch}")
        return listed.stdout.decode().split("\t")[0].strip() if listed.returncode == 0 else ""

    def deliver(self, work: str, branch: str, message: str) -> str:
        """Merge work into a branch of the repository by plain fast-forward pushes, and read the
        result back: the branch's commit. Raises ConflictError or WorkspaceError."""
        words = ""
        for _ in range(_MERGE_RACES):
            self.fetch()
            whole = self.merged(self.tip(branch), work, message)
            push = ("push", "--quiet", "--no-verify", "--", self.source, f"{whole}:refs/heads/{branch}")
            done = git("--git-dir", str(self.path), *push)
            words = done.stderr.decode("utf-8", "replace").strip()
            self.fetch()
            if self.does("merge-base", "--is-ancestor", whole, self.tip(branch)):
                return self.tip(branch)
            if "remote rejected" in words and not any(sign in words for sign in _RACE_SIGNS):
                break
        reason = next(
            (line for line in words.splitlines() if "rejected" in line or "refusing" in line), words
        )
        raise ConflictError(
            f"{branch} of {self.source} did not take it: {reason.strip()}", "deliver it by hand"
        )
