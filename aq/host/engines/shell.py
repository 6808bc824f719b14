"""The shell engine: the job's body, or a fenced ```sh block in it, is the script. It needs no
account, and runs only for jobs that say `engine: shell`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping

from aq.host.engines.base import Auth, Brief, Engine, Launch, Probe
from aq.host.engines.parsers.plain import PlainParser
from aq.host.ownfiles import write_own

_FENCE = re.compile(r"^```[ \t]*(sh|bash|shell)[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


def script_of(body: str) -> tuple[str, str]:
    """The shell's name and the script: all fenced blocks in order, or the whole body."""
    blocks = _FENCE.findall(body)
    if not blocks:
        return "sh", body
    wants_bash = any(language == "bash" for language, _ in blocks)
    return ("bash" if wants_bash else "sh"), "\n".join(text for _, text in blocks)


def _launch(brief: Brief) -> Launch:
    shell, script = script_of(brief.body)
    path = brief.folder / "script.sh"
    write_own(path, script if script.endswith("\n") else script + "\n")
    return Launch((shutil.which(shell) or shutil.which("sh") or shell, str(path)))


def _probe(env: Mapping[str, str]) -> Probe:
    return Probe(shutil.which("sh", path=env.get("PATH")) or "", auth=Auth.YES)


ENGINE = Engine("shell", "shell", _probe, _launch, PlainParser, verdict=False, free=True)
