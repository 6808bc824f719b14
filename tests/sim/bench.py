"""Fake engines: how long they take and how they end is drawn from the dice, what they mean is not decided
here. A run that is alive on a machine stays so when only the program that began it is killed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aq.core.job import Job
from aq.core.judge import Progress, rounds_of
from aq.core.lease import Fence
from aq.core.manifest import Manifest
from aq.core.record import CheckResult
from aq.core.settle import Ending, Outcome
from aq.core.work import Brought, Checked, Ended, Fixed, Order, Report
from tests.sim.clockwork import Program

if TYPE_CHECKING:
    from tests.sim.host import Host

_FAILURES = ("crash", "agent", "timeout", "network", "rate_limit", "denied", "unknown")


@dataclass(frozen=True)
class Mood:
    """How the engines of a host behave now: the share of runs that fail, that hang, whose cost is untrue."""

    fails: float = 0.1
    hangs: float = 0.0
    lies: float = 0.0
    pace: float = 1.0


class SimRun:
    """One run: a process that lives for a while, and what it says at its end."""

    def __init__(self, bench: SimBench, order: Order) -> None:
        self.bench, self.order, self.fence = bench, order, order.fence
        self.host = bench.host
        self.alive = self.suspended = False
        self.stopped = ""
        self.doing = ""
        self.round = 0
        self.forgotten = False
        self.failed: tuple[CheckResult, ...] = ()
        self.last: Outcome | None = None
        self._left = self._since = 0.0
        self._turn = 0

    def begin(self, doing: str, seconds: float) -> None:
        """Start a process of this run."""
        self.doing, self._left, self.alive = doing, seconds, True
        self.host.world.laws.started(self)
        self._go_on()

    def _go_on(self) -> None:
        if self.alive and not self.suspended and not self.host.asleep:
            self._turn += 1
            self._left = min(self._left, 1.0) if self.stopped else self._left
            self._since = self.host.works.now
            self.host.works.after(self._left, self._over, self._turn)

    def pause(self) -> None:
        """The process stands still."""
        self._turn += 1
        self._left = max(0.0, self._left - (self.host.works.now - self._since))

    def suspend(self, *, on: bool) -> None:
        if on != self.suspended:
            self.suspended = on
            if on:
                self.pause()
            else:
                self._go_on()

    def thaw(self) -> None:
        """The machine woke up."""
        self._go_on()

    def stop(self, reason: str) -> None:
        if not self.stopped:
            self.stopped = reason
            if self.alive:
                self._turn += 1
                self.host.works.after(self.host.world.dice.uniform(0.05, 3.0), self._over, self._turn)

    def end(self) -> None:
        """The process is gone; nothing is said."""
        self._turn += 1
        if self.alive:
            self.alive = False
            self.host.world.laws.ended(self)
            if self.forgotten:
                self.host.left.remove(self)

    def _over(self, turn: int) -> None:
        if turn != self._turn or not self.alive:
            return
        self.end()
        if not self.bench.open:
            # The program that began it is gone: nobody listens, and nobody begins the checks.
            return
        if self.doing == "engine":
            self.last = self._outcome()
            self.bench.report(Ended(self.fence, self.last))
        elif self.doing == "fix":
            found = self._outcome()
            self.last = found if found.tip else self.last
            self.bench.report(Fixed(self.fence, self.round, self.failed, found))
        else:
            self.bench.report(self._checked())

    def _outcome(self) -> Outcome:
        dice, mood = self.host.world.dice, self.host.mood
        usd = round(dice.uniform(0.0, 2.0), 2) if dice.random() > 0.2 + mood.lies else None
        facts = {"usd": usd, "tokens": 7, "model": "m"}
        if self.stopped:
            ending = Ending.FENCED if self.stopped == "fenced" else Ending.STOPPED
            return Outcome(ending, reason=self.stopped, **facts, **self._work())
        if dice.random() < mood.fails:
            failure = dice.choice(_FAILURES)
            if dice.random() < 0.2:
                return Outcome(Ending.INFRA, reason="workspace: it broke", **facts)
            return Outcome(Ending.FAILED, failure, "it broke", **facts)
        return Outcome(Ending.DONE, **facts, **self._work())

    def _work(self) -> dict[str, object]:
        if self.host.world.dice.random() < 0.1:
            return {}
        name = f"aq/{self.fence.job}/{self.fence.epoch}" + (f"-fix{self.round}" if self.round else "")
        tip, arrives = self.host.world.token(20), self.host.world.dice.random() > 0.03
        if arrives:
            self.host.world.work[tip] = name, self.fence.nonce
        return {"branch": name, "tip": tip, "pushed": arrives}

    def _checked(self) -> Checked:
        if self.stopped:
            return Checked(self.fence, (), self.stopped)
        dice, last, manifest = self.host.world.dice, self.last, self.order.manifest
        passed = dice.random() > 0.3
        self.failed = () if passed else (CheckResult("true", False, "exit code 1"),)
        results = self.failed or (CheckResult("true", True),)
        askable = not self.order.verify_tip and rounds_of(manifest, self.order.engine) > 0
        tip = last.tip if last else self.order.verify_tip
        progress = Progress(self.round, askable, last.usd if last else None, 7, 1.0, None, tip)
        return Checked(self.fence, results, progress=progress)


class SimBench:
    """All runs that one program began."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.open = True
        self.runs: dict[Fence, SimRun] = {}
        self.stalled: tuple[str, ...] = ()
        self._reports: list[Report] = []
        self._listener: tuple[Program, int] | None = None

    def _takes(self) -> float:
        dice, mood = self.host.world.dice, self.host.mood
        if dice.random() < mood.hangs:
            return 2000.0
        return dice.expovariate(1 / self.host.world.options.engine) * mood.pace

    def start(self, order: Order) -> None:
        run = self.runs[order.fence] = SimRun(self, order)
        self.host.left.append(run)
        if self.host.disk.full:
            gone = Outcome(Ending.INFRA, reason="workspace: the disk is full")
            self.report(
                Checked(order.fence, (), gone.reason) if order.verify_tip else Ended(order.fence, gone)
            )
        elif order.verify_tip:
            run.begin("checks", self._takes() / 4)
        else:
            run.begin("engine", min(self._takes(), order.manifest.timeout))

    def verify(self, fence: Fence) -> None:
        run = self.runs.get(fence)
        if run:
            run.begin("checks", 0.05 if run.stopped else self._takes() / 4)

    def fix(self, fence: Fence) -> None:
        run = self.runs.get(fence)
        if run:
            run.round += 1
            run.begin("fix", 0.05 if run.stopped else self._takes() / 2)

    def finish(self, fence: Fence) -> None:
        run = self.runs.pop(fence, None)
        if run:
            run.forgotten = True
            self.host.world.laws.finished(run)
            if not run.alive:
                self.host.left.remove(run)

    def stop(self, fence: Fence, reason: str) -> None:
        if fence in self.runs:
            self.runs[fence].stop(reason)

    def suspend(self, fence: Fence, *, on: bool) -> None:
        if fence in self.runs:
            self.runs[fence].suspend(on=on)

    def in_place(self, fence: Fence) -> bool:
        return False

    def report(self, report: Report) -> None:
        """Something ended: the loop hears it if it waits."""
        self._reports.append(report)
        self.wake()

    def take_reports(self, timeout: float) -> list[Report]:
        if not self._reports and timeout > 0:
            program = self.host.current
            self._listener = program, program.ticket()
            program.sleep(timeout / self.host.clock.rate)
            self._listener = None
        found, self._reports = self._reports, []
        return found

    def wake(self) -> None:
        if self._listener:
            program, ticket = self._listener
            self.host.works.after(0.0, program.wake, ticket)
            self._listener = None

    def deliver(self, job: Job) -> None:
        def done() -> None:
            if self.open:
                self.report(self._brought(job))

        self.host.works.after(self.host.world.dice.uniform(0.5, 20.0), done)

    def _brought(self, job: Job) -> Brought:
        roll = self.host.world.dice.random()
        if roll < 0.1:
            return Brought(job.id, error="the forge is away")
        return Brought(job.id, conflict="a conflict") if roll < 0.15 else Brought(job.id, oid="f" * 40)

    def why_not(self, manifest: Manifest) -> str:
        return "less than 1 GiB of disk is free" if self.host.disk.full else ""

    def why_not_delivering(self, manifest: Manifest) -> str:
        return ""
