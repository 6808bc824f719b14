"""Intake of very many files: in portions, in order, each once, and at a cost that the others do not raise."""

from __future__ import annotations

from pathlib import Path

import pytest

import aq.core.submission
import aq.ledger.intake
import aq.ledger.spool
from aq.core.ids import keyed_id
from aq.core.value import replace
from aq.ledger.clone import Clone
from aq.ui.cli.common import take_in
from aq.wiring import open_queue
from tests.ledger.test_intake import OTHER, clone_of, submit
from tests.support.fleet import HELLO, Fleet
from tests.support.story import story

KEYED = "---\nengine: shell\nidempotency-key: nightly\n---\n{body}\n"
BAD = "---\nenigne: shell\n---\ntrue\n"


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> int:
    """A pass takes in three files."""
    monkeypatch.setattr(aq.ledger.intake, "PORTION", 3)
    return 3


class Count:
    """A function that counts how often it is called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> None:
        self.calls: list[object] = []
        whole = getattr(module, name)

        def counting(*args: object, **more: object) -> object:
            self.calls.append(args[0])
            return whole(*args, **more)

        monkeypatch.setattr(module, name, counting)

    def of(self, path: Path) -> int:
        return self.calls.count(path)


def looked(clone: Clone) -> Clone:
    clone.intake.ledger.fetch()
    return clone


def drop(fleet: Fleet, count: int, text: str = HELLO) -> list[str]:
    names = [f"j{number:02}" for number in range(count)]
    for name in names:
        fleet.you.drop(name, text)
    return names


def origins(clone: Clone) -> list[str]:
    return sorted(entry.origin.removesuffix(".md") for entry in clone.spool.entries())


def test_a_pass_takes_in_a_portion_and_the_next_ones_the_rest_in_order_and_once(
    fleet: Fleet, three: int
) -> None:
    names = drop(fleet, 8)
    clone = looked(clone_of(fleet.you))
    for many in (3, 6, 8, 8):
        clone.take_in()
        assert origins(clone) == names[:many]
        assert clone.more == (many < 8)


def test_every_pass_submits_a_portion_and_each_file_becomes_a_job_once(fleet: Fleet, three: int) -> None:
    names = drop(fleet, 8)
    clone = clone_of(fleet.you)
    for many in (3, 6, 8, 8):
        submit(clone)
        assert sorted(job.id for job in fleet.snapshot().jobs()) == names[:many]
    assert sorted(event for event in fleet.events() if event.startswith("add")) == [f"add {x}" for x in names]
    assert not origins(clone)


def test_what_waits_in_the_spool_is_submitted_in_portions(fleet: Fleet, three: int) -> None:
    drop(fleet, 8)
    clone = looked(clone_of(fleet.you))
    for _ in range(3):
        clone.take_in()
    first = clone.submissions()
    assert len(first) == three
    assert clone.submissions() == first, "nothing else before these are settled"


def test_a_crash_between_two_portions_loses_nothing_and_submits_once(fleet: Fleet, three: int) -> None:
    names = drop(fleet, 5)
    dying = looked(clone_of(fleet.you))
    dying.take_in()
    dying.intake.state.unlink()
    for _ in range(3):
        submit(clone_of(fleet.you))
    assert sorted(event for event in fleet.events() if event.startswith("add")) == [f"add {x}" for x in names]


def test_files_that_are_refused_keep_none_behind_them_waiting(fleet: Fleet, three: int) -> None:
    bad = drop(fleet, 7, BAD)
    fleet.you.drop("z")
    clone = clone_of(fleet.you)
    tale = story(fleet, "ada")
    for number in range(3):
        tale.inbox(f"other-{number}")
        submit(clone)
    assert fleet.job("z")
    assert sorted(Path(note.file).stem for note in clone.not_taken) == bad


def test_files_that_only_another_queue_would_take_keep_none_behind_them_waiting(
    fleet: Fleet, three: int
) -> None:
    """They are asked about again on every tip."""
    tale = story(fleet, "ada")
    first = tale.add_of("a", KEYED.format(body="true"))
    key = keyed_id("nightly", "nightly")
    tale.do(replace(first, job=key))
    tale.do(tale.claim_of(key))
    for name in drop(fleet, 7):
        fleet.you.drop(name, KEYED.format(body=f"echo {name}"))
    fleet.you.drop("z")
    clone = clone_of(fleet.you)
    for number in range(3):
        tale.inbox(f"other-{number}")
        submit(clone)
    assert fleet.job("z")


def test_the_same_problem_of_the_same_file_is_not_looked_for_in_every_pass(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(fleet, 3, BAD)
    clone = looked(clone_of(fleet.you))
    parsed = Count(monkeypatch, aq.core.submission, "checked")
    for _ in range(3):
        clone.take_in()
        assert len(clone.not_taken) == 3
    assert len(parsed.calls) == 3
    fleet.you.drop("j00", OTHER)
    clone.take_in()
    assert origins(clone) == ["j00"]


def test_a_pass_starts_no_more_git_processes_for_many_files_than_for_one(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    clone = looked(clone_of(fleet.you))

    def started() -> list[str]:
        trace.write_text("")
        monkeypatch.setenv("GIT_TRACE", str(trace))
        clone.take_in()
        monkeypatch.delenv("GIT_TRACE")
        return [
            line.split("built-in: ")[1] for line in trace.read_text().splitlines() if "built-in: " in line
        ]

    fleet.you.drop("a")
    for_one = started()
    drop(fleet, 12)
    assert started() == for_one
    assert len(origins(clone)) == 13


def test_a_pass_writes_down_what_it_took_in_once(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    written = Count(monkeypatch, aq.ledger.intake, "write_atomic")
    drop(fleet, 5)
    clone = looked(clone_of(fleet.you))
    clone.take_in()
    assert written.of(clone.intake.state) == 1
    clone.take_in()
    assert written.of(clone.intake.state) == 1


def test_a_result_reads_its_own_entry_of_the_spool_and_no_other(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(fleet, 5)
    clone = looked(clone_of(fleet.you))
    clone.take_in()
    results = clone.intake.ledger.perform(clone.submissions())
    read = Count(monkeypatch, aq.ledger.spool, "unsealed")
    for result in reversed(results):
        clone.submitted(result)
    assert len(read.calls) == 5
    assert not origins(clone)


def test_what_waits_in_the_spool_is_not_read_again(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(fleet, 5)
    clone = looked(clone_of(fleet.you))
    clone.take_in()
    files = Count(monkeypatch, aq.ledger.intake, "read_plain_file")
    entries = Count(monkeypatch, aq.ledger.spool, "unsealed")
    clone.take_in()
    assert files.calls == entries.calls == []


def test_a_file_whose_copy_is_gone_from_the_spool_is_taken_in_again(fleet: Fleet) -> None:
    fleet.you.drop("x")
    clone = looked(clone_of(fleet.you))
    clone.take_in()
    for entry in list(clone.spool.entries()):
        clone.spool.remove(entry.operation)
    clone.take_in()
    assert origins(clone) == ["x"]


def test_a_command_takes_in_all_that_was_dropped(fleet: Fleet, three: int) -> None:
    names = drop(fleet, 8)
    with open_queue(fleet.you.path) as queue:
        take_in(queue)
    assert sorted(job.id for job in fleet.snapshot().jobs()) == names


def test_a_command_keeps_all_that_was_dropped_while_the_remote_is_away_and_asks_it_once(
    fleet: Fleet, three: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.you.aq("status")
    names = drop(fleet, 8)
    away = fleet.hub.rename(fleet.hub.with_name("away.git"))
    with open_queue(fleet.you.path) as queue:
        asked = Count(monkeypatch, queue.ledger, "perform")
        take_in(queue)
        assert origins(queue.clone) == names
        assert len(asked.calls) == 1
        away.rename(fleet.hub)
        take_in(queue)
    assert sorted(job.id for job in fleet.snapshot().jobs()) == names
