"""The hostile-repository pack, its files: links, odd names, closed folders, swapped and hidden files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from aq.core.scope import Kind
from aq.host.baseline import restore
from aq.host.capture import RefusedError
from tests.host.traps import BRANCH, Trap
from tests.support.fleet import git


@pytest.mark.attack("S12")
def test_links_are_recorded_as_links_and_never_followed(trap: Trap) -> None:
    outside = trap.root / "outside"
    outside.mkdir()
    (outside / "secret").write_text("not ours\n")
    trap.sh(f"ln -s {outside} way-out; ln -s {outside}/secret leak; ln -s /etc/passwd src/passwd")
    found = trap.take()
    assert trap.seen(found) == {"way-out", "leak", "src/passwd"}
    assert {change.mode for change in found.changes} == {"120000"}
    assert (trap.mode("way-out"), trap.mode("leak")) == ("120000", "120000")
    assert trap.target.show(f"{BRANCH}:leak") == f"{outside}/secret"


def test_a_folder_that_becomes_a_link_to_its_own_copy_is_a_link_and_its_files_are_gone(trap: Trap) -> None:
    trap.sh(f"mv src {trap.root}/moved; ln -s {trap.root}/moved src")
    found = trap.take()
    assert {(change.path, change.kind) for change in found.changes} == {
        ("src", Kind.ADDED),
        ("src/a.py", Kind.DELETED),
    }
    assert trap.mode("src") == "120000"


@pytest.mark.parametrize(
    "swap",
    [
        "rm -rf work; ln -s outside work",
        "mv work old; mkdir work",
        "rm -rf work",
        "rm -rf work; echo x > work",
    ],
)
def test_a_workspace_that_was_replaced_is_refused(trap: Trap, swap: str) -> None:
    (trap.folder / "outside").mkdir()
    subprocess.run(["sh", "-ec", swap], cwd=trap.folder, check=True)
    with pytest.raises(RefusedError, match="the workspace was replaced"):
        trap.take()


def test_a_change_that_restores_size_and_time_is_seen(trap: Trap) -> None:
    path = trap.path / "README"
    before = path.stat()
    with path.open("r+") as file:
        file.write("A")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert trap.seen(trap.take()) == {"README"}


def test_two_files_that_changed_places_are_seen(trap: Trap) -> None:
    trap.target.push("one", "1\n")
    trap.target.push("two", "2\n")
    trap.workspace = trap.prepare()
    trap.sh("mv one x; mv two one; mv x two")
    assert trap.seen(trap.take()) == {"one", "two"}


ODD = ["with\nnewline", "tab\there", 'quo"te', "-dash", ":colon", "ünï", " lead", "back\\slash", "*"]


@pytest.mark.parametrize("name", ODD, ids=repr)
def test_an_odd_name_is_a_name(trap: Trap, name: str) -> None:
    trap.write(name)
    assert trap.seen(trap.take()) == {name}


def test_a_name_that_is_no_text_is_seen(trap: Trap) -> None:
    (trap.path / os.fsdecode(b"\xff\xfe")).write_text("x")
    found = trap.take("src/**")
    assert found.pushed
    assert len(found.outside) == 1


@pytest.mark.parametrize("name", [".GIT/config", "sub/.Git/hooks/x", "git~1", ".git./x"])
def test_a_name_that_git_refuses_is_told_and_the_rest_is_taken(trap: Trap, name: str) -> None:
    trap.write(name)
    trap.write("new")
    found = trap.take("new")
    assert found.pushed
    assert name in found.outside
    assert f"{name}: git cannot hold such a path" in found.warnings


def test_a_settings_file_that_is_a_link_is_told(trap: Trap) -> None:
    trap.sh(
        "ln -s /etc/passwd .gitmodules; rm .gitignore; ln -s /etc/passwd .gitignore; ln -s / .gitattributes"
    )
    trap.write("new")
    found = trap.take()
    assert found.pushed
    assert {".gitmodules", ".gitignore", "new"} <= trap.seen(found)


def test_what_is_neither_file_nor_link_is_told_and_nothing_waits_for_it(trap: Trap) -> None:
    trap.sh("mkfifo pipe; rm README; mkfifo README")
    trap.write("new")
    found = trap.take()
    assert trap.seen(found) >= {"README", "new"}
    assert trap.mode("README") == ""


def test_files_that_were_closed_are_seen(trap: Trap) -> None:
    trap.write("src/a.py", "a = 3\n")
    trap.write("deep/er/file")
    trap.sh("chmod 000 src/a.py; chmod 000 deep/er deep src")
    assert trap.seen(trap.take()) >= {"src/a.py", "deep/er/file"}


def test_a_file_that_becomes_executable_is_seen(trap: Trap) -> None:
    trap.sh("chmod +x src/a.py")
    [change] = trap.take().changes
    assert (change.path, change.kind, change.mode) == ("src/a.py", Kind.MODE, "100755")


@pytest.mark.attack("S15")
def test_files_that_its_own_rules_hide_are_seen_and_outside_but_build_output_is_not(trap: Trap) -> None:
    trap.write(".gitignore", "*.o\nbuild/\nhidden*\n")
    trap.write("tools/.gitignore", "*\n")
    for name in ("hidden1", "tools/x", "a.o", "build/out", "src/b.o"):
        trap.write(name)
    found = trap.take("src/**", ".gitignore")
    kinds = {change.path: change.kind for change in found.changes}
    assert kinds == {
        ".gitignore": Kind.MODIFIED,
        "hidden1": Kind.IGNORED,
        "tools/": Kind.IGNORED,
        "a.o": Kind.OUTPUT,
        "build/": Kind.OUTPUT,
        "src/b.o": Kind.OUTPUT,
    }
    assert found.outside == ("hidden1", "tools/")


def test_rules_of_the_user_hide_nothing(trap: Trap, hermetic_home: Path) -> None:
    (hermetic_home / ".config" / "git").mkdir(parents=True)
    (hermetic_home / ".config" / "git" / "ignore").write_text("*\n")
    (hermetic_home / ".config" / "git" / "attributes").write_text("* filter=spy\n")
    trap.write("new")
    assert trap.seen(trap.take()) == {"new"}


def test_what_an_engine_leaves_for_itself_is_not_taken(trap: Trap) -> None:
    for name in (".aider.chat.history.md", ".aider.tags.cache.v4/x", ".aider.input.history", "new"):
        trap.write(name)
    assert trap.seen(trap.take()) == {"new"}


@pytest.mark.attack("S14")
def test_an_agent_that_writes_its_objects_over_does_not_reach_the_mirror(trap: Trap) -> None:
    trap.sh("find .git/objects -type f -exec sh -c 'chmod +w \"$1\"; echo broken > \"$1\"' _ {} ';'")
    git(trap.workspaces.mirrors / next(iter(trap.workspaces.mirrors.glob("*.git"))).name, "fsck", "--strict")
    assert not [
        path
        for path in (trap.path / ".git" / "objects").rglob("*")
        if path.stat().st_nlink > 1 and path.is_file()
    ]


def test_a_history_that_leads_elsewhere_gives_no_words_of_it_and_hangs_nothing(trap: Trap) -> None:
    trap.write("new")
    for harm in (
        "rm .git/HEAD; mkfifo .git/HEAD",
        "rm .git/HEAD; ln -s /etc/hostname .git/HEAD",
        "rm -rf .git",
    ):
        trap.sh(harm)
        seen: list[tuple[str, ...]] = []

        def message(commits: tuple[str, ...], seen: list[tuple[str, ...]] = seen) -> str:
            seen.append(commits)
            return "work\n"

        trap.workspace.capture(BRANCH, "abcdef", message)
        assert seen == [()]


@pytest.mark.attack("S14")
@pytest.mark.parametrize("name", [".gitignore", ".gitattributes", ".gitmodules", "src/.gitignore"])
@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
def test_a_settings_file_that_is_a_pipe_is_told_and_nothing_waits_for_it(
    trap: Trap, name: str, closed: bool
) -> None:
    trap.write("new")
    trap.sh(f"rm -f {name}; mkfifo {name}" + ("; chmod 500 src" if closed else ""))
    found = trap.take()
    assert found.pushed
    assert f"{name}: it is neither a file nor a link" in found.warnings
    assert "new" in trap.seen(found)


def test_a_settings_file_that_leads_to_a_pipe_hangs_nothing(trap: Trap) -> None:
    os.mkfifo(trap.root / "pipe")
    trap.sh(f"for name in .gitignore .gitattributes .gitmodules; do ln -sf {trap.root}/pipe $name; done")
    trap.write("new")
    assert "new" in trap.seen(trap.take())


@pytest.mark.parametrize("name", [".gitignore", ".gitattributes"])
def test_a_pipe_that_a_check_left_hangs_no_fix_round(trap: Trap, name: str) -> None:
    trap.sh(f"rm -f {name}; mkfifo {name}")
    restore(trap.workspace, trap.workspace.base)
    assert not (trap.path / name).is_fifo()


@pytest.mark.parametrize("encoding", ["UTF-16", "no-such-encoding", "true"])
def test_an_encoding_that_does_not_fit_is_the_agents_doing(trap: Trap, encoding: str) -> None:
    trap.write(".gitattributes", f"*.txt working-tree-encoding={encoding}\n")
    trap.write("a.txt", "odd\n")
    with pytest.raises(RefusedError, match=r"a\.txt|encoding"):
        trap.take()
