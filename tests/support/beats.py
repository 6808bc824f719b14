"""Beats of a host that a test writes itself, and what the hub has of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aq.ledger.beatwriter import BeatWriter
from aq.ledger.ledger import Ledger
from tests.support.fleet import Fleet, beat


def writer_of(ledger: Ledger, state: Path, host: str = "ada", **more: Any) -> BeatWriter:
    """A writer of beats with a state folder of its own."""
    made = BeatWriter(ledger.committer, ledger.who, host, ledger.config.beat_refs, state)
    made.compose = lambda: beat(host, **more)
    return made


def ref(fleet: Fleet, host: str = "ada") -> str:
    """The commit of a host's beat on the hub, or nothing. No hub of a test packs its refs."""
    path = fleet.hub / "refs" / "aq" / "hosts" / host
    return path.read_text().strip() if path.exists() else ""
