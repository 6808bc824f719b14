"""What a process writes down so that the next one need not find it out again gives the same answers as
finding it out: arrivals, the order of the inbox, and which files were looked into."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aq.core.instants import instant
from aq.core.operations import Cancel, Delivered
from aq.core.record import Record
from aq.core.sealed import summed, unsummed
from aq.ledger.clone import Clone
from aq.ledger.ledger import Ledger
from aq.ledger.manifests import ParseCache
from tests.support.damage import flipped
from tests.support.fleet import HELLO, Fleet, Machine, git, op
from tests.support.story import TIP, by_hand, hand_write, story

KEPT = ("aq-arrivals.json", "aq-order.json")


def prioritized(priority: str) -> str:
    return f"---\nengine: shell\npriority: {priority}\n---\ntrue\n"


def opened(machine: Machine, *, forget: bool = False) -> Ledger:
    """A new process on this machine, at the hub's tip; `forget` takes what others kept."""
    if forget:
        for name in KEPT:
            (machine.paths.store / name).unlink(missing_ok=True)
    ledger = machine.ledger()
    ledger.fetch()
    return ledger


def queue_of(ledger: Ledger, first: int | None = None) -> list[tuple[str, str]]:
    return [(job.id, job.queued) for job in ledger.snapshot().waiting(first)]


def both(machine: Machine, first: int | None = None) -> list[list[tuple[str, str]]]:
    """The queue as a process that remembers sees it, and as one that does not."""
    answers = []
    for forget in (False, True):
        ledger = opened(machine, forget=forget)
        answers.append(queue_of(ledger, first))
        ledger.close()
    return answers


def test_an_arrival_that_was_garbled_is_found_out_again(fleet: Fleet) -> None:
    hand_write(fleet.you.path, "queue/inbox/hand.md", HELLO)
    right = queue_of(opened(fleet.you, forget=True))
    ledger = opened(fleet.you)
    assert queue_of(ledger) == right
    ledger.close()
    kept = fleet.you.paths.store / "aq-arrivals.json"
    kept.write_text(summed(unsummed(kept.read_text()).replace('Z"', 'R"')))
    assert queue_of(opened(fleet.you)) == right


def test_no_flipped_bit_of_a_kept_parse_makes_another_job_of_it(tmp_path: Path) -> None:
    """Seen first: a job that somebody had edited by hand, which nobody had."""
    record = b"title: a\nmanifest_blob: " + b"a" * 40 + b"\nattempts: 2\n"
    path, blobs = tmp_path / "parsed.jsonl", {"1" * 40: record, "2" * 40: record.replace(b"2", b"3")}

    def read_all() -> list[Record | str]:
        cache = ParseCache(path, blobs.__getitem__)
        found = [cache.value(Record, blob, None, "a record") for blob in blobs]
        cache.flush()
        return found

    right = read_all()
    assert [isinstance(value, Record) for value in right] == [True, True]
    content = path.read_bytes()
    for bit in range(8 * len(content)):
        path.write_bytes(flipped(content, bit))
        assert read_all() == right


@pytest.mark.parametrize("name", KEPT)
def test_no_flipped_bit_of_a_kept_answer_makes_another_queue(fleet: Fleet, name: str) -> None:
    for job in ("one", "two"):
        hand_write(fleet.you.path, f"queue/inbox/{job}.md", HELLO)
    opened(fleet.you).close()
    right = queue_of(opened(fleet.you, forget=True), 2)
    ledger = opened(fleet.you)
    assert queue_of(ledger, 2) == right
    ledger.close()
    kept = fleet.you.paths.store / name
    content = kept.read_bytes()
    for bit in range(0, 8 * len(content), 13):
        kept.write_bytes(flipped(content, bit))
        damaged = fleet.you.ledger()
        assert queue_of(damaged, 2) == right
        damaged.objects.close()


def test_arrivals_that_were_kept_are_those_that_the_history_tells(fleet: Fleet) -> None:
    tale = story(fleet)
    for name in ("one", "two", "back"):
        tale.inbox(name)
    kept, anew = both(fleet.you)
    assert kept == anew
    assert all(at for _, at in kept)
    tale.failed("lost")
    tale.requeue("lost")
    hand_write(fleet.you.path, "queue/inbox/hand.md", HELLO)
    by_hand(fleet.you.path, ("rm", "--quiet", "queue/inbox/two.md"))
    kept, anew = both(fleet.you)
    assert kept == anew
    assert {name for name, _ in kept} == {"one", "back", "lost", "hand"}


def test_arrivals_beyond_what_is_walked_in_process_are_found(fleet: Fleet) -> None:
    story(fleet).inbox("old")
    both(fleet.you)
    git(fleet.you.path, "pull", "--quiet", "--no-rebase")
    for number in range(70):
        git(fleet.you.path, "commit", "--quiet", "--allow-empty", "-m", f"note {number}")
        if not number:
            (fleet.you.path / "queue" / "inbox" / "far.md").write_text(HELLO)
            git(fleet.you.path, "add", "queue/inbox/far.md")
    git(fleet.you.path, "push", "--quiet", "origin", "HEAD:main")
    kept, anew = both(fleet.you)
    assert kept == anew
    assert [name for name, at in kept if at] == [name for name, _ in kept]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"tip": 1}', b"\xff"], ids=repr)
