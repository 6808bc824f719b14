"""The clone is a view: it moves forward only when nothing of the person's is touched, and says when not."""

from __future__ import annotations

import pytest

from aq.core.lifecycle import Stage
from aq.core.operations import Reject
from aq.ledger.clone import Clone
from aq.ledger.view import ViewReport
from tests.ledger.test_intake import OTHER, clone_of, submit
from tests.support.fleet import HELLO, Fleet, git, op
from tests.support.story import story


def refresh(clone: Clone) -> ViewReport:
    clone.intake.ledger.fetch()
    return clone.view.refresh()


def status(fleet: Fleet) -> str:
    return git(fleet.you.path, "status", "--porcelain", "--untracked-files=all")


def test_a_clean_view_follows_the_queue_and_git_knows_it(fleet: Fleet) -> None:
    tale = story(fleet, "ada")
    tale.shipped("x")
    report = refresh(clone_of(fleet.you))
    assert (report.moved, report.behind, report.notes) == (True, "", [])
    clone = fleet.you.path
    assert git(clone, "rev-parse", "HEAD") == git(clone, "rev-parse", "origin/main") == fleet.tip()
    assert status(fleet) == ""
    assert list(clone.glob("queue/shipped/*/*/*/x.md"))
    assert not refresh(clone_of(fleet.you)).moved


def test_local_commits_are_never_touched_and_the_view_says_it_is_behind(fleet: Fleet) -> None:
    clone = fleet.you.path
    fleet.you.drop("mine")
    git(clone, "add", "queue/inbox/mine.md")
    git(clone, "commit", "--quiet", "-m", "my job")
    mine = git(clone, "rev-parse", "HEAD")
    story(fleet, "ada").inbox("x")
    report = refresh(clone_of(fleet.you))
    assert "commits that are not pushed" in report.behind
    assert git(clone, "rev-parse", "HEAD") == mine
    shown = fleet.you.aq("status").stdout
    assert "not pushed: queue/inbox/mine.md" in shown
    git(clone, "pull", "--quiet", "--no-rebase", "--no-edit")
    git(clone, "push", "--quiet")
    assert refresh(clone_of(fleet.you)).behind == ""


def test_a_dirty_path_that_the_tip_touches_blocks_the_view_and_stays(fleet: Fleet) -> None:
    clone = fleet.you.path
    (clone / "queue" / "aq.yaml").write_text("cadence: forge\n")
    git(fleet.machine("ada").path, "rm", "--quiet", "queue/aq.yaml")
    git(fleet.machine("ada").path, "commit", "--quiet", "-m", "no settings")
    git(fleet.machine("ada").path, "push", "--quiet")
    head = git(clone, "rev-parse", "HEAD")
    report = refresh(clone_of(fleet.you))
    assert "the view is behind" in report.behind
    assert git(clone, "rev-parse", "HEAD") == head
    assert (clone / "queue" / "aq.yaml").read_text() == "cadence: forge\n"


def test_a_dirty_path_that_the_tip_does_not_touch_does_not_matter(fleet: Fleet) -> None:
    (fleet.you.path / "queue" / "aq.yaml").write_text("cadence: forge\n")
    (fleet.you.path / "notes.txt").write_text("mine\n")
    story(fleet, "ada").inbox("x")
    assert refresh(clone_of(fleet.you)).moved
    assert (fleet.you.path / "queue" / "aq.yaml").read_text() == "cadence: forge\n"


@pytest.mark.parametrize("detached", [False, True], ids=["another branch", "no branch"])
def test_a_clone_on_another_branch_is_left_alone(fleet: Fleet, detached: bool) -> None:
    clone = fleet.you.path
    git(clone, "checkout", "--quiet", *(["--detach"] if detached else ["-b", "feature"]))
    head = git(clone, "rev-parse", "HEAD")
    story(fleet, "ada").inbox("x")
    report = refresh(clone_of(fleet.you))
    assert "the queue is on main" in report.behind
    assert git(clone, "rev-parse", "HEAD") == head
    assert git(clone, "rev-parse", "main") == head


def test_a_staged_change_of_the_persons_survives(fleet: Fleet) -> None:
    clone = fleet.you.path
    (clone / "notes.txt").write_text("mine\n")
    git(clone, "add", "notes.txt")
    story(fleet, "ada").inbox("x")
    assert refresh(clone_of(fleet.you)).moved
    assert status(fleet) == "A  notes.txt"


def test_a_dropped_file_that_was_staged_does_not_block_the_view(fleet: Fleet) -> None:
    fleet.you.drop("x")
    git(fleet.you.path, "add", "queue/inbox/x.md")
    submit(clone_of(fleet.you))
    assert refresh(clone_of(fleet.you)).behind == ""
    assert status(fleet) == ""


