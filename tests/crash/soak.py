"""A long run: real hosts that are killed, frozen past their TTL and asked to end, again and again, while a
person ships. `python -m tests.crash.soak --minutes 60 --jobs 5000 --kills 500 --hosts 8` is the full form."""

from __future__ import annotations

import random
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from aq.core.errors import TryLaterError
from aq.core.files.jobfile import parse_job
from aq.core.lifecycle import Stage
from aq.core.operations import Add, Ship
from aq.core.results import Landed
from tests.support.audit import audit
from tests.support.fleet import Fleet, op, wait_until
from tests.support.processes import git_locks, left_over

TTL = 10.0
_SETTINGS = f"cadence: {{preset: local, poll: 0.5s, beat: 1s, ttl: {TTL}s, grace: 1s, patience: 1s}}\n"
_JOB = """---
engine: shell
verify: test -f done
retry: {{max: 2, backoff: 0s}}
---
echo "$AQ_JOB.$AQ_EPOCH" >> {runs}
sleep {nap:.1f}
touch done
"""
_ENDED = (Stage.SHIPPED, Stage.FAILED, Stage.DEAD_LETTER)
# The second: before it could say what it does with the signal.
_ENDS = (0, -signal.SIGTERM)
_MIB = 1024 * 1024


@dataclass
class Plan:
    """How long and how hard."""

    minutes: float
    jobs: int
    kills: int
    hosts: int
    seed: int = 1


@dataclass
class Soaked:
    """What came out."""

    jobs: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    blows: Counter[str] = field(default_factory=Counter)
    claims: int = 0
    seconds: float = 0.0
    grown: float = 0.0
    trouble: list[str] = field(default_factory=list)


