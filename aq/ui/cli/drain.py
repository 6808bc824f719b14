"""`aq drain`."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import typer

from aq.core.errors import AqError
from aq.ui.out import say


def drain(
    host: str = typer.Option(
        "", "--host", help="The host on this machine; default: the only one that runs here."
    ),
) -> None:
    """Ask this machine's `aq run` to finish its work and end, like its first Ctrl-C."""
    from aq.ledger.gitproc import locate_clone
    from aq.ledger.paths import host_state
    from aq.ledger.store import load_config

    paths = locate_clone(Path.cwd())
    config = load_config(paths)
    folder = host_state(config.url, config.branch, "x").parent
    running = {path.parent.name: int(path.read_text()) for path in folder.glob("*/pid") if _alive(path)}
    names = [host] if host else sorted(running)
    if len(names) != 1 or names[0] not in running:
        known = ", ".join(sorted(running)) or "none"
        raise AqError(f"which host? Running here: {known}", "name one with --host")
    os.kill(running[names[0]], signal.SIGTERM)
    say(f"{names[0]} finishes what runs and takes no more")


def _alive(path: Path) -> bool:
    import psutil

    try:
        return psutil.pid_exists(int(path.read_text()))
    except (OSError, ValueError):
        return False
