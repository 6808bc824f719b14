"""What killed processes and full disks leave: locks, half a view, half a clone. Nobody has to remove it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from aq.core.errors import EXIT_OK, EXIT_TRY_LATER, DiskFullError, TryLaterError
from aq.core.lifecycle import Stage
from aq.core.operations import PauseFleet
from aq.core.sealed import sealed
from aq.ledger.locks import sweep_locks
from aq.ledger.space import says_full, space_for
from aq.ledger.spool import Spool, Spooled
from aq.wiring import open_queue
from tests.support.fleet import Fleet, git, op, wait_until
from tests.support.remotes import away
from tests.support.story import story


def _older_git(store: Path) -> subprocess.Popen[bytes]:
    """A git process that works in a repository for as long as it is let, and is older than what follows."""
    process = subprocess.Popen(
        ["git", "--git-dir", str(store), "update-ref", "--stdin"], stdin=subprocess.PIPE, cwd=store
    )
    time.sleep(0.05)
    return process


def test_a_lock_goes_only_when_no_older_git_process_works_there(tmp_path: Path) -> None:
    store = tmp_path / "store.git"
    git(tmp_path, "init", "--quiet", "--bare", str(store))
    lock = store / "refs" / "heads" / "main.lock"
    with _older_git(store) as process:
        lock.write_text("")
        assert not sweep_locks(store)
        assert lock.exists()
        assert process.stdin
        process.stdin.close()
        process.wait()
    assert sweep_locks(store)
    assert not lock.exists()


def test_a_git_process_that_began_after_the_lock_cannot_be_its_owner(tmp_path: Path) -> None:
    store = tmp_path / "store.git"
    git(tmp_path, "init", "--quiet", "--bare", str(store))
    lock = store / "packed-refs.lock"
    lock.write_text("")
    os.utime(lock, (time.time() - 60,) * 2)
    with _older_git(store) as process:
        assert sweep_locks(store)
        assert not lock.exists()
        assert process.stdin
        process.stdin.close()


@pytest.mark.parametrize("lock", ["refs/heads/main.lock", "packed-refs.lock", "refs/aq/hosts/ada.lock"])
def test_a_lock_left_in_a_hub_on_this_machine_stops_nobody(fleet: Fleet, lock: str) -> None:
    path = fleet.hub / lock
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    os.utime(path, (time.time() - 60,) * 2)
    fleet.you.drop("x")
    fleet.you.aq("run", "--host", "ada", "--until-idle")
    job = fleet.job("x")
    assert job
    assert job.stage is Stage.TESTING


@pytest.mark.parametrize(
    "content",
    [bytes(41), b"\xff" * 41, b"", b"0123456789" * 4 + b"\n"],
    ids=["zeroed", "garbled", "empty", "another"],
)
def test_a_damaged_note_of_the_tip_is_no_rewound_history(fleet: Fleet, content: bytes) -> None:
    story(fleet, "ada").inbox("x")
    fleet.you.aq("status")
    (fleet.you.paths.home / "tip").write_bytes(content)
    fleet.you.aq("add", "--engine", "shell", "--name", "y", "true")
    assert len(fleet.snapshot().stages[Stage.INBOX]) == 2


@pytest.mark.parametrize("name", ["packed-refs", "config"])
def test_a_store_whose_settings_or_refs_are_garbled_is_made_anew(fleet: Fleet, name: str) -> None:
    story(fleet, "ada").inbox("x")
    fleet.you.aq("status")
    (fleet.you.paths.store / name).write_bytes(b"\0[not this\n" * 9)
    done = fleet.you.aq("add", "--engine", "shell", "--name", "y", "true", ok=False)
    assert done.returncode in (EXIT_OK, EXIT_TRY_LATER), done.stderr
    fleet.you.aq("status")
    assert len(fleet.snapshot().stages[Stage.INBOX]) == 2


def test_a_view_whose_move_was_cut_off_is_brought_to_the_tip(fleet: Fleet) -> None:
    you, tale = fleet.you, story(fleet, "ada")
    tale.testing("x")
    you.aq("status")
    (you.paths.home / "moving").write_text(tale.ledger.tip)
    (you.path / ".git/index.lock").write_text("")
    (you.path / "queue/testing/x.md").write_text("---\nengine")
    (you.path / "queue/testing/mine.txt").write_text("mine")
    you.aq("ship", "x")
    assert git(you.path, "status", "--porcelain") == "?? queue/testing/mine.txt"
    assert list((you.path / "queue/shipped").rglob("x.md"))
    assert not (you.path / ".git/index.lock").exists()


def test_half_a_job_file_that_a_cut_off_move_left_is_not_taken_in(fleet: Fleet) -> None:
    you, tale = fleet.you, story(fleet, "ada")
    tale.inbox("x")
    you.aq("status")
    (you.paths.home / "moving").write_text(tale.ledger.tip)
    you.drop("x", "---\nengine: shell\nverify: test -f done\n---\n")
    you.aq("status")
    assert list(fleet.snapshot().stages[Stage.INBOX]) == ["x"]


def test_an_edit_stays_where_a_cut_off_move_left_its_note(fleet: Fleet) -> None:
    you, tale = fleet.you, story(fleet, "ada")
    tale.inbox("x")
    with open_queue(you.path) as queue:
        queue.ledger.fetch()
        assert not queue.clone.view.refresh().behind
    tale.inbox("y")
    you.aq("status")
    (you.paths.home / "moving").write_text(tale.ledger.tip)
    you.drop("x", "---\nengine: shell\n---\necho edited\n")
    you.aq("status")
    job = fleet.job("x")
    assert job
    assert git(fleet.hub, "cat-file", "blob", job.blob).endswith("echo edited")


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("{")], ids=["gone", "damaged"])
def test_a_dropped_file_whose_spool_entry_is_lost_is_taken_in_again(fleet: Fleet, damage: Any) -> None:
    fleet.you.aq("status")
    fleet.you.drop("x")
    with away(fleet.hub):
        fleet.you.aq("status", ok=False)
    for entry in fleet.you.paths.spool.glob("*.json"):
        damage(entry)
    fleet.you.aq("status")
    fleet.you.aq("status")
    assert list(fleet.snapshot().stages[Stage.INBOX]) == ["x"]


def test_an_init_that_was_killed_goes_on_where_it_stopped(fleet: Fleet) -> None:
    new = fleet.root / "new"
    git(fleet.root, "init", "--quiet", str(new))
    (new / ".git/aq").mkdir()
    (new / ".git/index.lock").write_text("")
    (new / ".gitattributes").write_text("queue/")
    fleet.you.aq("init", str(new), "--remote", str(fleet.hub))
    assert git(new, "status", "--porcelain") == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_no_space_is_an_error_with_a_name_that_a_host_outlives() -> None:
    with pytest.raises(DiskFullError, match="the disk of /somewhere") as caught, space_for("/somewhere"):
        Path("/dev/full").write_bytes(b"x")
    assert isinstance(caught.value, TryLaterError)
    assert isinstance(caught.value, OSError)
    assert caught.value.exit_code == EXIT_TRY_LATER
    with pytest.raises(FileNotFoundError), space_for("/somewhere"):
        Path("/nowhere/at/all").write_bytes(b"x")


@pytest.mark.parametrize(
    ("err", "whose"),
    [
        ("fatal: write error: No space left on device\n", "here"),
        ("remote: fatal: unable to write: No space left on device\n", "remote"),
        ("error: Disk quota exceeded\nremote: No space left on device\n", "here"),
        ("fatal: not a git repository\n", ""),
    ],
)
def test_git_says_whose_disk_is_full(err: str, whose: str) -> None:
    assert says_full(err) == whose


def test_a_hub_whose_disk_is_full_is_no_damaged_store(fleet: Fleet) -> None:
    fleet.you.aq("status")
    hook = fleet.hub / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'fatal: write error: No space left on device' >&2\nexit 1\n")
    hook.chmod(0o755)
    done = fleet.you.aq("add", "--engine", "shell", "true", ok=False)
    assert done.returncode == EXIT_TRY_LATER
    assert "no space is left on the disk of the remote" in done.stderr
    hook.unlink()
    fleet.you.aq("status")
    wait_until(lambda: len(fleet.snapshot().stages.get(Stage.INBOX, {})) == 1, 20, "the spooled job")


def test_a_queues_name_with_a_garbled_letter_is_no_other_queue(fleet: Fleet) -> None:
    path = fleet.you.paths.config
    path.write_text(path.read_text().replace("main", "mamn"))
    done = fleet.you.aq("status", ok=False)
    assert done.returncode == 1
    assert f"{path} is damaged" in done.stderr
    assert "`aq init`" in done.stderr


def test_a_spool_entry_with_a_garbled_letter_is_moved_aside(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.put(Spooled(PauseFleet(**op(), why="lunch")))
    (path,) = (tmp_path / "spool").glob("*.json")
    assert [entry.operation.op_id for entry in spool.entries()]
    path.write_text(path.read_text().replace("lunch", "punch"))
    assert list(spool.entries()) == []
    assert path.with_suffix(".damaged").exists()


@pytest.mark.parametrize("name", ["Operation", "Any", "import_module", "Nothing"])
def test_a_spool_entry_that_is_no_operation_is_moved_aside(tmp_path: Path, name: str) -> None:
    spool = Spool(tmp_path)
    fields = {"at": "2026-12-01T09:00:00Z", "by": "alice", "op_id": "0" * 16}
    (tmp_path / "x.json").write_bytes(
        sealed({"op": name, "fields": fields, "content": "", "origin": "", "refused": ""})
    )
    assert list(spool.entries()) == []
    assert (tmp_path / "x.damaged").exists()
