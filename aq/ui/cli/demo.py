"""`aq demo`: the whole thing, for real, in a temporary folder: a hub, two hosts as processes of
their own, one of which is killed in mid-run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import typer

from aq.core.errors import AqError
from aq.core.lifecycle import Stage
from aq.core.snapshot import Snapshot
from aq.ui.board import make_board
from aq.ui.boardtext import board_lines
from aq.ui.out import say, style
from aq.wiring import open_queue

_SETTINGS = "cadence: {preset: local, poll: 0.3s, beat: 1s, ttl: 5s, grace: 1s, patience: 1s}\n"


def _job(front: str, script: str) -> str:
    return f"---\n{front}\n---\n{script}\n"


_LONG = "echo building; sleep ${AQ_DEMO_SLEEP:-8}; touch built"
_JOBS = {
    "hello": _job(
        "engine: shell\nverify: test -f hello.txt\npriority: high", "echo 'Hello from aq' > hello.txt"
    ),
    "long-build": _job("engine: shell\nlock: database\nverify: test -f built\npriority: critical", _LONG),
    "migrate": _job("engine: shell\nlock: database\nverify: 'true'", "echo 'the lock was free'"),
    "liar": _job(
        "engine: shell\nverify: test -f promised.txt\nretry: {max: 0}", "echo 'All done, trust me!'"
    ),
    "poison": _job("engine: shell\nretry: {max: 1, backoff: 1s}", "echo 'I fail every time'; exit 7"),
    "broken": _job("enigne: shell", "A typo in the front matter."),
}
_HOSTS = ("ada", "bob")
_LIMIT = 55.0
_REMOVE_SECONDS = 5.0


def demo(
    keep: bool = typer.Option(True, "--keep/--clean", help="Keep the folder, to look around in it."),
) -> None:
    """Run the demonstration."""
    root = Path(tempfile.mkdtemp(prefix="aq-demo-"))
    stage = _Stage(root)
    try:
        stage.play()
    finally:
        stage.end()
        if not keep:
            remove(root)
    if keep:
        stage.goodbye()


def remove(root: Path) -> None:
    """The folder and all in it. A push of a host that was stopped may still write there for a moment."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    while True:
        shutil.rmtree(root, ignore_errors=True)
        if not root.exists() or time.monotonic() > deadline:
            return
        time.sleep(0.05)


