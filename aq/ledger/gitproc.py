"""The one place that starts git for the queue: scrubbed environment, no prompts, bounded time."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import IO

from aq.core.errors import AqError, DiskFullError, TryLaterError
from aq.core.value import Value
from aq.ledger.paths import QueuePaths
from aq.ledger.space import says_full

# What a person may set to reach a remote. Every other GIT_ variable could redirect us: a hook or an
# engine that starts aq has GIT_DIR and GIT_INDEX_FILE in its environment.
_KEPT = (
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_PROXY_COMMAND",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_SSL_CERT",
    "GIT_SSL_KEY",
    "GIT_TRACE",
    "GIT_TRACE2",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_EXEC_PATH",
)
_FIXED = {
    "LC_ALL": "C",
    "LANGUAGE": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    # Refs are read as files.
    "GIT_DEFAULT_REF_FORMAT": "files",
    # A person's taste would mix words of gpg into what we read.
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "log.showSignature",
    "GIT_CONFIG_VALUE_0": "false",
    "GIT_EDITOR": "false",
    "GIT_PAGER": "cat",
    "GCM_INTERACTIVE": "never",
}
_REMOTE = frozenset({"fetch", "push", "ls-remote", "clone"})
LOCAL_TIMEOUT = 120.0
KILLED = -1


class Finished(Value):
    """A git process that ended. `code` is KILLED when it ran out of time."""

    code: int
    out: bytes
    err: str


@lru_cache(maxsize=1)
def git_binary() -> str:
    """The absolute path of git, found once: never looked up in the current folder again."""
    found = shutil.which("git")
    if not found:
        raise AqError("git was not found", "install git 2.31 or newer and put it on PATH")
    return os.path.abspath(found)


def scrubbed(environ: Mapping[str, str], **more: str) -> dict[str, str]:
    """An environment for a git child."""
    env = {name: value for name, value in environ.items() if not name.startswith("GIT_") or name in _KEPT}
    return {**env, **_FIXED, **more}


def _reaching(args: list[str], env: dict[str, str]) -> dict[str, str]:
    """The environment for a command, with what keeps ssh from asking: a command of ours would go before any
    other that the person chose."""
    if _REMOTE.isdisjoint(args) or "GIT_SSH_COMMAND" in env or "GIT_SSH" in env or chose_ssh():
        return env
    return {**env, "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}


@lru_cache(maxsize=1)
def chose_ssh() -> bool:
    """Whether the person's git settings say by which ssh a remote is reached; they are asked once."""
    # At the root of the file system: no repository's own settings count.
    found = run(["config", "--get", "core.sshCommand"], cwd=Path(os.sep))
    return bool(found.out.strip())


def spawn(
    args: list[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """A long-lived git child that reads stdin and writes stdout."""
    return subprocess.Popen(
        [git_binary(), *args],
        cwd=cwd,
        env=scrubbed(os.environ, **(env or {})),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def start_beside(args: list[str]) -> subprocess.Popen[bytes]:
    """A git child that nobody waits for, and that may outlive this process."""
    return subprocess.Popen(
        [git_binary(), *args],
        env=scrubbed(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    # git starts helpers (ssh, remote-https, pack-objects): the whole group has to go.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def run(
    args: list[str],
    *,
    cwd: Path | None = None,
    data: bytes | None = None,
    timeout: float = LOCAL_TIMEOUT,
    env: Mapping[str, str] | None = None,
) -> Finished:
    """Run git to its end, or kill it and its helpers after `timeout` seconds."""
    # Not a pipe: a helper that lives on in a session of its own (a kept ssh connection) holds it open.
    with tempfile.TemporaryFile() as err:
        code, out = _run(args, err, cwd, data, timeout, env or {})
        err.seek(0)
        return Finished(code, out, err.read().decode("utf-8", "replace"))


def _run(
    args: list[str],
    err: IO[bytes],
    cwd: Path | None,
    data: bytes | None,
    timeout: float,
    env: Mapping[str, str],
) -> tuple[int, bytes]:
    process = subprocess.Popen(
        [git_binary(), *args],
        cwd=cwd,
        env=_reaching(args, scrubbed(os.environ, **env)),
        stdin=subprocess.PIPE if data is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=err,
        start_new_session=True,
    )
    fired = threading.Event()

    def expire() -> None:
        fired.set()
        _kill_group(process)

    timer = threading.Timer(timeout, expire)
    timer.daemon = True
    timer.start()
    try:
        out, _ = process.communicate(data)
    except BaseException:
        _kill_group(process)
        process.wait()
        raise
    finally:
        timer.cancel()
    return (KILLED if fired.is_set() else process.returncode), out


def check(
    args: list[str],
    *,
    cwd: Path | None = None,
    data: bytes | None = None,
    timeout: float = LOCAL_TIMEOUT,
    env: Mapping[str, str] | None = None,
) -> str:
    """The output of a git command that must work. Raises DiskFullError, or AqError with git's last words."""
    done = run(args, cwd=cwd, data=data, timeout=timeout, env=env)
    if done.code and says_full(done.err):
        raise DiskFullError(str(cwd or next((word for word in args if word.startswith("/")), "git")))
    if done.code:
        raise AqError(
            f"git {args[0] if not args[0].startswith('-') else args[-1]} failed: {last_words(done)}"
        )
    return done.out.decode("utf-8", "replace").strip()


def last_words(done: Finished) -> str:
    """What git said at the end, for a message."""
    if done.code == KILLED:
        return "no answer in time"
    lines = [line for line in done.err.strip().splitlines() if line.strip() and not line.startswith("hint:")]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", "ssh:"))]
    return (fatal or lines or [f"exit code {done.code}"])[0].removeprefix("fatal: ")


def unreachable(url: str, done: Finished) -> TryLaterError:
    """The error for a remote that did not answer."""
    return TryLaterError(
        f"the remote {url} cannot be reached: {last_words(done)}",
        "nothing is lost; check the network and the credentials, then repeat",
    )


def locate_clone(start: Path) -> QueuePaths:
    """The clone that a folder is in. Raises AqError outside a repository."""
    done = run(["rev-parse", "--path-format=absolute", "--show-toplevel", "--git-common-dir"], cwd=start)
    if done.code:
        raise AqError(
            f"{start} is not in a git repository", "cd to your queue's clone, or make one with `aq init`"
        )
    top, common = done.out.decode().splitlines()[:2]
    return QueuePaths(Path(top), Path(common))
