"""A job's `setup:`, run in its workspace before anything else is, or taken from what an earlier one made."""

from __future__ import annotations

import shutil

from aq.core.errors import AqError
from aq.host.capture import RefusedError
from aq.host.checks import last_line
from aq.host.logfile import note
from aq.host.run import Run
from aq.host.setup_cache import SetupCache

_LAST_WORDS = 300


class SetupError(AqError):
    """The setup failed. Its command, the repository or this machine may be to blame: nobody can tell, so
    the class is `unknown`, which costs an attempt and is tried again."""


def set_up(run: Run) -> None:
    """Prepare the run's workspace as its job asks. Raises SetupError."""
    workspace, command = run.workspace, run.order.manifest.setup
    if not command or workspace is None or run.stop_reason:
        return
    cache = SetupCache(run.kit.runs.parent / "setup")
    key = cache.key(workspace, command, run.order.manifest.base)
    if key and cache.restore(workspace, key):
        words = f"aq: setup taken from an earlier run with the same lock files ({key[:8]})"
        note(run.kit.log_path(run.order.fence), words)
    else:
        _command(run, command)
        if key and not run.stop_reason:
            cache.keep(workspace, key)
    try:
        run.workspace = workspace.settled()
    except RefusedError as error:
        raise SetupError(f"setup: {error.what}") from error


def _command(run: Run, command: str) -> None:
    assert run.workspace
    shell = shutil.which("sh") or "sh"
    child = run.spawn((shell, "-c", command), run.workspace, run.environment())
    ended = child.wait(run.order.manifest.timeout)
    if run.stop_reason or (ended.code == 0 and not ended.stopped):
        return
    what = ended.stopped or ended.signal_name or f"exit code {ended.code}"
    words = last_line(tuple(child.tail))[-_LAST_WORDS:]
    raise SetupError(f"setup: {what}: {words}" if words else f"setup: {what}")
