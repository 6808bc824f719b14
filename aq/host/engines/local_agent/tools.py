"""The five tools, and the structured observation that each gives back."""

from __future__ import annotations

import fnmatch
import json
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

from aq.core.value import Value
from aq.host.engines.local_agent.commands import HALF, Allowed, clip, run_line
from aq.host.engines.local_agent.dialects import Call
from aq.host.engines.local_agent.jail import Jail, JailError

MAX_HITS, MAX_FILES = 200, 20_000
_MAX_LINE = 400
_SEARCH_SECONDS = 20.0
_COMMAND_SECONDS, _MAX_COMMAND_SECONDS = 60, 600

_TEXT, _COUNT = {"type": "string"}, {"type": "integer"}
_SPECS: dict[str, tuple[str, dict[str, dict[str, str]], tuple[str, ...]]] = {
    "read_file": (
        "Read a text file. Lines count from 1.",
        {"path": _TEXT, "offset": _COUNT, "limit": _COUNT},
        ("path",),
    ),
    "write_file": (
        "Write a whole file; folders are made, an existing file is replaced.",
        {"path": _TEXT, "content": _TEXT},
        ("path", "content"),
    ),
    "list_directory": ("List a folder.", {"path": _TEXT}, ()),
    "run_command": (
        "Run a command line in the workspace.",
        {"command": _TEXT, "timeout": _COUNT},
        ("command",),
    ),
    "search_files": (
        "Find lines by a regular expression, in all files or those of a glob such as **/*.py.",
        {"pattern": _TEXT, "glob": _TEXT},
        ("pattern",),
    ),
}
TOOLS = frozenset(_SPECS)


def schemas() -> list[dict[str, Any]]:
    """The tools as OpenAI's protocol describes them."""
    return [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": description,
                "parameters": {"type": "object", "properties": keys, "required": list(required)},
            },
        }
        for name, (description, keys, required) in _SPECS.items()
    ]


class Observation(Value):
    """What a tool found. `data` is set when it worked, `error` when not; `denied` when it must not."""

    tool: str
    data: dict[str, Any] | None = None
    error: str = ""
    truncated: bool = False
    denied: bool = False

    @property
    def ok(self) -> bool:
        """Whether the tool worked."""
        return self.data is not None

    @property
    def text(self) -> str:
        """The observation as the model reads it."""
        what = {"data": self.data} if self.ok else {"error": self.error}
        return json.dumps(
            {"ok": self.ok, "tool": self.tool, **what, "truncated": self.truncated}, ensure_ascii=False
        )


class _BadArgumentError(Exception):
    """An argument is missing or of the wrong kind."""


