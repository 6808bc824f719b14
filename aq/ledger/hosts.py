"""The hosts that this clone heard of last, kept for commands that do not ask the remote."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

from aq.core.errors import AqError
from aq.core.fleet import Beat
from aq.core.sealed import summed, unsummed
from aq.core.values import plain, revive
from aq.ledger.store import write_atomic


def save_hosts(path: Path, beats: Mapping[str, tuple[str, Beat]]) -> None:
    """Write them down. Losing them costs a warning."""
    found = {host: {"oid": oid, "beat": plain(beat)} for host, (oid, beat) in beats.items()}
    with contextlib.suppress(OSError):
        write_atomic(path, summed(json.dumps(found)).encode())


def load_hosts(path: Path) -> dict[str, tuple[str, Beat]]:
    """What was written down, or nothing."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError, AqError):
        saved = json.loads(unsummed(path.read_text("utf-8")))
        return {host: (each["oid"], revive(Beat, each["beat"])) for host, each in saved.items()}
    return {}
