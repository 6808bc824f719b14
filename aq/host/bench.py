"""The bench: runs engines and checks, each run in a thread of its own, and reports facts. What the
facts mean is decided in core."""

from __future__ import annotations

import os
import queue
import secrets
import shutil
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from aq.core.lease import Fence
from aq.core.manifest import Manifest
from aq.core.settle import Ending, Outcome
from aq.core.work import Checked, Ended, Order, Report
from aq.host.checks import last_line, run_checks
from aq.host.config import HostConfig
from aq.host.engines import ENGINES
from aq.host.engines.base import Brief
from aq.host.process import Child, Exit
from aq.host.rundir import RunDir, RunNote
from aq.host.workspace import Captured, Workspace, WorkspaceError, Workspaces

# What a child may see of our environment. No credentials: an engine's own come by name, from `env:`.
_ENV = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "SYSTEMROOT",
    "COMSPEC",
    "PATHEXT",
    "APPDATA",
    "LOCALAPPDATA",
    "USERPROFILE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "VIRTUAL_ENV",
)
_SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL")
_MIN_SECRET = 8


class _Work:
    """One run in its thread."""

    def __init__(self, bench: Bench, order: Order) -> None:
        self.bench, self.order = bench, order
        self.run_id = f"{order.fence.job}-{order.fence.epoch}-{secrets.token_hex(6)}"
        self.dir = RunDir(bench.runs, order.fence.job, order.fence.epoch)
        self.note = RunNote(
            order.fence.job, order.fence.host, order.fence.epoch, order.fence.nonce, self.run_id
        )
        self.workspace: Workspace | None = None
        self.child: Child | None = None
        self.stop_reason = ""
        self.suspended = False
        self.verify_may_start = threading.Event()
        self.over = False
        self.thread = threading.Thread(target=self._run, name=f"run {order.fence.job}", daemon=True)

    def _run(self) -> None:
        order = self.order
        self.dir.create(self.note)
        try:
            if order.verify_tip:
                self._prepare_verify()
            else:
                outcome = self._engine()
                self.bench.reports.put(Ended(order.fence, outcome))
                if outcome.ending is not Ending.DONE:
                    return
                self.verify_may_start.wait()
                if self.over:
                    return
            self._verify()
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            judging = order.verify_tip or self.verify_may_start.is_set()
            self.bench.reports.put(
                Checked(order.fence, (), what)
                if judging
                else Ended(order.fence, Outcome(Ending.INFRA, reason=what))
            )
        finally:
            self.dir.finish()

    def _engine(self) -> Outcome:
        manifest = self.order.manifest
        try:
            self.workspace = self._prepare()
        except (WorkspaceError, OSError) as error:
            return Outcome(Ending.INFRA, reason=f"workspace: {error}")
        if self.stop_reason:
            return Outcome(Ending.STOPPED, reason=self.stop_reason)
        ended, last = self._spawn_engine(self.workspace)
        if ended.stopped == "fenced":
            return self._with_work(Outcome(Ending.FENCED, reason="fenced"))
        if ended.stopped == "timeout":
            reason = f"no end within {manifest.timeout:g} s"
            return self._with_work(Outcome(Ending.FAILED, "timeout", reason))
        if ended.stopped:
            return self._with_work(Outcome(Ending.STOPPED, reason=ended.stopped))
        usd = 0.0 if ENGINES[self.order.engine].free else None
        tokens = 0 if usd == 0.0 else None
        if ended.code == 0:
            return self._with_work(Outcome(Ending.DONE, usd=usd, tokens=tokens))
        failure, what = (
            ("crash", ended.signal_name) if ended.signal_name else ("agent", f"exit code {ended.code}")
        )
        return self._with_work(
            Outcome(
                Ending.FAILED, failure, f"{what}: {last[-300:]}" if last else what, usd=usd, tokens=tokens
            )
        )

    def _prepare(self) -> Workspace:
        manifest = self.order.manifest
        source = self.bench.config.repos.get(manifest.repo, "")
        in_place = manifest.workspace == "in-place"
        return self.bench.workspaces.prepare(
            self.dir.path,
            source=source,
            cwd=manifest.cwd,
            base=manifest.base,
            in_place=in_place,
            branch=self.branch,
        )

    @property
    def branch(self) -> str:
        return f"aq/{self.order.fence.job}/{self.order.fence.epoch}"

    def _spawn_engine(self, workspace: Workspace) -> tuple[Exit, str]:
        order = self.order
        prompt = self.dir.path / "prompt.md"
        prompt.write_text(order.prompt, encoding="utf-8", newline="\n")
        engine = ENGINES[order.engine]
        launch = engine.launch(
            Brief(
                order.body, prompt, self.dir.path, workspace.path, order.manifest.model, order.manifest.yolo
            )
        )
        return self._command(
            launch.argv,
            workspace,
            {**launch.env, "AQ_PROMPT_FILE": str(prompt)},
            order.manifest.timeout,
            launch.stdin,
        )

    def _command(
        self,
        argv: tuple[str, ...],
        workspace: Workspace,
        env: Mapping[str, str],
        timeout: float,
        stdin: Path | None = None,
    ) -> tuple[Exit, str]:
        order = self.order
        child = Child(
            argv,
            cwd=workspace.path,
            env={**self.bench.environment(order, self.dir.path), **env},
            log=self.bench.log_path(order.fence),
            run_id=self.run_id,
            stdin=stdin,
            grace=self.bench.config.stop_grace,
            known_secrets=self.bench.secrets,
            on_start=lambda pid, started: self.dir.started(self.note, pid, started),
        )
        self.child = child
        if self.stop_reason:
            child.stop(self.stop_reason)
        if self.suspended:
            child.suspend()
        ended = child.wait(timeout)
        return ended, last_line(child)

    def _with_work(self, outcome: Outcome) -> Outcome:
        """The outcome with the work captured and pushed, whatever the ending."""
        assert self.workspace
        fence = self.order.fence
        trailers = {
            "Aq-Job": fence.job,
            "Aq-Epoch": fence.epoch,
            "Aq-Attempt": self.order.attempt,
            "Aq-Engine": self.order.engine,
            "Aq-Host": fence.host,
        }
        lines = "".join(f"{name}: {value}\n" for name, value in trailers.items())
        message = f"{self.order.title}\n\n{lines}"
        try:
            work = self.workspace.capture(self.branch, fence.nonce, message, self.dir.path / "index")
        except WorkspaceError as error:
            if outcome.ending is not Ending.DONE:
                return outcome
            return Outcome(Ending.INFRA, reason=f"capture: {error}", usd=outcome.usd)
        if work.tip and not work.pushed and outcome.ending is Ending.DONE:
            return Outcome(
                Ending.INFRA,
                reason=f"the branch {work.branch} cannot be pushed to {self.workspace.source}",
                usd=outcome.usd,
            )
        return _with(outcome, work)

    def _prepare_verify(self) -> None:
        order = self.order
        source = self.bench.config.repos.get(order.manifest.repo, "") or order.manifest.cwd
        self.workspace = self.bench.workspaces.at_branch(
            self.dir.path, source=source, branch=order.verify_branch, tip=order.verify_tip
        )

    def _verify(self) -> None:
        order, workspace = self.order, self.workspace
        assert workspace
        shell = shutil.which("sh") or "sh"

        def command(line: str) -> tuple[Exit, str]:
            return self._command(
                (shell, "-c", line),
                workspace,
                {"AQ_PROMPT_FILE": str(self.dir.path / "prompt.md")},
                order.manifest.timeout,
            )

        checks = run_checks(order.manifest.verify, workspace.path, command)
        if self.stop_reason:
            self.bench.reports.put(Checked(order.fence, (), self.stop_reason))
        else:
            self.bench.reports.put(Checked(order.fence, checks))

    def stop(self, reason: str) -> None:
        self.stop_reason = self.stop_reason or reason
        child = self.child
        if child:
            threading.Thread(target=child.stop, args=(reason,), daemon=True).start()

    def finish(self) -> None:
        self.over = True
        self.verify_may_start.set()


