"""The composition root: the only place where ledger, host and runner meet."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aq import __version__
from aq.core.errors import AqError, FrozenError, TryLaterError
from aq.core.instants import instant
from aq.core.value import Value, replace
from aq.host.place import TrustFiles
from aq.host.signed import signed_mode
from aq.ledger.clone import Clone
from aq.ledger.commits import Identity
from aq.ledger.gitproc import locate_clone
from aq.ledger.gitproc import run as run_git
from aq.ledger.ledger import Ledger
from aq.ledger.objects import MissingObjectError
from aq.ledger.paths import QueuePaths
from aq.ledger.store import QueueConfig, Store, load_config

if TYPE_CHECKING:
    from aq.ledger.trusting import Trust
    from aq.runner.runner import Runner


class Queue(Value):
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


def _trust(paths: QueuePaths, files: TrustFiles | None, *, host: bool) -> Trust | None:
    """What this machine trusts in a queue; None when it trusts whoever can push."""
    if files is None:
        return None
    from aq.ledger.trusting import Trust, load_pins

    return Trust(load_pins(files.pins), files.host if host else files.person, paths.home / "trust.json")


def _known_as(ledger: Ledger, trust: Trust) -> str:
    """The name of this machine's person, by the signers seen last or else by the newest."""
    for look in (False, True) if trust.public else ():
        with contextlib.suppress(MissingObjectError, TryLaterError, FrozenError):
            if look:
                ledger.fetch()
            if name := trust.name(ledger.tip):
                return name
    return ""


@contextmanager
def open_queue(
    start: Path,
    *,
    role: str = "",
    who: Identity | None = None,
    mode: Callable[[], TrustFiles | None] = signed_mode,
) -> Iterator[Queue]:
    """The queue of the clone that `start` is in. Raises AqError when there is none."""
    paths = locate_clone(start)
    config = load_config(paths)
    trust = _trust(paths, mode(), host=who is not None)
    asks, who = who is None, who or person(paths.clone)
    ledger = Ledger(Store(paths), config, who, role or f"cli-{os.getpid()}", trust=trust)
    try:
        if trust and asks:
            # Names count in approvals: a person has the one that the key is known by.
            who = ledger.who = replace(who, name=_known_as(ledger, trust) or who.name)
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


def require_host_key(runner: Runner) -> None:
    """A host whose key nobody knows would only be refused, job by job. Raises AqError."""
    ledger = runner.ledger
    trust = ledger.trust if isinstance(ledger, Ledger) else None
    if trust is None or trust.speaks_for(runner.me.host, ledger.tip):
        return
    raise AqError(
        f"the key {trust.key} is not that of a host {runner.me.host}",
        f"an admin lets it in: aq trust add {runner.me.host} '{trust.public}' --role host",
    )
