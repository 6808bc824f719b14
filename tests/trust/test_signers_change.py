"""Who may sign changes only by a commit of an admin of those who may: link by link."""

from __future__ import annotations

import pytest

from aq.core.layout import SIGNERS
from aq.core.operations import ChangeSigners
from aq.core.results import Refused
from aq.core.signers import Signers
from aq.ledger.ledger import Ledger
from aq.wiring import open_queue
from tests.support.fleet import Fleet, git, landed, op, perform
from tests.support.signing import ADMIN, HOST, PERSON, Ring
from tests.support.story import hand_write


def change(ledger: Ledger, signers: Signers, seen: str = "") -> ChangeSigners:
    return ChangeSigners(**op("root"), signers=signers, detail="rotate", seen=seen)


def rotated(ledger: Ledger) -> str:
    ledger.fetch()
    assert ledger.trust
    return ledger.trust.at(ledger.tip).rotated


def admins(ledger: Ledger) -> set[str]:
    ledger.fetch()
    assert ledger.trust
    signers = ledger.trust.at(ledger.tip).signers
    return {name for name in signers.names if ADMIN & signers.roles(name)}


@pytest.mark.attack("S4")
def test_five_rotations_of_which_one_is_bad_stop_at_the_bad_link_and_go_on_from_the_last_good_one(
    fleet: Fleet,
) -> None:
    fleet.audited = False
    ring = Ring(fleet, alice=PERSON)
    watcher = ring.ledger("alice")
    here, seen = ring.pins.signers, ""
    for before, name in (("root", "root-2"), ("root-2", "root-3")):
        here = here.with_key(name, ring.keys.public(name), ADMIN).without(before)
        seen = landed(perform(ring.ledger(before, before), change(watcher, here, seen))).commit
        assert admins(watcher) == {name}
    # An admin of yesterday, whose key was taken away.
    stolen = here.with_key("eve", ring.keys.public("eve"), ADMIN)
    bad = landed(perform(ring.reckless("root-2"), change(watcher, stolen, ""))).commit
    assert admins(watcher) == {"root-3"}
    assert rotated(watcher) == seen
    distrust = watcher.snapshot().distrust
    assert list(distrust.files) == [SIGNERS]
    assert f"commit {bad[:12]} is signed by a key that nobody here knows" in distrust.files[SIGNERS]
    # What builds on the bad link is as bad, and the next good one is not kept back.
    worse = landed(perform(ring.reckless("eve"), change(watcher, stolen.without("root-3"), ""))).commit
    assert watcher.trust
    assert admins(watcher) == {"root-3"}
    assert worse in watcher.trust.at(watcher.tip).flawed
    here = here.with_key("root-5", ring.keys.public("root-5"), ADMIN)
    landed(perform(ring.ledger("root-3", "root-3"), change(watcher, here, seen)))
    assert admins(watcher) == {"root-3", "root-5"}
    assert watcher.snapshot().distrust.files == {}


@pytest.mark.attack("S4")
def test_signers_that_nobody_could_read_or_change_again_are_not_taken(fleet: Fleet) -> None:
    fleet.audited = False
    ring = Ring(fleet)
    watcher = ring.ledger("root")
    clone = fleet.machine("desk").path
    ring.sign_plain_git(clone, "root")
    hand_write(clone, SIGNERS, "signers: {}\n")
    watcher.fetch()
    assert (
        "brings signers that are not valid: trust/signers.yaml:1: nobody has the role admin"
        in (watcher.snapshot().distrust.files[SIGNERS])
    )
    git(clone, "rm", "-q", SIGNERS)
    hand_write(clone, "README.md", "gone")
    assert admins(watcher) == {"root"}
    hand_write(clone, SIGNERS, ring.pins.signers.text())
    watcher.fetch()
    assert watcher.snapshot().distrust.files == {}


def test_a_host_that_was_let_in_later_is_obeyed_from_then_on(fleet: Fleet) -> None:
    ring = Ring(fleet, alice=PERSON)
    root, late = ring.ledger("root"), ring.ledger("late", "late")
    assert late.trust
    assert not late.trust.speaks_for("late", late.snapshot().tip)
    here = ring.pins.signers.with_key("late", ring.keys.public("late"), HOST)
    landed(perform(root, change(root, here)))
    late.fetch()
    assert late.trust.speaks_for("late", late.tip)
    again = perform(root, change(root, here.without("late"), seen=""))
    assert isinstance(again, Refused)
    assert "meanwhile" in again.refusal.reason


def test_a_person_who_was_let_in_a_moment_ago_has_their_name_at_once(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = Ring(fleet)
    desk = fleet.machine("desk")
    monkeypatch.setenv("AQ_HOST_CONFIG", str(ring.furnish(desk, person="bob")))
    with open_queue(desk.path) as queue:
        assert queue.who.name == "Alice", "git's name, while nobody knows the key"
    root = ring.ledger("root")
    here = ring.pins.signers.with_key("bob", ring.keys.public("bob"), PERSON)
    landed(perform(root, change(root, here)))
    with open_queue(desk.path) as queue:
        assert queue.who.name == "bob"
