"""One run, in a thread of its own. It reports facts; what they mean is decided in core."""

from __future__ import annotations

import contextlib
import os
import queue
import secrets
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from aq.core.engine.budget import Limits
from aq.core.engine.usage import Usage
from aq.core.settle import Ending, Outcome
from aq.core.value import replace
from aq.core.work import Checked, Ended, Order
from aq.host.baseline import Baseline
from aq.host.checks import command_lines
from aq.host.engines.base import Brief, Engine, Probe
from aq.host.fixing import OVER, check_base, judge, keep_artifacts
from aq.host.kit import Kit
from aq.host.logfile import note
from aq.host.outcome import outcome_of
from aq.host.ownfiles import write_own
from aq.host.process import Child
from aq.host.repos import ConflictError, WorkspaceError
from aq.host.resuming import keep_session, place_of, session_of
from aq.host.rundir import RunDir, RunNote
from aq.host.sessions import Session
from aq.host.setting_up import SetupError, set_up
from aq.host.supervise import Played, Watch, write_files
from aq.host.workspace import Workspace


class Run:
    """One run in its thread: workspace, engine, capture, and the checks once the landing is in the queue."""

    def __init__(self, kit: Kit, order: Order) -> None:
        self.kit, self.order = kit, order
        self.run_id = f"{order.fence.job}-{order.fence.epoch}-{secrets.token_hex(6)}"
        self.dir = RunDir(kit.runs, order.fence.job, order.fence.epoch)
        self.note = RunNote(
            order.fence.job, order.fence.host, order.fence.epoch, order.fence.nonce, self.run_id
        )
        self.confinement = kit.confinement(order.manifest)
        self.workspace: Workspace | None = None
        self.child: Child | None = None
        self.watch: Watch | None = None
        self.probe = Probe()
        self.used, self.seconds = Usage(), 0.0
        self.prompt = self.dir.path / "prompt.md"
        self.round = 0
        self.baseline: Baseline | None = None
        self.played: Played | None = None
        self.outcome: Outcome | None = None
        self.stop_reason = ""
        self.suspended = False
        self._steps: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._judging = False
        self.lasting = False
        self.thread = threading.Thread(target=self._play, name=f"run {order.fence.job}", daemon=True)

    def _play(self) -> None:
        order = self.order
        try:
            self.dir.create(self.note)
            write_own(self.prompt, order.prompt)
            if self.confinement.remark:
                note(self.kit.log_path(order.fence), self.confinement.remark)
            if order.verify_tip:
                self._prepare_verify()
            else:
                outcome = self._engine()
                if outcome.ending is not Ending.DONE:
                    keep_artifacts(self)
                self.kit.report(Ended(order.fence, outcome))
                if outcome.ending is not Ending.DONE or self.next_step() == OVER:
                    return
            self._judging = True
            judge(self)
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            judging = order.verify_tip or self._judging
            self.kit.report(
                Checked(order.fence, (), what)
                if judging
                else Ended(order.fence, Outcome(Ending.INFRA, reason=what))
            )
        finally:
            self.dir.finish()
            if self.lasting:
                self.kit.sessions.end(order.fence.job)
            if self.workspace:
                with contextlib.suppress(WorkspaceError, OSError):
                    self.kit.workspaces.set_aside(self.workspace)

    def _engine(self) -> Outcome:
        manifest = self.order.manifest
        self.probe = self.engine.probe(os.environ)
        try:
            if refused := self.kit.refused_cwd(manifest):
                raise WorkspaceError(refused)
            self.confinement.check()
            self.workspace = self._prepare()
            set_up(self)
            self.baseline = check_base(self)
        except ConflictError as error:
            return Outcome(Ending.HELD, reason=f"its base: {error.what}")
        except SetupError as error:
            return Outcome(Ending.FAILED, "unknown", error.what)
        except (WorkspaceError, OSError) as error:
            return Outcome(Ending.INFRA, reason=f"workspace: {error}")
        if self.stop_reason:
            return Outcome(Ending.STOPPED, reason=self.stop_reason)
        return self.asked(session_of(self))

    def asked(self, session: Session | None) -> Outcome:
        """Ask the engine once, and capture what it left."""
        assert self.workspace
        self.played = self.play(self.workspace, self.prompt, session)
        self.outcome = outcome_of(self, self.played)
        keep_session(self, self.played, self.outcome)
        return self.outcome

    @property
    def engine(self) -> Engine:
        """The engine that was ordered."""
        return self.kit.engines[self.order.engine]

    @property
    def branch(self) -> str:
        """The task branch, named by job and epoch. Branches are made once and never moved: each fix round
        has its own."""
        own = f"aq/{self.order.fence.job}/{self.order.fence.epoch}"
        return f"{own}-fix{self.round}" if self.round else own

    def _prepare(self) -> Workspace:
        return self.kit.workspaces.prepare(place_of(self), self.kit.wanted(self.order), self.branch)

    def play(self, workspace: Workspace, prompt: Path, session: Session | None = None) -> Played:
        """Run the engine once, within what is left of the run's limits."""
        order, engine = self.order, self.engine
        limits = self.limits
        brief = Brief(
            order.body,
            prompt,
            self.dir.path,
            workspace.path,
            path=self.probe.path,
            model=order.manifest.model,
            yolo=order.manifest.yolo,
            session=session.session if session else "",
            usd=limits.usd,
            tokens=limits.tokens,
            wall=min(limits.timeout, limits.wall or limits.timeout),
            commands=(*command_lines(order.manifest.verify), *self.kit.config.commands),
            judged=bool(order.manifest.verify),
            labels=order.manifest.labels,
            sandboxed=self.confinement.on,
        )
        launch = engine.launch(brief)
        write_files(launch)
        watch = Watch(engine.parser(), limits, brief.session, session.usage if session else None)
        watch.pause(on=self.suspended)
        self.watch = watch
        env = {**self.environment(prompt, engine.env), **launch.env}
        try:
            seen = watch if engine.verdict else None
            child = self.spawn(launch.argv, workspace, env, launch.stdin, seen, engine.name)
            watch.attach(child)
            ended = child.wait(float("inf"), watch.tick)
            played = watch.finish(child, ended, launch.artifact)
        finally:
            self.watch = None
        self.used = self.used.plus(played.report.usage)
        self.seconds += played.seconds
        return played

    def environment(self, prompt: Path, asked: Iterable[str] = ()) -> dict[str, str]:
        """What a child of this run may see; `asked` are an engine's own names."""
        fix = {"AQ_FIX_ROUND": str(self.round)} if self.round else {}
        env = self.kit.environment(self.order, self.dir.path, asked)
        return {**env, "AQ_PROMPT_FILE": str(prompt), **fix}

    @property
    def limits(self) -> Limits:
        """What is left of the run's limits: all its rounds share its budget, and each has its timeout."""
        manifest = self.order.manifest
        # A script may be silent for as long as it likes; an agent that is has lost its model.
        silence = self.kit.config.no_output if self.engine.verdict else None
        whole = Limits.of(manifest.budget, manifest.timeout, silence)
        return replace(whole.less(self.used, self.seconds), timeout=manifest.timeout)

    def spawn(
        self,
        argv: tuple[str, ...],
        workspace: Workspace,
        env: Mapping[str, str],
        stdin: Path | None = None,
        watch: Watch | None = None,
        engine: str = "",
    ) -> Child:
        """Start a process of this run. Every one is started here, and confined where that is wanted; only
        the `engine` may write to its state."""
        own, others = self.kit.states(engine)
        argv, env = self.confinement.confine(
            argv, workspace.path, self.dir.path, env, own, others, workspace.reads
        )
        child = Child(
            argv,
            cwd=workspace.path,
            env=env,
            log=self.kit.log_path(self.order.fence),
            run_id=self.run_id,
            stdin=stdin,
            grace=self.kit.config.stop_grace,
            known_secrets=self.kit.secrets,
            on_start=lambda pid, started: self.dir.started(self.note, pid, started),
            on_line=watch.line if watch else None,
            raw=self.dir.path / "output.log" if watch else None,
            confined=self.confinement.on,
        )
        self.child = child
        if self.stop_reason:
            child.stop(self.stop_reason)
        if self.suspended:
            child.suspend()
        return child

    def _prepare_verify(self) -> None:
        order = self.order
        wanted = self.kit.wanted(order)
        self.workspace = self.kit.workspaces.at_branch(
            self.dir.path, wanted, order.verify_branch, order.verify_tip
        )
        set_up(self)

    def next_step(self) -> str:
        """Wait for what the runner wants next."""
        return self._steps.get()

    def stop(self, reason: str) -> None:
        """Stop the processes; a report follows. The first reason stays."""
        self.stop_reason = self.stop_reason or reason
        child = self.child
        if child:
            threading.Thread(target=child.stop, args=(reason,), daemon=True).start()

    def suspend(self, *, on: bool) -> None:
        """Freeze the processes, or let them go on."""
        self.suspended = on
        watch, child = self.watch, self.child
        if watch:
            watch.pause(on=on)
        if child:
            (child.suspend if on else child.resume)()

    @property
    def stalled(self) -> bool:
        """Whether the engine has put nothing out for so long that people should know."""
        watch = self.watch
        return watch is not None and not self.suspended and watch.silent() > self.kit.config.stall

    def may(self, step: str) -> None:
        """What it waited for is in the queue: the checks, or a fix round, may begin."""
        self._steps.put(step)

    def finish(self) -> None:
        """The run is settled: nothing more is wanted of it."""
        self._steps.put(OVER)
