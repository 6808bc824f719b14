"""One run, in a thread of its own. It reports facts; what they mean is decided in core."""

from __future__ import annotations

import os
import queue
import secrets
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from aq.core.lease import Fence
from aq.core.secrets import redact
from aq.core.settle import Ending, Outcome
from aq.core.work import Brought, Checked, Ended, Order, Report
from aq.host.checks import last_line, run_checks
from aq.host.config import HostConfig
from aq.host.engines import ENGINES
from aq.host.engines.base import Brief
from aq.host.process import Child, Exit
from aq.host.repos import ConflictError, WorkspaceError
from aq.host.rundir import RunDir, RunNote
from aq.host.workspace import Captured, Wanted, Workspace, Workspaces

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


@dataclass(frozen=True, slots=True)
class Kit:
    """What all runs of a host share. `secrets` are values that no log may show."""

    config: HostConfig
    workspaces: Workspaces
    runs: Path
    logs: Path
    secrets: tuple[str, ...]
    reports: queue.SimpleQueue[Report | None]

    def wanted(self, order: Order) -> Wanted:
        """The workspace that an order needs on this host."""
        manifest = order.manifest
        return Wanted(
            source=self.config.repos.get(manifest.repo, ""),
            cwd=manifest.cwd,
            base=manifest.base,
            in_place=manifest.workspace == "in-place",
            under=order.under,
        )

    def report(self, report: Report) -> None:
        """Hand a report to the runner. Its words go into the queue: no secret may be in them."""
        match report:
            case Ended(outcome=outcome):
                report = replace(
                    report, outcome=replace(outcome, reason=redact(outcome.reason, self.secrets))
                )
            case Checked(error=error):
                report = replace(report, error=redact(error, self.secrets))
            case Brought(conflict=conflict, error=error):
                conflict, error = redact(conflict, self.secrets), redact(error, self.secrets)
                report = replace(report, conflict=conflict, error=error)
        self.reports.put(report)

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


class Run:
    """One run in its thread: workspace, engine, capture, and the checks once the landing is in the queue."""

    def __init__(self, kit: Kit, order: Order) -> None:
        self.kit, self.order = kit, order
        self.run_id = f"{order.fence.job}-{order.fence.epoch}-{secrets.token_hex(6)}"
        self.dir = RunDir(kit.runs, order.fence.job, order.fence.epoch)
        self.note = RunNote(
            order.fence.job, order.fence.host, order.fence.epoch, order.fence.nonce, self.run_id
        )
        self.workspace: Workspace | None = None
        self.child: Child | None = None
        self.stop_reason = ""
        self.suspended = False
        self.verify_may_start = threading.Event()
        self.over = False
        self.thread = threading.Thread(target=self._play, name=f"run {order.fence.job}", daemon=True)

    def _play(self) -> None:
        order = self.order
        try:
            self.dir.create(self.note)
            self.prompt.write_text(order.prompt, encoding="utf-8", newline="\n")
            if order.verify_tip:
                self._prepare_verify()
            else:
                outcome = self._engine()
                self.kit.report(Ended(order.fence, outcome))
                if outcome.ending is not Ending.DONE:
                    return
                self.verify_may_start.wait()
                if self.over:
                    return
            self._verify()
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            judging = order.verify_tip or self.verify_may_start.is_set()
            self.kit.report(
                Checked(order.fence, (), what)
                if judging
                else Ended(order.fence, Outcome(Ending.INFRA, reason=what))
            )
        finally:
            self.dir.finish()

    def _engine(self) -> Outcome:
        manifest = self.order.manifest
        try:
            if manifest.cwd and not self.kit.config.may_enter(manifest.cwd):
                raise WorkspaceError(f"cwd {manifest.cwd} is outside this host's roots")
            self.workspace = self._prepare()
        except ConflictError as error:
            return Outcome(Ending.HELD, reason=f"its base: {error.what}")
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

    @property
    def prompt(self) -> Path:
        """The file with the whole prompt."""
        return self.dir.path / "prompt.md"

    def _prepare(self) -> Workspace:
        return self.kit.workspaces.prepare(self.dir.path, self.kit.wanted(self.order), self.branch)

    @property
    def branch(self) -> str:
        """The task branch, named by job and epoch."""
        return f"aq/{self.order.fence.job}/{self.order.fence.epoch}"

    def _spawn_engine(self, workspace: Workspace) -> tuple[Exit, str]:
        order = self.order
        engine = ENGINES[order.engine]
        launch = engine.launch(
            Brief(
                order.body,
                self.prompt,
                self.dir.path,
                workspace.path,
                order.manifest.model,
                order.manifest.yolo,
            )
        )
        return self._command(
            launch.argv,
            workspace,
            launch.env,
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
            env={
                **self.kit.environment(order, self.dir.path),
                "AQ_PROMPT_FILE": str(self.prompt),
                **env,
            },
            log=self.kit.log_path(order.fence),
            run_id=self.run_id,
            stdin=stdin,
            grace=self.kit.config.stop_grace,
            known_secrets=self.kit.secrets,
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
                reason=f"the branch {work.branch} cannot be pushed",
                usd=outcome.usd,
            )
        return _with(outcome, work)

    def _prepare_verify(self) -> None:
        order = self.order
        wanted = self.kit.wanted(order)
        self.workspace = self.kit.workspaces.at_branch(
            self.dir.path, wanted, order.verify_branch, order.verify_tip
        )

    def _verify(self) -> None:
        order, workspace = self.order, self.workspace
        assert workspace
        shell = shutil.which("sh") or "sh"

        def command(line: str) -> tuple[Exit, str]:
            return self._command((shell, "-c", line), workspace, {}, order.manifest.timeout)

        checks = run_checks(order.manifest.verify, workspace.path, command)
        if self.stop_reason:
            self.kit.report(Checked(order.fence, (), self.stop_reason))
        else:
            self.kit.report(Checked(order.fence, checks))

    def stop(self, reason: str) -> None:
        """Stop the processes; a report follows. The first reason stays."""
        self.stop_reason = self.stop_reason or reason
        child = self.child
        if child:
            threading.Thread(target=child.stop, args=(reason,), daemon=True).start()

    def finish(self) -> None:
        """The run is settled: nothing more is wanted of it."""
        self.over = True
        self.verify_may_start.set()


def _with(outcome: Outcome, work: Captured) -> Outcome:
    return replace(outcome, branch=work.branch, tip=work.tip, pushed=work.pushed)
