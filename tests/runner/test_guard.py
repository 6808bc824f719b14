"""Guarding: what running work does while its host cannot prove that it holds its leases (rule 7)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from aq.core.lifecycle import Stage
from aq.runner.decide import may_claim
from tests.host.targets import Target
from tests.runner.hosts import Host, engines, host, waiting_job
from tests.support.fleet import Fleet, add, wait_until
from tests.support.remotes import away

TTL = 600.0
CALM = f"cadence: {{preset: local, poll: 0.2s, beat: 0.5s, ttl: {TTL:.0f}s, grace: 30s, patience: 0.5s}}\n"


@pytest.fixture
def fleet(tmp_path: Path, hermetic_home: Path) -> Iterator[Fleet]:
    """A fleet whose time passes only when the test says so."""
    (hermetic_home / "host.yaml").write_text("stop-grace: 1s\n")
    made = Fleet(tmp_path / "fleet", CALM)
    yield made
    made.end()


@pytest.fixture
def ada(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with host(fleet, monkeypatch) as made:
        yield made


def begun(fleet: Fleet, ada: Host, gate: Path, front: str = "") -> None:
    add(fleet.you.ledger(), "job", waiting_job(gate, front))
    ada.until(lambda: engines(fleet), what="the engine to run")


def stands_still(fleet: Fleet) -> bool:
    # A shell whose new child was stopped before it ran its program waits for it: "disk sleep".
    found = set(engines(fleet))
    return psutil.STATUS_STOPPED in found and found <= {psutil.STATUS_STOPPED, psutil.STATUS_DISK_SLEEP}


def runs(fleet: Fleet) -> bool:
    found = engines(fleet)
    return bool(found) and psutil.STATUS_STOPPED not in found


def pass_time(ada: Host, share: float) -> None:
    """So much of the TTL goes by without a confirmed beat."""
    ada.clock.ahead += TTL * share
    ada.runner.tick(0.0)


def test_engines_stand_still_at_two_thirds_of_the_ttl_and_go_on_with_a_confirmed_beat(
    fleet: Fleet, ada: Host, tmp_path: Path
) -> None:
    begun(fleet, ada, tmp_path / "gate")
    with away(fleet.hub):
        pass_time(ada, 0.5)
        assert runs(fleet)
        assert not ada.runner.suspended
        pass_time(ada, 0.2)
        assert ada.runner.suspended
        wait_until(lambda: stands_still(fleet), 10, "the engine to stand still")
    ada.until(lambda: not ada.runner.suspended, what="a confirmed beat")
    wait_until(lambda: runs(fleet), 10, "the engine to go on")
    (tmp_path / "gate").touch()
    assert ada.reaches("job", Stage.REVIEW).record.epoch == 1
    assert ada.heard("engines suspended until the queue answers")
    assert ada.heard("beat confirmed: engines go on")


def test_ordinary_work_goes_on_after_the_ttl_and_a_lapsed_lease_that_nobody_took_still_lands(
    fleet: Fleet, ada: Host, tmp_path: Path
) -> None:
    begun(fleet, ada, tmp_path / "gate")
    with away(fleet.hub):
        pass_time(ada, 0.8)
        wait_until(lambda: stands_still(fleet), 10, "the engine to stand still")
        pass_time(ada, 0.4)
        wait_until(lambda: runs(fleet), 10, "the engine to go on")
        (tmp_path / "gate").touch()
        ada.until(lambda: ada.runner.pending, what="the result, while the hub is away")
    found = ada.reaches("job", Stage.REVIEW)
    assert (found.record.epoch, found.record.infra) == (1, 0)


@pytest.mark.parametrize(
    "front",
    ["lock: db\n", "on-partition: stop\n", "cwd: {repo}\nworkspace: in-place\n"],
    ids=["a lock", "on-partition: stop", "in place"],
)
def test_work_that_must_not_run_twice_stops_at_the_ttl_and_is_given_back(
    fleet: Fleet, ada: Host, tmp_path: Path, front: str, target: Target
) -> None:
    begun(fleet, ada, tmp_path / "gate", front.format(repo=tmp_path / "seed"))
    with away(fleet.hub):
        pass_time(ada, 0.8)
        wait_until(lambda: stands_still(fleet), 10, "the engine to stand still")
        pass_time(ada, 0.4)
        wait_until(lambda: not engines(fleet), 15, "the engine to end")
        assert ada.heard("job: stopped, its lease may have lapsed")
    (tmp_path / "gate").touch()
    found = ada.reaches("job", Stage.REVIEW)
    assert (found.record.epoch, found.record.infra, found.record.attempts) == (2, 1, 1)


def test_while_in_doubt_nothing_is_claimed(fleet: Fleet, ada: Host, tmp_path: Path) -> None:
    begun(fleet, ada, tmp_path / "gate")
    add(fleet.you.ledger(), "second")
    ada.runner.confirmed_at = ada.clock.boottime() - TTL * 0.7
    ada.runner.beat_due = ada.clock.boottime() + 60
    assert not may_claim(ada.runner)


def test_a_host_that_holds_nothing_has_nothing_to_suspend(ada: Host, fleet: Fleet) -> None:
    ada.until(lambda: ada.runner.confirmed_at is not None)
    with away(fleet.hub):
        pass_time(ada, 0.8)
    assert not ada.runner.suspended
    assert not ada.heard("suspended")


def test_a_fenced_run_is_stopped_and_its_lease_is_gone(fleet: Fleet, ada: Host, tmp_path: Path) -> None:
    begun(fleet, ada, tmp_path / "gate")
    fleet.you.aq("cancel", "job")
    ada.until(lambda: not ada.runner.held, what="the run to be forgotten")
    wait_until(lambda: not engines(fleet), 10, "the engine to end")
    assert ada.heard("job: lease lost, stopping its engine")
    assert fleet.events()[-1].startswith("cancel")
