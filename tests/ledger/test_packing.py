"""A store stays small by itself, and nothing in it is lost."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import pytest

from aq.core.lifecycle import Stage
from aq.ledger import packing as module
from aq.ledger.ledger import Ledger
from aq.ledger.packing import EVERY, FOLDER, MANY, MANY_PACKS, Packing
from tests.support.fleet import Fleet, add, git, landed, wait_until

LONG_AGO = time.time() - 30 * 24 * 3600


def _counted() -> Iterator[bytes]:
    """Contents of blobs that are counted: those of one folder."""
    for number in count():
        content = str(number).encode()
        if hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest().startswith(FOLDER):
            yield content


def _many(ledger: Ledger) -> list[str]:
    return [ledger.write_blob(content) for content in islice(_counted(), MANY + 1)]


def _loose(store: Path) -> int:
    return int(git(store, "count-objects").split()[0])


def test_a_store_of_many_files_is_packed_beside_the_work_and_loses_nothing(fleet: Fleet) -> None:
    ledger = fleet.you.ledger()
    landed(add(ledger, "before"))
    blobs = _many(ledger)
    fleet.you.aq("status")
    wait_until(lambda: not _loose(fleet.you.paths.store), what="the store to be packed")
    assert [ledger.objects.has(oid) for oid in blobs] == [True] * len(blobs)
    landed(add(ledger, "after"))
    assert {"before", "after"} <= set(fleet.snapshot().stages[Stage.INBOX])
    git(fleet.you.paths.store, "fsck", "--no-dangling")


def test_who_looks_at_the_queue_for_days_has_the_store_packed(fleet: Fleet) -> None:
    ledger = fleet.you.ledger()
    ledger.fetch()
    _many(ledger)
    ledger.fetch()
    wait_until(lambda: not _loose(fleet.you.paths.store), what="the store to be packed")


def begins(store: Path) -> bool:
    """Whether a process that looks now begins to pack. It is over when this returns."""
    packing = Packing(store)
    packing.look()
    return packing.process is not None and packing.process.wait(60) == 0


def test_a_store_of_few_files_is_left_alone(fleet: Fleet) -> None:
    landed(add(fleet.you.ledger(), "one"))
    assert not begins(fleet.you.paths.store)


def test_of_many_processes_one_packs_in_ten_minutes(fleet: Fleet) -> None:
    ledger, store = fleet.you.ledger(), fleet.you.paths.store
    _many(ledger)
    assert [begins(store) for _ in range(3)] == [True, False, False]
    _many(ledger)
    assert not begins(store)
    long_ago = time.time() - EVERY - 1
    os.utime(store / "aq-packing", (long_ago, long_ago))
    assert begins(store)
    assert not _loose(store)


def test_many_packs_become_few(fleet: Fleet) -> None:
    ledger, store = fleet.you.ledger(), fleet.you.paths.store
    for number in range(MANY_PACKS + 1):
        oid = ledger.write_blob(f"blob {number}".encode())
        git(store, "pack-objects", "-q", "objects/pack/pack", data=f"{oid}\n".encode())
    assert begins(store)
    assert len(list(store.glob("objects/pack/*.pack"))) < 5


def test_an_object_is_written_although_git_removes_folders_that_it_emptied(fleet: Fleet) -> None:
    ledger, done = fleet.you.ledger(), threading.Event()

    def remove_folders() -> None:
        while not done.is_set():
            for number in range(256):
                with contextlib.suppress(OSError):
                    (fleet.you.paths.store / "objects" / f"{number:02x}").rmdir()

    remover = threading.Thread(target=remove_folders)
    remover.start()
    try:
        written = [ledger.write_blob(f"{number} beside git".encode()) for number in range(1000)]
    finally:
        done.set()
        remover.join()
    assert all(ledger.objects.has(oid) for oid in written)


def test_what_a_killed_git_left_goes_and_what_it_writes_now_stays(fleet: Fleet) -> None:
    ledger, packs = fleet.you.ledger(), fleet.you.paths.store / "objects" / "pack"
    _many(ledger)
    for name in ("tmp_pack_old", "tmp_pack_new"):
        (packs / name).write_bytes(b"half a pack")
    os.utime(packs / "tmp_pack_old", (LONG_AGO, LONG_AGO))
    assert begins(fleet.you.paths.store)
    assert [path.name for path in packs.glob("tmp_*")] == ["tmp_pack_new"]


def test_a_disk_without_room_for_another_copy_is_left_alone(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    _many(fleet.you.ledger())
    monkeypatch.setattr(module, "_ROOM", 1 << 60)
    assert not begins(fleet.you.paths.store)


def test_packing_that_cannot_begin_is_no_error(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    _many(fleet.you.ledger())
    monkeypatch.setattr(module, "start_beside", none_left)
    Packing(fleet.you.paths.store).look()
    Packing(fleet.root / "nowhere").look()


def none_left(args: list[str]) -> None:
    """What the system says when it has no process left."""
    raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable", args[0])


def test_clean_drops_what_nobody_needed_for_long_and_keeps_the_queue(fleet: Fleet) -> None:
    ledger = fleet.you.ledger()
    landed(add(ledger, "kept"))
    old, young = ledger.write_blob(b"of no use"), ledger.write_blob(b"of no use yet")
    store = fleet.you.paths.store
    git(store, "repack", "-d", "-l", "-q", "--geometric=2")
    for path in store.glob("objects/pack/*"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    assert ledger.write_blob(b"of no use yet") == young
    fleet.you.aq("clean")
    there = fleet.you.ledger()
    assert [there.objects.has(oid) for oid in (old, young)] == [False, True]
    assert there.snapshot().find("kept")


def test_clean_says_why_git_could_not_collect_and_ends_well(fleet: Fleet) -> None:
    landed(add(fleet.you.ledger(), "kept"))
    # A lock that nobody can remove.
    (fleet.you.paths.store / "objects" / "info" / "commit-graph.lock").mkdir(parents=True)
    said = fleet.you.aq("clean").stderr
    assert f"git could not clean up {fleet.you.paths.store}: " in said
    assert "commit-graph.lock" in said


@pytest.mark.parametrize("name", ["objects/info/commit-graph.lock", "objects/pack/multi-pack-index.lock"])
def test_clean_goes_on_after_a_collection_that_was_killed(fleet: Fleet, name: str) -> None:
    landed(add(fleet.you.ledger(), "kept"))
    store = fleet.you.paths.store
    lock, half, young = store / name, store / ".aq-tip.99999.tmp", store / ".aq-tip.99998.tmp"
    lock.parent.mkdir(exist_ok=True)
    for path in (lock, half, young):
        path.touch()
    os.utime(half, (LONG_AGO, LONG_AGO))
    assert "could not" not in fleet.you.aq("clean").stderr
    assert [path.exists() for path in (lock, half, young)] == [False, False, True]


def test_what_is_written_again_is_young(fleet: Fleet) -> None:
    ledger = fleet.you.ledger()
    oid = ledger.write_blob(b"twice")
    path = fleet.you.paths.store / "objects" / oid[:2] / oid[2:]
    os.utime(path, (LONG_AGO, LONG_AGO))
    assert ledger.write_blob(b"twice") == oid
    assert path.stat().st_mtime > LONG_AGO + 60
