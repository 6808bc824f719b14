"""The composition root: the only place where ledger, host and runner meet."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aq import __version__
from aq.core.instants import instant
from aq.ledger.clone import Clone
from aq.ledger.commits import Identity
from aq.ledger.gitproc import locate_clone
from aq.ledger.gitproc import run as run_git
from aq.ledger.ledger import Ledger
from aq.ledger.paths import QueuePaths
from aq.ledger.store import QueueConfig, Store, load_config

if TYPE_CHECKING:
    from aq.runner.runner import Runner


@dataclass(frozen=True, slots=True)
class Queue:
    """A clone and its queue, opened by one process."""

    paths: QueuePaths
    config: QueueConfig
    ledger: Ledger
    who: Identity
    clone: Clone


def person(clone: Path) -> Identity:
    """Who types: git's user name and mail, or the login name."""
    found = run_git(["config", "--get-regexp", r"^user\.(name|email)$"], cwd=clone).out.decode(
        "utf-8", "replace"
    )
    pairs = dict(line.split(" ", 1) for line in found.splitlines() if " " in line)
    login = os.environ.get("USER") or os.environ.get("USERNAME") or "someone"
    return Identity(pairs.get("user.name") or login, pairs.get("user.email", ""))


def _now() -> str:
    return instant(time.time())


@contextmanager
def open_queue(start: Path, *, role: str = "", who: Identity | None = None) -> Iterator[Queue]:
    """The queue of the clone that `start` is in. Raises AqError when there is none."""
    paths = locate_clone(start)
    config = load_config(paths)
    who = who or person(paths.clone)
    ledger = Ledger(Store(paths), config, who, role or f"cli-{os.getpid()}")
    try:
        clone = Clone(ledger, paths, who.name, _now)
        yield Queue(paths, config, ledger, who, clone)
        clone.intake.flush()
    finally:
        ledger.close()


@contextmanager
def open_runner(start: Path, host: str, slots: int | None, say: Callable[[str], None]) -> Iterator[Runner]:
    """This machine's runner for the clone's queue, holding the host's name. Raises AqError when the
    name is taken here."""
    from aq.host.bench import Bench
    from aq.host.clock import Clock, boot_id
    from aq.host.config import load_host_config
    from aq.host.memory import HostMemory
    from aq.host.probe import probe_engines, probe_offers
    from aq.ledger.beatwriter import BeatWriter
    from aq.ledger.clone import ResultSpool
    from aq.ledger.paths import host_state, state_home
    from aq.runner.runner import Runner
    from aq.runner.state import Me

    config = load_host_config(host, slots)
    who = Identity(f"aq {config.name}", f"{config.name}@hosts.aq.invalid")
    with open_queue(start, role=f"run-{config.name}", who=who) as queue:
        state = host_state(queue.config.url, queue.config.branch, config.name)
        memory = HostMemory(state)
        memory.lock(config.name)
        try:
            runner = Runner(
                me=Me(
                    config.name,
                    boot_id(),
                    secrets.token_hex(8),
                    config.slots,
                    probe_offers(config),
                    probe_engines(config),
                    __version__,
                    config.accepts,
                ),
                ledger=queue.ledger,
                bench=Bench(config, state, queue.paths.clone / "logs", (state_home(), queue.paths.common)),
                clock=Clock(),
                beat=BeatWriter(queue.ledger.committer, who, config.name, queue.config.beat_refs, state),
                spool=ResultSpool(state / "spool"),
                memory=memory,
                clone=queue.clone,
                say=say,
            )
            yield runner
        finally:
            with contextlib.suppress(OSError):
                memory.unlock()
