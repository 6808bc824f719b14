"""Checkouts made ahead: the next run has the same files with them as without, whatever became of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from aq.host import workspace as module
from aq.host.gitproc import git as runner_git
from aq.host.workspace import Captured, Wanted, Workspace, Workspaces
from tests.host.targets import Target
from tests.support.fleet import git


@pytest.fixture
def workspaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspaces:
    """Workspaces for which no repository is too small for a spare checkout."""
    monkeypatch.setattr(module, "WORTH_FILES", 1)
    return Workspaces(tmp_path / "state")


def prepare(workspaces: Workspaces, target: Target, number: int) -> Workspace:
    folder = workspaces.mirrors.parent.parent / f"run-{number}"
    folder.mkdir()
    return workspaces.prepare(folder, Wanted(source=target.url), f"aq/job/{number}")


def capture(found: Workspace, number: int) -> Captured:
    return found.capture(f"aq/job/{number}", "abcdef", lambda commits: "work\n")


def files(found: Workspace) -> dict[str, str]:
    """The files of a workspace, by name."""
    paths = (path for path in found.path.rglob("*") if ".git" not in path.parts and path.is_file())
    return {str(path.relative_to(found.path)): path.read_text() for path in paths}


def advance(target: Target, **contents: str | None) -> None:
    """A commit on the target's main branch that writes files, or removes those that are None."""
    for name, text in contents.items():
        path = target.seed / name
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    git(target.seed, "add", "--all")
    git(target.seed, "commit", "--quiet", "-m", "more")
    git(target.seed, "push", "--quiet", "origin", "HEAD:main")


def spares(workspaces: Workspaces) -> list[Path]:
    return sorted(workspaces.spares.folder.glob("*"))


def test_the_next_run_begins_with_the_spare_files_brought_up_to_date(
    workspaces: Workspaces, target: Target
) -> None:
    advance(target, old="old\n", gone="gone\n")
    workspaces.set_aside(prepare(workspaces, target, 1))
    (spare,) = spares(workspaces)
    untouched = (spare / "work" / "README").stat().st_ino
    advance(target, old="new\n", gone=None, added="added\n")
    found = prepare(workspaces, target, 2)
    assert (found.path / "README").stat().st_ino == untouched, "it is the very file that was made ahead"
    assert files(found) == {"README": "a target\n", "old": "new\n", "added": "added\n"}
    assert git(found.path, "status", "--porcelain") == ""
    assert found.base == target.tip()
    assert spares(workspaces) == [], "a spare checkout is used once"
    assert not (found.path.parent / "spare").exists()


def test_work_in_a_spare_checkout_is_seen_and_taken(workspaces: Workspaces, target: Target) -> None:
    workspaces.set_aside(prepare(workspaces, target, 1))
    found = prepare(workspaces, target, 2)
    assert capture(found, 2) == Captured(whole=git(target.bare, "rev-parse", "main^{tree}"))
    (found.path / "README").write_text("changed\n")
    (found.path / "new").write_text("new\n")
    captured = capture(found, 2)
    assert {change.path for change in captured.changes} == {"README", "new"}
    assert target.show("aq/job/2:README") == "changed"


def _garbled_index(spare: Path) -> None:
    (spare / "index").write_bytes(b"garbled")


def _unknown_commit(spare: Path) -> None:
    (spare / "commit").write_text("1" * 40)


def _no_index(spare: Path) -> None:
    (spare / "index").unlink()


def _no_files(spare: Path) -> None:
    (spare / "work").rename(spare / "elsewhere")


@pytest.mark.parametrize("damage", [_garbled_index, _unknown_commit, _no_index, _no_files])
def test_a_damaged_spare_checkout_costs_only_time(
    workspaces: Workspaces, target: Target, damage: Callable[[Path], None]
) -> None:
    workspaces.set_aside(prepare(workspaces, target, 1))
    advance(target, README="newer\n")
    damage(spares(workspaces)[0])
    found = prepare(workspaces, target, 2)
    assert files(found) == {"README": "newer\n"}
    assert git(found.path, "status", "--porcelain") == ""


def test_of_two_runs_one_has_the_spare_checkout_and_both_have_their_files(
    workspaces: Workspaces, target: Target
) -> None:
    workspaces.set_aside(prepare(workspaces, target, 1))
    one, other = prepare(workspaces, target, 2), prepare(workspaces, target, 3)
    assert files(one) == files(other) == {"README": "a target\n"}


def test_there_is_one_for_each_repository_and_none_for_a_small_one(
    workspaces: Workspaces, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = prepare(workspaces, target, 1)
    workspaces.set_aside(used)
    workspaces.set_aside(used)
    assert len(spares(workspaces)) == 1
    monkeypatch.setattr(module, "WORTH_FILES", 500)
    other = Workspaces(workspaces.mirrors.parent.parent / "other")
    other.set_aside(used)
    assert spares(other) == []


def test_what_a_killed_host_left_half_made_is_swept(workspaces: Workspaces, target: Target) -> None:
    used = prepare(workspaces, target, 1)
    part = workspaces.spares.folder / f"{used.mirror.path.stem if used.mirror else ''}.abcd.part"
    (part / "work").mkdir(parents=True)
    workspaces.set_aside(used)
    assert spares(workspaces) == [part], "somebody seems to be at it"
    workspaces.spares.sweep()
    workspaces.set_aside(used)
    assert [path.name for path in spares(workspaces)] == [part.name.split(".")[0]]


def test_the_mirror_is_not_written_to(workspaces: Workspaces, target: Target) -> None:
    used = prepare(workspaces, target, 1)
    assert used.mirror
    before = runner_git("--git-dir", str(used.mirror.path), "for-each-ref").stdout
    workspaces.set_aside(used)
    assert runner_git("--git-dir", str(used.mirror.path), "for-each-ref").stdout == before
