"""Tries to get out of the sandbox, as an engine might, and says what held. Nothing is harmed when it does
not: every target is made for the trial."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from aq.core.value import Value
from aq.host.sandbox import Room, Sandbox

_SECONDS = 20
_CANARY = "aq-canary"
_LEFT = ".aq-escape-trial"
# Each line of output names what was possible; what is not named was held.
_SCRIPT = """
target=$1 host=$2
echo started
(echo x > "$target/outside/written") 2>/dev/null && echo write
(echo x > "$HOME/{left}") 2>/dev/null && echo write-home
grep -q {canary} "$target/hidden/canary" 2>/dev/null && echo read
grep -q {canary} "/proc/$host/environ" 2>/dev/null && echo see
kill -TERM "$host" 2>/dev/null && echo signal
(mount -o remount,rw / && echo x > "$target/outside/remounted") 2>/dev/null && echo remount
uncover="umount '$target/hidden'; grep -q {canary} '$target/hidden/canary'"
unshare -Urm sh -c "$uncover" 2>/dev/null && echo unhide
echo ended
""".replace("{canary}", _CANARY).replace("{left}", _LEFT)
_WHAT = {
    "write": "writing beside the workspace",
    "write-home": "writing into the home folder",
    "read": "reading a hidden file",
    "see": "looking at a process of this machine",
    "signal": "ending a process of this machine",
    "remount": "making the file system writable again",
    "unhide": "uncovering a hidden file",
}
_NEEDS_MORE = ("remount", "unhide")


class Trial(Value):
    """One attempt, and whether it was held."""

    what: str
    held: bool


def try_to_escape(box: Sandbox) -> tuple[Trial, ...]:
    """Run every attempt in this sandbox (without one: as an ordinary process). Empty when it could not
    be tried."""
    with _ground() as ground, _victim() as victim:
        room = Room(ground / "work", ground / "tmp", hide=(ground / "hidden",))
        script = ("/bin/sh", "-c", _SCRIPT, "sh", str(ground), str(victim.pid))
        said = _run(box.wrap(script, room) if box else script, ground / "work")
        if "started" not in said or "ended" not in said:
            return ()
        outcome = {name: name not in said for name in _WHAT}
        outcome["signal"] = outcome["signal"] and victim.poll() is None
        # In a temporary folder of its own it may write whatever it likes: what is found here counts.
        outcome["write"] = not any((ground / "outside").iterdir())
        outcome["write-home"] = not (Path.home() / _LEFT).exists()
    tried = [name for name in _WHAT if box or name not in _NEEDS_MORE]
    return tuple(Trial(_WHAT[name], outcome[name]) for name in tried)


@contextlib.contextmanager
def _ground() -> Iterator[Path]:
    # Not in the temporary folder: that one is out of sight anyway, and would prove nothing.
    home = Path.home()
    root = Path(tempfile.mkdtemp(prefix=".aq-trial-", dir=home)).resolve()
    try:
        for name in ("work", "tmp", "outside", "hidden"):
            (root / name).mkdir()
        (root / "hidden" / "canary").write_text(_CANARY)
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)
        (home / _LEFT).unlink(missing_ok=True)


@contextlib.contextmanager
def _victim() -> Iterator[subprocess.Popen[bytes]]:
    sleeper = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    environ = {**os.environ, "AQ_TRIAL": _CANARY}
    with subprocess.Popen(
        sleeper, env=environ, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as victim:
        try:
            yield victim
        finally:
            victim.kill()


def _run(argv: tuple[str, ...], cwd: Path) -> list[str]:
    try:
        done = subprocess.run(
            argv, cwd=cwd, capture_output=True, timeout=_SECONDS, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.decode("utf-8", "replace").split()
