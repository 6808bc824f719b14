"""One host breaks whatever it touches: it stops touching before it has spoilt the queue."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aq.core.health import LIMIT
from aq.core.lifecycle import Stage
from tests.e2e.policy import Board, make_agent, submit
from tests.support.audit import audit
from tests.support.fleet import Fleet, wait_until

FULL = os.environ.get("AQ_FULL") == "1"
JOB = "---\nengine: mytool\nverify: test -f done\nretry: {max: 1, backoff: 0s}\n---\nDo it.\n"


def _one_broken_one_good(fleet: Fleet, folder: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    jobs = [f"job-{number:03}" for number in range(count)]
    board = Board(fleet)
    submit(fleet, dict.fromkeys(jobs, JOB))
    make_agent(folder / "broken", "exit 1").used(monkeypatch)
    hosts = [fleet.start("broken", "--slots", "4")]
    wait_until(lambda: any(line.startswith("claim ") for line in fleet.events()), what="a claim")
    make_agent(folder / "good", "touch done").used(monkeypatch)
    hosts.append(fleet.start("good", "--slots", "4"))
    ends = (Stage.TESTING, Stage.DEAD_LETTER)
    wait_until(
        lambda: sum(len(board.settled(end)) for end in ends) == count, 60 + 5 * count, "every job to end"
    )
    assert [host.poll() for host in hosts] == [None, None]
    seen = audit(fleet.hub)
    touched = {event.job for event in seen.events if event.op == "claim" and event.host == "broken"}
    assert 0 < len(touched) <= LIMIT == 3
    assert set(seen.stages().values()) == {Stage.TESTING}, "none was lost to the broken host"
    assert "3 jobs in a row went bad here" in fleet.you.aq("hosts").stdout + fleet.machine("broken").log


def test_a_broken_host_touches_three_jobs_and_rests_while_a_good_one_does_them_all(
    policy_fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _one_broken_one_good(policy_fleet, tmp_path, monkeypatch, 20)


@pytest.mark.slow
@pytest.mark.skipif(not FULL, reason="full size runs with AQ_FULL=1")
@pytest.mark.timeout(1200)
def test_of_a_hundred_jobs_a_broken_host_touches_three(
    policy_fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _one_broken_one_good(policy_fleet, tmp_path, monkeypatch, 100)