def test_an_edit_before_the_claim_is_submitted(fleet: Fleet) -> None:
    fleet.you.drop("x")
    submit(clone_of(fleet.you))
    fleet.you.drop("x", OTHER)
    submit(clone_of(fleet.you))
    assert fleet.events()[-1] == "revise x"
    assert git(fleet.hub, "show", "main:queue/inbox/x.md") == OTHER.strip()
    assert git(fleet.you.path, "rev-parse", "HEAD") == fleet.tip()
    assert status(fleet) == ""


@pytest.mark.parametrize(
    "seen", [True, False], ids=["the view shows it in building", "the view still shows the inbox"]
)
def test_an_edit_after_the_claim_is_kept_aside_and_the_view_restored(fleet: Fleet, seen: bool) -> None:
    fleet.you.drop("x")
    submit(clone_of(fleet.you))
    story(fleet, "ada").do(story(fleet, "ada").claim_of("x"))
    if seen:
        refresh(clone_of(fleet.you))
    place = fleet.you.path / "queue" / ("building" if seen else "inbox") / "x.md"
    place.write_text(OTHER)
    clone = clone_of(fleet.you)
    said = submit(clone)
    kept = clone.view.edited / "x.edited"
    assert kept.read_text() == OTHER
    assert any("came too late" in line and str(kept) in line and "aq requeue x" in line for line in said)
    assert git(fleet.you.path, "rev-parse", "HEAD") == fleet.tip()
    assert (fleet.you.path / "queue" / "building" / "x.md").read_text() == HELLO
    assert status(fleet) == ""
    assert fleet.events()[-1] == "claim x on ada (attempt 1)"


def test_the_edit_that_came_too_late_can_be_added(fleet: Fleet) -> None:
    fleet.you.drop("x")
    submit(clone_of(fleet.you))
    tale = story(fleet, "ada")
    tale.ledger.fetch()
    tale.do(tale.claim_of("x"))
    fleet.you.drop("x", OTHER)
    clone = clone_of(fleet.you)
    submit(clone)
    fleet.you.aq("add", str(clone.view.edited / "x.edited"))
    (waiting,) = fleet.snapshot().jobs(Stage.INBOX)
    assert waiting.id.startswith("x-")


def test_a_deleted_file_comes_back_and_the_command_is_named(fleet: Fleet) -> None:
    fleet.you.drop("x")
    submit(clone_of(fleet.you))
    (fleet.you.path / "queue/inbox/x.md").unlink()
    said = submit(clone_of(fleet.you))
    assert any("x.md was deleted" in line and "aq cancel x" in line for line in said)
    assert (fleet.you.path / "queue/inbox/x.md").read_text() == HELLO
    assert fleet.events()[-1] == "add x"


def test_a_moved_file_comes_back_and_does_nothing_to_the_queue(fleet: Fleet) -> None:
    tale = story(fleet, "ada")
    tale.testing("x")
    refresh(clone_of(fleet.you))
    queue = fleet.you.path / "queue"
    (queue / "testing/x.md").rename(queue / "failed/x.md")
    said = submit(clone_of(fleet.you))
    assert any("aq ship x" in line for line in said)
    assert (queue / "testing/x.md").exists()
    assert fleet.job("x").stage == "testing"  # type: ignore[union-attr]
    tale.shipped("y")
    tale.failed("z")
    assert refresh(clone_of(fleet.you)).behind == ""
    assert status(fleet) == ""


def test_a_move_that_is_the_next_real_move_does_not_block_the_view(fleet: Fleet) -> None:
    tale = story(fleet, "ada")
    tale.testing("x")
    refresh(clone_of(fleet.you))
    queue = fleet.you.path / "queue"
    (queue / "testing/x.md").rename(queue / "failed/x.md")
    tale.ledger.fetch()
    tale.do(Reject(**op(), job="x", message="no"))
    assert refresh(clone_of(fleet.you)).behind == ""
    assert status(fleet) == ""
    assert (queue / "failed/x.md").exists()


def test_a_hook_or_filter_of_the_clone_is_not_run_by_the_view(fleet: Fleet) -> None:
    hook = fleet.you.path / ".git" / "hooks" / "post-merge"
    hook.write_text("#!/bin/sh\ntouch hooked\n")
    hook.chmod(0o755)
    story(fleet, "ada").inbox("x")
    assert refresh(clone_of(fleet.you)).moved
    assert not (fleet.you.path / "hooked").exists()
