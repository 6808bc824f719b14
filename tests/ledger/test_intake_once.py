"""Intake loses nothing and submits once: across crashes, an absent remote, and idempotency keys."""

from __future__ import annotations

import pytest

from aq.core.ids import keyed_id
from aq.core.operations import Add
from aq.core.results import Landed
from tests.ledger.test_intake import OTHER, clone_of, inbox, submit
from tests.support.fleet import Fleet, git
from tests.support.story import Story, story

KEYED = "---\nengine: shell\nidempotency-key: nightly-1\n---\n{body}\n"


def test_a_crash_between_spool_and_submit_loses_nothing_and_submits_once(fleet: Fleet) -> None:
    fleet.you.drop("x")
    dying = clone_of(fleet.you)
    dying.intake.ledger.fetch()
    dying.take_in()
    (inbox(fleet.you) / "x.md").unlink()
    submit(clone_of(fleet.you))
    submit(clone_of(fleet.you))
    assert fleet.events().count("add x") == 1
    assert not list(clone_of(fleet.you).spool.entries())


@pytest.mark.parametrize("present", [False, True], ids=["a new name", "a name that is taken"])
def test_a_crash_before_the_copy_is_noted_submits_once(fleet: Fleet, present: bool) -> None:
    if present:
        story(fleet).failed("x")
        git(fleet.you.path, "pull", "--quiet")
    count = len(fleet.events())
    fleet.you.drop("x", OTHER)
    dying = clone_of(fleet.you)
    dying.intake.ledger.fetch()
    dying.take_in()
    dying.intake.state.unlink()
    submit(clone_of(fleet.you))
    submit(clone_of(fleet.you))
    assert len(fleet.events()) == count + 1


def test_a_crash_after_the_push_and_before_the_spool_is_cleared_submits_once(fleet: Fleet) -> None:
    fleet.you.drop("x")
    dying = clone_of(fleet.you)
    dying.intake.ledger.fetch()
    dying.take_in()
    (result,) = dying.intake.ledger.perform(dying.submissions())
    assert isinstance(result, Landed)
    story(fleet, "ada").shipped("x")
    submit(clone_of(fleet.you))
    assert fleet.events().count("add x") == 1
    assert not list(clone_of(fleet.you).spool.entries())


def test_while_the_remote_is_away_files_wait_in_the_spool_and_the_next_command_submits_them(
    fleet: Fleet,
) -> None:
    fleet.you.aq("status")
    away = fleet.hub.rename(fleet.hub.with_name("away.git"))
    added = fleet.you.aq("add", "--engine", "shell", "--name", "y", "true", ok=False)
    assert added.returncode == 75
    assert "kept here" in added.stderr
    fleet.you.drop("x")
    shown = fleet.you.aq("status")
    assert "not submitted yet: x.md" in shown.stdout
    away.rename(fleet.hub)
    fleet.you.aq("status")
    assert fleet.job("x")
    assert sorted(job.id[0] for job in fleet.snapshot().jobs()) == ["x", "y"]
    assert "not submitted" not in fleet.you.aq("status").stdout


def keyed(tale: Story, body: str, name: str = "x") -> Add:
    add = tale.add_of(name, KEYED.format(body=body))
    return Add(
        at=add.at,
        by=add.by,
        op_id=add.op_id,
        job=keyed_id("nightly-1", "nightly-1"),
        blob=add.blob,
        manifest=add.manifest,
    )


def test_the_same_key_and_content_is_one_job_whatever_the_file_is_called(fleet: Fleet) -> None:
    bob = fleet.machine("bob")
    fleet.you.drop("morning", KEYED.format(body="true"))
    bob.drop("evening", KEYED.format(body="true"))
    submit(clone_of(fleet.you))
    submit(clone_of(bob, "bob"))
    added = fleet.you.aq("add", "-", stdin=KEYED.format(body="true"))
    assert "submitted already" in added.stdout
    assert len(list(fleet.snapshot().jobs())) == 1


def test_other_content_under_the_same_key_supersedes_while_it_waits_and_is_refused_after(
    fleet: Fleet,
) -> None:
    tale = story(fleet)
    first = keyed(tale, "true")
    tale.do(first)
    assert tale.refusal(keyed(tale, "true")).done
    second = keyed(tale, "false")
    tale.do(second)
    assert tale.job(first.job).blob == second.blob
    tale.do(tale.claim_of(first.job))
    refusal = tale.refusal(keyed(tale, "exit 3"))
    assert not refusal.done
    assert tale.refusal(keyed(tale, "false")).done, "the content that runs is submitted already"


@pytest.mark.parametrize(
    ("bodies", "jobs"),
    [(("true", "true"), 1), (("true", "false"), 1)],
    ids=["the same content", "other content"],
)
def test_two_clones_that_add_the_same_key_at_once_make_one_job(
    fleet: Fleet, bodies: tuple[str, str], jobs: int
) -> None:
    tales = [story(fleet, "ada"), story(fleet, "bob")]
    for tale in tales:
        tale.ledger.fetch()
    results = [tale.ledger.perform([keyed(tale, body)])[0] for tale, body in zip(tales, bodies, strict=True)]
    assert isinstance(results[0], Landed)
    assert len(list(fleet.snapshot().jobs())) == jobs
    adds = [event for event in fleet.events() if event.startswith("add")]
    assert len(adds) == 1
