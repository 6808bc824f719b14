"""A real runner with its real bench and ledger, ticked by the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from aq.core.instants import Instant
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.host.clock import Clock
from aq.runner.runner import Runner
from aq.wiring import open_runner
from tests.support.fleet import Fleet, wait_until
from tests.support.processes import running, states

Found = TypeVar("Found")


@dataclass
class Skewed(Clock):
    """The real clock, and what a test adds to it: a machine on which time went by."""

    ahead: float = 0.0
    wall: Instant = ""

    def now(self) -> Instant:
        return self.wall or super().now()

    def boottime(self) -> float:
        return super().boottime() + self.ahead


@dataclass
class Host:
    """One runner, and what it said."""

    runner: Runner
    clock: Skewed
    said: list[str] = field(default_factory=list)

    def until(self, condition: Callable[[], Found], seconds: float = 45.0, what: str = "") -> Found:
        """Tick until the condition is true."""

        def look() -> Found:
            self.runner.tick(0.02)
            return condition()

        return wait_until(look, seconds, f"{what or condition}; said: {self.said}")

    def ticks(self, count: int) -> None:
        for _ in range(count):
            self.runner.tick(0.0)

    def job(self, name: str) -> Job | None:
        return self.runner.ledger.snapshot().find(name)

    def reaches(self, name: str, stage: Stage) -> Job:
        """Tick until the job is in a stage without a lease."""

        def there() -> Job | None:
            found = self.job(name)
            ready = found and found.stage is stage and not found.lease
            return found if ready and not self.runner.pending else None

        return self.until(there, what=f"{name} in {stage}")

    def heard(self, words: str) -> bool:
        return any(words in line for line in self.said)


@contextmanager
def host(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, name: str = "ada", slots: int = 2, *, start: bool = True
) -> Iterator[Host]:
    """A runner on a machine, started; its engines end with it."""
    machine = fleet.machine(name)
    monkeypatch.setenv("AQ_STATE_DIR", str(machine.state))
    said: list[str] = []
    with open_runner(machine.path, name, slots, said.append) as runner:
        clock = Skewed()
        runner.clock = clock
        made = Host(runner, clock, said)
        if start:
            runner.start()
        try:
            yield made
        finally:
            runner.stopping = True
            for run in list(runner.bench._runs.values()):  # type: ignore[attr-defined]
                run.stop("the test is over")
                run.finish()
                run.thread.join(30)


def waiting_job(gate: Path, front: str = "", after: str = "touch done") -> str:
    """A job that runs until the gate is there."""
    return f"---\nengine: shell\n{front}---\nwhile [ ! -e {gate} ]; do sleep 0.05; done\n{after}\n"


def engines(fleet: Fleet, job: str = "job") -> list[str]:
    """The states of the processes of a job's run."""
    return states(running(fleet.root, job))
