"""A store stays small by itself, and nothing in it is lost."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

from aq.core.lifecycle import Stage
from aq.ledger.ledger import Ledger
from aq.ledger.packing import FOLDER, MANY, Packing
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


def test_a_store_of_few_files_is_left_alone(fleet: Fleet) -> None:
    ledger = fleet.you.ledger()
    landed(add(ledger, "one"))
    packing = Packing(fleet.you.paths.store)
    packing.look()
    assert packing._process is None


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


def test_what_is_written_again_is_young(fleet: Fleet) -> None:
    ledger = fleet.you.ledger()
    oid = ledger.write_blob(b"twice")
    path = fleet.you.paths.store / "objects" / oid[:2] / oid[2:]
    os.utime(path, (LONG_AGO, LONG_AGO))
    assert ledger.write_blob(b"twice") == oid
    assert path.stat().st_mtime > LONG_AGO + 60
