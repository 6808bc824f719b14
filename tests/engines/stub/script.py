"""What the scripted model does: one tool call that writes a file, then its last words.

Markers in the prompt steer it: `STUB_FILE=name` (default hello.txt), and `STUB_SLEEP=seconds` for a
shell command that leaves half of its work, sleeps, and only then writes the file."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

from tests.engines.stub.wire import Call, Json

FINAL = "Done: hello.txt created."
# aider offers no tools: it wants its edits as text.
EDIT = "hello.txt\n```\n<<<<<<< SEARCH\n=======\nhello\n>>>>>>> REPLACE\n```\n"
SUBMIT = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"

_FILE = re.compile(r"STUB_FILE=([^\s\"'\\<`]+)")
# Some CLIs tell the model where it works, and take no other than absolute paths.
_PLACE = re.compile(r"currently working in the directory: (/[^\s\"'\\<]+)")
_SLEEP = re.compile(r"STUB_SLEEP=([\d.]+)")
_WRITERS = (
    "Write",
    "write_file",
    "create_file",
    "create",
    "write",
    "str_replace_based_edit_tool",
)
_SHELLS = (
    "exec_command",
    "shell_command",
    "shell",
    "bash",
    "Bash",
    "run_command",
    "run_shell_command",
    "execute_command",
    "local_shell",
)
_PATHS = ("filepath", "path", "file", "filename", "absolutepath")
_CONTENTS = ("content", "contents", "filetext", "text")
_FILLERS = {"boolean": False, "integer": 1, "number": 1}


def call_for(tools: Mapping[str, Json], words: str, nth: int) -> Call | None:
    """The call that writes the file with the tools on offer, if any can. `nth` makes each differ."""
    found, slow = _FILE.search(words), _SLEEP.search(words)
    place = _PLACE.search(words)
    path = posixpath.join(place[1] if place else "", found[1] if found else "hello.txt")
    text = "hello\n" if nth == 1 else f"hello {nth}\n"
    shell = next((name for name in _SHELLS if name in tools), "")
    writer = next((name for name in _WRITERS if name in tools), "")
    if slow and shell:
        command = f"echo half > half.txt; sleep {slow[1]}; echo hello > '{path}'"
        return Call(shell, _shell_args(tools[shell], command))
    if writer:
        return Call(writer, _write_args(tools[writer], path, text))
    if shell:
        return Call(shell, _shell_args(tools[shell], f"printf '{text.strip()}\\n' > '{path}'"))
    return None


def words_for(words: str) -> str:
    """The text of an answer without a call."""
    return EDIT if "SEARCH/REPLACE" in words else FINAL


def submission(tools: Mapping[str, Json], words: str) -> Call | None:
    """mini-swe-agent ends by a command, not by words."""
    return Call("bash", {"command": f"echo {SUBMIT}"}) if SUBMIT in words and "bash" in tools else None


def _properties(schema: Json) -> dict[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}


def _write_args(schema: Json, path: str, text: str) -> Json:
    args: Json = {}
    for name in _properties(schema):
        plain = name.lower().replace("_", "")
        if plain in _PATHS:
            args[name] = path
        elif plain in _CONTENTS:
            args[name] = text
        elif plain == "command":
            args[name] = "create"
    return _filled(schema, args)


def _shell_args(schema: Json, command: str) -> Json:
    args: Json = {}
    for name, kind in _properties(schema).items():
        numeric = kind.get("type") in ("number", "integer")
        if name in ("cmd", "command"):
            args[name] = ["bash", "-lc", command] if kind.get("type") == "array" else command
        elif name == "yield_time_ms":
            args[name] = 30_000
        elif name in ("timeout", "timeout_ms") and numeric:
            args[name] = 120_000
    return _filled(schema, args or {"command": command})


def _filled(schema: Json, args: Json) -> Json:
    for name in schema.get("required") or []:
        kind = _properties(schema).get(name, {}).get("type")
        args.setdefault(name, _FILLERS.get(str(kind), "stub"))
    return args
