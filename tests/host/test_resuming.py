"""Going on from earlier work: the next run starts with it, on any host, and its commit holds all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from aq.host.agentlog import own_commits
from aq.host.workspace import Wanted, Workspace, Workspaces
from tests.host.targets import Target
from tests.support.fleet import git

FIRST, SECOND = "aq/job/1", "aq/job/2"


def prepared(root: Path, name: str, wanted: Wanted, branch: str = SECOND) -> Workspace:
    """A workspace on a host of this name."""
    folder = root / f"run-{name}"
    folder.mkdir()
    return Workspaces(root / f"state-{name}").prepare(folder, wanted, branch)


def taken(workspace: Workspace, branch: str = SECOND) -> str:
    return workspace.capture(branch, "abcdef", lambda commits: f"{branch}\n").tip


@pytest.fixture
def partial(tmp_path: Path, target: Target) -> str:
    """The tip of what a stopped run left."""
    first = prepared(tmp_path, "first", Wanted(source=target.url), FIRST)
    (first.path / "half").write_text("1\n")
    return taken(first, FIRST)


def test_the_next_run_starts_with_the_work_and_adds_to_it_in_one_commit(
    tmp_path: Path, target: Target, partial: str
) -> None:
    later = target.push("meanwhile", "x\n")
    found = prepared(tmp_path, "other", Wanted(source=target.url, start_from=partial))
    assert (found.path / "half").read_text() == "1\n"
    assert (found.path / "meanwhile").exists()
    assert found.base == later
    assert git(found.path, "status", "--porcelain") == ""
    (found.path / "rest").write_text("2\n")
    tip = taken(found)
    assert git(target.bare, "rev-parse", f"{tip}~") == later
    assert git(target.bare, "diff", "--name-only", later, tip).split() == ["half", "rest"]


def test_work_that_the_next_run_takes_back_is_gone(tmp_path: Path, target: Target, partial: str) -> None:
    found = prepared(tmp_path, "other", Wanted(source=target.url, start_from=partial))
    (found.path / "half").unlink()
    assert taken(found) == ""


def test_work_that_nothing_was_added_to_is_the_result(tmp_path: Path, target: Target, partial: str) -> None:
    found = prepared(tmp_path, "other", Wanted(source=target.url, start_from=partial))
    assert git(target.bare, "diff", partial, taken(found)) == ""


def test_work_that_contradicts_the_base_stays_on_the_base_it_was_made_on(
    tmp_path: Path, target: Target, partial: str
) -> None:
    old = target.tip()
    target.push("half", "another\n")
    found = prepared(tmp_path, "other", Wanted(source=target.url, start_from=partial))
    assert (found.base, found.start) == (old, partial)
    assert (found.path / "half").read_text() == "1\n"


def test_work_that_is_not_there_any_more_is_no_reason_to_stop(tmp_path: Path, target: Target) -> None:
    found = prepared(tmp_path, "other", Wanted(source=target.url, start_from="0" * 40))
    assert found.base == found.start == target.tip()


def test_the_agents_own_commits_are_read_in_order_and_none_of_the_base(
    tmp_path: Path, target: Target
) -> None:
    found = prepared(tmp_path, "first", Wanted(source=target.url))
    assert found.mirror
    assert own_commits(found.mirror, found.path, found.start) == ()
    for n in range(3):
        git(found.path, "commit", "--quiet", "--allow-empty", "-m", f"agent {n}\n\nmore words")
    assert own_commits(found.mirror, found.path, found.start) == ("agent 0", "agent 1", "agent 2")
    git(found.path, "pack-refs", "--all")
    assert len(own_commits(found.mirror, found.path, found.start)) == 3
    git(found.path, "checkout", "--quiet", "--detach", "HEAD~")
    assert own_commits(found.mirror, found.path, found.start) == ("agent 0", "agent 1")


@pytest.mark.parametrize(
    "head",
    ["", "ref: refs/heads/../../../../etc/passwd", "ref: refs/heads/none", "--output=/tmp/x", "0" * 40],
)
def test_a_head_that_makes_no_sense_names_no_commits(tmp_path: Path, target: Target, head: str) -> None:
    found = prepared(tmp_path, "first", Wanted(source=target.url))
    (found.path / ".git" / "HEAD").write_text(f"{head}\n")
    assert found.mirror
    assert own_commits(found.mirror, found.path, found.start) == ()


def test_what_looks_like_a_secret_is_warned_of_with_its_place_only(tmp_path: Path, target: Target) -> None:
    target.push("old", "gh" + "p_" + "a1B2" * 9 + "\n")
    found = prepared(tmp_path, "first", Wanted(source=target.url))
    token = "gh" + "p_" + "c3D4" * 9
    (found.path / "conf.ini").write_text(f"a = 1\n\ntoken = {token}\n")
    (found.path / "old").write_text("gone\n")
    kept = found.capture(FIRST, "abcdef", lambda commits: "work\n")
    [warning] = kept.warnings
    assert warning.startswith("conf.ini:3 looks like a secret: ")
    assert token not in warning
