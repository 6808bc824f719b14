"""Signed hosts end to end, with the real command: keys, a joining host, a run that ships, and a machine that
may push but has no key."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from aq.core.lifecycle import Stage
from aq.core.operations import Ship
from tests.support.fleet import HELLO, Fleet, Machine, add, git, landed, op, perform, wait_until
from tests.support.signing import equip
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


def in_testing(fleet: Fleet, *jobs: str) -> bool:
    found = fleet.snapshot().stages[Stage.TESTING]
    return all(job in found for job in jobs)


@pytest.mark.attack("S1")
def test_two_signed_hosts_do_what_trusted_people_ask_and_nothing_that_a_machine_without_a_key_pushes(
    fleet: Fleet, tmp_path: Path
) -> None:
    you, marker = fleet.you, tmp_path / "owned"
    told = begin(you)
    for name in ("ada", "bob"):
        you.aq(*join(fleet.machine(name), told))
        fleet.start(name)
    for name in ("one", "two", "three"):
        you.drop(name, HELLO)
    you.aq("status")
    wait_until(lambda: in_testing(fleet, "one", "two", "three"))
    begun = fleet.tip()
    evil = f"---\nengine: shell\nverify: touch {marker}\n---\ntouch {marker}\n"
    eve = fleet.machine("eve")
    ledger = eve.ledger()
    landed(add(ledger, "evil", evil))
    landed(perform(ledger, Ship(**op("alice"), job="one")))
    hand_write(eve.path, "queue/inbox/quiet.md", evil)
    hand_write(eve.path, "queue/aq.yaml", "cadence: {preset: local, poll: 100s, beat: 100s, ttl: 300s}\n")
    you.drop("four", HELLO)
    assert "queue/aq.yaml is not obeyed: commit" in you.aq("status").stdout
    wait_until(lambda: in_testing(fleet, "four"))
    you.aq("ship", "two")
    assert not marker.exists()
    assert {"evil", "quiet"} <= set(fleet.snapshot().stages[Stage.INBOX])
    verified = you.aq("trust", "verify", "--json", ok=False)
    found = [entry["subject"] for entry in json.loads(verified.stdout)["distrusted"] if entry["open"]]
    assert (verified.returncode, sorted(found)) == (1, ["add evil", "by hand", "by hand", "ship one"])
    assert "one is out of play: commit" in you.aq("doctor", ok=False).stdout
    assert "not obeyed: it is not signed" in you.aq("log").stdout
    commits = git(fleet.hub, "log", "--format=%H", begun).split()
    unsigned = [oid for oid in commits if "gpgsig" not in git(fleet.hub, "cat-file", "commit", oid)]
    assert len(unsigned) == 2, "only what was there before signatures is unsigned"
