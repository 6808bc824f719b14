"""A silent engine: its host says so in its beat, and stops it in the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runner.hosts import host, waiting_job
from tests.support.fleet import Fleet, add


def test_a_stalled_job_is_named_in_the_beat_until_its_engine_speaks(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = tmp_path / "host.yaml"
    settings.write_text("stall: 1s\n")
    monkeypatch.setenv("AQ_HOST_CONFIG", str(settings))
    you, gate = fleet.you.ledger(), tmp_path / "gate"
    add(you, "job", waiting_job(gate, after="while :; do echo on; sleep 0.1; done"))

    def stalled() -> tuple[str, ...] | None:
        you.fetch()
        beat = you.beats.get("ada", ("", None))[1]
        return beat.stalled if beat else None

    with host(fleet, monkeypatch) as ada:
        ada.until(lambda: stalled() == ("job",), what="the stall in the beat")
        gate.touch()
        ada.until(lambda: stalled() == (), what="the sign of life in the beat")
