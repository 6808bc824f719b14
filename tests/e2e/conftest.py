"""Commands as users start them, and a fleet for tests of what it decides: nobody is given up in it, however
busy the machine is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fleet import Fleet, Machine

CALM = "cadence: {preset: local, poll: 0.5s, beat: 2s, ttl: 90s, grace: 5s, patience: 1s}\n"


@pytest.fixture(autouse=True)
def from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """End to end is from the start of the program."""
    monkeypatch.setattr(Machine, "cold", True)


@pytest.fixture
def settings() -> str:
    """More of `queue/aq.yaml`, for a test that gives it."""
    return ""


@pytest.fixture
def policy_fleet(tmp_path: Path, hermetic_home: Path, settings: str) -> Iterator[Fleet]:
    """A hub whose settings leave leases alone."""
    made = Fleet(tmp_path / "fleet", CALM + settings)
    yield made
    made.end()
