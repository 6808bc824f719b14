"""Rule 5: each host owns one ref that says what it offers and holds; without a confirmed beat it takes
nothing, and no two machines beat under one name."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from aq.core.errors import EXIT_NEGATIVE, TryLaterError
from aq.ledger.beatwriter import HostNameInUseError
from aq.ledger.store import load_config
from tests.runner.hosts import host
from tests.support.beats import ref, writer_of
from tests.support.fleet import FAST, Fleet, add, claim_of, git, landed, wait_until
from tests.support.remotes import (
    decline_refs,
    kill_client_once,
    unhook,
)

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
QUICK = "---\nengine: shell\n---\ntrue\n"


def beating(fleet: Fleet, host: str) -> str:
    return wait_until(lambda: ref(fleet, host), what=f"a beat of {host}")


def test_a_beat_is_an_orphan_commit_with_an_empty_tree_and_yaml_in_the_message(
    fleet: Fleet, tmp_path: Path
) -> None:
    ada = fleet.machine("ada").ledger()
    ada.fetch()
    ada.perform([], writer_of(ada, tmp_path, leases=("one:1:abc",), incarnation="i1", slots=2))
    raw = git(fleet.hub, "cat-file", "commit", "refs/aq/hosts/ada")
    assert raw.startswith(f"tree {EMPTY_TREE}\n")
    assert "\nparent " not in raw
    fields = yaml.safe_load(raw.split("\n\n", 1)[1])
    assert fields["host"] == "ada"
    assert fields["incarnation"] == "i1"
    assert fields["leases"] == ["one:1:abc"]
    assert fields["tip"] == fleet.tip()
    assert {"seq", "at", "ttl", "slots", "offers", "engines"} <= fields.keys()


def test_renewals_never_touch_the_queue_branch(fleet: Fleet, tmp_path: Path) -> None:
    ada = fleet.machine("ada").ledger()
    ada.fetch()
    writer, tip = writer_of(ada, tmp_path), fleet.tip()
    seen = set()
    for _ in range(3):
        ada.perform([], writer)
        seen.add(ref(fleet))
    assert len(seen) == 3
    assert fleet.tip() == tip


def test_a_beat_never_overwrites_one_that_is_not_its_own(fleet: Fleet, tmp_path: Path) -> None:
    ada, twin = fleet.machine("ada").ledger(), fleet.machine("twin").ledger()
    mine, other = writer_of(ada, tmp_path / "a"), writer_of(twin, tmp_path / "b", incarnation="j")
    ada.perform([], mine)
    before = ref(fleet)
    twin.perform([], other)
    assert not other.confirmed
    assert ref(fleet) == before


def test_a_beat_of_ours_whose_reply_was_lost_is_taken_as_ours(fleet: Fleet, tmp_path: Path) -> None:
    ada = fleet.machine("ada").ledger()
    landed(add(ada, "one"))
    writer = writer_of(ada, tmp_path)
    ada.perform([], writer)
    kill_client_once(fleet.hub, "claim one")
    ada.perform([claim_of("one", "ada")], writer)
    ada.fetch()
    writer.look(ada.beats["ada"][0])
    ada.perform([], writer)
    assert writer.confirmed
    assert ref(fleet) == writer.last


def test_a_beat_that_a_restart_finds_is_known_as_its_own(fleet: Fleet, tmp_path: Path) -> None:
    ada = fleet.machine("ada").ledger()
    ada.perform([], writer_of(ada, tmp_path))
    again = writer_of(ada, tmp_path, incarnation="after a restart")
    again.look(ref(fleet))
    ada.perform([], again)
    assert again.confirmed


def test_a_full_disk_does_not_keep_a_beat_back(fleet: Fleet, tmp_path: Path) -> None:
    ada = fleet.machine("ada").ledger()
    (tmp_path / "no-folder").touch()
    writer = writer_of(ada, tmp_path / "no-folder")
    for _ in range(2):
        ada.perform([], writer)
        assert writer.confirmed
        assert ref(fleet) == writer.last


def test_a_foreign_beat_under_our_name_stops_us(fleet: Fleet, tmp_path: Path) -> None:
    ada, twin = fleet.machine("ada").ledger(), fleet.machine("twin").ledger()
    mine = writer_of(ada, tmp_path / "a")
    ada.perform([], mine)
    stranger = writer_of(twin, tmp_path / "b", incarnation="j")
    stranger.adopt(ref(fleet))
    twin.perform([], stranger)
    ada.fetch()
    with pytest.raises(HostNameInUseError, match="host name ada is in use"):
        mine.look(ada.beats["ada"][0])


def test_a_beat_ref_that_was_cleaned_away_is_started_anew(fleet: Fleet, tmp_path: Path) -> None:
    ada = fleet.machine("ada").ledger()
    writer = writer_of(ada, tmp_path)
    ada.perform([], writer)
    git(fleet.hub, "update-ref", "-d", "refs/aq/hosts/ada")
    writer.look("")
    ada.perform([], writer)
    assert writer.confirmed


def test_of_silent_hosts_only_those_are_forgotten_that_stayed_silent(fleet: Fleet, tmp_path: Path) -> None:
    ada = fleet.machine("ada").ledger()
    writers = {host: writer_of(ada, tmp_path / host, host=host) for host in ("ada", "bob", "carol")}
    for writer in writers.values():
        ada.perform([], writer)
    you = fleet.you.ledger()
    you.fetch()
    ada.perform([], writers["bob"])
    assert sorted(you.forget_hosts(writers)) == ["ada", "carol"]
    assert [host for host in writers if ref(fleet, host)] == ["bob"]
    assert you.forget_hosts(writers) == you.forget_hosts([]) == [], "nobody is forgotten twice"


def test_a_hub_that_keeps_the_beats_of_silent_hosts_says_so(fleet: Fleet, tmp_path: Path) -> None:
    ada = fleet.machine("ada").ledger()
    ada.perform([], writer_of(ada, tmp_path))
    ada.fetch()
    decline_refs(fleet.hub, "refs/aq/hosts/", "")
    with pytest.raises(TryLaterError):
        ada.forget_hosts(["ada"])
    assert ref(fleet, "ada")


def test_without_a_confirmed_beat_nothing_is_claimed_and_the_beat_is_tried_again(fleet: Fleet) -> None:
    tries = fleet.hub / "tries"
    decline_refs(fleet.hub, "refs/aq/hosts/", f"echo x >> '{tries}'")
    landed(add(fleet.you.ledger(), "one", QUICK))
    fleet.start("ada")
    wait_until(lambda: tries.exists() and len(tries.read_text()) >= 3 * 2, what="three tries of a beat")
    assert not [event for event in fleet.events() if event.startswith("claim")]
    unhook(fleet.hub, "update")
    wait_until(lambda: any(event.startswith("claim one on ada") for event in fleet.events()))


def test_of_two_machines_with_one_name_the_second_stops_and_says_so(fleet: Fleet) -> None:
    first = fleet.start("ada", "--host", "mill")
    beating(fleet, "mill")
    second = fleet.machine("bob").aq("run", "--host", "mill", ok=False)
    assert second.returncode == EXIT_NEGATIVE
    assert "host name mill is in use" in second.stderr
    assert first.poll() is None


def test_two_machines_with_one_name_that_start_together_do_not_both_go_on(fleet: Fleet) -> None:
    both = [fleet.start(name, "--host", "mill") for name in ("ada", "bob")]
    wait_until(lambda: any(process.poll() is not None for process in both), what="one of them to stop")
    assert [process.poll() for process in both].count(None) == 1
    logs = fleet.machine("ada").log + fleet.machine("bob").log
    assert "host name mill is in use" in logs


def test_a_second_run_in_the_same_state_folder_says_that_one_is_running(fleet: Fleet) -> None:
    fleet.start("ada")
    beating(fleet, "ada")
    second = fleet.machine("ada").aq("run", "--host", "ada", ok=False)
    assert second.returncode == EXIT_NEGATIVE
    assert "`aq run` is already running here as host ada" in second.stderr


def test_a_name_whose_host_said_that_it_stopped_can_be_taken_at_once(fleet: Fleet) -> None:
    fleet.machine("ada").aq("run", "--host", "mill", "--until-idle")
    landed(add(fleet.you.ledger(), "one", QUICK))
    done = fleet.machine("bob").aq("run", "--host", "mill", "--until-idle")
    assert "watching it" not in done.stderr
    assert any(event.startswith("claim one on mill") for event in fleet.events())


def test_a_name_whose_host_fell_silent_can_be_taken_after_ttl_and_grace(fleet: Fleet) -> None:
    first = fleet.start("ada", "--host", "mill")
    beating(fleet, "mill")
    first.kill()
    first.wait()
    landed(add(fleet.you.ledger(), "one", QUICK))
    done = fleet.machine("bob").aq("run", "--host", "mill", "--until-idle")
    assert "watching it for 4s" in done.stderr
    assert any(event.startswith("claim one on mill") for event in fleet.events())


def test_a_slow_answer_is_no_silence_of_the_host_that_has_the_name(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = fleet.machine("ada").ledger()
    writer = writer_of(ada, tmp_path, host="mill")
    ada.perform([], writer)
    with host(fleet, monkeypatch, "mill", start=False) as late:
        fetch, slow = late.runner.ledger.fetch, 0

        def slow_fetch() -> None:
            nonlocal slow
            slow += late.heard("watching it")
            if slow == 2:
                ada.perform([], writer)
            fetch()
            late.clock.ahead += 60 if slow else 0

        monkeypatch.setattr(late.runner.ledger, "fetch", slow_fetch)
        with pytest.raises(HostNameInUseError):
            late.runner.start()


def branch_fleet(root: Path) -> Fleet:
    """A fleet on a hub that takes branches only."""
    root.mkdir(parents=True)
    template = root / "template"
    (template / "hooks").mkdir(parents=True)
    subprocess.run(["git", "config", "--global", "init.templateDir", str(template)], check=True)
    update = template / "hooks" / "update"
    update.write_text('#!/bin/sh\ncase $1 in refs/heads/*) ;; *) echo "branches only" >&2; exit 1 ;; esac\n')
    update.chmod(0o755)
    fleet = Fleet(root / "fleet", settings=FAST + "beats: branches\n")
    subprocess.run(["git", "config", "--global", "--unset", "init.templateDir"], check=True)
    return fleet


def test_where_the_hub_refuses_our_refs_beats_are_branches_for_the_whole_fleet(tmp_path: Path) -> None:
    fleet = branch_fleet(tmp_path / "forge")
    try:
        landed(add(fleet.you.ledger(), "one", QUICK))
        fleet.machine("ada").aq("run", "--host", "ada", "--until-idle")
        assert any(event.startswith("claim one on ada") for event in fleet.events())
        assert git(fleet.hub, "for-each-ref", "--format=%(refname)", "refs/heads/aq-hosts")
        assert not git(fleet.hub, "for-each-ref", "refs/aq")
    finally:
        fleet.end()


def test_init_writes_into_the_queue_that_beats_are_branches(tmp_path: Path) -> None:
    root = tmp_path / "forge"
    fleet = branch_fleet(root)
    fleet.end()
    git(fleet.hub, "update-ref", "-d", "refs/heads/main")
    from aq.ledger.setup import initialize

    made = initialize(root / "fresh", str(fleet.hub))
    assert made.config.beats == "branches"
    assert "beats: branches" in (root / "fresh" / "queue" / "aq.yaml").read_text()


def test_a_machine_that_joins_later_beats_where_the_queue_says(fleet: Fleet) -> None:
    """The hub would take refs/aq/* from this machine; its peers would not see them."""
    ada = fleet.machine("ada")
    settings = fleet.you.path / "queue" / "aq.yaml"
    settings.write_text(settings.read_text() + "beats: branches\n")
    git(fleet.you.path, "commit", "--quiet", "-am", "beats are branches")
    git(fleet.you.path, "push", "--quiet", "origin", "HEAD:main")
    assert load_config(fleet.machine("late").paths).beats == "branches"
    landed(add(fleet.you.ledger(), "one", QUICK))
    ada.aq("run", "--host", "ada", "--until-idle")
    names = git(fleet.hub, "for-each-ref", "--format=%(refname)").split()
    assert "refs/heads/aq-hosts/ada" in names, "a host of before the change must follow as well"
    assert "refs/aq/hosts/ada" not in names
