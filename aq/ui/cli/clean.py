"""`aq clean`."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import typer

from aq.core.instants import instant, unix
from aq.core.units import duration_text, parse_duration
from aq.ui.cli.common import here
from aq.ui.out import say, tell
from aq.wiring import Queue

# What runs leave in a job's folder of logs: by epoch, a log and a folder.
_OF_RUNS = re.compile(r"[0-9]+(\.log)?", re.ASCII)


def clean(
    older: str = typer.Option("14d", "--older", help="How old a thing must be."),
    dry_run: bool = typer.Option(False, "--dry-run", "-n", help="Only say what would go."),
) -> None:
    """Remove run folders and logs of ended jobs, and the refs of hosts that are gone."""
    limit = parse_duration(older)
    with here() as queue:
        # What is gone is judged by the queue as it is now, not as it was seen last.
        queue.ledger.fetch()
        doomed = _old_logs(queue, limit) + _old_runs(queue, limit) + _old_setups(queue, limit)
        for path in doomed:
            if not dry_run:
                shutil.rmtree(path, ignore_errors=True)
        gone = _old_hosts(queue, limit)
        if not dry_run:
            gone = queue.ledger.forget_hosts(gone)
            _collect_garbage(queue)
    verb = "would remove" if dry_run else "removed"
    say(f"{verb} {len(doomed)} run folders and logs, {len(gone)} host refs older than {duration_text(limit)}")


def _ended(queue: Queue, job: str) -> bool:
    """Whether nobody waits for the job any more: the work of one that waits for a person may be nowhere
    else."""
    found = queue.ledger.snapshot().find(job)
    return found is None or found.over


def _old(path: Path, limit: float) -> bool:
    return time.time() - path.stat().st_mtime > limit


def _old_logs(queue: Queue, limit: float) -> list[Path]:
    root = queue.paths.clone / "logs"
    entries = list(root.iterdir()) if root.is_dir() else []
    folders = [path for path in entries if path.is_dir() and not path.is_symlink()]
    return [path for path in folders if _is_of_ended_job(queue, path) and _all_old(path, limit)]


def _is_of_ended_job(queue: Queue, folder: Path) -> bool:
    """Whether runs of a job that is over wrote this, and nobody else: people may keep logs there, too."""
    job = queue.ledger.snapshot().find(folder.name)
    return job is not None and job.over and all(_OF_RUNS.fullmatch(path.name) for path in folder.iterdir())


def _all_old(folder: Path, limit: float) -> bool:
    # A folder's own time does not change with what is written into its files.
    return all(_old(path, limit) for path in (folder, *folder.rglob("*")) if not path.is_symlink())


def _old_runs(queue: Queue, limit: float) -> list[Path]:
    return [
        path
        for path in _hosts_here(queue).glob("*/runs/*/*")
        if path.is_dir()
        and _old(path, limit)
        and _ended(queue, path.parent.name)
        and not (path / "run.json").exists()
    ]


def _hosts_here(queue: Queue) -> Path:
    """The folder above the state of every host of this queue on this machine."""
    from aq.ledger.paths import host_state

    return host_state(queue.config.url, queue.config.branch, "x").parent


def _old_setups(queue: Queue, limit: float) -> list[Path]:
    """What setups made and checkouts made ahead that no run used lately, and what a killed host left half
    done."""
    root = _hosts_here(queue)
    found = (*root.glob("*/setup/*"), *root.glob("*/spares/*"), *root.glob("*/mirrors/.index-*"))
    return [path for path in found if _old(path, limit)]


def _old_hosts(queue: Queue, limit: float) -> list[str]:
    now = unix(instant(time.time()))
    held = {job.lease.host for job in queue.ledger.snapshot().leased() if job.lease}
    return [
        host
        for host, (_, beat) in queue.ledger.beats.items()
        if host not in held and now - unix(beat.at) > limit
    ]


def _collect_garbage(queue: Queue) -> None:
    from aq.host.repos import collect as collect_mirror
    from aq.ledger.packing import collect

    if words := collect(queue.paths.store):
        tell(f"git could not clean up {queue.paths.store}: {words}; repeat it later")
    for mirror in _hosts_here(queue).glob("*/mirrors/*.git"):
        collect_mirror(mirror)