class Soak:
    """One fleet under one plan."""

    def __init__(self, root: Path, plan: Plan) -> None:
        self.plan, self.dice, self.found = plan, random.Random(plan.seed), Soaked()
        self.fleet = Fleet(root / "fleet", _SETTINGS)
        self.runs = root / "runs"
        self.hosts = {name: self.fleet.start(name, "--slots", "2") for name in self._names()}
        self.rss: dict[int, tuple[float, float]] = {}
        self.frozen: dict[str, float] = {}
        self.ledger = self.fleet.you.ledger("person")
        self.began = time.monotonic()
        self.open = 0

    def _names(self) -> list[str]:
        return [f"host-{number}" for number in range(self.plan.hosts)]

    def run(self) -> Soaked:
        """The whole of it."""
        try:
            limit = self.plan.minutes * 60
            every = limit / (self.plan.kills + 1)
            while self.spent < limit:
                self._feed_and_ship()
                while self.found.blows.total() < min(self.plan.kills, int(self.spent / every)):
                    self._strike()
                self._thaw()
                self._measure()
                time.sleep(0.3)
            self._settle()
        finally:
            self.fleet.audited = False
            self.fleet.end()
        self.found.seconds = self.spent
        return self.found

    @property
    def spent(self) -> float:
        return time.monotonic() - self.began

    def _feed_and_ship(self) -> None:
        """What a person does: keeps some jobs waiting, and ships what was verified."""
        with suppress(TryLaterError):
            self.ledger.fetch()
            snapshot = self.ledger.snapshot()
            ships = [Ship(**op(), job=job) for job in snapshot.stages.get(Stage.TESTING, {})]
            waiting = len(snapshot.stages.get(Stage.INBOX, {}))
            more = min(self.plan.hosts * 4 - waiting, self.plan.jobs - self.found.jobs)
            wanted = [*ships, *(self._add(self.found.jobs + n) for n in range(more))]
            done = self.ledger.perform(wanted) if wanted else []
            self.found.jobs += sum(isinstance(r, Landed) and isinstance(r.operation, Add) for r in done)

    def _add(self, number: int) -> Add:
        text = _JOB.format(runs=self.runs, nap=self.dice.uniform(0, 1)).encode()
        blob = self.ledger.write_blob(text)
        return Add(
            **op(),
            job=f"job-{number:05d}-{self.dice.randrange(10**6)}",
            blob=blob,
            manifest=parse_job(text)[0],
        )

    def _strike(self) -> None:
        """One blow to one host."""
        name = self.dice.choice(self._names())
        process = self.hosts[name]
        blow = self.dice.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
        self.found.blows[blow.name] += 1
        if name in self.frozen:
            process.send_signal(signal.SIGCONT)
            del self.frozen[name]
        process.send_signal(blow)
        if blow is signal.SIGSTOP:
            self.frozen[name] = time.monotonic() + TTL * self.dice.uniform(1.2, 2)
            return
        if blow is signal.SIGTERM:
            wait_until(lambda: process.poll() is not None, 90, f"{name} to end after SIGTERM")
            if process.returncode not in _ENDS:
                self.found.trouble.append(f"{name} exits {process.returncode} after SIGTERM")
        process.wait()
        self.hosts[name] = self.fleet.start(name, "--slots", "2")

    def _thaw(self) -> None:
        for name in [name for name, until in self.frozen.items() if time.monotonic() > until]:
            self.hosts[name].send_signal(signal.SIGCONT)
            del self.frozen[name]

    def _measure(self) -> None:
        """The memory of each process of a host, first and last, once it has settled."""
        for process in self.hosts.values():
            with suppress(psutil.Error):
                seen = psutil.Process(process.pid)
                if time.time() - seen.create_time() > 10:
                    now = seen.memory_info().rss / _MIB
                    self.rss[process.pid] = (self.rss.get(process.pid, (now, now))[0], now)

    def _settle(self) -> None:
        """No more blows: everything ends, and nothing is left."""
        for name in list(self.frozen):
            self.hosts[name].send_signal(signal.SIGCONT)
        for name, process in self.hosts.items():
            if process.poll() is not None:
                self.found.trouble.append(f"{name} ended by itself with {process.returncode}")
                self.hosts[name] = self.fleet.start(name, "--slots", "2")
        wait_until(self._all_ended, 120 + self.found.jobs, "every job to end")
        for process in self.hosts.values():
            process.terminate()
        codes = [process.wait(90) for process in self.hosts.values()]
        self.found.trouble += [f"exits {code} in the end" for code in codes if code not in _ENDS]
        self._judge()

    def _all_ended(self) -> bool:
        self._feed_and_ship()
        self._measure()
        snapshot = self.ledger.snapshot()
        return all(len(snapshot.stages.get(stage, {})) == 0 for stage in Stage if stage not in _ENDED)

    def _judge(self) -> None:
        seen = audit(self.fleet.hub)
        self.found.stages.update(str(stage) for stage in seen.stages().values())
        self.found.claims = seen.claims().total()
        ran = Counter(self.runs.read_text().split())
        self.found.trouble += [f"{run} ran {often} times" for run, often in ran.items() if often > 1]
        claimed = {f"{event.job}.{event.epoch}" for event in seen.events if event.op == "claim"}
        self.found.trouble += [f"{run} ran without a claim" for run in ran if run not in claimed]
        if len(seen.stages()) != self.found.jobs:
            self.found.trouble.append(f"{self.found.jobs} jobs were added, {len(seen.stages())} are there")
        root = self.fleet.root
        self.found.trouble += [f"left: {process}" for process in left_over(root)]
        self.found.trouble += [f"left: {path}" for path in root.rglob("runs/*/*/run.json")]
        self.found.trouble += [f"left: {path}" for path in git_locks(root)]
        said = [
            name
            for name in self._names()
            if "Traceback" in (text := self.fleet.machine(name).log) or "bug in aq" in text
        ]
        self.found.trouble += [f"{name} found a bug: {self.fleet.machine(name).log[-800:]}" for name in said]
        self.found.grown = max((last - first for first, last in self.rss.values()), default=0.0)


if __name__ == "__main__":
    from tests.crash.__main__ import main

    sys.argv.insert(1, "soak")
    sys.exit(main())