def _with(outcome: Outcome, work: Captured) -> Outcome:
    return replace(outcome, branch=work.branch, tip=work.tip, pushed=work.pushed)


class Bench:
    """All runs of this host."""

    def __init__(self, config: HostConfig, state: Path, logs: Path) -> None:
        self.config, self.runs, self.logs = config, state / "runs", logs
        self.workspaces = Workspaces(state)
        self.reports: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
        self._works: dict[Fence, _Work] = {}
        names = [name for name in os.environ if any(word in name.upper() for word in _SECRET_WORDS)]
        self.secrets = tuple(os.environ[name] for name in names if len(os.environ[name]) >= _MIN_SECRET)

    def log_path(self, fence: Fence) -> Path:
        """Where a run's log goes."""
        return self.logs / fence.job / f"{fence.epoch}.log"

    def environment(self, order: Order, folder: Path) -> dict[str, str]:
        """What a child of this run may see."""
        names = [*_ENV, *(name for name in os.environ if name.startswith("LC_")), *order.manifest.env]
        env = {name: os.environ[name] for name in names if name in os.environ}
        env |= {"TERM": "dumb", "TMPDIR": str(folder / "tmp"), "GIT_TERMINAL_PROMPT": "0"}
        fence = order.fence
        return env | {
            "AQ_JOB": fence.job,
            "AQ_EPOCH": str(fence.epoch),
            "AQ_ATTEMPT": str(order.attempt),
            "AQ_HOST": fence.host,
        }

    def start(self, order: Order) -> None:
        """Begin a run."""
        work = self._works[order.fence] = _Work(self, order)
        work.thread.start()

    def verify(self, fence: Fence) -> None:
        """The landing is in the queue: its checks may run."""
        if fence in self._works:
            self._works[fence].verify_may_start.set()

    def finish(self, fence: Fence) -> None:
        """The run is settled: forget it."""
        work = self._works.pop(fence, None)
        if work:
            work.finish()

    def stop(self, fence: Fence, reason: str) -> None:
        """Stop a run's processes; its report follows."""
        if fence in self._works:
            self._works[fence].stop(reason)

    def suspend(self, fence: Fence, *, on: bool) -> None:
        """Freeze a run's processes, or let them go on."""
        work = self._works.get(fence)
        if work and work.suspended != on:
            work.suspended = on
            if work.child:
                (work.child.suspend if on else work.child.resume)()

    @property
    def running(self) -> tuple[Fence, ...]:
        """The runs that are not settled."""
        return tuple(self._works)

    def take_reports(self, timeout: float) -> list[Report]:
        """What ended; waits at most `timeout` seconds for the first."""
        found: list[Report | None] = []
        try:
            found.append(self.reports.get(timeout=max(0.0, timeout)))
            while True:
                found.append(self.reports.get_nowait())
        except queue.Empty:
            return [report for report in found if report]

    def wake(self) -> None:
        """Make a waiting `take_reports` return."""
        self.reports.put(None)

    def why_not(self, manifest: Manifest) -> str:
        """Why this host refuses a job that its offers would fit, or nothing."""
        if manifest.cwd:
            if not Path(manifest.cwd).is_dir():
                return f"cwd {manifest.cwd} does not exist here"
            if not self.config.may_enter(manifest.cwd):
                return f"cwd {manifest.cwd} is outside this host's roots"
        free = shutil.disk_usage(self.runs.parent if self.runs.parent.exists() else Path.home()).free
        if free < self.config.min_disk_gib * 1024**3:
            return f"less than {self.config.min_disk_gib} GiB of disk is free"
        return ""
