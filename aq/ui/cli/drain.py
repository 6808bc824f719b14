"""`aq drain`."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import typer

from aq.core.errors import AqError
from aq.ui.out import say

_CLOCK_ERROR = 1.0
# A signal of its own, so that draining twice does not stop the engines. Windows has none to spare.
DRAIN_SIGNAL = getattr(signal, "SIGUSR1", signal.SIGTERM)


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
    if not running or (host and host not in running):
        raise AqError(
            f"no host {host} runs here".replace("  ", " "),
            "run `aq drain` on its machine: `aq hosts` lists them",
        )
    names = [host] if host else sorted(running)
    if len(names) > 1:
        raise AqError(f"several hosts run here: {', '.join(names)}", "name one with --host")
    os.kill(running[names[0]], DRAIN_SIGNAL)
    say(f"{names[0]} finishes what runs and takes no more")


def _alive(path: Path) -> bool:
    """Whether the process that wrote the file still runs: a crash leaves the file, and its number may
    belong to another program by now."""
    import psutil

    try:
        started = psutil.Process(int(path.read_text())).create_time()
        return started <= path.stat().st_mtime + _CLOCK_ERROR
    except (OSError, ValueError, psutil.Error):
        return False
