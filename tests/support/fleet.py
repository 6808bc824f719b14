"""A real fleet for tests: one bare hub, and machines that are clones with a state folder of their own."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from aq.core.fleet import Beat
from aq.core.instants import instant
from aq.core.job import Job
from aq.core.manifest import Manifest
from aq.core.operations import Add, Claim
from aq.core.results import Landed, Result
from aq.core.sealed import sealed, unsealed
from aq.core.snapshot import Snapshot
from aq.ledger.commits import Identity
from aq.ledger.ledger import Ledger
from aq.ledger.paths import QueuePaths
from aq.ledger.setup import initialize
from aq.ledger.store import Store, load_config
from tests.support import warm

FAST = "cadence: {preset: local, poll: 0.2s, beat: 0.5s, ttl: 3s, grace: 0.5s, patience: 0.5s}\n"
HELLO = "---\nengine: shell\nverify: test -f done\n---\ntouch done\n"

Found = TypeVar("Found")


def wait_until(condition: Callable[[], Found], seconds: float = 60.0, what: str = "") -> Found:
    """The first true value of the condition. Fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s in vain for {what or condition}")


def git(folder: Path, *args: str, data: bytes | None = None, ok: bool = True) -> str:
    """Plain git, as a person would use it."""
    done = subprocess.run(["git", *args], cwd=folder, input=data, capture_output=True, check=False)
    assert done.returncode == 0 or not ok, f"git {args}: {done.stderr.decode()}"
    return done.stdout.decode().strip()


def op(by: str = "alice") -> dict[str, Any]:
    """The fields that every operation needs."""
    return {"at": instant(time.time()), "by": by, "op_id": secrets.token_hex(8)}


def _start(
    args: list[str], *, cwd: Path, env: dict[str, str], stdin: str | None, timeout: float
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aq", *args],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        input=stdin,
        timeout=timeout,
        check=False,
    )


@dataclass
class Machine:
    """One clone, with its own state folder, as if it were another machine."""

    name: str
    path: Path
    state: Path
    more: dict[str, str] = field(default_factory=dict)
    # Half of what a short command costs is the start of Python: most tests do without.
    cold: ClassVar[bool] = False
    _open: list[Ledger] = field(default_factory=list)

    @property
    def paths(self) -> QueuePaths:
        return QueuePaths(self.path, self.path / ".git")

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "AQ_STATE_DIR": str(self.state), **self.more}

    def ledger(self, role: str = "") -> Ledger:
        """A ledger of this clone; closed with the fleet."""
        role = role or f"test-{secrets.token_hex(4)}"
        made = Ledger(
            Store(self.paths),
            load_config(self.paths),
            Identity(self.name, f"{self.name}@example.invalid"),
            role,
        )
        self._open.append(made)
        return made

    def aq(
        self, *args: str, ok: bool = True, stdin: str | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """The command, as a process of its own: one that was started for this where `cold` says so."""
        begin = _start if self.cold or not warm.FORKS else warm.run
        done = begin(list(args), cwd=self.path, env=self.env, stdin=stdin, timeout=timeout)
        assert done.returncode == 0 or not ok, (
            f"aq {args} exited {done.returncode}: {done.stdout}{done.stderr}"
        )
        return done

    def run(self, *args: str) -> subprocess.Popen[bytes]:
        """`aq run` in the background; its words are in `<name>.log` beside the clone."""
        log = (self.path.parent / f"{self.name}.log").open("ab")
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", "aq", "run", "--host", self.name, *args],
                cwd=self.path,
                env=self.env,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        path = self.path.parent / f"{self.name}.log"
        return path.read_text() if path.exists() else ""

    def drop(self, name: str, text: str = HELLO) -> Path:
        """A file dropped into the inbox, old enough to be taken in at once."""
        path = self.path / "queue" / "inbox" / (name if name.endswith(".md") else f"{name}.md")
        path.write_text(text)
        old = time.time() - 10
        os.utime(path, (old, old))
        return path

    def close(self) -> None:
        for ledger in self._open:
            ledger.close()


def _begin(root: Path, settings: str, url: str) -> None:
    """A bare hub with an empty queue, the person's clone, and one that joined it."""
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(root / "hub.git")], check=True)
    clone = root / "you"
    initialize(clone, url)
    (clone / "queue" / "aq.yaml").write_text(settings)
    git(clone, "commit", "--quiet", "-am", "settings")
    git(clone, "push", "--quiet", "origin", "main")
    initialize(root / _JOINED, url)


def _pack(root: Path) -> None:
    """Each test copies these repositories: as few files as possible."""
    for folder in (root / "hub.git", root / "you" / ".git", root / _JOINED / ".git"):
        git(folder, "repack", "-a", "-d", "-q", "--no-write-bitmap-index")


_JOINED = "joined"
_TEMPLATES: dict[tuple[str, str], tempfile.TemporaryDirectory[str]] = {}


def _template(settings: str) -> Path:
    """A new fleet with these settings, made once: not with a dozen git processes for each test."""
    key = (
        settings,
        Path(os.environ["GIT_CONFIG_GLOBAL"]).read_text() + os.environ.get("GIT_DEFAULT_HASH", ""),
    )
    if key not in _TEMPLATES:
        _TEMPLATES[key] = made = tempfile.TemporaryDirectory(prefix="aq-fleet-")
        root = Path(made.name)
        _begin(root, settings, str(root / "hub.git"))
        _pack(root)
    return Path(_TEMPLATES[key].name)


