"""The local agent's files are those of its workspace, whatever its model asks for."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from aq.host.engines.local_agent import jail as jail_module
from aq.host.engines.local_agent.jail import MAX_FILE, Jail, JailError, is_git


@pytest.fixture(params=[True, False], ids=["with open folders", "with paths, as on Windows"])
def root(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a file, git's folder, and links inside and out, beside a stranger's secret."""
    monkeypatch.setattr(jail_module, "_HAS_FOLDERS", request.param)
    (tmp_path / "secret.txt").write_text("theirs")
    (tmp_path / "elsewhere").mkdir()
    found = tmp_path / "work"
    (found / "src").mkdir(parents=True)
    (found / "src" / "a.py").write_text("ours")
    (found / ".git").mkdir()
    (found / ".git" / "config").write_text("git's")
    (found / "sub" / ".git").mkdir(parents=True)
    (found / "out").symlink_to(tmp_path / "secret.txt")
    (found / "away").symlink_to(tmp_path / "elsewhere")
    (found / "up").symlink_to("..")
    (found / "dangling").symlink_to(tmp_path / "not-there")
    (found / "round").symlink_to("round")
    (found / "inside").symlink_to("src")
    (found / "gitlink").symlink_to(".git")
    (found / "linked").mkdir()
    (found / "linked" / ".git").symlink_to("../src")
    return found


OUTSIDE = {
    "the parent": "../secret.txt",
    "deep and back": "src/../../secret.txt",
    "an absolute path": "/etc/passwd",
    "a brother with the same beginning": "../work-2/a",
    "a link to a file outside": "out",
    "a link to a folder outside": "away/new.txt",
    "a link to the parent": "up/secret.txt",
    "a link to nothing outside": "dangling",
    "git's folder": ".git/config",
    "git's folder itself": ".git",
    "git's folder in other letters": ".GIT/config",
    "git's folder of a nested repository": "sub/.git/hooks/post-checkout",
    "git's folder by a link": "gitlink/config",
    "a link with the name of git's folder": "linked/.git/a.py",
    "git's folder with dots that Windows drops": ".git. ./config",
    "git's folder by its short name": "git~1/config",
    "git's folder as a stream": ".git::$INDEX_ALLOCATION/config",
    "git's folder with a letter of no width": ".g\u200cit/config",
    "a drive": "C:/Windows/win.ini",
    "a drive and a relative path": "c:secret.txt",
    "a share": "//server/share/a",
    "a share with backslashes": "\\\\server\\share\\a",
    "a device": "\\\\?\\C:\\a",
    "backslashes": "..\\secret.txt",
    "a home": "~/.ssh/id_rsa",
    "a zero byte": "src/a.py\0.txt",
    "a line break": "src/a\n.py",
    "a very long path": "a/" * 600 + "b",
}


@pytest.mark.parametrize("path", OUTSIDE.values(), ids=OUTSIDE)
@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda jail, path: jail.read(path), id="read"),
        pytest.param(lambda jail, path: jail.write(path, b"mine"), id="write"),
        pytest.param(lambda jail, path: jail.entries(path), id="list"),
    ],
)
def test_what_leads_out_is_refused(root: Path, use: Callable[[Jail, str], object], path: str) -> None:
    before = sorted(str(found) for found in root.parent.rglob("*"))
    with pytest.raises(JailError):
        use(Jail(root), path)
    assert sorted(str(found) for found in root.parent.rglob("*")) == before
    assert (root.parent / "secret.txt").read_text() == "theirs"
    assert (root / ".git" / "config").read_text() == "git's"


INSIDE = {
    "a plain path": "src/a.py",
    "a detour": "./src/../src//a.py",
    "a link inside": "inside/a.py",
}


@pytest.mark.parametrize("path", INSIDE.values(), ids=INSIDE)
def test_what_stays_inside_is_read_and_written(root: Path, path: str) -> None:
    jail = Jail(root)
    assert jail.read(path) == b"ours"
    assert jail.write(path, b"new") is False
    assert (root / "src" / "a.py").read_bytes() == b"new"
    assert (root / "inside").is_symlink()


def test_an_absolute_path_inside_is_that_path(root: Path) -> None:
    assert Jail(root).read(str(root / "src" / "a.py")) == b"ours"


