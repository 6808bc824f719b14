"""`review-policy: auto`: one live host ships what its policy lets it, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from aq.core.lifecycle import Stage
from aq.core.operations import Approve, AutoShip, PauseFleet, ResumeFleet
from aq.core.planning.choose import elected
from tests.host.targets import Target
from tests.runner.hosts import Host, host, waiting_job
from tests.support.fleet import FAST, Fleet, add, landed, op, perform
from tests.support.story import hand_write


@pytest.fixture(autouse=True)
def known_target(hermetic_home: Path, target: Target) -> None:
    """Every host knows the target repository."""
    (hermetic_home / "host.yaml").write_text(f"repos: {{target: {target.url}}}\nstop-grace: 1s\n")


WORK = "---\nengine: shell\nrepo: target\nverify: test -f new\nreview-policy: auto\n---\necho x > new\n"


def shipped(ada: Host, name: str) -> bool:
    return name in ada.runner.ledger.snapshot().archive


def test_two_hosts_ship_a_job_once_and_only_after_its_approval(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_write(fleet.you.path, "queue/aq.yaml", f"{FAST}trust: {{approvers: 1}}\n")
    you = fleet.you.ledger()
    with host(fleet, monkeypatch) as ada, host(fleet, monkeypatch, "bob") as bob:
        add(you, "job", WORK)

        def tested() -> bool:
            bob.runner.tick(0.0)
            found = ada.job("job")
            return bool(found and found.stage is Stage.TESTING)

        ada.until(tested, what="the verdict")
        landed(perform(you, PauseFleet(**op(), why="a look")))
        landed(perform(you, Approve(**op("alice"), job="job")))
        for _ in range(3):
            ada.ticks(1)
            bob.ticks(1)
        assert not shipped(ada, "job"), "nothing is shipped by a host while the queue is paused"
        landed(perform(you, ResumeFleet(**op())))

        def both() -> bool:
            bob.runner.tick(0.0)
            return shipped(ada, "job") and shipped(bob, "job")

        ada.until(both, what="the ship")
        asked = [one for one in (ada, bob) if one.heard("job: shipped by its review-policy")]
        assert len(asked) == 1
        assert not [
            op for one in (ada, bob) for op in one.runner.pending.values() if isinstance(op, AutoShip)
        ]
    assert len([line for line in fleet.events() if line.startswith("ship job")]) == 1


def test_a_host_that_finishes_its_last_run_leaves_shipping_to_the_others(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bobs = next(f"job{n}" for n in range(99) if elected(["ada", "bob"], f"job{n}") == "bob")
    with host(fleet, monkeypatch) as ada, host(fleet, monkeypatch, "bob") as bob:
        bob.until(lambda: bob.runner.confirmed_at is not None)
        you = fleet.you.ledger()
        add(you, "long", waiting_job(tmp_path / "gate", 'capabilities: ["host:bob"]\n'))
        bob.until(lambda: bob.runner.held, what="a claim")
        bob.runner.stop()
        add(you, bobs, WORK)

        def done() -> bool:
            bob.ticks(1)
            return shipped(ada, bobs)

        ada.until(done, what="the ship")
        assert bob.runner.held
        assert ada.heard(f"{bobs}: shipped by its review-policy")