def _tip(hub: Path) -> str:
    path = hub / "refs" / "heads" / "main"
    return path.read_text() if path.exists() else ""


def _copy(template: Path, root: Path, name: str, new: str) -> None:
    """A clone of the template as a clone of the fleet below `root`."""
    shutil.copytree(template / name, root / new, symlinks=True)

    def moved(text: str) -> str:
        return text.replace(str(template / name), str(root / new)).replace(str(template), str(root))

    for part in ("config", "FETCH_HEAD", "logs/refs/remotes/origin/main"):
        path = root / new / ".git" / part
        if path.exists():
            path.write_text(moved(path.read_text()))
    settings = root / new / ".git" / "aq" / "queue.json"
    config = unsealed(settings.read_bytes())
    settings.write_bytes(sealed({**config, "url": moved(config["url"])}))


class Fleet:
    """A hub and its machines."""

    def __init__(self, root: Path, settings: str = FAST, url: str = "") -> None:
        self.root = root
        self.hub = root / "hub.git"
        self.url = url or str(self.hub)
        self.machines: dict[str, Machine] = {}
        self.processes: list[subprocess.Popen[bytes]] = []
        # Whether no operation may have broken a law at the end: not in a test that forges some.
        self.audited = True
        # The hub's tip, and the queue there.
        self._seen: tuple[str, Any] = ("", None)
        # The hub's tip, and what was said up to there.
        self._told: tuple[str, list[str]] = ("", [])
        root.mkdir(parents=True)
        self._template = None if url else _template(settings)
        if self._template:
            shutil.copytree(self._template / "hub.git", self.hub)
            _copy(self._template, root, "you", "you")
        else:
            _begin(root, settings, url)
        self.machines["you"] = Machine("you", root / "you", root / "you.state")

    @property
    def you(self) -> Machine:
        """The person's machine."""
        return self.machines["you"]

    def machine(self, name: str) -> Machine:
        """A machine by name, made when it is new."""
        if name not in self.machines:
            path = self.root / name
            if self._template and _tip(self.hub) == _tip(self._template / "hub.git"):
                _copy(self._template, self.root, _JOINED, name)
            else:
                initialize(path, self.url)
            self.machines[name] = Machine(name, path, self.root / f"{name}.state")
        return self.machines[name]

    def start(self, name: str, *args: str) -> subprocess.Popen[bytes]:
        """`aq run` on a machine, in the background."""
        process = self.machine(name).run(*args)
        self.processes.append(process)
        return process

    def snapshot(self) -> Snapshot:
        """The queue on the hub, now. A test that waits asks twenty times a second: most have the answer."""
        tip = _tip(self.hub)
        if not tip or tip != self._seen[0]:
            ledger = self.you.ledger()
            ledger.fetch()
            self._seen = tip, ledger.snapshot()
        return self._seen[1]

    def job(self, name: str) -> Job | None:
        """One job on the hub, now."""
        return self.snapshot().find(name)

    def tip(self) -> str:
        return git(self.hub, "rev-parse", "main")

    def events(self) -> list[str]:
        """The subjects of all commits, oldest first."""
        tip = _tip(self.hub)
        if not tip or tip != self._told[0]:
            self._told = tip, git(self.hub, "log", "--reverse", "--format=%s", "main").splitlines()
        return self._told[1]

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.send_signal(signal.SIGCONT)
            process.wait()
        for machine in self.machines.values():
            machine.close()
        if self.audited and self.hub.exists():
            self._audit()

    def _audit(self) -> None:
        """Whatever a test did: no operation of aq's was the first to break a law."""
        from tests.support.audit import breaches

        if self._template and _tip(self.hub) == _tip(self._template / "hub.git"):
            return  # Nothing was done.
        heads = git(self.hub, "for-each-ref", "refs/heads/main", ok=False)
        first = next(iter(breaches(self.hub)), None) if heads else None
        assert first is None or first.by_hand, first


def add(ledger: Ledger, name: str, text: str = HELLO) -> Result:
    """Submit a job through a ledger."""
    from aq.core.files.jobfile import parse_job

    blob = ledger.write_blob(text.encode())
    return perform(ledger, Add(**op(), job=name, blob=blob, manifest=parse_job(text.encode())[0]))


def claim_of(job: str, host: str, *, slots: int = 8, ttl: float = 3.0, nonce: str = "", **more: Any) -> Claim:
    """A claim as a host with the shell engine makes it."""
    return Claim(
        **op(host),
        job=job,
        host=host,
        boot="boot",
        nonce=nonce or secrets.token_hex(8),
        engine="shell",
        ttl=ttl,
        slots=slots,
        offers=frozenset({"os:linux", "engine:shell"}),
        engines={"shell": "shell"},
        **more,
    )


def perform(ledger: Ledger, operation: Any) -> Result:
    """One operation's result."""
    return next(r for r in ledger.perform([operation]) if r.operation.op_id == operation.op_id)


def landed(result: Result) -> Landed:
    """The result, which must have landed."""
    assert isinstance(result, Landed), result
    return result


def beat(host: str, **more: Any) -> Beat:
    """A beat of a host with the shell engine."""
    fields = {
        "incarnation": "i",
        "seq": 1,
        "at": instant(time.time()),
        "ttl": 3.0,
        "slots": 1,
        "offers": frozenset({"os:linux", "engine:shell"}),
        "engines": {"shell": "shell"},
    }
    return Beat(host=host, **{**fields, **more})


EMPTY = Manifest()
