"""Rule 5: the queue branch and a beat are pushed together, and neither is held back by the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from aq.core.results import Waiting
from tests.support.beats import ref, writer_of
from tests.support.fleet import Fleet, add, claim_of, git, landed
from tests.support.remotes import (
    Pushes,
    decline_refs,
    fetches_fail,
    hook,
    lose_every_race,
    served,
)


def test_a_beat_rides_on_a_queue_push(fleet: Fleet, tmp_path: Path) -> None:
    ada = fleet.machine("ada").ledger()
    landed(add(ada, "one"))
    pushes = Pushes(fleet.hub)
    writer = writer_of(ada, tmp_path)
    ada.perform([claim_of("one", "ada")], writer)
    assert [set(push) for push in pushes.all()] == [{"refs/heads/main", "refs/aq/hosts/ada"}]
    assert writer.confirmed


def test_a_declined_beat_does_not_hold_back_the_queue_push_it_rides_on(fleet: Fleet, tmp_path: Path) -> None:
    ada = fleet.machine("ada").ledger()
    landed(add(ada, "one"))
    decline_refs(fleet.hub, "refs/aq/hosts/")
    writer = writer_of(ada, tmp_path)
    (result,) = ada.perform([claim_of("one", "ada")], writer)
    landed(result)
    assert not writer.confirmed


def test_a_lost_race_sends_none_of_the_history_again(fleet: Fleet, tmp_path: Path) -> None:
    ada, bob = fleet.machine("ada").ledger(), fleet.machine("bob").ledger()
    for n in range(12):
        landed(add(ada, f"old-{n}"))
    bob.fetch()
    landed(add(ada, "new"))
    git(fleet.hub, "config", "receive.unpackLimit", "1")
    history, before = int(git(fleet.hub, "rev-list", "--objects", "--count", "main")), arrived(fleet)
    writer = writer_of(bob, tmp_path, "bob")
    landed(*bob.perform([claim_of("old-0", "bob")], writer))
    assert writer.confirmed
    assert bob.pusher.lost == 1
    assert arrived(fleet) - before < history / 3


def arrived(fleet: Fleet) -> int:
    """The objects that came in packs, those that were there before included."""
    found = dict(line.split(": ") for line in git(fleet.hub, "count-objects", "-v").splitlines())
    return int(found["in-pack"])


def test_a_beat_arrives_though_every_race_is_lost(fleet: Fleet, tmp_path: Path) -> None:
    ada = fleet.machine("ada").ledger()
    landed(add(ada, "one"))
    lose_every_race(fleet.hub)
    writer = writer_of(ada, tmp_path)
    (result,) = ada.perform([claim_of("one", "ada")], writer, 0.5)
    assert isinstance(result, Waiting)
    assert ada.pusher.lost > 0
    assert writer.confirmed
    assert ref(fleet) == writer.last


@pytest.mark.parametrize("alone", [False, True], ids=["the beat's ref cannot be", "no atomic pushes"])
def test_the_queue_push_lands_where_the_two_cannot_go_together(
    fleet: Fleet, tmp_path: Path, alone: bool
) -> None:
    ada = fleet.machine("ada").ledger()
    landed(add(ada, "one"))
    writer = writer_of(ada, tmp_path)
    if alone:
        git(fleet.hub, "config", "receive.advertiseAtomic", "false")
    else:
        git(fleet.hub, "update-ref", "refs/aq/hosts/ada/below", "main")
    landed(*ada.perform([claim_of("one", "ada")], writer, 0.0))
    assert writer.confirmed == alone


def test_a_beat_arrives_though_nothing_can_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path / "served", monkeypatch) as (fleet, _):
        ada, bob = fleet.machine("ada").ledger(), fleet.machine("bob").ledger()
        landed(add(ada, "one"))
        bob.fetch()
        landed(add(ada, "two"))
        writer = writer_of(bob, tmp_path, "bob")
        with fetches_fail(tmp_path / "served"):
            (result,) = bob.perform([claim_of("one", "bob")], writer)
        assert isinstance(result, Waiting)
        assert writer.confirmed


def test_a_beat_arrives_though_the_outcome_of_a_push_stays_unknown(fleet: Fleet, tmp_path: Path) -> None:
    ada = fleet.machine("ada").ledger()
    landed(add(ada, "one"))
    hook(fleet.hub, "reference-transaction", "[ $1 != prepared ] || ! grep -q refs/heads/main")
    writer = writer_of(ada, tmp_path)
    (result,) = ada.perform([claim_of("one", "ada")], writer)
    assert isinstance(result, Waiting)
    assert ada.pusher.unsettled
    assert writer.confirmed


def test_a_beat_does_not_wait_for_what_the_remote_declines(fleet: Fleet, tmp_path: Path) -> None:
    ada = fleet.machine("ada").ledger()
    for name in ("one", "two"):
        landed(add(ada, name))
    decline_refs(fleet.hub, "refs/heads/main")
    offered = Pushes(fleet.hub, "pre-receive")
    writer = writer_of(ada, tmp_path)
    results = ada.perform([claim_of("one", "ada"), claim_of("two", "ada")], writer)
    assert all(isinstance(result, Waiting) for result in results)
    assert writer.confirmed
    assert [set(push) for push in offered.all()[:3]] == [
        {"refs/heads/main", "refs/aq/hosts/ada"},
        {"refs/aq/hosts/ada"},
        {"refs/heads/main"},
    ]
