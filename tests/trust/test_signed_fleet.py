"""Signed hosts end to end, with the real command: keys, a joining host, a run that ships, and a machine that
may push but has no key."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.fleet import HELLO, Fleet, Machine, git, wait_until
from tests.support.signing import HOST, PERSON, Ring, equip
from tests.support.story import hand_write


def begin(machine: Machine) -> str:
    """`aq trust init` on the first machine; the words with which others join."""
    settings = equip(machine)
    said = machine.aq("trust", "init", "alice").stdout
    settings.write_text("trust: signed\n")
    found = re.search(r"--admin alice --pin '(ssh-ed25519 \S+)' --since ([0-9a-f]{40})", said)
    assert found, said
    return said


def join(machine: Machine, told: str) -> list[str]:
    """Another machine joins as it was told to; the command with which an admin lets its host in."""
    settings = equip(machine)
    found = re.search(r"--admin (\S+) --pin '(.*)' --since (\S+)", told)
    assert found
    pinned = ("--admin", found[1], "--pin", found[2], "--since", found[3])
    said = machine.aq("trust", "init", "carol", "--host", machine.name, *pinned).stdout
    settings.write_text("trust: signed\n")
    let_in = re.search(rf"aq trust add {machine.name} '(.*)' --role (\S+)", said)
    assert let_in, said
    return ["trust", "add", machine.name, let_in[1], "--role", let_in[2]]


def stage_of(fleet: Fleet, name: str) -> str:
    job = fleet.job(name)
    return str(job.stage) if job else ""


def test_two_signed_hosts_take_land_and_ship_what_a_trusted_person_submits(fleet: Fleet) -> None:
    told = begin(fleet.you)
    for name in ("ada", "bob"):
        fleet.you.aq(*join(fleet.machine(name), told))
        fleet.start(name)
    jobs = ("one", "two", "three")
    for name in jobs:
        fleet.you.drop(name, HELLO)
    fleet.you.aq("status")
    wait_until(lambda: all(stage_of(fleet, name) == "testing" for name in jobs))
    fleet.you.aq("ship", *jobs)
    assert len(fleet.snapshot().archive) == 3
    assert "signed as it must be" in fleet.you.aq("trust", "verify").stdout
    commits = git(fleet.hub, "log", "--format=%H", "main").split()
    unsigned = [oid for oid in commits if "gpgsig" not in git(fleet.hub, "cat-file", "commit", oid)]
    assert len(unsigned) == 2, "only what was there before signatures is unsigned"


@pytest.mark.attack("S1")
def test_a_machine_without_a_key_may_push_what_it_likes_and_nobody_acts_on_it(
    fleet: Fleet, tmp_path: Path
) -> None:
    ring, marker = Ring(fleet, alice=PERSON, ada=HOST), tmp_path / "owned"
    ring.furnish(fleet.you, person="alice")
    ring.furnish(fleet.machine("ada"), host="ada")
    fleet.start("ada")
    fleet.you.drop("honest")
    fleet.you.aq("status")
    wait_until(lambda: stage_of(fleet, "honest") == "testing")
    eve = fleet.machine("eve")
    eve.drop("evil", f"---\nengine: shell\n---\ntouch {marker}\n")
    eve.aq("ship", "honest")
    hand_write(
        eve.path, "queue/inbox/quiet.md", f"---\nengine: shell\nverify: touch {marker}\n---\ntouch {marker}\n"
    )
    hand_write(eve.path, "queue/aq.yaml", "cadence: {preset: local, poll: 100s, beat: 100s, ttl: 300s}\n")
    fleet.you.drop("later")
    board = json.loads(fleet.you.aq("status", "--json").stdout)
    wait_until(lambda: stage_of(fleet, "later") == "testing")
    assert not marker.exists()
    assert [stage_of(fleet, name) for name in ("evil", "quiet")] == ["inbox", "inbox"]
    assert "queue/aq.yaml is not obeyed: commit" in json.dumps(board)
    told = fleet.you.aq("trust", "verify", "--json", ok=False)
    found = [entry["subject"] for entry in json.loads(told.stdout)["distrusted"] if entry["open"]]
    assert (told.returncode, sorted(found)) == (1, ["add evil", "by hand", "by hand", "ship honest"])
    assert "honest is out of play: commit" in fleet.you.aq("doctor", ok=False).stdout
    assert "not obeyed: it is not signed" in fleet.you.aq("log").stdout
