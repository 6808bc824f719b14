"""A critical job takes the slot of a low one, on a real host: stopped, kept, given back, and gone on with."""

from __future__ import annotations

from pathlib import Path

import pytest

from aq.core.job import Job
from aq.core.lifecycle import Stage
from tests.host.targets import Target
from tests.runner.hosts import Host, engines, host, waiting_job
from tests.support.fleet import Fleet, add, git

LOW = "priority: low\n"
URGENT = "---\nengine: shell\npriority: critical\n---\ntouch done\n"


@pytest.fixture(autouse=True)
def known_target(hermetic_home: Path, target: Target) -> None:
    """Every host knows the target repository."""
    (hermetic_home / "host.yaml").write_text(f"repos: {{target: {target.url}}}\nstop-grace: 1s\n")


def given_back(ada: Host, name: str) -> Job | None:
    found = ada.job(name)
    return found if found and found.record.preempted else None


def test_the_low_run_is_stopped_kept_and_gone_on_with_after_the_critical_one(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, target: Target, tmp_path: Path
) -> None:
    with host(fleet, monkeypatch, slots=1) as ada:
        you, gate = fleet.you.ledger(), tmp_path / "gate"
        script = f"[ -e half ] && exec cp half whole\necho 1 > half\n{waiting_job(gate).split('---')[2]}"
        add(you, "job", f"---\nengine: shell\nrepo: target\n{LOW}---\n{script}\n")
        ada.until(lambda: list((tmp_path / "fleet").rglob("half")), what="work of the low job")
        add(you, "urgent", URGENT)
        left = ada.until(lambda: given_back(ada, "job"), what="the low job given back")
        run = left.record.runs[-1]
        assert (run.outcome, run.reason) == ("preempted", "preempted for urgent")
        assert (left.record.attempts, left.record.infra) == (0, 0)
        assert target.show(f"{run.branch}:half") == "1"
        assert ada.heard("job: stopped, the critical urgent takes its slot")
        ada.reaches("urgent", Stage.REVIEW)
        done = ada.reaches("job", Stage.REVIEW)
    assert (done.record.epoch, done.record.attempts, done.record.preempted) == (2, 1, 1)
    assert target.show(f"{done.record.branch}:whole") == "1"
    assert git(target.bare, "rev-parse", f"{done.record.tip}~") == target.tip()
    order = [line.split(" ")[:2] for line in fleet.events() if line.startswith(("claim ", "preempt "))]
    assert order == [["claim", "job"], ["preempt", "job"], ["claim", "urgent"], ["claim", "job"]]


def test_a_host_that_must_refuse_the_critical_job_stops_nobody_for_it(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with host(fleet, monkeypatch, slots=1) as ada:
        you = fleet.you.ledger()
        add(you, "job", waiting_job(tmp_path / "gate", LOW))
        ada.until(lambda: engines(fleet), what="the engine")
        add(you, "urgent", URGENT.replace("priority", f"cwd: {tmp_path}/nowhere\npriority"))
        ada.until(lambda: "urgent" in ada.runner.refuses, what="the refusal")
        ada.ticks(5)
        assert not ada.heard("stopped")
        (tmp_path / "gate").touch()
        ada.reaches("job", Stage.REVIEW)