class _Stage:
    """The folder, the processes and the clock of one demonstration."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hub = root / "hub.git"
        self.clone = root / "you"
        self.started = time.monotonic()
        self.hosts: dict[str, subprocess.Popen[bytes]] = {}
        self.told: dict[str, int] = {}
        self.env = {
            **os.environ,
            "AQ_STATE_DIR": str(root / "state"),
            "GIT_CONFIG_GLOBAL": str(root / "gitconfig"),
            "AQ_HOST_CONFIG": str(root / "host.yaml"),
        }

    def play(self) -> None:
        """The acts, in order."""
        (self.root / "host.yaml").touch()
        self._scene("A hub and two machines, ada and bob, in " + str(self.root))
        self._prepare()
        self._scene(f"{len(_JOBS)} jobs dropped into queue/inbox, one of them with a typo")
        for name, text in _JOBS.items():
            (self.clone / "queue" / "inbox" / f"{name}.md").write_text(text, encoding="utf-8")
        time.sleep(2.1)
        self._aq("status")
        self._scene("`aq run` starts on both machines")
        for name in _HOSTS:
            self._start(name)
        victim = self._wait("long-build to be claimed", self._holder)
        self._board()
        self._scene(f"SIGKILL for {victim}, which holds long-build")
        self.hosts[victim].send_signal(signal.SIGKILL)
        self.hosts[victim].wait()
        survivor = next(name for name in _HOSTS if name != victim)
        self._wait("the survivor to take the job back", lambda s: self._epoch(s, "long-build") >= 2)
        self._scene(f"{survivor} saw {victim}'s silence on its own clock and reclaimed the job: epoch 2")
        self._board()
        self._wait("everything to end", self._settled)
        self._scene("A person ships what is good")
        self._aq("ship", "hello", "long-build")
        self._aq("status", "--all")
        self._scene("The story of long-build, from the commits")
        self._aq("log", "long-build")
        self._scene("And git log, as always")
        subprocess.run(
            ["git", "log", "--oneline", "--max-count=12"], cwd=self.clone, env=self.env, check=False
        )

    def _prepare(self) -> None:
        config = self.root / "gitconfig"
        config.write_text(
            "[user]\n\tname = Demo\n\temail = demo@example.invalid\n[init]\n\tdefaultBranch = main\n",
            encoding="utf-8",
        )
        subprocess.run(["git", "init", "--quiet", "--bare", str(self.hub)], env=self.env, check=True)
        self._quiet("init", str(self.clone), "--remote", str(self.hub))
        settings = self.clone / "queue" / "aq.yaml"
        settings.write_text(_SETTINGS, encoding="utf-8")
        for line in (
            ["commit", "--quiet", "-am", "a fast cadence for the demo"],
            ["push", "--quiet", "origin", "main"],
        ):
            subprocess.run(["git", *line], cwd=self.clone, env=self.env, check=True)
        for name in _HOSTS:
            self._quiet("init", str(self.root / name), "--remote", str(self.hub))

    def _start(self, name: str) -> None:
        log = (self.root / f"{name}.log").open("wb")
        with log:
            self.hosts[name] = subprocess.Popen(
                [sys.executable, "-m", "aq", "run", "--host", name],
                cwd=self.root / name,
                env=self.env,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _wait(self, what: str, condition: Callable[[Snapshot], object]) -> str:
        """Look at the queue until the condition holds, showing what changes."""
        with open_queue(self.clone) as queue:
            while time.monotonic() - self.started < _LIMIT:
                queue.ledger.fetch()
                found = condition(queue.ledger.snapshot())
                self._tail()
                if found:
                    return str(found)
                for name, host in self.hosts.items():
                    if host.poll() not in (None, -signal.SIGKILL):
                        raise AqError(f"host {name} ended by itself", f"look into {self.root}/{name}.log")
                time.sleep(0.3)
        raise AqError(f"the demo waited in vain for {what}", f"look into {self.root}/*.log")

    def _tail(self) -> None:
        """Print what the hosts said since the last look."""
        fresh = []
        for name in self.hosts:
            lines = (self.root / f"{name}.log").read_text("utf-8", "replace").splitlines()
            fresh += [f"{line[:8]} {name:>4}: {line[9:]}" for line in lines[self.told.get(name, 0) :]]
            self.told[name] = len(lines)
        for line in sorted(fresh, key=lambda line: line[:8]):
            say("    " + style(line, "dim"))

    @staticmethod
    def _holder(snapshot: Snapshot) -> str:
        job = snapshot.stages[Stage.BUILDING].get("long-build")
        return job.lease.host if job and job.lease else ""

    @staticmethod
    def _epoch(snapshot: Snapshot, job: str) -> int:
        found = snapshot.find(job)
        return found.record.epoch if found and found.lease else 0

    @staticmethod
    def _settled(snapshot: Snapshot) -> bool:
        live = [
            job
            for job in snapshot.jobs(Stage.INBOX, Stage.BUILDING, Stage.REVIEW)
            if not job.problem and not job.waits_for_person
        ]
        return not live and len(snapshot.stages[Stage.TESTING]) >= 2

    def _board(self) -> None:
        with open_queue(self.clone) as queue:
            queue.ledger.fetch()
            from aq.core.instants import instant

            board = make_board(queue.ledger.snapshot(), queue.ledger.beats, instant(time.time()), limit=None)
        for line in board_lines(board, 110):
            say("  " + line)

    def _aq(self, *arguments: str) -> None:
        say(style(f"$ aq {' '.join(arguments)}", "bold"))
        subprocess.run([sys.executable, "-m", "aq", *arguments], cwd=self.clone, env=self.env, check=True)

    def _quiet(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "aq", *arguments], env=self.env, capture_output=True, check=False
        )
        if done.returncode:
            raise AqError(f"aq {arguments[0]} failed: {done.stderr.decode('utf-8', 'replace').strip()}")

    def _scene(self, text: str) -> None:
        say()
        say(style(f"== {text}", "cyan"))

    def end(self) -> None:
        """Stop both hosts, whatever happened."""
        for process in self.hosts.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self.hosts.values():
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def goodbye(self) -> None:
        """Where to look, and what to type next."""
        took = time.monotonic() - self.started
        self._scene(f"Done in {took:.0f} s. Everything is still in {self.root}:")
        say(f"  cd {self.clone} && ls queue/*        the board as folders")
        say('  aq show liar                         a false "done", caught by verify')
        say("  aq check; aq requeue poison          what to do about the others")
        say("Next, a queue of your own:  mkdir my-queue && aq init my-queue && cd my-queue && aq run")
