"""Where aq keeps its things: the store beside the clone's git folder, and a host's state folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from aq.core.ids import slug
from aq.core.value import Value


def state_home() -> Path:
    """The user's state folder for aq; `AQ_STATE_DIR` overrides it."""
    override = os.environ.get("AQ_STATE_DIR")
    if override:
        return Path(override)
    from platformdirs import user_state_path

    return user_state_path("aq", appauthor=False)


def private_dir(path: Path) -> Path:
    """The folder, made for this user only."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


class QueuePaths(Value):
    """The folders that belong to one clone."""

    clone: Path
    common: Path

    @property
    def home(self) -> Path:
        """Everything of ours inside the clone's git folder."""
        return self.common / "aq"

    @property
    def store(self) -> Path:
        """The private bare repository: a cache."""
        return self.home / "store.git"

    @property
    def hub(self) -> Path:
        """The local hub that plain `aq init` makes."""
        return self.home / "hub.git"

    @property
    def spool(self) -> Path:
        """What is not in the queue yet, and must not be lost."""
        return self.home / "spool"

    @property
    def config(self) -> Path:
        """Which remote and branch this clone's queue has."""
        return self.home / "queue.json"

    @property
    def lock(self) -> Path:
        """Guards ref updates, never a network call."""
        return self.home / "lock"


def queue_key(url: str, branch: str) -> str:
    """A folder name for one queue: readable, and different for different hubs."""
    digest = hashlib.sha256(f"{url} {branch}".encode()).hexdigest()[:10]
    return f"{slug(url.rstrip('/').removesuffix('.git').rsplit('/', 1)[-1], 30)}-{digest}"


def host_state(url: str, branch: str, host: str) -> Path:
    """The state folder of one host in one queue."""
    return state_home() / "hosts" / queue_key(url, branch) / host
