"""The store is a cache: whatever happens to it, the next command makes it good by itself."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aq.core.lifecycle import Stage
from aq.ledger.objects import MissingObjectError, Objects
from aq.ledger.setup import initialize
from tests.support.fleet import HELLO, Fleet, Machine, git
from tests.support.story import story


def loose(store: Path) -> list[Path]:
    return [path for path in store.glob("objects/??/*") if path.is_file()]


def objects(store: Path) -> list[Path]:
    return loose(store) + list(store.glob("objects/pack/*.pack"))


def _write(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def empty_all(store: Path) -> None:
    for path in objects(store):
        _write(path, b"")


def halve_all(store: Path) -> None:
    for path in objects(store):
        _write(path, path.read_bytes()[: path.stat().st_size // 2])


def delete_all(store: Path) -> None:
    for path in objects(store):
        path.unlink()


def delete_blobs(store: Path) -> None:
    """The tip stays readable, what it names is gone."""
    for path in loose(store):
        oid = path.parent.name + path.name
        if git(store, "cat-file", "-t", oid) == "blob":
            path.unlink()


def noise(store: Path) -> None:
    for path in objects(store):
        _write(path, b"\x00noise" * 10)


def tear_tip(store: Path) -> None:
    (store / "refs/aq/tip").write_text("")
    (store.parent / "tip").write_text("not an oid\n")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "the store deleted": shutil.rmtree,
    "its HEAD deleted": lambda store: (store / "HEAD").unlink(),
    "its objects deleted": delete_all,
    "its blobs deleted": delete_blobs,
    "its objects emptied, as after a power cut": empty_all,
    "its objects cut in half": halve_all,
    "its objects overwritten": noise,
    "its config deleted": lambda store: (store / "config").unlink(),
    "its config emptied": lambda store: (store / "config").write_text(""),
    "its refs deleted": lambda store: shutil.rmtree(store / "refs"),
    "its tip torn": tear_tip,
    "its objects folder deleted": lambda store: shutil.rmtree(store / "objects"),
}


def forget_parses(machine: Machine) -> None:
    (machine.paths.home / "parsed.jsonl").unlink(missing_ok=True)


WHILE_ADDING = ("its blobs deleted", "its objects emptied, as after a power cut", "its objects overwritten")


@pytest.mark.parametrize(
    ("command", "damage"),
    [*(("status", damage) for damage in DAMAGE), *(("add", damage) for damage in WHILE_ADDING)],
)
def test_a_damaged_store_recovers_by_itself_at_the_next_command(
    fleet: Fleet, damage: str, command: str
) -> None:
    tale = story(fleet, "ada")
    tale.testing("one")
    tale.inbox("two")
    fleet.you.aq("status")
    fleet.you.drop("dropped")
    DAMAGE[damage](fleet.you.paths.store)
    forget_parses(fleet.you)
    if command == "status":
        shown = fleet.you.aq("status").stdout
        assert "two" in shown
    else:
        fleet.you.aq("add", "--engine", "shell", "--name", "three", "true", ok=False)
    fleet.you.aq("ship", "one")
    names = {job.id.split("-")[0] for job in fleet.snapshot().jobs()}
    assert {"one", "two", "dropped"} | ({"three"} if command == "add" else set()) == names | {"one"}
    assert fleet.job("one").stage is Stage.SHIPPED  # type: ignore[union-attr]
    tale.fsck()


@pytest.mark.parametrize(
    "damage", ["the store deleted", "its objects emptied, as after a power cut", "its blobs deleted"]
)
def test_an_open_ledger_survives_the_loss_of_its_store(fleet: Fleet, damage: str) -> None:
    tale = story(fleet, "ada")
    tale.building("one")
    DAMAGE[damage](fleet.machine("ada").paths.store)
    tale.ledger.fetch()
    tale.do(tale.land_of("one"))
    tale.inbox("two")
    assert fleet.job("one").stage is Stage.REVIEW  # type: ignore[union-attr]
    tale.fsck()


@pytest.mark.parametrize(
    "lock",
    [
        "refs/aq/tip.lock",
        "packed-refs.lock",
        "config.lock",
        "HEAD.lock",
        "shallow.lock",
        "objects/maintenance.lock",
    ],
)
def test_a_lock_file_left_by_a_killed_process_stops_nobody(fleet: Fleet, lock: str) -> None:
    fleet.you.aq("status")
    path = fleet.you.paths.store / lock
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    old = time.time() - 600
    os.utime(path, (old, old))
    fleet.you.aq("add", "--engine", "shell", "--name", "x", "true")
    fleet.you.aq("status")


def test_a_ref_lock_of_the_hosts_own_role_stops_nobody(fleet: Fleet) -> None:
    ada = fleet.machine("ada")
    ada.aq("run", "--host", "ada", "--once", ok=False)
    folder = ada.paths.store / "refs/aq/fetched/run-ada"
    folder.mkdir(parents=True, exist_ok=True)
    stale = folder / "main.lock"
    stale.write_text("")
    os.utime(stale, (time.time() - 600,) * 2)
    fleet.you.drop("x")
    fleet.you.aq("status")
    ada.aq("run", "--host", "ada", "--until-idle")
    assert fleet.job("x").stage is Stage.TESTING  # type: ignore[union-attr]


def test_our_own_lock_file_without_a_holder_is_no_lock(fleet: Fleet) -> None:
    fleet.you.paths.lock.write_text("")
    fleet.you.aq("add", "--engine", "shell", "true")


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"url": 1}'], ids=["empty", "cut off", "a list", "another shape"]
)
def test_a_damaged_configuration_says_what_to_do_and_init_repairs_it(fleet: Fleet, damage: str) -> None:
    fleet.you.paths.config.write_text(damage)
    done = fleet.you.aq("status", ok=False)
    assert done.returncode == 1
    assert "aq init" in done.stderr
    fleet.you.aq("init", "--remote", str(fleet.hub))
    fleet.you.aq("status")


def test_damaged_caches_are_made_anew(fleet: Fleet) -> None:
    story(fleet, "ada").testing("one")
    fleet.you.aq("status")
    (fleet.you.paths.home / "parsed.jsonl").write_bytes(b'{"f": "x"\n\xff\xfe\n{}\n[1]\n')
    (fleet.you.paths.home / "intake.json").write_text("{")
    assert "one" in fleet.you.aq("status").stdout


def test_a_garbled_letter_in_the_note_of_what_was_taken_in_reads_the_files_again(fleet: Fleet) -> None:
    fleet.you.drop("x")
    fleet.you.aq("status")
    note = fleet.you.paths.home / "intake.json"
    note.write_text(note.read_text().replace('"job"', '"jnb"'))
    assert "x " in fleet.you.aq("status").stdout
    assert [job.id for job in fleet.snapshot().jobs()] == ["x"]


def test_an_object_that_is_not_what_its_name_says_is_no_object(fleet: Fleet) -> None:
    """Git believes what it finds under a name, as after a flipped bit that made a delta of another base."""
    store = fleet.you.paths.store
    names = [git(store, "hash-object", "-w", "--stdin", data=text) for text in (b"a job\n", b"a lie\n")]
    told, lie = (store / "objects" / name[:2] / name[2:] for name in names)
    _write(told, lie.read_bytes())
    reader = Objects(store)
    assert reader.read(names[1]) == b"a lie\n"
    with pytest.raises(MissingObjectError, match="another content"):
        reader.read(names[0])
    reader.close()


def test_a_damaged_spool_entry_is_set_aside_and_doctor_names_it(fleet: Fleet) -> None:
    spool = fleet.you.paths.spool
    spool.mkdir(parents=True, exist_ok=True)
    (spool / "2026-01-01T000000Z-1.json").write_text('{"op": "Add"')
    fleet.you.drop("x")
    fleet.you.aq("status")
    assert fleet.job("x")
    assert "1 damaged spool entries" in fleet.you.aq("doctor", ok=False).stdout


def test_a_sha256_hub_works_end_to_end(tmp_path: Path) -> None:
    hub = tmp_path / "hub.git"
    git(tmp_path, "init", "--quiet", "--bare", "-b", "main", "--object-format=sha256", str(hub))
    made = initialize(tmp_path / "q", str(hub))
    assert len(git(hub, "rev-parse", "main")) == 64
    q = Machine("q", made.paths.clone, tmp_path / "q.state")
    q.drop("x", HELLO)
    q.aq("status")
    q.aq("run", "--host", "ada", "--until-idle")
    second = initialize(tmp_path / "r", str(hub))
    r = Machine("r", second.paths.clone, tmp_path / "r.state")
    assert "waits for `aq ship x`" in r.aq("status").stdout
    r.aq("ship", "x")
    assert git(hub, "fsck", "--strict", "--no-dangling", "--no-progress") == ""
    kept = [
        path
        for path in git(hub, "ls-tree", "-r", "--name-only", "main").splitlines()
        if path.endswith(".gitkeep")
    ]
    assert {f"queue/{stage}/.gitkeep" for stage in Stage} <= set(kept)
    assert git(q.path, "rev-parse", "--show-object-format") == "sha256"
