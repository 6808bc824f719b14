"""The bench: all runs of this host, each in a thread of its own."""

from __future__ import annotations

import os
import queue
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from aq.core.job import Job
from aq.core.lease import Fence
from aq.core.manifest import Manifest
from aq.core.variables import OFFER, withheld
from aq.core.work import Brought, Order, Report
from aq.host.checks import refused_command
from aq.host.config import HostConfig
from aq.host.course import follow
from aq.host.kit import Kit
from aq.host.redact import secret_values
from aq.host.repos import ConflictError
from aq.host.run import FIX, VERIFY, Run
from aq.host.sandbox import sandbox
from aq.host.sessions import Sessions
from aq.host.workspace import Wanted, Workspaces


class Bench:
    """All runs of this host."""

    def __init__(self, config: HostConfig, state: Path, logs: Path, private: tuple[Path, ...] = ()) -> None:
        self.config, self.state = config, state
        self.reports: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
        self.kit = Kit(
            config,
            Workspaces(state),
            state / "runs",
            logs,
            secret_values(os.environ),
            self.reports,
            Sessions(state / "sessions.json"),
            private=(state, *private),
        )
        self.kit.workspaces.spares.sweep()
        self._runs: dict[Fence, Run] = {}

    def start(self, order: Order) -> None:
        """Begin a run."""
        run = self._runs[order.fence] = Run(self.kit, order, follow)
        run.thread.start()

    def verify(self, fence: Fence) -> None:
        """The landing is in the queue: its checks may run."""
        if fence in self._runs:
            self._runs[fence].may(VERIFY)

    def fix(self, fence: Fence) -> None:
        """The round is in the queue: the engine may have what the checks said."""
        if fence in self._runs:
            self._runs[fence].may(FIX)

    def finish(self, fence: Fence) -> None:
        """The run is settled: forget it."""
        run = self._runs.pop(fence, None)
        if run:
            run.finish()

    def stop(self, fence: Fence, reason: str) -> None:
        """Stop a run's processes; its report follows."""
        if fence in self._runs:
            self._runs[fence].stop(reason)

    def in_place(self, fence: Fence) -> bool:
        """Whether a run works in a folder that is not its own: `cwd` without a clone."""
        run = self._runs.get(fence)
        workspace = run.workspace if run else None
        return workspace is not None and workspace.mirror is None and bool(run and run.order.manifest.cwd)

    def suspend(self, fence: Fence, *, on: bool) -> None:
        """Freeze a run's processes, or let them go on."""
        run = self._runs.get(fence)
        if run and run.suspended != on:
            run.suspend(on=on)

    @property
    def running(self) -> tuple[Fence, ...]:
        """The runs that are not settled."""
        return tuple(self._runs)

    @property
    def stalled(self) -> tuple[str, ...]:
        """The jobs whose engines have put nothing out for long."""
        return tuple(sorted(fence.job for fence, run in list(self._runs.items()) if run.stalled))

    def take_reports(self, timeout: float) -> list[Report]:
        """What ended; waits at most `timeout` seconds for the first."""
        found: list[Report | None] = []
        try:
            found.append(self.reports.get(timeout=max(0.0, timeout)))
            while True:
                found.append(self.reports.get_nowait())
        except queue.Empty:
            return [report for report in found if report]

    def deliver(self, job: Job) -> None:
        """Merge a shipped job's branch into its target, or ask people to; a report follows."""
        threading.Thread(target=self._deliver, args=(job,), name=f"deliver {job.id}", daemon=True).start()

    def _deliver(self, job: Job) -> None:
        manifest, record = job.manifest, job.record
        wanted = Wanted(source=self.config.repos.get(manifest.repo, ""), cwd=manifest.cwd, base=manifest.base)
        message = f"Merge {job.title}\n\nAq-Job: {job.id}\nAq-Epoch: {record.epoch}\n"
        try:
            if manifest.deliver == "pr":
                url = self.kit.workspaces.ask_for(wanted, job)
                report = Brought(job.id, record.tip, url)
            else:
                report = Brought(job.id, self.kit.workspaces.deliver(wanted, record.tip, message))
        except ConflictError as error:
            report = Brought(job.id, conflict=error.what)
        except Exception as error:
            # The repository may be away for now: this is tried again, and a thread may not just die.
            report = Brought(job.id, error=str(error) or type(error).__name__)
        self.kit.report(report)

    def wake(self) -> None:
        """Make a waiting `take_reports` return."""
        self.reports.put(None)

    def why_not(self, manifest: Manifest) -> str:
        """Why this host refuses a job that its offers would fit, or nothing."""
        return _looked(self._unfit, manifest)

    def why_not_delivering(self, manifest: Manifest) -> str:
        """Why this host cannot deliver a job's shipped work, or nothing: no command of the job runs for it,
        and the work is there already."""
        return _looked(self._closed, manifest)

    def _unfit(self, manifest: Manifest) -> str:
        if refused := refused_command(manifest, self.config):
            return refused
        if closed := self._closed(manifest):
            return closed
        given = frozenset(f"{OFFER}{name}" for name in self.config.job_env)
        if kept_back := withheld(manifest.env, given):
            return kept_back[0]
        if self.config.sandbox == "required" and not sandbox():
            return f"host.yaml requires a sandbox, and none works here: {sandbox().why}"
        free = shutil.disk_usage(self.state if self.state.exists() else Path.home()).free
        if free < self.config.min_disk_gib * 1024**3:
            return f"less than {self.config.min_disk_gib} GiB of disk is free"
        return ""

    def _closed(self, manifest: Manifest) -> str:
        if manifest.cwd and not os.path.isdir(manifest.cwd):
            return f"cwd {manifest.cwd} does not exist here"
        return self.kit.refused_cwd(manifest)


def _looked(why_not: Callable[[Manifest], str], manifest: Manifest) -> str:
    try:
        return why_not(manifest)
    except (OSError, RuntimeError, ValueError) as error:
        # A path may be one that nobody may look at, turn in a circle, or be none.
        return f"this host cannot look at what the job needs: {error}"
