"""Workspaces: where a run works, what it starts from, and what is kept of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.manifest import Manifest
from aq.core.record import Record
from aq.core.scope import Change, Kind
from aq.host.gitproc import WorkspaceError
from aq.host.repos import ConflictError, Mirror
from aq.host.workspace import Captured, Wanted, Workspace, Workspaces
from tests.host.targets import Target
from tests.support.fleet import git
from tests.support.tools import first_in_path

BRANCH = "aq/job/1"
MESSAGE = "A job\n\nAq-Job: job\n"


class Desk:
    """One host's workspaces, and a folder for one run."""

    def __init__(self, root: Path) -> None:
        self.root, self.workspaces = root, Workspaces(root / "state")
        self.folder = root / "run"
        self.folder.mkdir()

    def prepare(self, **wanted: object) -> Workspace:
        return self.workspaces.prepare(self.folder, Wanted(**wanted), BRANCH)  # type: ignore[arg-type]

    def capture(self, workspace: Workspace, branch: str = BRANCH) -> Captured:
        return workspace.capture(branch, "abcdef", lambda commits: MESSAGE)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_repository_gives_a_clone_on_the_task_branch_at_its_default_branch(
    desk: Desk, target: Target
) -> None:
    found = desk.prepare(source=target.url)
    assert (found.path / "README").read_text() == "a target\n"
    assert found.base == target.tip()
    assert git(found.path, "branch", "--show-current") == BRANCH
    assert git(found.path, "status", "--porcelain") == ""


def test_a_cwd_inside_a_repository_gives_a_clone_and_leaves_the_folder_alone(
    desk: Desk, target: Target
) -> None:
    (target.seed / "sub").mkdir()
    (target.seed / "untracked").touch()
    found = desk.prepare(cwd=str(target.seed / "sub"))
    assert found.path != target.seed
    assert sorted(p.name for p in found.path.iterdir()) == [".git", "README"]
    (found.path / "README").write_text("changed\n")
    captured = desk.capture(found)
    assert captured.pushed
    assert git(target.seed, "rev-parse", BRANCH) == captured.tip
    assert (target.seed / "README").read_text() == "a target\n"


def test_the_agents_clone_cannot_reach_the_mirror_or_the_repository(desk: Desk, target: Target) -> None:
    found = desk.prepare(source=target.url)
    assert git(found.path, "remote") == ""
    config = (found.path / ".git" / "config").read_text()
    assert str(desk.workspaces.mirrors) not in config
    assert target.url not in config


def test_base_names_the_branch_to_start_from(desk: Desk, target: Target) -> None:
    tip = target.push("only-there", "x\n", "release")
    found = desk.prepare(source=target.url, base="release")
    assert found.base == tip
    assert (found.path / "only-there").exists()


def test_an_unknown_base_is_told(desk: Desk, target: Target) -> None:
    with pytest.raises(WorkspaceError, match="has no branch nowhere"):
        desk.prepare(source=target.url, base="nowhere")


def test_a_repository_without_commits_is_told(desk: Desk, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "-b", "main", str(tmp_path / "empty.git"))
    with pytest.raises(WorkspaceError, match=r"has no (default branch|branch main)"):
        desk.prepare(source=str(tmp_path / "empty.git"))


def test_in_place_is_the_folder_itself_and_nothing_is_captured(desk: Desk, target: Target) -> None:
    found = desk.prepare(cwd=str(target.seed), in_place=True)
    assert found == Workspace(target.seed)
    (found.path / "README").write_text("changed\n")
    assert desk.capture(found) == Captured()


