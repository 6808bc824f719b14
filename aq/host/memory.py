"""What a host remembers in its state folder: the lock on its name, the nonces of its claims, its
observations, and the runs that an earlier process left."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from aq.core.errors import AqError
from aq.core.fleet import Cooling
from aq.core.health import Breaker
from aq.core.sealed import summed, unsummed
from aq.core.value import replace
from aq.core.values import plain, revive
from aq.host.clock import boot_id
from aq.host.rundir import RunDir, leftover_runs
from aq.host.tree import alive, sweep

_KEPT_NONCES = 500
_Evidence = Mapping[str, tuple[str, float, float]]


class HostMemory:
    """One host's state folder."""

    def __init__(self, state: Path) -> None:
        self.state = state
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = FileLock(str(state / "lock"))
        self._nonces = self._read("nonces.json", [])

    def lock(self, host: str) -> None:
        """Hold the host's name on this machine. Raises AqError when another process does."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise AqError(
                f"`aq run` is already running here as host {host}",
                "stop that one, or give this one another name with --host",
            ) from None
        (self.state / "pid").write_text(str(os.getpid()), encoding="utf-8")

    def unlock(self) -> None:
        """Let the name go."""
        (self.state / "pid").unlink(missing_ok=True)
        self._lock.release()

    def _read(self, name: str, default: list[str]) -> list[str]:
        try:
            found = self._load(name)
        except (OSError, ValueError):
            return list(default)
        return [str(item) for item in found] if isinstance(found, list) else list(default)

    def _load(self, name: str) -> Any:
        """Raises OSError, or ValueError for what nobody wrote so: a flipped bit of an observation would be
        hours of silence."""
        return json.loads(unsummed((self.state / name).read_text("utf-8")))

    def _write(self, name: str, value: object) -> None:
        part = self.state / f".{name}.tmp"
        part.write_text(summed(json.dumps(value)), encoding="utf-8")
        os.replace(part, self.state / name)

    def nonces(self) -> frozenset[str]:
        """The nonces of claims that this host may have made."""
        return frozenset(self._nonces)

    def add_nonce(self, nonce: str) -> None:
        """Remember a nonce before its claim is pushed."""
        self._nonces = [*self._nonces[-_KEPT_NONCES:], nonce]
        self._write("nonces.json", self._nonces)

    def load_evidence(self) -> _Evidence:
        """Observations of an earlier process, if they are of this boot: the clock restarts with it."""
        try:
            saved = self._load("observations.json")
            if saved["boot"] != boot_id():
                return {}
            return {
                str(key): (str(token), float(since), float(last))
                for key, (token, since, last) in saved["leases"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def save_evidence(self, evidence: _Evidence) -> None:
        """Keep observations."""
        self._write(
            "observations.json",
            {"boot": boot_id(), "leases": {key: list(value) for key, value in evidence.items()}},
        )

    def load_cooling(self) -> dict[str, Cooling]:
        """The engines that failed lately, and until when they rest."""
        try:
            saved = self._load("cooling.json")
            return {str(engine): revive(Cooling, data) for engine, data in saved.items()}
        except (OSError, ValueError, TypeError, AttributeError, AqError):
            return {}

    def save_cooling(self, cooling: Mapping[str, Cooling]) -> None:
        """Keep them."""
        self._write("cooling.json", plain(dict(cooling)))

    def load_breaker(self) -> Breaker:
        """What went bad here lately; times are on the wall's clock."""
        try:
            found = revive(Breaker, self._load("breaker.json"))
            return replace(found, until=float(found.until), rests=int(found.rests), why=str(found.why))
        except (OSError, ValueError, TypeError, AttributeError, OverflowError):
            return Breaker()

    def save_breaker(self, breaker: Breaker) -> None:
        """Keep it."""
        self._write("breaker.json", plain(breaker))

    def orphans(self) -> Iterable[str]:
        """End what an earlier process of this host left running; the nonces of those runs. Only ever
        called while the lock is held, so nothing that lives is ours."""
        root = self.state / "runs"
        for note in leftover_runs(root):
            sweep(note.run_id)
            if not (note.pid and alive(note.pid, note.started)):
                RunDir(root, note.job, note.epoch).finish()
                yield note.nonce
