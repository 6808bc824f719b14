"""What must happen once although several machines do it at the same moment: a job under an idempotency key,
and the copy of a schedule that is due. Each race is run ten times."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from aq.core.files.jobfile import parse_job
from aq.core.ids import keyed_id
from aq.core.instants import instant, later
from aq.core.lifecycle import Stage
from aq.core.operations import Add, Operation, Spawn
from aq.core.results import Landed, Refused, Result
from aq.ledger.ledger import Ledger
from tests.e2e.policy import Board
from tests.support.audit import audit
from tests.support.fleet import Fleet, claim_of, landed, op, perform, wait_until

FULL = os.environ.get("AQ_FULL") == "1"
TIMES = 10
KEYED = "---\nengine: shell\nidempotency-key: {key}\n---\necho {body}\n"


def keyed(ledger: Ledger, key: str, body: str) -> Add:
    """What `aq add` asks for a file with a key."""
    content = KEYED.format(key=key, body=body).encode()
    manifest = parse_job(content)[0]
    return Add(**op(), job=keyed_id(key, key), blob=ledger.write_blob(content), manifest=manifest)


def at_once(ledgers: Sequence[Ledger], operations: Sequence[Operation]) -> list[Result]:
    """Each machine performs its operation, all at the same moment and from the same tip."""
    for ledger in ledgers:
        ledger.fetch()
    gate, results = threading.Barrier(len(ledgers)), {}

    def one(number: int) -> None:
        gate.wait()
        results[number] = perform(ledgers[number], operations[number])

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(ledgers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[number] for number in range(len(ledgers))]


def machines(fleet: Fleet, *names: str) -> list[Ledger]:
    return [fleet.machine(name).ledger() for name in names]


def test_two_machines_that_add_the_same_key_and_content_at_once_make_one_job(fleet: Fleet) -> None:
    ledgers = machines(fleet, "ada", "bob")
    for number in range(TIMES):
        results = at_once(ledgers, [keyed(ledger, f"key-{number}", "same") for ledger in ledgers])
        lost = [result for result in results if isinstance(result, Refused)]
        assert sum(isinstance(result, Landed) for result in results) == 1
        assert [result.refusal.done for result in lost] == [True], "it is there: no error"
        assert "submitted already and is in inbox" in lost[0].refusal.reason
    assert Counter(event.op for event in audit(fleet.hub).events if event.job) == {"add": TIMES}


def test_two_machines_that_add_other_content_under_one_key_at_once_leave_the_later_one(fleet: Fleet) -> None:
    ledgers = machines(fleet, "ada", "bob")
    for number in range(TIMES):
        asked = [keyed(ledger, f"key-{number}", name) for ledger, name in zip(ledgers, "ab", strict=True)]
        results = [landed(result) for result in at_once(ledgers, asked)]
        first, second = sorted(results, key=lambda result: result.change.event.op)
        assert (first.change.event.op, second.change.event.op) == ("add", "revise")
        job = fleet.job(keyed_id(f"key-{number}", f"key-{number}"))
        assert job
        assert isinstance(second.operation, Add)
        assert job.blob == second.operation.blob
    assert Counter(event.op for event in audit(fleet.hub).events if event.job) == {
        "add": TIMES,
        "revise": TIMES,
    }


def test_other_content_under_a_key_comes_before_the_claim_of_the_job_or_is_refused(fleet: Fleet) -> None:
    ledgers = machines(fleet, "ada", "bob")
    for number in range(TIMES):
        key = f"key-{number}"
        name = keyed_id(key, key)
        landed(perform(ledgers[0], keyed(ledgers[0], key, "old")))
        asked = [claim_of(name, "ada", slots=TIMES), keyed(ledgers[1], key, "new")]
        claim, add = at_once(ledgers, asked)
        job = landed(claim).change.jobs[0].after
        if isinstance(add, Landed):
            assert job.blob == asked[1].blob, "the host runs what superseded it"  # type: ignore[union-attr]
        else:
            assert isinstance(add, Refused)
            assert not add.refusal.done
            assert (
                add.refusal.reason
                == f"{name} has this idempotency key, other content, and is in building already"
            )
    seen = audit(fleet.hub)
    assert set(seen.claims().values()) == {1}
    assert len(seen.claims()) == TIMES


def schedule(fleet: Fleet, folder: Path, every: str, days: float = 3) -> str:
    """A schedule that was submitted days ago, so that a copy is due. Its runs leave a mark."""
    script = f"mktemp {folder}/$AQ_JOB.$AQ_EPOCH.XXXXXXXX\n"
    content = f"---\nengine: shell\nevery: {every}\n---\n{script}".encode()
    ledger = fleet.you.ledger()
    asked = {**op(), "at": instant(time.time() - days * 86400)}
    add = Add(**asked, job=f"each-{every}", blob=ledger.write_blob(content), manifest=parse_job(content)[0])
    landed(perform(ledger, add))
    return add.job


def test_three_hosts_that_submit_the_same_due_copy_at_once_submit_it_once(
    fleet: Fleet, tmp_path: Path
) -> None:
    name = schedule(fleet, tmp_path, "1h")
    ledgers = machines(fleet, "ada", "bob", "eve")
    for number in range(TIMES):
        at = later("2026-11-21T00:10:00Z", 3600 * number)
        spawns = [Spawn(**{**op("host"), "at": at}, schedule=name) for _ in ledgers]
        results = at_once(ledgers, spawns)
        assert sum(isinstance(result, Landed) for result in results) == 1
        assert all(result.refusal.done for result in results if isinstance(result, Refused))
    copies = [f"{name}-20261121t{number:02}00z" for number in range(TIMES)]
    assert [event.job for event in audit(fleet.hub).events if event.op == "spawn"] == copies


def _copies_run_once(fleet: Fleet, folder: Path, schedules: list[str], slots: int) -> None:
    board = Board(fleet)
    hosts = [fleet.start(name, "--slots", "2") for name in ("ada", "bob", "eve")]

    def all_ran() -> bool:
        ended = board.settled(Stage.REVIEW)
        return all(sum(job.startswith(f"{name}-") for job in ended) >= slots for name in schedules)

    wait_until(all_ran, 60 + 75 * (slots - 1), "a run of each copy that is due")
    assert [host.poll() for host in hosts] == [None] * 3
    seen = audit(fleet.hub)
    spawned = Counter(event.job for event in seen.events if event.op == "spawn")
    assert set(spawned.values()) == {1}
    assert set(seen.claims().values()) == {1}, "no copy ran twice, and no schedule ran itself"
    assert set(seen.claims()) <= set(spawned)
    ran = Counter(path.name.rsplit(".", 1)[0] for path in folder.glob("each-*.*.*"))
    assert set(ran.values()) == {1}
    assert {job.id for job in board.now().jobs(Stage.INBOX) if job.manifest.every} == set(schedules)


def test_three_real_hosts_submit_and_run_each_due_copy_of_a_schedule_once(
    policy_fleet: Fleet, tmp_path: Path
) -> None:
    schedules = [schedule(policy_fleet, tmp_path, every) for every in ("1h", "6h", "12h", "1d")]
    _copies_run_once(policy_fleet, tmp_path, schedules, 1)


@pytest.mark.slow
@pytest.mark.skipif(not FULL, reason="full size runs with AQ_FULL=1")
@pytest.mark.timeout(600)
def test_three_real_hosts_submit_each_of_three_minutes_once(policy_fleet: Fleet, tmp_path: Path) -> None:
    _copies_run_once(policy_fleet, tmp_path, [schedule(policy_fleet, tmp_path, "1m")], 3)
