"""The private store: made when missing, made anew when damaged, locked for ref updates."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from aq.core.errors import AqError
from aq.ledger.gitproc import check, run
from aq.ledger.paths import QueuePaths, private_dir

_CONFIG = {
    "gc.auto": "0",
    "gc.packRefs": "false",
    "gc.pruneExpire": "2.weeks.ago",
    "maintenance.auto": "false",
    "core.logAllRefUpdates": "false",
    "core.hooksPath": "/dev/null",
    "fetch.writeCommitGraph": "false",
    "core.protectNTFS": "true",
    "core.protectHFS": "true",
    "transfer.fsckObjects": "false",
}
_SYNC_EVERY = 10.0
SHA256_HEX = 64
# No git process of ours works that long on refs.
_STALE_LOCK = 300.0


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """What a clone's queue is: its remote, its branch, and where beats go."""

    url: str
    branch: str
    remote: str = "origin"
    beats: str = "refs"

    @property
    def beat_refs(self) -> str:
        """The folder of the hosts' refs on the hub."""
        return "refs/aq/hosts" if self.beats == "refs" else "refs/heads/aq-hosts"


def write_atomic(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Replace a file so that a reader sees the old or the new content, never half."""
    private_dir(path.parent)
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with part.open("wb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    os.replace(part, path)


def load_config(paths: QueuePaths) -> QueueConfig:
    """The clone's queue. Raises AqError when there is none."""
    try:
        return QueueConfig(**json.loads(paths.config.read_text("utf-8")))
    except FileNotFoundError:
        raise AqError(
            f"{paths.clone} has no aq queue", "run `aq init` here, or cd to a clone that has one"
        ) from None
    except (ValueError, TypeError):
        raise AqError(f"{paths.config} is damaged", "run `aq init` again: it keeps the queue") from None


def save_config(paths: QueuePaths, config: QueueConfig) -> None:
    """Remember the clone's queue."""
    write_atomic(paths.config, json.dumps(asdict(config), indent=1).encode() + b"\n", sync=True)


class Store:
    """The bare repository in the clone's git folder, and the last tip this clone has seen."""

    def __init__(self, paths: QueuePaths) -> None:
        self.paths = paths
        self.git_dir = paths.store
        self._synced = 0.0

    def ensure(self, object_format: str = "") -> None:
        """Make the store when it is not there, with the object format of the clone or a given one."""
        if not self._is_whole():
            object_format = object_format or self._clones_format()
            shutil.rmtree(self.git_dir, ignore_errors=True)
            private_dir(self.paths.home)
            making = self.git_dir.with_name(f"store.{os.getpid()}.new")
            shutil.rmtree(making, ignore_errors=True)
            check(
                [
                    "init",
                    "--quiet",
                    "--bare",
                    f"--object-format={object_format}",
                    "--initial-branch=unused",
                    str(making),
                ]
            )
            for name, value in _CONFIG.items():
                check(["--git-dir", str(making), "config", name, value])
            with contextlib.suppress(OSError):
                making.rename(self.git_dir)
            shutil.rmtree(making, ignore_errors=True)

    def _is_whole(self) -> bool:
        files, folders = ("HEAD", "config"), ("objects", "refs")
        here = [(self.git_dir / name).is_file() for name in files]
        return all([*here, *((self.git_dir / name).is_dir() for name in folders)])

    def _clones_format(self) -> str:
        found = run(["rev-parse", "--show-object-format"], cwd=self.paths.common)
        return found.out.decode().strip() if found.code == 0 else "sha1"

    @property
    def is_sha256(self) -> bool:
        """Whether object ids are SHA-256."""
        return "sha256" in (self.git_dir / "config").read_text()

    def clear_stale_locks(self) -> bool:
        """Remove the lock files that killed git processes left on refs. Whether there were any."""
        found = [*self.git_dir.glob("*.lock"), *(self.git_dir / "refs").rglob("*.lock")]
        stale = [path for path in found if time.time() - path.stat().st_mtime > _STALE_LOCK]
        for path in stale:
            path.unlink(missing_ok=True)
        return bool(stale)

    def discard(self) -> None:
        """Delete the store: it is a cache, and the next fetch fills it again (git.md, rule 10)."""
        doomed = self.git_dir.with_name(f"store.{os.getpid()}.old")
        with contextlib.suppress(OSError):
            self.git_dir.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store's lock. Never around a network call."""
        from filelock import FileLock  # slow to import, and reading commands never need it

        private_dir(self.paths.home)
        with FileLock(str(self.paths.lock), timeout=30):
            yield

    @property
    def _tip_file(self) -> Path:
        return self.paths.home / "tip"

    def seen_tip(self) -> str:
        """The last tip that any process of this clone accepted, or nothing."""
        try:
            oid = self._tip_file.read_text().strip()
        except OSError:
            return ""
        return oid if len(oid) in (40, SHA256_HEX) else ""

    def save_tip(self, oid: str) -> None:
        """Remember a tip. A power cut may lose the last seconds: an older tip is as good a witness."""
        sync = time.monotonic() - self._synced > _SYNC_EVERY
        if sync:
            self._synced = time.monotonic()
        write_atomic(self._tip_file, oid.encode() + b"\n", sync=sync)
        write_atomic(self.git_dir / "refs" / "aq" / "tip", oid.encode() + b"\n")
