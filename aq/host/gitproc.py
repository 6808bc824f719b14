"""The one place that starts git for target repositories: with no hooks, filters or monitors of anybody's, in
a session of its own, and for a bounded time. Only what talks to a remote reads the user's git settings:
credentials, proxies, `insteadOf`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO

from aq.core.errors import AqError

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
_TIMEOUT = 600


class WorkspaceError(AqError):
    """A workspace could not be prepared or captured: infrastructure, not the job's fault."""


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
