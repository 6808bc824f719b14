"""What a person or an attacker with push rights can leave in the queue: no host and no command stops
for it, and no limit is lifted by it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aq.core.ids import suffixed
from aq.core.operations import Land, Unverified
from aq.core.results import Landed, Refused, Waiting
from aq.ledger.clone import Clone
from tests.support.fleet import (
    FAST,
    HELLO,
    Fleet,
    Machine,
    add,
    claim_of,
    git,
    landed,
    op,
    perform,
    wait_until,
)

BLOB = "1" * 40


def commit(machine: Machine) -> None:
    git(machine.path, "commit", "-qm", "by hand")
    git(machine.path, "push", "-q", "origin", "HEAD:main")


def odd_beat_ref(fleet: Fleet) -> None:
    git(fleet.you.path, "push", "-q", "origin", "HEAD:refs/aq/hosts/x/y")


def gitlink_at(path: str) -> Callable[[Fleet], None]:
    def plant(fleet: Fleet) -> None:
        git(fleet.you.path, "rm", "-rq", "--cached", "--ignore-unmatch", path)
        git(fleet.you.path, "update-index", "--add", "--cacheinfo", f"160000,{BLOB},{path}")
        commit(fleet.you)

    return plant


def commit_of_the_far_future(fleet: Fleet) -> None:
    (fleet.you.path / "queue" / "inbox" / "late.md").write_text(HELLO)
    git(fleet.you.path, "add", "queue/inbox/late.md")
    tree = git(fleet.you.path, "write-tree")
    who = "a <a@b> 253402300800 +0000"
    raw = f"tree {tree}\nparent {fleet.tip()}\nauthor {who}\ncommitter {who}\n\nlate\n".encode()
    oid = git(fleet.you.path, "hash-object", "-t", "commit", "-w", "--stdin", "--literally", data=raw)
    git(fleet.you.path, "push", "-q", "origin", f"{oid}:refs/heads/main")


def huge_file(fleet: Fleet) -> None:
    (fleet.you.path / "queue" / "inbox" / "bomb.md").write_bytes(b"x" * (5 * 1024 * 1024))
    git(fleet.you.path, "add", "queue/inbox/bomb.md")
    commit(fleet.you)


@pytest.mark.attack("S12")
@pytest.mark.parametrize(
    "plant",
    [odd_beat_ref, gitlink_at("profiles"), gitlink_at("queue/spend"), commit_of_the_far_future, huge_file],
    ids=[
        "a ref below a host's",
        "a submodule at profiles",
        "a submodule at spend",
        "the year 10000",
        "a bomb",
    ],
)
def test_an_odd_thing_in_the_queue_stops_neither_a_host_nor_a_command(
    fleet: Fleet, plant: Callable[[Fleet], None]
) -> None:
    plant(fleet)
    ada = fleet.machine("ada")
    landed(add(ada.ledger(), "good"))
    ada.aq("run", "--until-idle", "--host", "ada")
    assert "good" in ada.aq("status").stdout
    job = fleet.job("good")
    assert job
    assert job.stage == "testing"


@pytest.mark.parametrize("ttl", ["nan", "inf", "1e300", "0", "-5"])
def test_a_lease_that_could_never_lapse_counts_as_written_by_hand(fleet: Fleet, ttl: str) -> None:
    ledger = fleet.you.ledger()
    landed(add(ledger, "one"))
    landed(perform(ledger, claim_of("one", "ada")))
    git(fleet.you.path, "pull", "-q", "origin", "main")
    lease = fleet.you.path / "queue" / "building" / "one.lease.yaml"
    lines = lease.read_text().splitlines()
    lease.write_text("".join(f"ttl: {ttl}\n" if line.startswith("ttl") else f"{line}\n" for line in lines))
    git(fleet.you.path, "add", "queue")
    commit(fleet.you)
    job = fleet.job("one")
    assert job
    assert "by hand" in job.problem


def test_files_of_other_days_do_not_hide_what_was_spent_today(tmp_path: Path, hermetic_home: Path) -> None:
    fleet = Fleet(tmp_path / "f", FAST + "budgets: {default-usd: 1, fleet: {usd: 2, per: day}}\n")
    for day in ("9997-01-01", "9998-01-01", "9999-01-01"):
        path = fleet.you.path / "queue" / "spend" / f"{day}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("fleet: {settled: 0.0}\n")
    git(fleet.you.path, "add", "queue/spend")
    commit(fleet.you)
    ledger = fleet.machine("ada").ledger()
    results = []
    for n in range(3):
        landed(add(ledger, f"job{n}"))
        results.append(perform(ledger, claim_of(f"job{n}", "ada")))
    assert [type(r) for r in results] == [Landed, Landed, Refused]
    fleet.end()


@pytest.mark.parametrize(
    "text",
    [
        "fleet: [",
        "fleet: {settled: .nan}",
        "fleet: {reserved: nan}",
        "fleet: {settled: -100}",
        "fleet: {settled: .inf}",
    ],
    ids=["no yaml", "settled is no number", "reserved is no number", "less than nothing", "all there is"],
)
def test_a_broken_spend_file_lifts_no_limit(tmp_path: Path, hermetic_home: Path, text: str) -> None:
    fleet = Fleet(tmp_path / "f", FAST + "budgets: {default-usd: 1, fleet: {usd: 2, per: day}}\n")
    path = fleet.you.path / "queue" / "spend" / f"{time.strftime('%Y-%m-%d', time.gmtime())}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{text}\n")
    git(fleet.you.path, "add", "queue/spend")
    commit(fleet.you)
    ledger = fleet.machine("ada").ledger()
    landed(add(ledger, "one"))
    assert isinstance(perform(ledger, claim_of("one", "ada")), Refused)
    fleet.end()


@pytest.mark.attack("S2")
def test_a_host_never_claims_a_folder_outside_its_roots_however_many_jobs_ask(
    fleet: Fleet, hermetic_home: Path, tmp_path: Path
) -> None:
    allowed, forbidden = tmp_path / "allowed", tmp_path / "forbidden"
    allowed.mkdir()
    forbidden.mkdir()
    (hermetic_home / "host.yaml").write_text(f"roots: [{allowed}]\n")
    ledger = fleet.you.ledger()
    text = f"---\nengine: shell\ncwd: {forbidden}\n---\ntouch {forbidden}/$AQ_JOB\n"
    for n in range(56):
        landed(add(ledger, f"j{n:02d}", text))
    host = fleet.start("ada", "--slots", "8")
    wait_until(lambda: "claimed" in fleet.machine("ada").log or _beats(fleet) > 5)
    host.terminate()
    host.wait()
    assert list(forbidden.iterdir()) == []


def _beats(fleet: Fleet) -> int:
    ledger = fleet.you.ledger()
    ledger.fetch()
    found = ledger.beats.get("ada")
    return found[1].seq if found else 0


def test_a_landing_that_the_hub_declines_is_not_run_again_and_lands_later(
    fleet: Fleet, tmp_path: Path
) -> None:
    """The verdict that builds on a declined landing must not look fenced."""
    ada = fleet.machine("ada").ledger()
    landed(add(ada, "one"))
    taken = landed(perform(ada, claim_of("one", "ada")))
    lease = taken.change.jobs[0].after.lease
    assert lease
    hook = fleet.hub / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho closed for repairs\nexit 1\n")
    hook.chmod(0o755)
    stack = [Land(**op("ada"), fence=lease.fence), Unverified(**op("ada"), fence=lease.fence)]
    results = ada.perform(stack)
    assert [type(r) for r in results] == [Waiting, Waiting]
    assert isinstance(results[0], Waiting)
    assert "closed for repairs" in results[0].why
    hook.unlink()
    assert [type(r) for r in ada.perform(stack)] == [Landed, Landed]


def test_two_schedules_with_long_names_that_differ_at_the_end_stay_apart() -> None:
    stem = "x" * 53
    assert suffixed(f"{stem}-eu", "20261121t0000z") != suffixed(f"{stem}-us", "20261121t0000z")


def test_two_processes_of_a_clone_take_a_file_in_under_the_same_new_name(fleet: Fleet) -> None:
    first, second = fleet.you.ledger(), fleet.you.ledger()
    landed(add(first, "fix", "---\nengine: shell\n---\necho old\n"))
    fleet.you.drop("fix", "---\nengine: shell\n---\necho new\n")
    now = "2026-11-21T00:00:00Z"
    clones = [Clone(ledger, fleet.you.paths, "alice", lambda: now) for ledger in (first, second)]
    second.fetch()
    for clone in clones:
        clone.take_in()
    names = {entry.about for clone in clones for entry in clone.submissions()}
    assert len(names) == 1
    assert names.pop().startswith("fix-")


def test_an_idempotency_key_that_is_taken_is_said_once_and_not_tried_for_ever(fleet: Fleet) -> None:
    ledger = fleet.you.ledger()
    fleet.you.drop("one", "---\nengine: shell\nidempotency-key: k1\n---\necho one\n")
    fleet.you.aq("status")
    job = next(iter(fleet.snapshot().jobs()))
    ledger.fetch()
    landed(perform(ledger, claim_of(job.id, "ada")))
    fleet.you.drop("two", "---\nengine: shell\nidempotency-key: k1\n---\necho two\n")
    shown = fleet.you.aq("status")
    assert "idempotency key 'k1' belongs to" in shown.stdout + shown.stderr
    assert list((fleet.you.paths.spool).glob("*.json")) == []
