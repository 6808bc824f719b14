"""Target repositories: a bare mirror of each, owned by the runner and out of an agent's reach. All git
that touches a target repository is started here, with no hooks, filters or monitors of anybody's. Only
what talks to a remote reads the user's git settings: credentials, proxies, `insteadOf`."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import IO

from filelock import FileLock

from aq.core.errors import AqError
from aq.host.leftovers import clear_locks, clear_packs

_ENV_KEPT = (
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_SSL_CAINFO",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
)
# What reads the user's settings: the commands that talk to a remote, and the look at a user's own folder.
_REMOTE = frozenset({"fetch", "push", "ls-remote", "--show-toplevel"})
_OFF = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.attributesFile": os.devnull,
    "core.excludesFile": os.devnull,
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.quotePath": "false",
    "protocol.ext.allow": "never",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "push.recurseSubmodules": "no",
    "push.gpgSign": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "commit.gpgSign": "false",
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


def environment(*args: str) -> dict[str, str]:
    """What a git command of ours may see of this process's environment."""
    base = _own_settings()
    local = _REMOTE.isdisjoint(args)
    # A command of ours would go before any other way to reach a remote.
    if base.keys().isdisjoint(("GIT_SSH", "GIT_SSH_COMMAND")) and (local or not chose_ssh()):
        base["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes"
    if local:
        base |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        base.pop("GIT_CONFIG_SYSTEM", None)
    return base


def _own_settings() -> dict[str, str]:
    """The environment in which git reads the user's settings."""
    base = {name: v for name, v in os.environ.items() if not name.startswith("GIT_") or name in _ENV_KEPT}
    return base | {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_ATTR_NOSYSTEM": "1",
    }


@lru_cache(maxsize=1)
def chose_ssh() -> bool:
    """Whether the user's git settings say by which ssh a remote is reached; they are asked once."""
    asked = _command("config", "--get", "core.sshCommand")
    # At the root of the file system: no repository's own settings count.
    found = subprocess.run(
        asked, cwd=os.sep, env=_own_settings(), stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return bool(found.stdout.strip())


def _command(*args: str) -> list[str]:
    off = [part for name, value in _OFF.items() for part in ("-c", f"{name}={value}")]
    return [shutil.which("git") or "git", *off, *args]


def git(
    *args: str,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    data: bytes | None = None,
    timeout: float = _TIMEOUT,
) -> subprocess.CompletedProcess[bytes]:
    """Run git on a target repository. Raises WorkspaceError when it does not end in time; none of its helpers
    goes on then."""
    # Not a pipe: a helper that lives on in a session of its own (a kept ssh connection) holds it open.
    with tempfile.TemporaryFile() as said:
        command = _command(*args)
        try:
            code, out = _run(command, said, cwd, {**environment(*args), **(env or {})}, data or b"", timeout)
        except subprocess.TimeoutExpired:
            raise WorkspaceError(f"git {_verb(args)} did not end within {timeout:g} s") from None
        said.seek(0)
        return subprocess.CompletedProcess(command, code, out, said.read())


def _run(
    command: list[str], said: IO[bytes], cwd: Path | None, env: dict[str, str], data: bytes, timeout: float
) -> tuple[int, bytes]:
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        start_new_session=True,
    ) as process:
        try:
            out, _ = process.communicate(data, timeout)
        except BaseException:
            _kill_group(process)
            raise
    return process.returncode, out


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    # git starts helpers (ssh, remote-https, index-pack): the whole group has to go.
    with suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _verb(args: tuple[str, ...]) -> str:
    return next((arg for arg in args if not arg.startswith("-")), "")


def head(*args: str, limit: int) -> bytes:
    """The first bytes that a git command prints, which may print more than fits into memory."""
    with subprocess.Popen(
        _command(*args),
        env=environment(*args),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        assert process.stdout
        data = process.stdout.read(limit)
        _kill_group(process)
    return data


def read(
    *args: str, cwd: Path | None = None, env: dict[str, str] | None = None, data: bytes | None = None
) -> bytes:
    """The bytes that a git command prints, which has to work. Raises WorkspaceError with git's words."""
    done = git(*args, cwd=cwd, env=env, data=data)
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise WorkspaceError(f"git {_verb(args)} failed: {words[0] if words else done.returncode}")
    return done.stdout


def must(
    *args: str, cwd: Path | None = None, env: dict[str, str] | None = None, data: bytes | None = None
) -> str:
    """The output of a git command that has to work, as text. Raises WorkspaceError."""
    return read(*args, cwd=cwd, env=env, data=data).decode("utf-8", "replace").strip()


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
        heads = [line.split()[1] for line in listed.splitlines() if line.startswith("ref:")]
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
