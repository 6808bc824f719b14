"""Beats of a host that a test writes itself, and what the hub has of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aq.ledger.beatwriter import BeatWriter
from aq.ledger.ledger import Ledger
from tests.support.fleet import Fleet, beat, git


def writer_of(ledger: Ledger, state: Path, host: str = "ada", **more: Any) -> BeatWriter:
    """A writer of beats with a state folder of its own."""
    made = BeatWriter(ledger.committer, ledger.who, host, ledger.config.beat_refs, state)
    made.compose = lambda: beat(host, **more)
    return made


def ref(fleet: Fleet, host: str = "ada") -> str:
    return git(fleet.hub, "rev-parse", "--verify", "--quiet", f"refs/aq/hosts/{host}", ok=False)
