"""The snapshot: incremental reading gives the same as reading anew; archive and history answer rightly."""

from __future__ import annotations

from pathlib import Path

import pytest

from aq.core.instants import instant
from aq.core.lifecycle import Stage
from aq.core.operations import Reject
from aq.core.snapshot import Snapshot
from aq.ledger.manifests import ParseCache
from aq.ledger.objects import MissingObjectError
from aq.ledger.spool import Spool, Spooled
from tests.support.fleet import FAST, Fleet, git, op
from tests.support.story import hand_write, story


def facts(snapshot: Snapshot) -> object:
    """Everything a snapshot says, in a form that compares."""
    stages = {stage: {job.id: job for job in jobs.values()} for stage, jobs in snapshot.stages.items()}
    return (
        stages,
        len(snapshot.archive),
        snapshot.problems,
        snapshot.pause,
        dict(snapshot.spend),
        snapshot.settings,
    )


def test_reading_step_by_step_is_reading_anew(fleet: Fleet) -> None:
    hand_write(fleet.you.path, "queue/aq.yaml", FAST + "budgets: {fleet: {usd: 50}}\n")
    tale, watcher = story(fleet, "ada"), fleet.machine("bob").ledger()

    def same() -> None:
        watcher.fetch()
        assert facts(watcher.snapshot()) == facts(fleet.machine("bob").ledger().snapshot())

    for make in (
        tale.inbox,
        tale.building,
        tale.to_be_verified,
        tale.testing,
        tale.shipped,
        tale.failed,
        tale.dead,
    ):
        make(f"j-{make.__name__.replace('_', '-')}")
        same()
    for path, text in [
        ("queue/inbox/bad.md", "---\nengin: x\n---\n"),
        ("queue/inbox/bad.md", "---\nengine: shell\n---\ntrue\n"),
        ("queue/failed/j-inbox.md", "duplicate\n"),
        ("queue/PAUSED", ""),
        ("queue/aq.yaml", FAST + "defaults: {priority: low}\n"),
        ("queue/aq.yaml", FAST),
    ]:
        hand_write(fleet.you.path, path, text)
        same()


def test_a_stack_is_decided_on_the_snapshots_it_leaves(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.inbox("x")
    results = tale.ledger.perform([tale.claim_of("x", "ada"), tale.claim_of("x", "bob")])
    assert [type(result).__name__ for result in results] == ["Landed", "Refused"]


def test_the_archive_knows_what_was_shipped_and_nothing_else(fleet: Fleet) -> None:
    tale = story(fleet)
    for name in ("one", "two", "three"):
        tale.shipped(name)
    tale.testing("four")
    archive = tale.snapshot.archive
    assert len(archive) == 3
    assert "one" in archive
    assert "four" not in archive
    assert "on" not in archive
    assert "one.record" not in archive
    shipped = archive.get("two")
    assert shipped
    assert (shipped.stage, shipped.problem, shipped.record.stage) == (Stage.SHIPPED, "", Stage.SHIPPED)
    assert archive.get("four") is None
    assert all(name in archive for _ in range(30) for name in ("one", "two", "three")), (
        "asked often, by index"
    )


def test_a_file_in_an_archive_folder_without_a_record_was_not_shipped(fleet: Fleet) -> None:
    hand_write(fleet.you.path, "queue/shipped/2026/01/02/x.md", "true\n")
    tale = story(fleet)
    tale.ledger.fetch()
    assert "x" not in tale.snapshot.archive
    tale.inbox("y", "---\nengine: shell\ndeps: [x]\n---\ntrue\n")
    assert "needs x shipped" in tale.refusal(tale.claim_of("y")).reason


def test_a_jobs_age_is_that_of_the_commit_that_brought_it_and_survives_requeue(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.inbox("x")
    committed = int(git(fleet.hub, "log", "-1", "--format=%ct", "main"))
    assert tale.job("x").queued == instant(committed)
    for number in range(3):
        tale.inbox(f"later-{number}")
    again = fleet.machine("bob").ledger()
    again.fetch()
    assert again.snapshot().find("x").queued == instant(committed)  # type: ignore[union-attr]


def test_history_knows_ancestors_near_and_far(fleet: Fleet) -> None:
    tale = story(fleet)
    first = fleet.tip()
    tale.ledger.perform([tale.add_of(f"x{n}") for n in range(80)])
    history, tip = tale.ledger.history, tale.ledger.tip
    assert history.descends(tip, tip)
    assert history.descends(tip, git(fleet.hub, "rev-parse", "main~3"))
    assert history.descends(tip, first), "further away than one walks in process"
    assert not history.descends(first, tip)
    with pytest.raises(MissingObjectError):
        history.descends(tip, "0" * 40)
    assert len(list(history.between(first, tip))) == 80


def test_the_events_of_one_job_are_its_own(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.inbox("fix")
    tale.testing("fix-login")
    tale.do(Reject(**op(), job="fix-login", message="Aq-Job: fix"))
    events = tale.ledger.history.events(tale.ledger.tip, "fix")
    assert [event.op for _, _, event in events if event] == ["add"]
    whole = tale.ledger.history.events(tale.ledger.tip, "fix-login")
    assert [event.op for _, _, event in whole if event] == ["reject", "verified", "land", "claim", "add"]


def test_a_spool_gives_back_what_was_put_in_across_processes(fleet: Fleet) -> None:
    tale, folder = story(fleet), fleet.root / "spool"
    tale.building("x")
    operations = [
        tale.add_of("y"),
        tale.land_of("x", usd=0.5),
        tale.fail_of("x"),
        tale.reclaim_of("x"),
        tale.claim_of("x"),
    ]
    for operation in operations:
        Spool(folder).put(Spooled(operation, "content", "y.md", "no"))
    found = list(Spool(folder).entries())
    assert {entry.operation.op_id: entry.operation for entry in found} == {
        each.op_id: each for each in operations
    }
    assert {(entry.content, entry.origin, entry.refused) for entry in found} == {("content", "y.md", "no")}
    for operation in operations:
        Spool(folder).remove(operation)
        Spool(folder).remove(operation)
    assert not list(Spool(folder).entries())


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", ""),
        (b"wip: {people: 3}\n", ""),
        (b"cadense: lan\n", "queue/aq.yaml:1:"),
        (b"a: 1\na: 2\n", "queue/aq.yaml:2:"),
        (b"\xff", "queue/aq.yaml"),
    ],
    ids=["an empty file", "a good file", "an unknown key", "a key twice", "not UTF-8"],
)
def test_settings_are_parsed_once_and_remembered_with_what_is_wrong(
    tmp_path: Path, content: bytes, error: str
) -> None:
    first = ParseCache(tmp_path / "parsed", {"oid": content}.__getitem__)
    found = first.settings("oid")
    assert found.startswith(error) if isinstance(found, str) else not error
    first.flush()
    assert ParseCache(tmp_path / "parsed", {}.__getitem__).settings("oid") == found
