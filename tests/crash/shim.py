"""Anywhere: a `git` first on PATH that counts its calls and kills its caller before or after one of them."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

_SCRIPT = """#!/bin/sh
n=$(($(cat '{count}') + 1)); echo $n > '{count}'
echo "$1 $2 $3 $4 $5 $6 $7 $8 $9" > '{last}'
[ $((n * 2 - 1)) = {at} ] && {{ kill -KILL $(cat '{victim}'); exit 137; }}
'{git}' "$@"; code=$?
[ $((n * 2)) = {at} ] && {{ kill -KILL $(cat '{victim}'); exit 137; }}
exit $code
"""


class GitShim:
    """One run of a function with that git. Odd numbers are before a call, even ones after it."""

    def __init__(self, folder: Path, at: int) -> None:
        self.folder, self._count, self._last = folder, folder / "count", folder / "last"
        self._victim = folder / "victim"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self._count.write_text("0\n")
        shim = folder / "git"
        git = shutil.which("git")
        shim.write_text(
            _SCRIPT.format(count=self._count, last=self._last, victim=self._victim, at=at, git=git)
        )
        shim.chmod(0o755)

    @property
    def calls(self) -> int:
        return 2 * int(self._count.read_text())

    @property
    def last(self) -> str:
        return " ".join(self._last.read_text().split()[-6:]) if self._last.exists() else ""

    def run(self, function: Callable[[], int]) -> int:
        """The function's exit code, or minus the signal that ended it."""
        pid = os.fork()
        if not pid:
            from aq.ledger.gitproc import git_binary

            self._victim.write_text(str(os.getpid()))
            os.environ["PATH"] = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
            git_binary.cache_clear()
            os._exit(function())
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return code if code >= 0 else -signal.SIGKILL
