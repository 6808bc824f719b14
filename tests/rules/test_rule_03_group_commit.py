"""Rule 3: what is pending becomes one commit each and one push; the cached tip is tried first; what a
remote declines is set aside, and the rest goes on."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from aq.core.errors import EXIT_TRY_LATER
from aq.core.results import Landed, Waiting
from tests.support.fleet import Fleet, add, claim_of, git, landed, op, perform, wait_until
from tests.support.remotes import Pushes, away, decline_commits_about, served, unhook


def test_n_operations_are_n_commits_in_one_push(fleet: Fleet) -> None:
    ada = fleet.machine("ada").ledger()
    names = [f"job-{n}" for n in range(8)]
    for name in names:
        landed(add(ada, name))
    before = git(fleet.hub, "rev-list", "--count", "main")
    pushes = Pushes(fleet.hub)
    results = ada.perform([claim_of(name, "ada") for name in names])
    assert [type(result) for result in results] == [Landed] * 8
    assert len(pushes.all()) == 1
    assert int(git(fleet.hub, "rev-list", "--count", "main")) - int(before) == 8
    assert git(fleet.hub, "rev-list", "--count", "--min-parents=2", "main") == "0"


def test_each_commit_of_a_group_is_a_legal_queue_by_itself(fleet: Fleet) -> None:
    ada = fleet.machine("ada").ledger()
    landed(add(ada, "one"))
    landed(add(ada, "two"))
    ada.perform([claim_of("one", "ada"), claim_of("two", "ada")])
    for commit, claimed in (("main~1", ["one"]), ("main", ["one", "two"])):
        names = git(fleet.hub, "ls-tree", "--name-only", commit, "queue/building/").split()
        assert [name for name in names if name.endswith(".lease.yaml")] == [
            f"queue/building/{name}.lease.yaml" for name in claimed
        ]


def test_a_push_on_a_current_tip_needs_no_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(tmp_path / "served", monkeypatch) as (fleet, server):
        ada = fleet.machine("ada").ledger()
        landed(add(ada, "one"))
        fetches, pushes = server.calls("upload-pack"), server.calls("receive-pack")
        landed(perform(ada, claim_of("one", "ada")))
        assert server.calls("upload-pack") == fetches
        assert server.calls("receive-pack") == pushes + 1


def test_a_lost_race_costs_one_fetch_and_one_more_push(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path / "served", monkeypatch) as (fleet, server):
        ada, bob = fleet.machine("ada").ledger(), fleet.machine("bob").ledger()
        landed(add(ada, "one"))
        bob.fetch()
        landed(add(ada, "two"))
        fetches, pushes = server.calls("upload-pack"), server.calls("receive-pack")
        landed(perform(bob, claim_of("one", "bob")))
        assert server.calls("upload-pack") == fetches + 1
        assert server.calls("receive-pack") == pushes + 2


def test_a_declined_operation_in_a_stack_is_set_aside_and_the_others_land(fleet: Fleet) -> None:
    ada = fleet.machine("ada").ledger()
    for name in ("one", "poison", "two"):
        landed(add(ada, name))
    decline_commits_about(fleet.hub, "poison")
    stack = [claim_of(name, "ada") for name in ("one", "poison", "two")]
    results = {result.operation.op_id: result for result in ada.perform(stack)}
    first, aside, third = (results[operation.op_id] for operation in stack)
    assert isinstance(first, Landed)
    assert isinstance(third, Landed)
    assert isinstance(aside, Waiting)
    assert aside.policy
    assert "pre-receive hook declined" in aside.why
    assert fleet.events()[-2:] == ["claim one on ada (attempt 1)", "claim two on ada (attempt 1)"]


def test_add_lands_the_good_file_and_status_shows_the_declined_one_with_the_remotes_words(
    fleet: Fleet,
) -> None:
    decline_commits_about(fleet.hub, "poison")
    for name in ("good", "poison"):
        (fleet.you.path / f"{name}.md").write_text("do it\n")
    done = fleet.you.aq("add", "poison.md", "good.md", ok=False)
    assert done.returncode == EXIT_TRY_LATER
    assert "declined" in done.stderr
    (event,) = [event for event in fleet.events() if event.startswith("add")]
    assert event.startswith("add good-")
    shown = fleet.you.aq("status").stdout
    assert "not submitted yet: poison-" in shown
    assert "pre-receive hook declined" in shown
    spooled = [json.loads(path.read_text()) for path in fleet.you.paths.spool.glob("*.json")]
    assert [("declined" in entry["refused"], entry["content"]) for entry in spooled] == [(True, "do it\n")]


def test_add_exits_75_when_everything_is_declined(fleet: Fleet) -> None:
    decline_commits_about(fleet.hub, "Aq-Op")
    tip = fleet.tip()
    done = fleet.you.aq("add", "a prompt", ok=False)
    assert done.returncode == EXIT_TRY_LATER
    assert "kept here" in done.stderr
    assert fleet.tip() == tip


def test_a_declined_person_command_says_what_to_change_and_exits_75(fleet: Fleet) -> None:
    decline_commits_about(fleet.hub, "Aq-Op")
    done = fleet.you.aq("pause", ok=False)
    assert done.returncode == EXIT_TRY_LATER
    assert "pre-receive hook declined" in done.stderr
    assert "allow pushes to the queue branch" in done.stderr


def test_a_declined_claim_does_not_make_a_host_hammer_the_hub(fleet: Fleet) -> None:
    landed(add(fleet.you.ledger(), "poison", "---\nengine: shell\n---\ntrue\n"))
    decline_commits_about(fleet.hub, "claim poison")
    host = fleet.start("ada")
    wait_until(lambda: "declined" in fleet.machine("ada").log)
    landed(add(fleet.you.ledger(), "later", "---\nengine: shell\n---\ntrue\n"))
    wait_until(lambda: any(event.startswith("unverified later") for event in fleet.events()))
    assert host.poll() is None
    assert fleet.machine("ada").log.count("declined") <= 2


def test_what_arrives_while_the_remote_is_away_goes_with_the_next_push(fleet: Fleet) -> None:
    ada = fleet.machine("ada").ledger()
    landed(add(ada, "one"))
    claim = claim_of("one", "ada")
    with away(fleet.hub):
        (waiting,) = ada.perform([claim])
        assert isinstance(waiting, Waiting)
        assert not waiting.policy
    pushes = Pushes(fleet.hub)
    from aq.core.operations import PauseFleet

    results = ada.perform([claim, PauseFleet(**op(), why="x")])
    assert [type(result) for result in results] == [Landed] * 2
    assert len(pushes.of()) <= 2
    unhook(fleet.hub, "post-receive")
    assert [event.split()[0] for event in fleet.events()[-2:]] == ["claim", "pause:"]


def test_a_push_interval_is_a_floor_between_two_pushes_of_a_host(fleet: Fleet) -> None:
    settings = "cadence: {preset: local, poll: 200ms, beat: 5s, ttl: 30s, push-interval: 800ms}\n"
    (fleet.you.path / "queue" / "aq.yaml").write_text(settings)
    git(fleet.you.path, "commit", "--quiet", "-am", "slower")
    git(fleet.you.path, "push", "--quiet", "origin", "HEAD:main")
    for name in ("one", "two"):
        landed(add(fleet.you.ledger(), name, "---\nengine: shell\n---\ntrue\n"))
    ada = fleet.machine("ada")
    times = fleet.hub / "times"
    (fleet.hub / "hooks" / "post-receive").write_text(f"#!/bin/sh\ndate +%s.%N >> '{times}'\n")
    (fleet.hub / "hooks" / "post-receive").chmod(0o755)
    ada.aq("run", "--host", "ada", "--until-idle")
    pushed = [float(line) for line in times.read_text().split()]
    gaps = [late - early for early, late in pairwise(pushed)]
    # The farewell is not held back.
    assert all(gap > 0.7 for gap in gaps[:-1]), gaps
    assert len(pushed) <= 7
