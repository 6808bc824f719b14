"""The runner's own files where an engine may write too: what it planted is not followed, nor waited for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from aq.host import ownfiles
from aq.host.config import HostConfig
from aq.host.logfile import note
from aq.host.ownfiles import append_own, clear_away, write_own
from tests.host.fakes import DONE, fake_engine
from tests.host.targets import Target
from tests.host.test_fixing import Rounds, commands
from tests.support.fleet import git, wait_until


def link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "victim")


def lost_link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "made")


def folder(path: Path) -> None:
    path.mkdir()
    (path / "in it").touch()


PLANTED = {"a link": link, "a link to nothing": lost_link, "a pipe": os.mkfifo, "a folder": folder}
planted = pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "victim").write_text("precious\n")
    (tmp_path / "run").mkdir()
    return tmp_path / "run" / "name"


def untouched(place: Path) -> bool:
    root = place.parent.parent
    return (root / "victim").read_text() == "precious\n" and not (root / "made").exists()


@pytest.mark.attack("S24")
@planted
def test_what_is_written_takes_the_place_of_what_was_planted(
    place: Path, plant: Callable[[Path], None]
) -> None:
    plant(place)
    write_own(place, "ours\n")
    assert place.lstat().st_mode & 0o170777 == 0o100600
    assert place.read_text() == "ours\n"
    assert untouched(place)


@planted
def test_a_log_is_begun_anew_where_something_was_planted(place: Path, plant: Callable[[Path], None]) -> None:
    plant(place)
    note(place, "ours")
    note(place, "more")
    assert not place.is_symlink()
    assert place.read_text() == "ours\nmore\n"
    assert untouched(place)


def test_a_log_that_turns_into_a_pipe_at_the_last_moment_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(place)
    reader = os.open(place, os.O_RDONLY | os.O_NONBLOCK)
    monkeypatch.setattr(ownfiles, "_mode", lambda _: 0)
    with pytest.raises(OSError, match="is no file"):
        append_own(place)
    os.close(reader)


def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write_text("before\n")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        write_own(place, "ours\n")
    assert [path.name for path in place.parent.iterdir()] == ["name"]
    assert place.read_text() == "before\n"


@planted
def test_a_path_is_cleared_whatever_is_there(place: Path, plant: Callable[[Path], None]) -> None:
    plant(place)
    clear_away(place)
    clear_away(place)
    assert list(place.parent.iterdir()) == []
    assert untouched(place)


def test_folders_are_opened_before_they_are_removed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "closed" / "deep").mkdir(parents=True)
    for path in (place / "closed" / "deep", place / "closed", place):
        path.chmod(0o555)
    seen: list[int] = []

    def look(path: Path, **_: object) -> None:
        seen.extend(p.stat().st_mode & 0o700 for p in (path, path / "closed", path / "closed" / "deep"))

    monkeypatch.setattr(ownfiles.shutil, "rmtree", look)
    clear_away(place)
    assert seen == [0o700] * 3
    assert not place.exists()
    assert len(list(place.parent.iterdir())) == 1


@pytest.mark.attack("S24")
def test_an_engine_that_plants_links_in_its_run_folder_reaches_nothing_outside(
    tmp_path: Path, target: Target
) -> None:
    names = ("run.tmp", "output.log", "prompt-fix1.md")
    for name in names:
        (tmp_path / f"victim-{name}").write_text("precious\n")
    plant = "".join(f"ln -sf {tmp_path}/victim-{name} ../{name}; " for name in names)
    with fake_engine(tmp_path, HostConfig("ada", repos={"r": target.url})) as fake:
        rounds = Rounds(fake)
        rounds.begin(f"{plant} echo x >> x.txt; echo told\n" + DONE, repo="r", verify=commands("false"))
        rounds.fixed()
        assert rounds.prompt
    assert {(tmp_path / f"victim-{name}").read_text() for name in names} == {"precious\n"}


def test_a_pipe_in_the_run_folder_hangs_no_run(tmp_path: Path, target: Target) -> None:
    with fake_engine(tmp_path, HostConfig("ada", repos={"r": target.url})) as fake:
        rounds = Rounds(fake)
        plant = "[ -e ../run.tmp ] || mkfifo ../run.tmp ../prompt-fix1.md; "
        rounds.begin(plant + "echo x >> x.txt\n" + DONE, repo="r", verify=commands("false"))
        rounds.fixed()
    assert wait_until(lambda: git(target.bare, "branch", "--list", "aq/*"), 5, "its branch")