def test_a_workspace_that_is_reached_by_a_link_is_the_folder_behind_it(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert Jail(tmp_path / "link").read(str(tmp_path / "link" / "src" / "a.py")) == b"ours"


@pytest.mark.parametrize("path", ["round", "round/a"])
def test_a_link_to_itself_is_an_error_not_an_escape(root: Path, path: str) -> None:
    with pytest.raises((OSError, JailError)):
        Jail(root).read(path)


def test_a_new_file_gets_its_folders_and_no_leftovers(root: Path) -> None:
    assert Jail(root).write("new/deep/file.txt", b"text") is True
    assert (root / "new" / "deep" / "file.txt").read_bytes() == b"text"
    assert [found.name for found in (root / "new" / "deep").iterdir()] == ["file.txt"]


def test_a_script_stays_executable_and_a_hard_link_to_elsewhere_is_cut(root: Path) -> None:
    script = root / "run.sh"
    script.write_text("old")
    script.chmod(0o755)
    other = root.parent / "other"
    os.link(script, other)
    Jail(root).write("run.sh", b"new")
    assert stat.S_IMODE(script.stat().st_mode) == 0o755
    assert other.read_text() == "old"


@pytest.mark.parametrize("path", ["", ".", "src", "src/"])
def test_a_folder_is_no_file(root: Path, path: str) -> None:
    for use in (Jail(root).read, lambda name: Jail(root).write(name, b"x")):
        with pytest.raises(OSError, match=r"folder|directory"):
            use(path)


def test_a_pipe_is_neither_read_nor_waited_for(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(OSError, match="not a plain file"):
        Jail(root).read("pipe")


def test_very_large_files_are_refused(root: Path) -> None:
    with (root / "big").open("wb") as file:
        file.truncate(MAX_FILE + 1)
    for use in (lambda: Jail(root).read("big"), lambda: Jail(root).write("b", b"x" * (MAX_FILE + 1))):
        with pytest.raises(OSError, match="MiB"):
            use()


class _Racing(Jail):
    """A jail whose workspace changes between the look at a path and its use."""

    change: Callable[[], None]

    def parts(self, path: str) -> tuple[str, ...]:
        found = super().parts(path)
        self.change()
        return found


def _swapped(path: Path, target: Path) -> Callable[[], None]:
    def swap() -> None:
        path.rename(path.with_name("before"))
        path.symlink_to(target)

    return swap


RACES = {
    "the file becomes a link": ("src/secret.txt", "src/secret.txt", "secret.txt"),
    "its folder becomes a link": ("src/secret.txt", "src", "."),
}


@pytest.mark.parametrize("root", [True], indirect=True)
@pytest.mark.parametrize(("path", "swapped", "target"), RACES.values(), ids=RACES)
def test_a_link_put_there_in_between_is_not_followed(
    root: Path, path: str, swapped: str, target: str
) -> None:
    (root / "src" / "secret.txt").write_text("ours")
    racing = _Racing(root)
    racing.change = _swapped(root / swapped, root.parent / target)
    with pytest.raises(OSError, match=r"symbolic|directory"):
        racing.read(path)
    (root / swapped).unlink()
    (root / swapped).with_name("before").rename(root / swapped)
    racing.change = _swapped(root / swapped, root.parent / target)
    if swapped == path:
        racing.write(path, b"mine")
        assert not (root / path).is_symlink()
    else:
        with pytest.raises(OSError, match=r"symbolic|directory"):
            racing.write(path, b"mine")
    assert (root.parent / "secret.txt").read_text() == "theirs"


def test_a_folder_lists_everything_but_git_s_own(root: Path) -> None:
    found = {entry.name: entry.kind for entry in Jail(root).entries(".")}
    assert found == {
        "src": "folder",
        "sub": "folder",
        "linked": "folder",
        **dict.fromkeys(("out", "away", "up", "dangling", "round", "inside", "gitlink"), "link"),
    }
    os.mkfifo(root / "sub" / "pipe")
    assert [(entry.name, entry.kind) for entry in Jail(root).entries("sub")] == [("pipe", "other")]
    assert [entry.size for entry in Jail(root).entries("src")] == [4]


def test_all_files_are_found_once_without_following_links(root: Path) -> None:
    (root / "b.txt").write_text("b")
    (root / "src" / "deep").mkdir()
    (root / "src" / "deep" / "c.txt").write_text("c")
    (root / "src" / "closed").mkdir(mode=0o000)
    assert list(Jail(root).files()) == ["b.txt", "src/a.py", "src/deep/c.txt"]
    assert list(Jail(root).files("src/deep")) == ["src/deep/c.txt"]


@pytest.mark.parametrize("name", [".git", ".Git", ".git.", ".git ", "GIT~1", ".gi\u200dt", ".git:x"])
def test_names_that_some_file_system_takes_for_git_s(name: str) -> None:
    assert is_git(name)


@pytest.mark.parametrize("name", [".gitignore", ".github", "git", "a.git", "git~12"])
def test_names_that_only_look_like_git_s(name: str) -> None:
    assert not is_git(name)