class Tools(Value):
    """The tools in one workspace. `left` says how many seconds the agent has."""

    jail: Jail
    allowed: Allowed
    left: Callable[[], float]

    def use(self, call: Call) -> Observation:
        """Do what a call asks. Whatever is wrong with it is the observation's error."""
        tool = {
            "read_file": self._read,
            "write_file": self._write,
            "list_directory": self._list,
            "run_command": self._run,
            "search_files": self._search,
        }.get(call.name)
        if not tool:
            return Observation(
                call.name[:80], error=f"there is no such tool; there are {', '.join(sorted(TOOLS))}"
            )
        try:
            return tool(call.arguments)
        except JailError as error:
            return Observation(call.name, error=str(error), denied=True)
        except _BadArgumentError as error:
            return Observation(call.name, error=str(error))
        except OSError as error:
            return Observation(call.name, error=error.strerror or str(error))
        except ValueError as error:
            # Half of a surrogate pair, or a zero byte: no file and no command has them.
            return Observation(call.name, error=f"an argument cannot be used: {error}")

    def _read(self, given: dict[str, Any]) -> Observation:
        content = self.jail.read(_text(given, "path"))
        if b"\0" in content[:8192]:
            return Observation("read_file", error="it is not a text file")
        lines = content.decode("utf-8", "replace").splitlines(keepends=True)
        start = max(1, _number(given, "offset", 1))
        count = max(1, _number(given, "limit", len(lines) or 1))
        text, cut = clip("".join(lines[start - 1 : start - 1 + count]))
        return Observation("read_file", {"content": text, "first": start, "lines": len(lines)}, truncated=cut)

    def _write(self, given: dict[str, Any]) -> Observation:
        path, content = _text(given, "path"), _text(given, "content", empty=True)
        data = content.encode()
        new = self.jail.write(path, data)
        return Observation("write_file", {"path": path, "new": new, "bytes": len(data)})

    def _list(self, given: dict[str, Any]) -> Observation:
        entries = self.jail.entries(_text(given, "path", default="."))
        marks = {"folder": "/", "link": "@"}
        names = [entry.name + marks.get(entry.kind, "") for entry in entries]
        sizes = accumulate(len(name.encode("utf-8", "replace")) + 4 for name in names)
        fitting = sum(size <= 2 * HALF for size in sizes)
        return Observation("list_directory", {"entries": names[:fitting]}, truncated=fitting < len(names))

    def _run(self, given: dict[str, Any]) -> Observation:
        line = _text(given, "command")
        if not self.allowed.permits(line):
            lines = "; ".join(self.allowed.lines)
            hint = f"only: {lines}" if lines else "no command is; use the file tools"
            return Observation("run_command", error=f"this command is not allowed, {hint}", denied=True)
        wanted = min(_number(given, "timeout", _COMMAND_SECONDS), _MAX_COMMAND_SECONDS)
        seconds = max(1.0, min(float(wanted), self.left()))
        ran = run_line(line, self.jail.root, seconds)
        if ran.code is None:
            error = f"stopped: no end within {seconds:.0f} s; it said: {ran.output}"
            return Observation("run_command", error=error, truncated=ran.truncated)
        return Observation(
            "run_command", {"exit_code": ran.code, "output": ran.output}, truncated=ran.truncated
        )

    def _search(self, given: dict[str, Any]) -> Observation:
        pattern, glob = _text(given, "pattern"), _text(given, "glob", default="")
        try:
            wanted = re.compile(pattern)
        except re.error:
            wanted = re.compile(re.escape(pattern))
        hits: list[str] = []
        try:
            with _limited(min(_SEARCH_SECONDS, max(1.0, self.left()))):
                for hit in self._hits(wanted, glob):
                    hits.append(hit)
                    if len(hits) > MAX_HITS:
                        break
        except TimeoutError:
            return Observation("search_files", error="it takes too long: use a simpler pattern")
        text, cut = clip("\n".join(hits[:MAX_HITS]))
        return Observation("search_files", {"matches": text}, truncated=cut or len(hits) > MAX_HITS)

    def _hits(self, wanted: re.Pattern[str], glob: str) -> Iterator[str]:
        for number, name in enumerate(self.jail.files()):
            if number > MAX_FILES:
                return
            if glob and not _matches(name, glob):
                continue
            try:
                content = self.jail.read(name)
            except (OSError, JailError):
                continue
            if b"\0" in content[:8192]:
                continue
            for count, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
                if wanted.search(line):
                    yield f"{name}:{count}: {line.strip()[:_MAX_LINE]}"


def _matches(name: str, glob: str) -> bool:
    plain = glob.removeprefix("./").removeprefix("/")
    anywhere = f"*/{plain.removeprefix('**/')}"
    return fnmatch.fnmatchcase(name, plain) or fnmatch.fnmatchcase(f"/{name}", anywhere)


def _text(given: dict[str, Any], name: str, default: str | None = None, *, empty: bool = False) -> str:
    value = given.get(name)
    value = default if value is None else value
    if not isinstance(value, str) or (not value and not empty and default is None):
        raise _BadArgumentError(f"`{name}` must be a text")
    return value


def _number(given: dict[str, Any], name: str, default: int) -> int:
    value = given.get(name)
    if value is None or value == "":
        return default
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        raise _BadArgumentError(f"`{name}` must be a number") from None


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raises TimeoutError when the block lasts longer: a pattern can take for ever. Python looks for
    signals while it matches."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
