"""Target repositories: a bare mirror of each, owned by the runner and out of an agent's reach."""

from __future__ import annotations

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from filelock import FileLock

from aq.core.errors import AqError
from aq.host.gitproc import WorkspaceError, git, must, read
from aq.host.leftovers import clear_locks, clear_packs

_WHO = {
    "GIT_AUTHOR_NAME": "aq",
    "GIT_AUTHOR_EMAIL": "aq@aq.invalid",
    "GIT_COMMITTER_NAME": "aq",
    "GIT_COMMITTER_EMAIL": "aq@aq.invalid",
}
_MERGE_RACES = 5
_RACE_SIGNS = ("failed to update ref", "cannot lock ref", "incorrect old value")


class ConflictError(AqError):
    """Two lines of work do not merge: a person has to look."""


def collect(mirror: Path) -> None:
    """Pack a mirror that has many loose objects, and drop what nothing names any more. Runs read its objects:
    what is younger than two weeks stays, whether a branch needs it or not."""
    options = ("-c", "gc.auto=1000", "-c", "gc.pruneExpire=2.weeks.ago", "-c", "gc.autoDetach=false")
    git(f"--git-dir={mirror}", *options, "gc", "--quiet", "--auto")


@dataclass(frozen=True)
class Mirror:
    """A mirror of one target repository. Its branches are below `refs/target/`."""

    path: Path
    source: str

    @classmethod
    def at(cls, mirrors: Path, source: str) -> Mirror:
        """The mirror of a repository, as it is."""
        return cls(mirrors / f"{hashlib.sha256(source.encode()).hexdigest()[:16]}.git", source)

    @classmethod
    def of(cls, mirrors: Path, source: str) -> Mirror:
        """The mirror of a repository, brought up to date. Raises WorkspaceError."""
        mirror = cls.at(mirrors, source)
        mirror.fetch()
        return mirror

    def fetch(self) -> None:
        """Bring every branch."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(f"{self.path}.lock"):
            if not (self.path / "HEAD").exists():
                must("init", "--quiet", "--bare", str(self.path))
            clear_packs(self.path)
            try:
                self._fetch()
            except WorkspaceError:
                if not clear_locks(self.path):
                    raise
                self._fetch()

    def _fetch(self) -> None:
        quiet = ("--quiet", "--no-tags", "--prune", "--no-write-fetch-head")
        self.must("fetch", *quiet, "--", self.source, "+refs/heads/*:refs/target/*")

    def must(self, *args: str, env: dict[str, str] | None = None, data: bytes | None = None) -> str:
        """A git command on the mirror that has to work."""
        return must(f"--git-dir={self.path}", *args, env=env, data=data)

    def read(self, *args: str, env: dict[str, str] | None = None, data: bytes | None = None) -> bytes:
        """The bytes that a git command on the mirror prints, which has to work."""
        return read(f"--git-dir={self.path}", *args, env=env, data=data)

    def does(self, *args: str) -> bool:
        """Whether a git command on the mirror succeeds."""
        return git("--git-dir", str(self.path), *args).returncode == 0

    @cached_property
    def default_branch(self) -> str:
        """The repository's own default branch. Raises WorkspaceError."""
        listed = must("ls-remote", "--symref", "--", self.source, "HEAD")
        # A clone of something has a HEAD of that, too, which is listed with its own.
        heads = [line.split()[1] for line in listed.splitlines() if re.fullmatch(r"ref: \S+\tHEAD", line)]
        if not heads:
            raise WorkspaceError(f"{self.source} has no default branch", "name one with `base:`")
        return heads[0].removeprefix("refs/heads/")

    def fresh_tip(self, branch: str) -> str:
        """The commit that a branch, or without a name the default branch, has on the repository now."""
        with ThreadPoolExecutor(1) as pool:
            default = None if branch else pool.submit(lambda: self.default_branch)
            self.fetch()
        return self.tip(default.result() if default else branch)

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

    def demand(self, work: str) -> None:
        """Raises ConflictError when finished work is not here, after a fetch: waiting will not bring it."""
        if not self.has(work):
            what = f"the branch with {work[:12]} is gone from {self.source}"
            raise ConflictError(what, "push it again, or reject the job")

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
        with suppress(WorkspaceError):
            # Git leaves out what it knows the other side has: once all branches there have moved on to
            # commits that are not here, it would send the whole history.
            self.fetch()
        ref = f"refs/heads/{branch}"
        lease = f"--force-with-lease={ref}:"
        self.does("push", "--quiet", "--no-verify", lease, "--", self.source, f"{commit}:{ref}")
        # What counts is what the remote has now, not what the push said.
        with suppress(WorkspaceError):
            return self.remote_tip(branch) == commit
        return False

    def remote_tip(self, branch: str) -> str:
        """The commit that the repository's branch has now, or nothing. Raises WorkspaceError when it does
        not say."""
        return must("ls-remote", "--", self.source, f"refs/heads/{branch}").split("\t")[0]

    def deliver(self, work: str, branch: str, message: str) -> str:
        """Merge work into a branch of the repository by plain fast-forward pushes, and read the
        result back: the branch's commit. Raises ConflictError or WorkspaceError."""
        words = ""
        for _ in range(_MERGE_RACES):
            self.fetch()
            self.demand(work)
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
