"""The private store: made when missing, made anew when damaged, locked for ref updates."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aq.core.errors import AqError
from aq.core.sealed import sealed, unsealed
from aq.core.value import Value, as_dict
from aq.ledger.gitproc import check, run
from aq.ledger.packing import Packing
from aq.ledger.paths import QueuePaths, private_dir
from aq.ledger.space import space_for

# What `git config` would write, without a process for each line.
_CONFIG = """[gc]
    auto = 0
    packRefs = false
    pruneExpire = 2.weeks.ago
[maintenance]
    auto = false
[core]
    logAllRefUpdates = false
    hooksPath = /dev/null
    protectNTFS = true
    protectHFS = true
[fetch]
    writeCommitGraph = false
[transfer]
    fsckObjects = false
"""
_SYNC_EVERY = 10.0
SHA256_HEX = 64
_OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class QueueConfig(Value):
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
    """Replace a file so that a reader sees the old or the new content, never half. Raises DiskFullError."""
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with space_for(path.parent):
            private_dir(path.parent)
            with part.open("wb") as file:
                file.write(content)
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _oid_in(path: Path) -> str:
    """The object id that a file holds, or nothing: a damaged one names no history."""
    try:
        oid = path.read_bytes().strip().decode("ascii", "replace")
    except OSError:
        return ""
    return oid if _OID.fullmatch(oid) else ""


def load_config(paths: QueuePaths) -> QueueConfig:
    """The clone's queue. Raises AqError when there is none."""
    try:
        return QueueConfig(**unsealed(paths.config.read_bytes()))
    except FileNotFoundError:
        raise AqError(
            f"{paths.clone} has no aq queue", "run `aq init` here, or cd to a clone that has one"
        ) from None
    except (ValueError, TypeError):
        raise AqError(f"{paths.config} is damaged", "run `aq init` again: it keeps the queue") from None


def save_config(paths: QueuePaths, config: QueueConfig) -> None:
    """Remember the clone's queue."""
    write_atomic(paths.config, sealed(as_dict(config)), sync=True)


class Store:
    """The bare repository in the clone's git folder, and the last tip this clone has seen."""

    def __init__(self, paths: QueuePaths) -> None:
        self.paths = paths
        self.git_dir = paths.store
        self._synced = 0.0
        self.packing = Packing(self.git_dir)

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
            with space_for(making), (making / "config").open("a", encoding="utf-8") as file:
                file.write(_CONFIG)
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
        return b"sha256" in (self.git_dir / "config").read_bytes()

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
        return _oid_in(self._tip_file) or _oid_in(self._tip_ref)

    def older_tip(self) -> str:
        """The other note of it, which may be one push older: a witness when the first names no commit."""
        return _oid_in(self._tip_ref)

    @property
    def _tip_ref(self) -> Path:
        return self.git_dir / "refs" / "aq" / "tip"

    def save_tip(self, oid: str) -> None:
        """Remember a tip. A power cut may lose the last seconds: an older tip is as good a witness."""
        sync = time.monotonic() - self._synced > _SYNC_EVERY
        if sync:
            self._synced = time.monotonic()
        # The ref first: who dies in between sees the old tip, and writes both again.
        write_atomic(self._tip_ref, oid.encode() + b"\n")
        write_atomic(self._tip_file, oid.encode() + b"\n", sync=sync)
