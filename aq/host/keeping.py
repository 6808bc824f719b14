"""Taking a run's work from its workspace: captured, described, pushed, whatever the run's ending was."""

from __future__ import annotations

import time

from aq.core.squash import one_line, squash_message
from aq.core.value import Value
from aq.host.capture import RefusedError
from aq.host.gitproc import WorkspaceError
from aq.host.run import Run
from aq.host.workspace import Captured

_SHOWN = 20
# How long to wait before each further try to push: a remote that is away for a moment costs no run.
_PAUSES = (0.5, 2.0)


class Kept(Value):
    """The work, and why it is not safe on its remote: `trouble` of the machine's, or something of the
    agent's that is `refused`."""

    work: Captured
    trouble: str = ""
    refused: str = ""


def keep_work(run: Run, model: str, summary: str = "") -> Kept:
    """Capture what a run left. `summary` is the engine's own."""
    workspace, order = run.workspace, run.order
    assert workspace
    fence, known = order.fence, run.kit.secrets
    trailers = {
        "Aq-Job": fence.job,
        "Aq-Epoch": fence.epoch,
        "Aq-Attempt": order.attempt,
        "Aq-Fix-Round": run.round or "",
        "Aq-Engine": f"{order.engine} {run.probe.version}".strip(),
        "Aq-Model": model,
        "Aq-Prompt": order.prompt_hash,
        "Aq-Host": fence.host,
    }

    def message(commits: tuple[str, ...]) -> str:
        return squash_message(order.title, trailers, commits, known, summary)

    try:
        work = workspace.capture(run.branch, fence.nonce, message, order.manifest.allowed_scope)
        for pause in _PAUSES:
            if work.pushed or not work.tip or run.stop_reason:
                break
            time.sleep(pause)
            work = workspace.push(work, fence.nonce)
    except RefusedError as error:
        return Kept(Captured(), refused=error.what)
    except (WorkspaceError, OSError) as error:
        return Kept(Captured(), f"capture: {error}")
    trouble = f"the branch {work.branch} cannot be pushed" if work.tip and not work.pushed else ""
    return Kept(work, trouble)


def few(paths: tuple[str, ...], known: tuple[str, ...] = ()) -> tuple[str, ...]:
    """As many of an agent's own words as a record holds."""
    shown = tuple(one_line(path, known) for path in paths[:_SHOWN])
    return (*shown, f"and {len(paths) - _SHOWN} more") if len(paths) > _SHOWN else shown
