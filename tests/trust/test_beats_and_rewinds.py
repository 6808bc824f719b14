"""What is said outside the queue's line: beats, and the word that thaws hosts after a rewind."""

from __future__ import annotations

import pytest

from aq.core.errors import FrozenError
from aq.core.operations import AcceptRewind
from aq.ledger.beatwriter import BeatWriter
from aq.ledger.ledger import Ledger
from tests.support.fleet import Fleet, beat, git, landed, op, perform
from tests.support.signing import HOST, PERSON, Ring
from tests.support.story import Story


@pytest.fixture
def ring(fleet: Fleet) -> Ring:
    fleet.audited = False
    return Ring(fleet, alice=PERSON, ada=HOST, bob=HOST)


def say_beat(ledger: Ledger, host: str, fleet: Fleet) -> None:
    """A beat of this host, signed by whom the ledger signs as."""
    writer = BeatWriter(
        ledger.committer, ledger.who, host, ledger.config.beat_refs, fleet.root / f"beat-{host}"
    )
    writer.compose = lambda: beat(host)
    ledger.perform([], writer)


@pytest.mark.attack("S3")
def test_a_beat_counts_when_its_own_host_signed_it(ring: Ring) -> None:
    say_beat(ring.ledger("ada"), "ada", ring.fleet)
    say_beat(ring.reckless("ada"), "bob", ring.fleet)
    say_beat(ring.reckless("alice"), "alice", ring.fleet)
    say_beat(ring.fleet.machine("eve").ledger(), "eve", ring.fleet)
    watcher = ring.ledger("alice", "desk")
    watcher.fetch()
    assert set(watcher.beats) == {"ada"}


@pytest.mark.parametrize(("signer", "thaws"), [("", False), ("alice", False), ("root", True)])
def test_only_an_admin_thaws_a_signed_host_after_a_rewind(ring: Ring, signer: str, thaws: bool) -> None:
    alice = Story(ring.ledger("alice"), ring.fleet.hub)
    old = ring.fleet.tip()
    alice.do(alice.add_of("x"))
    lost = ring.fleet.tip()
    git(ring.fleet.hub, "update-ref", "refs/heads/main", old)
    with pytest.raises(FrozenError):
        alice.ledger.fetch()
    machine = ring.fleet.machine("eve")
    acting = ring.reckless(signer) if signer else machine.ledger()
    landed(perform(acting, AcceptRewind(**op("eve"), old=lost, new=old)))
    if thaws:
        alice.ledger.fetch()
        assert not alice.snapshot.known("x")
    else:
        with pytest.raises(FrozenError):
            alice.ledger.fetch()
