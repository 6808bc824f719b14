"""Looking for an engine on this machine: where it is, its version, and whether it has credentials. Only
whether a variable or a file is there is ever looked at, never what is in it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from aq.core.value import Value
from aq.host.engines.base import Auth, Probe

PROBE_SECONDS = 10.0
VERSION = re.compile(r"\d+\.\d+\.\d+[^\s,;)]*")
_MAX_VERSION = 64
_MOST_OUTPUT = 64 * 1024
# Keys of model providers, for engines that can use any of them.
PROVIDER_KEYS = (
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "OPENROUTER_API_KEY",
    "DEEPSEEK_API_KEY",
    "GROQ_API_KEY",
    "MISTRAL_API_KEY",
    "XAI_API_KEY",
    "AZURE_API_KEY",
)

Judge = Callable[[int, str], Auth]


def by_code(code: int, said: str) -> Auth:  # noqa: ARG001
    """Exit code 0 is yes, anything else is no."""
    return Auth.YES if code == 0 else Auth.NO


class Login(Value):
    """What proves credentials, in this order: a variable that is set, a file that is there, the answer
    of a command (of another `program` than the engine). `maybe` are variables and files that leave room
    for a try when that says no, as `otherwise` does when there is nothing to ask. A path starts with ~/
    or with a variable: $NAME/."""

    env: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    program: str = ""
    judge: Judge = by_code
    maybe: tuple[str, ...] = ()
    otherwise: Auth = Auth.NO

    def auth(self, path: str, env: Mapping[str, str]) -> Auth:
        """Whether the engine at this path has credentials."""
        if any(env.get(name) for name in self.env) or any(_is_there(name, env) for name in self.files):
            return Auth.YES
        found = self.otherwise
        if self.command or self.program:
            program = shutil.which(self.program, path=env.get("PATH")) if self.program else path
            said = _said((program or self.program, *self.command), env)
            found = Auth.UNKNOWN if said is None else self.judge(*said)
        if found is Auth.NO and any(_is_there(name, env) for name in self.maybe):
            return Auth.UNKNOWN
        return found


def prober(
    binary: str,
    login: Login,
    version: tuple[str, ...] = ("--version",),
    pattern: re.Pattern[str] = VERSION,
    known_by: str = "",
) -> Callable[[Mapping[str, str]], Probe]:
    """A look for one engine. `known_by` is a word that its version option prints, where other programs
    have the same name."""

    def look(env: Mapping[str, str]) -> Probe:
        path = shutil.which(binary, path=env.get("PATH"))
        if not path:
            return Probe()
        said = _said((path, *version), env)
        words = said[1] if said else ""
        if known_by and known_by.lower() not in words.lower():
            return Probe()
        match = pattern.search(words)
        found = (match[1 if match.re.groups else 0] or "").rstrip(".") if match else ""
        found = re.sub(r"[^A-Za-z0-9.+_-]", "", found)[:_MAX_VERSION]
        return Probe(path, found, login.auth(path, env))

    return look


_answers: dict[tuple[tuple[str, ...], float], tuple[int, str] | None] = {}


def forget() -> None:
    """Look again next time."""
    _answers.clear()


def _said(argv: tuple[str, ...], env: Mapping[str, str]) -> tuple[int, str] | None:
    """A command's exit code and output; None when it does not answer. It is asked once as long as its
    file is the same: a run must not wait for it again."""
    try:
        key = (argv, Path(argv[0]).stat().st_mtime)
    except OSError:
        return None
    if key not in _answers:
        _answers[key] = ask(argv, env)
    return _answers[key]


def ask(argv: tuple[str, ...], env: Mapping[str, str]) -> tuple[int, str] | None:
    """A command's exit code and output, of both kinds; None when it does not answer in time. What it
    started ends with it."""
    # Into a file: a grandchild that holds a pipe would keep us waiting for ever.
    quiet = {"CI": "true", "NO_COLOR": "1", "TERM": "dumb", "DISABLE_AUTOUPDATER": "1"}
    home = env.get("HOME", "")
    with tempfile.TemporaryFile() as output:
        try:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**env, **quiet},
                cwd=home if os.path.isdir(home) else None,
                start_new_session=True,
            )
        except (OSError, ValueError):
            return None
        try:
            code = child.wait(PROBE_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(child)
        output.seek(0)
        return code, output.read(_MOST_OUTPUT).decode("utf-8", "replace")


def _end(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    child.wait()


def _is_there(name: str, env: Mapping[str, str]) -> bool:
    """Whether a variable is set or a file exists."""
    if "/" not in name:
        return bool(env.get(name))
    head, _, rest = name.partition("/")
    if head.startswith("$"):
        folder = env.get(head[1:], "")
    else:
        folder = env.get("HOME") or env.get("USERPROFILE", "") if head == "~" else head or "/"
    return bool(folder) and (Path(folder) / rest).exists()
