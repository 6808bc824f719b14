"""Queues of any size on a bare hub, made with `git fast-import`, and ledgers and clones on them."""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from aq.core.encoding import encode
from aq.core.event import Event, render
from aq.core.fleet import Beat
from aq.core.instants import instant, later
from aq.core.layout import folder_of
from aq.core.lease import Lease
from aq.core.lifecycle import Stage
from aq.core.operations import Claim
from aq.core.record import Record, Run, Verdict
from aq.core.value import replace
from aq.ledger.commits import Identity
from aq.ledger.ledger import Ledger
from aq.ledger.newqueue import queue_files
from aq.ledger.paths import QueuePaths
from aq.ledger.setup import initialize
from aq.ledger.store import QueueConfig, Store

BRANCH = "refs/heads/main"
OFFERS = frozenset({"os:linux", "engine:shell"})
ENGINES = {"shell": "shell"}
PER_DAY = 250
_START = 1_700_000_000
_GIT_CONFIG = '[user]\n\tname = Alice\n\temail = alice@example.invalid\n[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n[protocol "file"]\n\tallow = always\n'
_BODY = "Make the change that the title names and keep the tests green. " * 6
_PRIORITIES = ("high", "medium", "medium", "low")


@contextmanager
def hermetic(root: Path) -> Iterator[None]:
    """No user's git config or state is read, and modules are byte-compiled as on a user's machine."""
    home = root / "home"
    home.mkdir(parents=True)
    (home / ".gitconfig").write_text(_GIT_CONFIG)
    (home / "host.yaml").touch()
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(("GIT_", "AQ_", "XDG_")) or name == "PYTHONDONTWRITEBYTECODE":
            del os.environ[name]
    os.environ.update(
        HOME=str(home),
        GIT_CONFIG_GLOBAL=str(home / ".gitconfig"),
        GIT_CONFIG_NOSYSTEM="1",
        AQ_STATE_DIR=str(home / "state"),
        AQ_HOST_CONFIG=str(home / "host.yaml"),
        NO_COLOR="1",
        LC_ALL="C",
    )
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def git(folder: Path | None, *args: str, data: bytes | None = None) -> str:
    """The output of plain git, which must work."""
    done = subprocess.run(["git", *args], cwd=folder, input=data, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"git {args[0]}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode().strip()


def job_text(number: int, keys: str = "") -> bytes:
    """A job file of a usual size."""
    front = f"title: Change number {number}\nengine: shell\npriority: {_PRIORITIES[number % 4]}\ncapabilities: [os:linux]\nverify: test -f done-{number}\n{keys}"
    return f"---\n{front}---\n# Change {number}\n\n{_BODY}\n".encode()


def waiting_id(number: int) -> str:
    return f"wait-{number:06d}"


@dataclass(frozen=True)
class _Life:
    """One shipped job's files, step by step, without formatting YAML anew for each job."""

    claimed: bytes
    landed: bytes
    verified: bytes
    shipped: bytes
    lease: bytes

    def of(self, step: str, job: str, blob: str) -> bytes:
        return getattr(self, step).replace(b"JOB-ID", job.encode()).replace(b"b" * 40, blob.encode())


def _life(at: str) -> _Life:
    run = Run(epoch=1, host="ada", nonce="0123456789abcdef", engine="shell", started=at, attempt=1)
    claimed = Record(
        stage=Stage.BUILDING, since=at, queued=at, blob="b" * 40, epoch=1, attempts=1, runs=(run,)
    )
    landed = replace(claimed, stage=Stage.REVIEW)
    ended = replace(run, ended=at, outcome="passed")
    verified = replace(claimed, stage=Stage.TESTING, runs=(ended,), verdict=Verdict(1, "passed", at, "ada"))
    lease = Lease("JOB-ID", "ada", "boot", run.nonce, 1, 1, "shell", 300.0, at)
    files = (encode(record) for record in (claimed, landed, verified, replace(verified, stage=Stage.SHIPPED)))
    return _Life(*files, encode(lease))


class _Import:
    """The input of one `git fast-import`."""

    def __init__(self, out: BinaryIO, at: str) -> None:
        self.write = out.write
        self.at = at
        self.seconds = _START

    def commit(self, message: str, ref: str = BRANCH) -> None:
        self.seconds += 1
        text = message.encode()
        self.write(
            b"commit %s\ncommitter ada <ada@hosts.aq.invalid> %d +0000\ndata %d\n%s\n"
            % (ref.encode(), self.seconds, len(text), text)
        )

    def file(self, path: str, content: bytes) -> None:
        self.write(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(content), content))

    def move(self, old: str, new: str) -> None:
        self.write(b"R %s %s\n" % (old.encode(), new.encode()))

    def remove(self, path: str) -> None:
        self.write(b"D %s\n" % path.encode())


