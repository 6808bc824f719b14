"""Rule 11: looking at the queue is one `git fetch` of a few hundred bytes, as often as the cadence says."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aq.core.files.settingsfile import parse_settings
from aq.core.settings import CADENCES, Cadence
from aq.ledger.commits import Identity
from aq.ledger.ledger import Ledger
from aq.ledger.paths import QueuePaths
from aq.ledger.setup import initialize
from aq.ledger.store import Store, load_config
from tests.support.fleet import Fleet, git, wait_until

TICK = """
import sys, time
from pathlib import Path
from aq.wiring import open_runner

with open_runner(Path.cwd(), "ada", 1, lambda line: None) as runner:
    runner.start()
    for _ in range(4):
        runner.tick(0.0)
        time.sleep(0.01)
    print("--idle--", file=sys.stderr, flush=True)
    Path(sys.argv[1]).write_text("")
    runner._fetch_due = runner._beat_due = 0.0
    runner._beat_due = runner.clock.boottime() + 60
    runner.tick(0.0)
"""


def commands(trace: Path) -> list[list[str]]:
    """The git processes that a trace2 event file shows, without their own children."""
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    return [event["argv"] for event in events if event["event"] == "start" and "/" not in event["sid"]]


def subcommand(argv: list[str]) -> str:
    words = iter(argv[1:])
    for word in words:
        if word in ("-c", "--git-dir", "-C"):
            next(words)
        elif not word.startswith("-"):
            return word
    return ""


def test_an_idle_tick_is_one_fetch_and_no_other_process(fleet: Fleet, hermetic_home: Path) -> None:
    trace = fleet.root / "trace.json"
    git(fleet.root, "config", "--global", "trace2.eventTarget", str(trace))
    ada = fleet.machine("ada")
    trace.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", TICK, str(trace)],
        cwd=ada.path,
        env=ada.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    started = [subcommand(argv) for argv in commands(trace)]
    assert [name for name in started if name != "cat-file"] == ["fetch"]


def test_no_part_of_a_running_host_asks_the_queue_with_ls_remote(fleet: Fleet) -> None:
    trace = fleet.root / "trace.json"
    fleet.machine("ada")
    git(fleet.root, "config", "--global", "trace2.eventTarget", str(trace))
    fleet.you.drop("one")
    fleet.you.aq("status")
    fleet.machine("ada").aq("run", "--host", "ada", "--until-idle")
    fleet.you.aq("status")
    names = [subcommand(argv) for argv in commands(trace)]
    assert "fetch" in names
    assert "push" in names
    assert "ls-remote" not in names


@pytest.fixture
def counted(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> tuple[Ledger, Path]:
    """A ledger whose remote is reached through a counting ssh."""
    up, down = fleet.root / "up", fleet.root / "down"
    ssh = fleet.root / "ssh"
    ssh.write_text(
        "#!/bin/sh\n"
        "for last; do :; done\n"
        f'tee -a {shlex.quote(str(up))} | sh -c "$last" | tee -a {shlex.quote(str(down))}\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH", str(ssh))
    monkeypatch.setenv("GIT_SSH_VARIANT", "simple")
    path = fleet.root / "far"
    initialize(path, f"ssh://hub.invalid{fleet.hub}")
    paths = QueuePaths(path, path / ".git")
    ledger = Ledger(Store(paths), load_config(paths), Identity("far", ""), "test-far")
    return ledger, fleet.root


def test_an_idle_fetch_costs_a_few_hundred_bytes_however_many_jobs_there_are(
    fleet: Fleet, counted: tuple[Ledger, Path]
) -> None:
    ledger, root = counted
    for name in ("a", "b", "c"):
        fleet.you.drop(name)
    fleet.you.aq("status")
    ledger.fetch()
    sent = [(root / name).stat().st_size for name in ("up", "down")]
    ledger.fetch()
    idle = [(root / name).stat().st_size - before for name, before in zip(("up", "down"), sent, strict=True)]
    ledger.close()
    assert sum(idle) < 1000, f"up {idle[0]}, down {idle[1]} bytes"


@pytest.mark.parametrize(
    ("preset", "numbers"),
    [
        ("local", (1, 10, 120, 10, 3, 0)),
        ("lan", (3, 60, 300, 30, 10, 0)),
        ("forge", (20, 300, 1200, 60, 60, 10)),
    ],
    ids=["local", "lan", "forge"],
)
def test_the_cadence_presets_are_the_designs_numbers(preset: str, numbers: tuple[float, ...]) -> None:
    assert CADENCES[preset] == Cadence(*numbers)
    assert parse_settings(f"cadence: {preset}\n".encode()).cadence == Cadence(*numbers)


def test_a_preset_can_be_changed_in_part() -> None:
    cadence = parse_settings(b"cadence: {preset: lan, poll: 1s, push-interval: 5s}\n").cadence
    assert cadence == Cadence(1, 60, 300, 30, 10, 5)


def test_the_default_is_lan() -> None:
    assert parse_settings(b"").cadence == CADENCES["lan"]


def test_a_host_polls_at_its_cadence_and_not_faster(fleet: Fleet) -> None:
    trace = fleet.root / "trace.json"
    fleet.machine("ada")
    git(fleet.root, "config", "--global", "trace2.eventTarget", str(trace))
    process = fleet.start("ada")
    wait_until(
        lambda: trace.exists() and "fetch" in [subcommand(argv) for argv in commands(trace)], 20, "a fetch"
    )
    before = len(commands(trace))
    started = time.monotonic()
    time.sleep(2)
    fetches = [argv for argv in commands(trace)[before:] if subcommand(argv) == "fetch"]
    took = time.monotonic() - started
    process.terminate()
    process.wait(20)
    assert len(fetches) <= took / (0.2 * 0.75) + 4, f"{len(fetches)} fetches in {took:.1f} s"
