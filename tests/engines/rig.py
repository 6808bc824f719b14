"""A host with one real engine that talks to the stub, and a target repository to work on."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import pytest

from aq.core.instants import unix
from aq.core.lifecycle import Stage
from aq.core.record import Run
from tests.engines.clis import FOREIGN, KEY, Cli
from tests.engines.stub import Stub
from tests.host.targets import Target, make_target
from tests.support.audit import State, audit
from tests.support.fleet import Fleet, git, wait_until
from tests.support.processes import left_over

# Nobody is given up here, however busy the machine is.
_CALM = "cadence: {preset: local, poll: 0.4s, beat: 2s, ttl: 120s, grace: 5s, patience: 0.5s}\n"
_ASK = "Create the file hello.txt in the working directory with the word hello in it. STUB_FILE=hello.txt\n"
JOB = "one"
HOST = "ada"


@dataclass
class Rig:
    """One host, one engine, one job."""

    cli: Cli
    stub: Stub
    fleet: Fleet
    target: Target
    root: Path
    names: tuple[str, ...]

    def drop(self, front: str = "", more: str = "") -> None:
        """The job, dropped into the inbox of the host's own clone."""
        lines = [
            f"engine: {self.cli.name}",
            f"model: {self.cli.model}",
            "repo: target",
            f"env: [{', '.join(self.names)}]",
            "verify: test -f hello.txt",
            *([front] if front else []),
        ]
        body = "\n".join(lines)
        self.fleet.machine(HOST).drop(JOB, f"---\n{body}\n---\n{_ASK}{more}")

    def start(self) -> subprocess.Popen[bytes]:
        return self.fleet.start(HOST)

    @property
    def run(self) -> Run:
        """The job's last run, as the hub tells it."""
        run = self.state.record.last_run
        assert run
        return run

    @property
    def state(self) -> State:
        """The job at the end of a history in which every commit is legal."""
        return audit(self.fleet.hub).jobs[JOB]

    @property
    def said(self) -> str:
        """What the host said, and its log of the run: what to read when a test fails."""
        log = self.log_path
        return self.fleet.machine(HOST).log + (log.read_text() if log.exists() else "no log\n")

    @property
    def log_path(self) -> Path:
        return self.fleet.machine(HOST).path / "logs" / JOB / "1.log"

    def settled(self, process: subprocess.Popen[bytes], seconds: float) -> State:
        """The job once its first run is over and settled. Fails with the log when that takes too long, or
        the host is gone."""

        ledger, tip, seen = self.fleet.you.ledger(), self.fleet.hub / "refs/heads/main", [""]

        def over() -> bool:
            assert process.poll() is None, "the host ended"
            now = tip.read_text()
            if now == seen[-1]:
                return False
            seen.append(now)
            ledger.fetch()
            job = ledger.snapshot().find(JOB)
            return bool(job and job.record.runs and job.record.runs[0].ended and not job.lease)

        try:
            wait_until(over, seconds, "the end of the run")
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{self.said}") from None
        return self.state

    def play(self, front: str = "", seconds: float = 60, *, stage: Stage | None = None) -> State:
        """The job from the inbox to the end of its first run, then the host's own end."""
        self.drop(front)
        process = self.start()
        self.settled(process, seconds)
        self.stop(process)
        state = self.state
        assert stage is None or state.stage is stage, f"{state.stage}: {self.run.reason}\n{self.said}"
        return state

    @property
    def measured(self) -> str:
        """How the first run went, for a table: its outcome, the job's stage, seconds, and the reason."""
        job = self.fleet.job(JOB)
        run = job.record.runs[0] if job and job.record.runs else None
        if not job or not run or not run.ended:
            return f"{self.cli.name} | never ended"
        seconds = unix(run.ended) - unix(run.started)
        return f"{self.cli.name} | {run.outcome} | {job.stage} | {seconds} s | {run.reason[:100]}"

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """One signal: nothing runs, so the host is gone."""
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(30) == 0, self.said

    def interrupt(self, process: subprocess.Popen[bytes]) -> None:
        """Two signals, each once the one before was heard: the engine is stopped, and the host ends."""
        for words in ("finishing what runs", "stopping the engines"):
            os.killpg(process.pid, signal.SIGTERM)
            wait_until(partial(self.heard, words), 20, words)
        assert process.wait(30) == 130, self.said

    def heard(self, words: str) -> bool:
        """Whether the host said this."""
        return words in self.fleet.machine(HOST).log

    def nothing_left(self) -> None:
        """No process of the run, of the host or of the engine lives on for more than 10 s."""
        for machine in self.fleet.machines.values():
            machine.close()
        try:
            wait_until(lambda: not left_over(self.root), 10, "every process to end")
        except AssertionError:
            raise AssertionError(
                f"alive: {[process.cmdline() for process in left_over(self.root)]}"
            ) from None

    def no_secret(self) -> None:
        """The key is nowhere in the log, nor in the queue or the target repository."""
        assert KEY not in self.said
        for bare in (self.fleet.hub, self.target.bare):
            assert KEY not in git(bare, "log", "-p", "--all")


def sleeper(seconds: str) -> psutil.Process | None:
    """The process that sleeps for just this long."""
    for process in psutil.process_iter(["cmdline"]):
        if process.info["cmdline"] == ["sleep", seconds]:
            return process
    return None


def prepare(cli: Cli, stub: Stub, root: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """The rig of one engine: its settings at home, its variables in the environment, nobody else's."""
    for name in list(os.environ):
        if name.startswith(FOREIGN):
            monkeypatch.delenv(name)
    env = cli.env(stub.url)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{cli.bin}{os.pathsep}{os.environ['PATH']}")
    for path, text in cli.files(stub.url).items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text)
    target = make_target(root)
    settings = f"repos: {{target: {target.url}}}\nallow: [{cli.name}]\nstop-grace: 3s\n"
    settings += f"job-env: [{', '.join(env)}]\n"
    (home / "host.yaml").write_text(settings)
    return Rig(cli, stub, Fleet(root / "fleet", _CALM), target, root, tuple(env))
