"""An edit names what it was made from: of two people who edit one job, none overwrites the other unseen."""

from __future__ import annotations

import json

import pytest

from aq.core.ids import keyed_id
from aq.core.operations import Revise
from aq.ledger.spool import Spooled
from tests.ledger.test_intake import OTHER, clone_of, inbox, submit
from tests.support.fleet import HELLO, Fleet, Machine, git
from tests.support.story import story

MINE = HELLO + "echo mine\n"
LAST = HELLO + "echo last\n"
KEYED = "---\nengine: shell\nidempotency-key: nightly\n---\n{body}\n"


def content(fleet: Fleet, job: str = "x") -> str:
    return git(fleet.hub, "show", f"main:queue/inbox/{job}.md") + "\n"


@pytest.fixture
def bob(fleet: Fleet) -> Machine:
    """Two clones that show one waiting job, and bob's stays there while you revise it."""
    fleet.you.drop("x")
    submit(clone_of(fleet.you))
    bob = fleet.machine("bob")
    submit(clone_of(bob, "bob"))
    submit(clone_of(fleet.you))
    fleet.you.drop("x", OTHER)
    submit(clone_of(fleet.you))
    assert content(fleet) == OTHER
    return bob


def test_an_edit_of_what_somebody_revised_meanwhile_is_not_taken_in_and_stays(
    fleet: Fleet, bob: Machine
) -> None:
    mine = bob.drop("x", MINE)
    for clone in (clone_of(bob, "bob"), clone_of(bob, "bob")):
        said = submit(clone)
        assert any("not taken in" in line and "somebody revised x meanwhile" in line for line in said)
        assert not list(clone.spool.entries())
        assert any("somebody revised x meanwhile" in note.why for note in clone.not_taken)
    shown = bob.aq("status")
    assert "not taken in: queue/inbox/x.md: somebody revised x meanwhile" in shown.stdout
    assert content(fleet) == OTHER
    assert mine.read_text() == MINE


def test_a_refused_edit_does_not_come_through_on_a_later_tip(fleet: Fleet, bob: Machine) -> None:
    bob.drop("x", MINE)
    clone = clone_of(bob, "bob")
    submit(clone)
    story(fleet, "ada").inbox("y")
    submit(clone)
    assert content(fleet) == OTHER
    assert len(list(fleet.snapshot().jobs())) == 2, "nor as another job"


def test_a_refused_edit_of_a_file_that_the_view_does_not_show_yet_becomes_no_other_job(fleet: Fleet) -> None:
    clone = clone_of(fleet.you)
    clone.intake.ledger.fetch()

    def save(text: str) -> None:
        fleet.you.drop("x", text)
        clone.take_in()
        for result in clone.intake.ledger.perform(clone.submissions()):
            clone.submitted(result)

    save(HELLO)
    tale = story(fleet, "ada")
    tale.ledger.fetch()
    tale.do(tale.revise_of("x", OTHER))
    for name in ("y", "z"):
        save(MINE)
        tale.inbox(name)
        clone.intake.ledger.fetch()
    assert content(fleet) == OTHER
    assert sorted(job.id for job in fleet.snapshot().jobs()) == ["x", "y", "z"]


def test_who_pulls_and_saves_again_is_heard(fleet: Fleet, bob: Machine) -> None:
    mine = bob.drop("x", MINE)
    submit(clone_of(bob, "bob"))
    mine.unlink()
    git(bob.path, "pull", "--quiet")
    assert mine.read_text() == OTHER
    bob.drop("x", MINE)
    submit(clone_of(bob, "bob"))
    assert content(fleet) == MINE


def test_an_edit_of_an_edit_that_the_view_does_not_show_yet_is_taken_in(fleet: Fleet) -> None:
    fleet.you.drop("x")
    submit(clone_of(fleet.you))
    for text in (OTHER, MINE, LAST):
        clone = clone_of(fleet.you)
        clone.intake.ledger.fetch()
        fleet.you.drop("x", text)
        clone.take_in()
        for result in clone.intake.ledger.perform(clone.submissions()):
            clone.submitted(result)
        assert content(fleet) == text


def test_an_edit_after_a_crash_before_the_copy_was_noted_is_based_on_the_copy(fleet: Fleet) -> None:
    fleet.you.drop("x")
    submit(clone_of(fleet.you))
    fleet.you.drop("x", OTHER)
    dying = clone_of(fleet.you)
    dying.take_in()
    dying.intake.state.unlink()
    clone = clone_of(fleet.you)
    fleet.you.drop("x", MINE)
    clone.take_in()
    base = {entry.operation.base for entry in clone.spool.entries() if isinstance(entry.operation, Revise)}
    assert clone.intake.ledger.write_blob(OTHER.encode()) in base


def test_an_edit_of_what_the_view_brought_is_taken_in(fleet: Fleet, bob: Machine) -> None:
    submit(clone_of(bob, "bob"))
    bob.drop("x", MINE)
    submit(clone_of(bob, "bob"))
    submit(clone_of(fleet.you))
    assert (inbox(fleet.you) / "x.md").read_text() == MINE
    fleet.you.drop("x", LAST)
    submit(clone_of(fleet.you))
    assert content(fleet) == LAST


def test_a_second_edit_that_knows_only_its_own_first_is_refused(fleet: Fleet, bob: Machine) -> None:
    """The view of the first is not there yet when somebody else's revision comes."""
    story(fleet, "ada").do(story(fleet, "ada").revise_of("x", MINE))
    clone = clone_of(fleet.you)
    git(fleet.you.path, "reset", "--quiet", "--soft", "HEAD~1")
    fleet.you.drop("x", LAST)
    submit(clone)
    assert content(fleet) == MINE


def test_a_dropped_file_with_a_key_supersedes_whoever_came_before(fleet: Fleet) -> None:
    job = keyed_id("nightly", "nightly")
    bob = fleet.machine("bob")
    for machine, body in ((fleet.you, "one"), (bob, "two"), (fleet.you, "three")):
        machine.drop(f"of-{machine.path.parent.name}", KEYED.format(body=body))
        submit(clone_of(machine))
        assert content(fleet, job) == KEYED.format(body=body)


def test_an_entry_of_an_earlier_version_names_no_base_and_is_submitted(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.inbox("x")
    tale.do(tale.revise_of("x", OTHER))
    clone = clone_of(fleet.you)
    clone.spool.put(Spooled(tale.revise_of("x", MINE), MINE))
    (path,) = fleet.you.paths.spool.glob("*.json")
    assert "base" not in json.loads(path.read_text())["fields"]
    submit(clone)
    assert content(fleet) == MINE