def test_a_folder_outside_git_is_worked_in_as_it_is(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    assert desk.prepare(cwd=str(tmp_path / "plain")) == Workspace(tmp_path / "plain")


NO_REPOSITORY_FOR_GIT = {
    "damaged settings": ("echo '[' > .git/config", "", "bad config line 1"),
    "no HEAD": ("rm .git/HEAD", "", "not a git repository"),
    "a worktree whose repository is gone": ("rm -rf .git; echo gitdir: /nowhere > .git", "", "/nowhere"),
    "the git dir itself": ("true", ".git", "must be run in a work tree"),
    "a folder below": ("rm .git/HEAD; mkdir -p a/b", "a/b", "not a git repository"),
}


@pytest.mark.parametrize(("harm", "sub", "words"), NO_REPOSITORY_FOR_GIT.values(), ids=NO_REPOSITORY_FOR_GIT)
def test_a_repository_that_git_will_not_look_at_is_never_worked_in(
    desk: Desk, target: Target, harm: str, sub: str, words: str
) -> None:
    subprocess.run(["sh", "-c", harm], cwd=target.seed, check=True)
    cwd = str(target.seed / sub)
    for isolated in (False, True):
        with pytest.raises(WorkspaceError, match=re.escape(words)) as caught:
            desk.prepare(cwd=cwd, isolated=isolated)
        assert "in-place" in caught.value.hint
    assert desk.prepare(cwd=cwd, in_place=True) == Workspace(Path(cwd))


def test_a_repository_of_somebody_else_is_never_worked_in(
    desk: Desk, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    wary = desk.root / "wary"
    wary.mkdir()
    script = f'#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec "{shutil.which("git")}" "$@"\n'
    (wary / "git").write_text(script)
    (wary / "git").chmod(0o755)
    monkeypatch.setenv("PATH", first_in_path(wary))
    with pytest.raises(WorkspaceError, match="dubious ownership"):
        desk.prepare(cwd=str(target.seed))


def test_a_bare_repository_is_no_folder_to_work_in(desk: Desk, target: Target) -> None:
    for cwd in (target.bare, target.bare / "refs"):
        with pytest.raises(WorkspaceError, match="must be run in a work tree"):
            desk.prepare(cwd=str(cwd))


def test_a_job_that_asks_to_be_isolated_is_not_let_into_a_plain_folder(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(WorkspaceError, match="plain is in no git repository"):
        desk.prepare(cwd=str(tmp_path / "plain"), isolated=True)


def test_without_repository_or_folder_there_is_an_empty_one(desk: Desk) -> None:
    found = desk.prepare()
    assert found == Workspace(desk.folder / "work")
    assert list(found.path.iterdir()) == []


def branch_with(desk: Desk, target: Target, branch: str, name: str, text: str) -> str:
    """Work of another job, pushed as its branch."""
    found = desk.prepare(source=target.url)
    (found.path / name).write_text(text)
    return desk.capture(found, branch).tip


def test_work_that_a_job_builds_on_is_in_its_base(desk: Desk, target: Target) -> None:
    one = branch_with(desk, target, "aq/one/1", "one", "1\n")
    two = branch_with(desk, target, "aq/two/1", "two", "2\n")
    target.push("main-too", "x\n")
    found = desk.prepare(source=target.url, under=(one, two))
    assert {"one", "two", "main-too"} <= {p.name for p in found.path.iterdir()}
    (found.path / "own").write_text("3\n")
    tip = desk.capture(found).tip
    assert git(target.bare, "diff", "--name-only", f"{tip}~", tip) == "own"


def test_works_that_contradict_each_other_are_a_conflict(desk: Desk, target: Target) -> None:
    one = branch_with(desk, target, "aq/one/1", "same", "1\n")
    two = branch_with(desk, target, "aq/two/1", "same", "2\n")
    with pytest.raises(ConflictError, match="conflict in same"):
        desk.prepare(source=target.url, under=(one, two))


def test_new_changed_and_deleted_files_are_captured_as_one_commit_on_the_base(
    desk: Desk, target: Target
) -> None:
    target.push("old", "x\n")
    found = desk.prepare(source=target.url)
    (found.path / "README").write_text("changed\n")
    (found.path / "old").unlink()
    (found.path / "deep").mkdir()
    (found.path / "deep" / "new file").write_text("new\n")
    captured = desk.capture(found)
    assert (captured.branch, captured.tip, captured.pushed) == (BRANCH, target.tip(BRANCH), True)
    assert git(target.bare, "rev-parse", f"{BRANCH}~") == found.base == target.tip()
    changed = git(target.bare, "diff", "--name-status", "main", BRANCH).splitlines()
    assert changed == ["M\tREADME", "A\tdeep/new file", "D\told"]
    assert git(target.bare, "log", "-1", "--format=%an|%B", BRANCH) == f"aq|{MESSAGE.strip()}"


def test_a_run_that_changed_nothing_has_no_branch(desk: Desk, target: Target) -> None:
    found = desk.capture(desk.prepare(source=target.url))
    assert found == Captured(whole=git(target.bare, "rev-parse", "main^{tree}"))
    assert git(target.bare, "branch", "--list", "aq/*") == ""


def test_ignored_files_are_not_captured(desk: Desk, target: Target) -> None:
    target.push(".gitignore", "*.o\n")
    found = desk.prepare(source=target.url)
    (found.path / "a.o").touch()
    captured = desk.capture(found)
    assert (captured.branch, captured.tip) == ("", "")
    assert captured.changes == (Change("a.o", Kind.OUTPUT),)


def test_the_agents_own_commits_become_one(desk: Desk, target: Target) -> None:
    found = desk.prepare(source=target.url)
    for n in range(3):
        (found.path / f"file-{n}").write_text("x\n")
        git(found.path, "add", ".")
        git(found.path, "commit", "--quiet", "-m", f"agent {n}")
    git(found.path, "checkout", "--quiet", "--detach")
    captured = desk.capture(found)
    assert git(target.bare, "log", "--format=%s", f"main..{captured.tip}") == "A job"
    assert target.show(f"{BRANCH}:file-2") == "x"


@pytest.mark.parametrize(
    "harm", ["rm -rf .git", "echo broken > .git/HEAD", "rm -rf .git; echo gitdir: /nowhere > .git"]
)
def test_a_broken_repository_of_the_agents_does_not_matter(desk: Desk, target: Target, harm: str) -> None:
    found = desk.prepare(source=target.url)
    (found.path / "new").write_text("kept\n")
    subprocess.run(["sh", "-c", harm], cwd=found.path, check=True)
    assert desk.capture(found).pushed
    assert target.show(f"{BRANCH}:new") == "kept"


def test_nothing_that_the_agent_planted_runs_at_capture(desk: Desk, target: Target) -> None:
    found, trap = desk.prepare(source=target.url), desk.root / "ran"
    spy = f"sh -c 'echo ran >> {trap}; cat'"
    for name in ("filter.spy.clean", "filter.spy.process", "core.fsmonitor", "diff.spy.textconv"):
        git(found.path, "config", name, spy)
    git(found.path, "config", "filter.spy.required", "true")
    (found.path / ".gitattributes").write_text("* filter=spy diff=spy merge=spy\n")
    for name in ("pre-commit", "post-commit", "post-index-change", "reference-transaction", "pre-push"):
        hook = found.path / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\necho {name} >> {trap}\n")
        hook.chmod(0o755)
    (found.path / "new").write_text("kept\n")
    assert desk.capture(found).pushed
    assert not trap.exists()
    assert target.show(f"{BRANCH}:new") == "kept"


def test_a_taken_branch_name_is_left_alone_and_another_is_used(desk: Desk, target: Target) -> None:
    before = target.push("theirs", "x\n", BRANCH)
    found = desk.prepare(source=target.url, base="main")
    (found.path / "new").write_text("kept\n")
    captured = desk.capture(found)
    assert (captured.branch, captured.pushed) == (f"{BRANCH}-abcd", True)
    assert target.tip(f"{BRANCH}-abcd") == captured.tip
    assert target.tip(BRANCH) == before


def test_work_that_cannot_be_pushed_is_told_with_its_tip(desk: Desk, target: Target) -> None:
    found = desk.prepare(source=target.url)
    target.hook("pre-receive", "exit 1")
    (found.path / "new").write_text("kept\n")
    captured = desk.capture(found)
    assert (captured.branch, captured.pushed) == (BRANCH, False)
    assert Mirror.of(desk.workspaces.mirrors, target.url).has(captured.tip)


def test_a_verify_starts_from_the_task_branch(desk: Desk, target: Target) -> None:
    tip = branch_with(desk, target, BRANCH, "new", "kept\n")
    found = desk.workspaces.at_branch(desk.folder, Wanted(source=target.url), BRANCH, tip)
    assert (found.path / "new").read_text() == "kept\n"
    with pytest.raises(WorkspaceError, match="has no aq/job/1 at 000000000000"):
        desk.workspaces.at_branch(desk.folder, Wanted(source=target.url), BRANCH, "0" * 40)


def test_delivery_reaches_the_default_branch_or_the_base(desk: Desk, target: Target) -> None:
    target.push("there", "x\n", "release")
    tip = branch_with(desk, target, BRANCH, "new", "kept\n")
    for wanted, branch in (
        (Wanted(source=target.url), "main"),
        (Wanted(source=target.url, base="release"), "release"),
    ):
        assert desk.workspaces.deliver(wanted, tip, "m\n") == target.tip(branch)
        assert target.show(f"{branch}:new") == "kept"


def test_work_whose_branch_is_gone_everywhere_is_for_a_person(desk: Desk, target: Target) -> None:
    tip = "1" * 40
    job = Job("job", Stage.SHIPPED, "shipped", "", Manifest(), record=Record(branch=BRANCH, tip=tip))
    for deliver in (
        lambda wanted: desk.workspaces.deliver(wanted, tip, "m\n"),
        lambda wanted: desk.workspaces.ask_for(wanted, job),
    ):
        with pytest.raises(ConflictError, match="the branch with 111111111111 is gone from"):
            deliver(Wanted(source=target.url))


def test_what_an_earlier_run_left_in_a_lasting_folder_is_no_obstacle(desk: Desk, target: Target) -> None:
    outside = desk.root / "outside"
    outside.mkdir()
    (outside / "theirs").touch()
    for left in (lambda path: path.symlink_to(outside), lambda path: path.touch(), Path.mkdir):
        left(desk.folder / "work")
        found = desk.prepare(source=target.url)
        assert not found.path.is_symlink()
        assert git(found.path, "status", "--porcelain") == ""
        shutil.rmtree(found.path)
    assert [path.name for path in outside.iterdir()] == ["theirs"]