def make_hub(
    path: Path, waiting: int, shipped: int = 0, *, history: bool = False, keys: str = "", cadence: str = "lan"
) -> Path:
    """A bare hub with a queue. With `history` every job came by commits of its own, as in a real
    queue; without, one commit holds them all. Waiting jobs get the extra `keys`."""
    git(None, "init", "--quiet", "--bare", "-b", "main", str(path))
    for name, value in (("gc.auto", "0"), ("receive.autogc", "false")):
        git(path, "config", name, value)
    with subprocess.Popen(["git", "fast-import", "--quiet"], cwd=path, stdin=subprocess.PIPE) as process:
        assert process.stdin
        stream = _Import(process.stdin, instant(time.time() - 86400))
        stream.commit("start the queue")
        for name, text in queue_files(cadence).items():
            stream.file(name, text.encode())
        (_lived if history else _placed)(stream, shipped)
        for number in range(waiting):
            job = waiting_id(number)
            if history:
                stream.commit(_event("add", job, None, Stage.INBOX))
            stream.file(f"queue/inbox/{job}.md", job_text(number, keys))
    if process.returncode:
        raise RuntimeError("git fast-import failed")
    return path


def _day(number: int) -> str:
    return folder_of(Stage.SHIPPED, later("2024-01-01T00:00:00Z", 86400.0 * (number // PER_DAY)))


def _shipped_job(number: int) -> tuple[str, bytes, str]:
    content = job_text(number)
    blob = hashlib.sha1(b"blob %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest()
    return f"done-{number:06d}", content, blob


def _placed(stream: _Import, shipped: int) -> None:
    life = _life(stream.at)
    for number in range(shipped):
        job, content, blob = _shipped_job(number)
        base = f"queue/{_day(number)}/{job}"
        stream.file(f"{base}.md", content)
        stream.file(f"{base}.record.yaml", life.of("shipped", job, blob))


def _lived(stream: _Import, shipped: int) -> None:
    life = _life(stream.at)
    for number in range(shipped):
        job, content, blob = _shipped_job(number)
        stream.commit(_event("add", job, None, Stage.INBOX))
        stream.file(f"queue/inbox/{job}.md", content)
        place = f"queue/inbox/{job}"
        steps = (
            ("claim", Stage.BUILDING, "claimed"),
            ("land", Stage.REVIEW, "landed"),
            ("verified", Stage.TESTING, "verified"),
            ("ship", Stage.SHIPPED, "shipped"),
        )
        source = Stage.INBOX
        for trigger, stage, step in steps:
            stream.commit(_event(trigger, job, source, stage))
            target = f"queue/{_day(number) if stage is Stage.SHIPPED else stage}/{job}"
            stream.move(f"{place}.md", f"{target}.md")
            if trigger != "claim":
                stream.remove(f"{place}.record.yaml")
            if trigger in ("land", "verified"):
                stream.remove(f"{place}.lease.yaml")
            stream.file(f"{target}.record.yaml", life.of(step, job, blob))
            if trigger in ("claim", "land"):
                stream.file(f"{target}.lease.yaml", life.of("lease", job, blob))
            place, source = target, stage


def _event(trigger: str, job: str, source: Stage | None, target: Stage) -> str:
    host = "" if trigger in ("add", "ship") else "ada"
    return render(
        Event(
            op=trigger,
            by=host or "alice",
            op_id=secrets.token_hex(8),
            job=job,
            source=source,
            target=target,
            host=host,
            epoch=int(trigger != "add"),
            attempt=1,
        )
    )


def beat_of(host: str, slots: int) -> Beat:
    return Beat(
        host=host,
        incarnation="i",
        seq=1,
        at=instant(time.time()),
        ttl=300.0,
        slots=slots,
        offers=OFFERS,
        engines=ENGINES,
    )


def add_beats(hub: Path, count: int) -> None:
    """The beats of `count` hosts on the hub."""
    with subprocess.Popen(
        ["git", "fast-import", "--quiet", "--force"], cwd=hub, stdin=subprocess.PIPE
    ) as process:
        assert process.stdin
        stream = _Import(process.stdin, "")
        for number in range(count):
            host = f"peer-{number:03d}"
            ref = f"refs/aq/hosts/{host}"
            process.stdin.write(b"reset %s\n\n" % ref.encode())
            stream.commit(encode(beat_of(host, 4)).decode(), ref)


def open_ledger(hub: str | Path, folder: Path, name: str) -> Ledger:
    """A ledger with a store of its own, as on another machine. It needs no work tree."""
    paths = QueuePaths(folder, folder / ".git")
    paths.common.mkdir(parents=True, exist_ok=True)
    return Ledger(
        Store(paths),
        QueueConfig(str(hub), "main"),
        Identity(f"aq {name}", f"{name}@hosts.aq.invalid"),
        f"bench-{name}",
    )


def make_clone(hub: Path, folder: Path) -> Path:
    """A person's clone, as `aq init --remote` makes it."""
    initialize(folder, str(hub))
    return folder


def claim(job: str, host: str, slots: int = 1_000_000) -> Claim:
    """A claim as a host's runner makes it."""
    asked = {"at": instant(time.time()), "by": host, "op_id": secrets.token_hex(8)}
    return Claim(
        **asked,
        job=job,
        host=host,
        boot="boot",
        nonce=secrets.token_hex(8),
        engine="shell",
        ttl=300.0,
        slots=slots,
        offers=OFFERS,
        engines=ENGINES,
    )
