"""One run as its thread and the bench share it: what it has, its processes, its limits, and what may begin.
What happens in it, and in what order, is its course."""

from __future__ import annotations

import queue
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from aq.core.engine.budget import Limits
from aq.core.engine.usage import Usage
from aq.core.settle import Outcome
from aq.core.value import replace
from aq.core.work import Order
from aq.host.baseline import Baseline
from aq.host.engines.base import Engine, Probe
from aq.host.kit import Kit
from aq.host.process import Child
from aq.host.rundir import RunDir, RunNote
from aq.host.supervise import Played, Watch
from aq.host.workspace import Workspace

# What a run may begin once the queue knows what it did.
VERIFY, FIX, OVER = "verify", "fix", "over"


class Run:
    """One run, from its order to its last report."""

    def __init__(self, kit: Kit, order: Order, course: Callable[[Run], None]) -> None:
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
        self.lasting = False
        # The tree of what the engine left, with what the setup made.
        self.whole = ""
        # Held by whoever reads or sets what the processes should do, and then does it to them.
        self._lock = threading.Lock()
        self._steps: queue.SimpleQueue[str] = queue.SimpleQueue()
        name = f"run {order.fence.job}"
        self.thread = threading.Thread(target=course, args=(self,), name=name, daemon=True)

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

    def environment(self, asked: Iterable[str] = ()) -> dict[str, str]:
        """What a child of this run may see; `asked` are an engine's own names."""
        fix = {"AQ_FIX_ROUND": str(self.round)} if self.round else {}
        env = self.kit.environment(self.order, self.dir.path, asked)
        return {**env, "AQ_PROMPT_FILE": str(self.prompt), **fix}

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
        with self._lock:
            self.child = child
            reason = self.stop_reason
            if self.suspended:
                child.suspend()
        if reason:
            child.stop(reason)
        return child

    def watched(self, watch: Watch) -> None:
        """From now on the engine's silence counts, unless it is frozen."""
        with self._lock:
            self.watch = watch
            watch.pause(on=self.suspended)

    def next_step(self) -> str:
        """Wait for what the runner wants next."""
        return self._steps.get()

    def stop(self, reason: str) -> None:
        """Stop the processes; a report follows. The first reason stays."""
        with self._lock:
            self.stop_reason = self.stop_reason or reason
            child = self.child
        if child:
            threading.Thread(target=child.stop, args=(reason,), daemon=True).start()

    def suspend(self, *, on: bool) -> None:
        """Freeze the processes, or let them go on."""
        with self._lock:
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