def test_a_damaged_note_is_found_out_anew(fleet: Fleet, damage: bytes) -> None:
    story(fleet).inbox("x")
    expected, _ = both(fleet.you, 5)
    for name in KEPT:
        (fleet.you.paths.store / name).write_bytes(damage)
    ledger = opened(fleet.you)
    assert queue_of(ledger, 5) == expected


def test_the_first_of_the_queue_are_the_same_with_and_without_the_kept_order(fleet: Fleet) -> None:
    tale = story(fleet)
    for name, priority in (("low", "low"), ("plain", "medium"), ("urgent", "critical"), ("high", "high")):
        tale.inbox(name, prioritized(priority))

    def steps() -> list[Callable[[], object]]:
        return [
            lambda: None,
            lambda: tale.do(tale.revise_of("low", prioritized("critical"))),
            lambda: tale.building("urgent"),
            lambda: tale.do(Cancel(**op(), job="high", message="no")),
            lambda: hand_write(fleet.you.path, "queue/inbox/undated.md", HELLO),
        ]

    for step in steps():
        step()
        tale.ledger.fetch()
        kept, anew = both(fleet.you, 2)
        assert kept == anew == queue_of(opened(fleet.you))[:2]


def test_another_default_priority_makes_another_order(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.inbox("given", prioritized("medium"))
    tale.inbox("default")
    both(fleet.you, 1)
    settings = (fleet.you.path / "queue" / "aq.yaml").read_text()
    hand_write(fleet.you.path, "queue/aq.yaml", f"{settings}defaults: {{priority: critical}}\n")
    kept, anew = both(fleet.you, 1)
    assert [name for name, _ in kept] == [name for name, _ in anew] == ["default"]
    hand_write(fleet.you.path, "queue/aq.yaml", f"{settings}defaults: {{priority: low}}\n")
    kept, anew = both(fleet.you, 1)
    assert [name for name, _ in kept] == [name for name, _ in anew] == ["given"]


def clone_of(machine: Machine) -> Clone:
    return Clone(opened(machine), machine.paths, "alice", lambda: instant(time.time()))


def looked_into(clone: Clone) -> list[str]:
    """The files that a pass of this process has to read."""
    return [name for name, _ in clone.intake._candidates(clone.intake.ledger.snapshot())]


def settled_inbox(fleet: Fleet) -> Path:
    """One submitted job whose file every process has looked into."""
    story(fleet).inbox("x")
    path = fleet.you.drop("x")
    clone = clone_of(fleet.you)
    clone.take_in()
    clone.intake.flush()
    return path


def test_a_file_that_was_looked_into_is_not_read_again_by_the_next_process(fleet: Fleet) -> None:
    settled_inbox(fleet)
    assert looked_into(clone_of(fleet.you)) == []


def test_a_file_that_changed_in_place_with_its_old_time_and_size_is_read_again(fleet: Fleet) -> None:
    path = settled_inbox(fleet)
    before = path.stat()
    path.write_text(HELLO.replace("touch", "mkdir"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert looked_into(clone_of(fleet.you)) == ["x.md"]


def test_a_file_whose_job_left_the_queue_is_read_again(fleet: Fleet) -> None:
    settled_inbox(fleet)
    other = fleet.machine("bob")
    by_hand(other.path, ("rm", "--quiet", "queue/inbox/x.md"))
    assert looked_into(clone_of(fleet.you)) == ["x.md"]


def test_a_file_with_something_wrong_is_told_again_by_every_process(fleet: Fleet) -> None:
    fleet.you.drop("bad", "---\nenigne: shell\n---\ntrue\n")
    for _ in range(2):
        clone = clone_of(fleet.you)
        assert any("bad.md" in line for line in clone.take_in())
        assert [note.file for note in clone.not_taken] == ["queue/inbox/bad.md"]
        clone.intake.flush()


def test_a_damaged_note_of_files_reads_them_again(fleet: Fleet) -> None:
    settled_inbox(fleet)
    (fleet.you.paths.home / "intake-seen.json").write_text('{"x.md": 3}')
    assert looked_into(clone_of(fleet.you)) == ["x.md"]


def test_what_is_still_to_be_delivered_is_found_with_and_without_the_note_of_the_rest(fleet: Fleet) -> None:
    tale = story(fleet)
    merge = HELLO.replace("engine: shell", "engine: shell\ndeliver: merge")
    note = fleet.you.paths.store / "aq-settled"
    for name in ("first", "second"):
        tale.shipped(f"{name}-plain")
        tale.shipped(name, merge, TIP)
        for damage in (None, b"", b"\xff\0", None):
            if damage is not None:
                note.write_bytes(damage)
            ledger = opened(fleet.you)
            found = {job.id for job in ledger.snapshot().archive.undelivered()}
            assert found == {"first", name}
            ledger.close()
    assert len(note.read_text().split()) == 2
    tale.do(Delivered(**op("ada"), job="first", oid=TIP))
    assert [job.id for job in opened(fleet.you).snapshot().archive.undelivered()] == ["second"]
