"""What this machine has installed, as far as tests must not depend on it, or wait for it."""

from __future__ import annotations

import os
from pathlib import Path

# Tools whose version a host asks for when it starts, and which take up to half a second of processor time
# to say it, where they are installed.
SLOW = ("npm", "java", "cargo", "docker")
_TOOL = "#!/bin/sh\necho 1.0.0\n"


def quick_tools(folder: Path) -> Path:
    """The slow ones once more, in a folder that can stand before the others in PATH: every machine that
    runs the tests offers the same then, and at once."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SLOW:
        (folder / name).write_text(_TOOL)
        (folder / name).chmod(0o755)
    return folder


def git_template(folder: Path) -> Path:
    """What git lays into a new repository, without its dozen samples of hooks."""
    (folder / "hooks").mkdir(parents=True, exist_ok=True)
    (folder / "info").mkdir(exist_ok=True)
    (folder / "info" / "exclude").touch()
    return folder


def first_in_path(folder: Path) -> str:
    """PATH with a folder before all others."""
    return os.pathsep.join((str(folder), os.environ.get("PATH", os.defpath)))
