"""`aq logs`: a run's output on this machine."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import typer

from aq.core.errors import AqError, TryLaterError
from aq.ui.cli.common import complete_jobs, here
from aq.ui.out import clean, put
from aq.wiring import Queue

_TAIL_BYTES = 16 * 1024
_LONGEST = 500


def logs(
    job: str = typer.Argument(..., help="The job's id.", autocompletion=complete_jobs),
    epoch: int = typer.Option(0, "--epoch", min=0, help="The run; default: the newest here."),
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on as it grows."),
) -> None:
    """Print a run's log."""
    with here(intake=False) as queue:
        found = queue.ledger.snapshot().find(job)
        if found is None:
            raise AqError(f"there is no job {job}", "`aq status --all` lists the jobs")
        path = _path(queue.paths.clone / "logs" / found.id, epoch)
        if path is None:
            raise _not_here(queue, job, epoch)
        _print(path, _Run(queue, found.id, int(path.stem)) if follow else None)


def _not_here(queue: Queue, job: str, epoch: int) -> AqError:
    with contextlib.suppress(TryLaterError):
        queue.ledger.fetch()
    found = queue.ledger.snapshot().find(job)
    runs = [run for run in found.record.runs if epoch in (0, run.epoch)] if found else []
    what = f"there is no log of {job}{f', epoch {epoch},' if epoch else ''} on this machine"
    if runs:
        return AqError(what, f"it ran on {runs[-1].host}: look there")
    return AqError(what, f"it never ran: `aq why {job}`" if not epoch else f"`aq show {job}` lists its runs")


def _path(folder: Path, epoch: int) -> Path | None:
    if epoch:
        path = folder / f"{epoch}.log"
        return path if path.exists() else None
    found = sorted((p for p in folder.glob("*.log") if p.stem.isdigit()), key=lambda p: int(p.stem))
    return found[-1] if found else None


def last_lines(folder: Path, epoch: int, count: int = 10) -> tuple[str, ...]:
    """The last lines that this machine has of a run's log: it was redacted when it was written."""
    path = _path(folder, epoch) if epoch else None
    if path is None or not path.is_file():
        return ()
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        lines = file.read(_TAIL_BYTES).decode("utf-8", "replace").splitlines()
    return tuple(line[:_LONGEST] for line in lines[-count:])


class _Run:
    """A run that is followed: the queue is asked now and then whether it is over."""

    def __init__(self, queue: Queue, job: str, epoch: int) -> None:
        self._queue, self._job, self._epoch = queue, job, epoch
        self._due = 0.0

    def over(self) -> bool:
        """Whether nothing more will be written; looks at the remote no more often than a host does."""
        now = time.monotonic()
        if now < self._due:
            return False
        with contextlib.suppress(TryLaterError):
            self._queue.ledger.fetch()
        snapshot = self._queue.ledger.snapshot()
        self._due = now + snapshot.settings.cadence.poll
        found = snapshot.find(self._job)
        runs = found.record.runs if found else ()
        return all(run.ended for run in runs if run.epoch == self._epoch)


def _print(path: Path, run: _Run | None) -> None:
    """What the log has, and with a run what it gets until that is over."""
    over = run is None
    with path.open(encoding="utf-8", errors="replace") as file:
        while True:
            text = file.read(65536)
            if text:
                put(clean(text))
            elif over or run is None:
                return
            else:
                # What was written before the run was over is read after that is known.
                over = run.over()
                time.sleep(0.0 if over else 0.3)
