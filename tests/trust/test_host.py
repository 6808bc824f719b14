"""What a signed host does about work that others touch: it goes on, and it takes nothing from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aq.core.errors import AqError
from aq.core.lifecycle import Stage
from aq.core.operations import Cancel
from aq.wiring import require_host_key
from tests.runner.hosts import Host, engines, host, waiting_job
from tests.support.fleet import HELLO, Fleet, git, landed, op, perform
from tests.support.signing import HOST, PERSON, Ring
from tests.support.story import Story, hand_write


@pytest.fixture
def ring(fleet: Fleet) -> Ring:
    fleet.audited = False
    return Ring(fleet, alice=PERSON, ada=HOST)


@pytest.fixture
def ada(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    settings = ring.furnish(ring.fleet.machine("ada"), host="ada")
    monkeypatch.setenv("AQ_HOST_CONFIG", str(settings))
    with host(ring.fleet, monkeypatch) as made:
        yield made


def alice(ring: Ring) -> Story:
    return Story(ring.ledger("alice"), ring.fleet.hub)


def test_a_forged_cancel_stops_no_engine_and_the_result_lands_once_it_is_undone(
    ring: Ring, ada: Host, tmp_path: Path
) -> None:
    person = alice(ring)
    person.inbox("job", waiting_job(tmp_path / "gate", "verify: test -f done\n"))
    ada.until(lambda: engines(ring.fleet), what="the engine to run")
    eve = ring.fleet.machine("eve")
    landed(perform(eve.ledger(), Cancel(**op("alice"), job="job")))
    ada.until(lambda: ada.job("job") and ada.runner.ledger.snapshot().distrust.jobs.get("job"))
    ada.ticks(3)
    assert engines(ring.fleet), "the run goes on"
    (tmp_path / "gate").touch()
    ada.until(lambda: ada.heard("is not signed"), what="the landing to wait")
    git(eve.path, "pull", "-q", "--no-rebase")
    git(eve.path, "revert", "--no-edit", "HEAD")
    git(eve.path, "push", "-q", "origin", "HEAD:main")
    ada.clock.ahead += 61
    assert ada.reaches("job", Stage.TESTING).record.epoch == 1


@pytest.mark.attack("S1")
def test_a_strangers_job_waits_for_ever_and_everybody_elses_runs(
    ring: Ring, ada: Host, tmp_path: Path
) -> None:
    marker = tmp_path / "owned"
    eve = ring.fleet.machine("eve")
    hand_write(
        eve.path, "queue/inbox/evil.md", f"---\nengine: shell\nverify: touch {marker}\n---\ntouch {marker}\n"
    )
    hand_write(eve.path, "queue/aq.yaml", "cadence: local\ndefaults: {engine: none}\n")
    alice(ring).inbox("good", HELLO)
    ada.reaches("good", Stage.TESTING)
    assert not marker.exists()
    evil = ada.job("evil")
    assert evil
    assert (evil.stage, evil.record.epoch) == (Stage.INBOX, 0)
    assert "is not signed" in evil.problem


def test_a_host_whose_key_nobody_knows_says_so_and_how_it_is_let_in(
    ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ring.furnish(ring.fleet.machine("bob"), host="bob")
    monkeypatch.setenv("AQ_HOST_CONFIG", str(settings))
    with host(ring.fleet, monkeypatch, "bob") as made, pytest.raises(AqError) as error:
        require_host_key(made.runner)
    assert "is not that of a host bob" in error.value.what
    assert f"aq trust add bob '{ring.keys.public('bob')}' --role host" in error.value.hint


def test_keys_and_signers_are_hidden_from_what_a_job_starts(ring: Ring, ada: Host) -> None:
    from aq.host.config import load_host_config
    from aq.host.kit import own_settings

    hidden = own_settings(load_host_config())
    folder = ring.fleet.root / "ada.config"
    assert {folder / "host.yaml", folder / "trust", folder / "trust" / "host"} <= set(hidden)
    assert ada.runner.me.host == "ada"
