"""A job whose budget is spent waits for a person with its work kept, and goes on from there with more."""

from __future__ import annotations

from pathlib import Path

import pytest

from aq.core.lifecycle import Stage
from tests.host.targets import make_target
from tests.runner.hosts import host
from tests.support.audit import audit
from tests.support.fleet import Fleet

# The first run leaves half of its work and hangs; the next one finds that half.
HALF = """---
engine: shell
repo: app
budget: {wall: 1s}
verify: grep -q more half
---
if [ -e half ]; then echo more >> half; else echo half > half; sleep 60; fi
"""


def test_a_run_that_its_budget_stopped_goes_on_with_more_from_the_branch_that_it_left(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    target = make_target(tmp_path)
    config = tmp_path / "host.yaml"
    config.write_text(f"repos: {{app: '{target.url}'}}\nstop-grace: 1s\n")
    monkeypatch.setenv("AQ_HOST_CONFIG", str(config))
    fleet.you.drop("x", HALF)
    with host(fleet, monkeypatch) as ada:
        fleet.you.aq("status")
        held = ada.until(lambda: (found := ada.job("x")) and found.record.hold and found, what="a hold")
        assert (held.stage, held.record.runs[-1].outcome) == (Stage.INBOX, "budget")
        assert target.show("aq/x/1:half") == "half"
        assert "aq resume x --budget" in fleet.you.aq("resume", "x", ok=False).stderr
        fleet.you.aq("resume", "x", "--budget", "wall=1h")
        done = ada.reaches("x", Stage.TESTING)
    assert target.show("aq/x/2:half") == "half\nmore"
    assert (done.record.submission, done.record.attempts, done.manifest.budget.wall) == (2, 1, 3600.0)
    ops = ["add", "claim", "fail", "resume-job", "claim", "land", "verified"]
    assert audit(fleet.hub).of("x") == ops
