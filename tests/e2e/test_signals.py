"""Ctrl-C leaves no process, no lock file and no traceback, whatever it interrupts."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aq.core.lifecycle import Stage
from tests.support.audit import audit
from tests.support.fleet import Fleet, git, wait_until
from tests.support.processes import git_locks, gone, left_over, running
from tests.support.remotes import hook, served

# A lease must outlive any stall of a busy machine here: nobody dies in these tests.
CALM = "cadence: {preset: local, poll: 0.4s, beat: 2s, ttl: 90s, grace: 5s, patience: 0.5s}\n"

# As an exit code, or as the signal itself: Python does the one or the other.
INTERRUPTED = (130, -signal.SIGINT)


@pytest.fixture
def calm(tmp_path: Path, hermetic_home: Path) -> Iterator[Fleet]:
    """A fleet in which nobody is given up."""
    (hermetic_home / "host.yaml").write_text("stop-grace: 1s\n")
    made = Fleet(tmp_path / "fleet", CALM)
    yield made
    made.end()


@pytest.fixture
def target(tmp_path: Path, hermetic_home: Path) -> Path:
    """A bare target repository, known to every host as `target`."""
    bare, seed = tmp_path / "target.git", tmp_path / "seed"
    git(tmp_path, "init", "--quiet", "--bare", "-b", "main", str(bare))
    git(tmp_path, "init", "--quiet", "-b", "main", str(seed))
    git(seed, "commit", "--quiet", "--allow-empty", "-m", "seed")
    git(seed, "push", "--quiet", str(bare), "main")
    (hermetic_home / "host.yaml").write_text(f"repos: {{target: {bare}}}\nstop-grace: 1s\n")
    return bare


def nothing_left(root: Path, *words: str) -> None:
    """No process, no lock file of git, and no traceback in these words."""
    wait_until(lambda: not left_over(root), 10, "every process to end")
    assert git_locks(root) == []
    assert not any("Traceback" in text for text in words)


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C, as a terminal sends it: to the whole foreground group."""
    os.killpg(process.pid, signal.SIGINT)


def lingering(traces: Path, front: str = "") -> str:
    """A job that leaves work and a trace, then waits for `go`."""
    script = f"echo half > work.txt\ntouch {traces}/started\nwhile [ ! -e {traces}/go ]; do sleep 0.1; done\n"
    return f"---\nengine: shell\n{front}\n---\n{script}"


def test_ctrl_c_ends_an_idle_host_and_it_says_goodbye(calm: Fleet, tmp_path: Path) -> None:
    process = calm.start("ada")
    wait_until(lambda: "ada" in calm.you.aq("hosts").stdout, what="the first beat")
    interrupt(process)
    assert process.wait(20) == 0
    nothing_left(tmp_path, calm.machine("ada").log)
    assert "stopped" in calm.you.aq("hosts").stdout


def test_the_first_ctrl_c_finishes_the_running_job_takes_no_other_and_keeps_beating(
    calm: Fleet, tmp_path: Path
) -> None:
    calm.machine("ada").drop("first", lingering(tmp_path))
    process = calm.start("ada")
    wait_until((tmp_path / "started").exists, what="the engine")
    interrupt(process)
    wait_until(lambda: "draining" in calm.you.aq("hosts").stdout, what="a beat that says so")
    calm.you.drop("second", "---\nengine: shell\n---\ntrue\n")
    calm.you.aq("status")
    seen = _beat(calm)
    wait_until(lambda: _beat(calm) != seen, what="the next beat")
    assert process.poll() is None
    (tmp_path / "go").touch()
    assert process.wait(20) == 0
    nothing_left(tmp_path, calm.machine("ada").log)
    assert audit(calm.hub).stages() == {"first": Stage.REVIEW, "second": Stage.INBOX}


def _beat(fleet: Fleet) -> str:
    return git(fleet.hub, "rev-parse", "refs/aq/hosts/ada")


def test_the_second_ctrl_c_stops_the_engine_releases_the_job_and_keeps_its_work(
    calm: Fleet, tmp_path: Path, target: Path
) -> None:
    calm.machine("ada").drop("partial", lingering(tmp_path, "repo: target"))
    process = calm.start("ada")
    wait_until((tmp_path / "started").exists, what="the engine")
    interrupt(process)
    wait_until(lambda: "finishing what runs" in calm.machine("ada").log, what="the first signal")
    interrupt(process)
    assert process.wait(30) == 130
    nothing_left(tmp_path, calm.machine("ada").log)
    seen = audit(calm.hub)
    state = seen.jobs["partial"]
    assert (state.stage, state.record.attempts, state.record.infra) == (Stage.INBOX, 0, 1)
    assert state.record.runs[-1].branch == "aq/partial/1"
    assert git(target, "show", "aq/partial/1:work.txt") == "half"


def test_a_third_ctrl_c_ends_at_once_and_takes_the_engine_along(calm: Fleet, tmp_path: Path) -> None:
    stubborn = lingering(tmp_path).replace("---\necho half", "---\ntrap '' TERM INT\necho half")
    (tmp_path / "home" / "host.yaml").write_text("stop-grace: 60s\n")
    calm.machine("ada").drop("stubborn", stubborn)
    process = calm.start("ada")
    wait_until((tmp_path / "started").exists, what="the engine")
    for words in ("finishing what runs", "stopping the engines"):
        interrupt(process)
        wait_until(lambda words=words: words in calm.machine("ada").log, what=words)
    interrupt(process)
    assert process.wait(20) == 130
    nothing_left(tmp_path, calm.machine("ada").log)


def test_a_terminal_that_closes_is_a_second_ctrl_c(calm: Fleet, tmp_path: Path, target: Path) -> None:
    calm.machine("ada").drop("partial", lingering(tmp_path, "repo: target"))
    ada = calm.machine("ada")
    terminal, other_end = os.openpty()
    process = subprocess.Popen(
        (sys.executable, "-c", _ON_TERMINAL, "run", "--host", "ada"),
        cwd=ada.path,
        env=ada.env,
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
        start_new_session=True,
    )
    os.close(other_end)
    wait_until((tmp_path / "started").exists, what="the engine")
    os.close(terminal)
    assert process.wait(30) == 130
    nothing_left(tmp_path)
    state = audit(calm.hub).jobs["partial"]
    assert (state.stage, state.record.attempts) == (Stage.INBOX, 0)
    assert git(target, "show", "aq/partial/1:work.txt") == "half"


# Its standard input becomes the terminal of its session: who closes that hangs up on it.
_ON_TERMINAL = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from aq.__main__ import main
sys.exit(main())
"""


def test_who_started_a_host_with_nohup_may_close_the_terminal(calm: Fleet) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = calm.start("ada")
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_until(lambda: "ada" in calm.you.aq("hosts").stdout, what="the first beat")
    os.killpg(process.pid, signal.SIGHUP)
    seen = _beat(calm)
    wait_until(lambda: _beat(calm) != seen, what="the next beat")
    assert process.poll() is None


def test_ctrl_c_while_a_job_is_submitted_says_that_it_is_kept(calm: Fleet, tmp_path: Path) -> None:
    reached = tmp_path / "reached"
    hook(calm.hub, "pre-receive", f"touch '{reached}'; sleep 60")
    add = ("add", "--engine", "shell", "--name", "slow", "true")
    process = _command(calm.you.path, *add, AQ_STATE_DIR=str(calm.you.state))
    wait_until(reached.exists, what="the push")
    interrupt(process)
    said = process.communicate(timeout=30)[1].decode()
    assert process.returncode in INTERRUPTED
    assert re.search(r"slow-\w+ is kept here, and the next aq command submits it", said)
    assert "interrupted" in said


def _command(folder: Path, *args: str, out: int = subprocess.PIPE, **env: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "aq", *args],
        cwd=folder,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    "terminal", [pytest.param("xterm", id="drawn over"), pytest.param("dumb", id="printed")]
)
def test_ctrl_c_ends_the_watched_board(calm: Fleet, tmp_path: Path, terminal: str) -> None:
    screen, other_end = os.openpty()
    state = str(calm.you.state)
    process = _command(calm.you.path, "status", "--watch", out=other_end, TERM=terminal, AQ_STATE_DIR=state)
    os.close(other_end)
    seen = b""
    while b"inbox 0" not in seen:
        seen += os.read(screen, 65536)
    interrupt(process)
    with process:
        assert process.wait(20) == 0
        assert process.stderr
        nothing_left(tmp_path, seen.decode(), process.stderr.read().decode())
    assert (b"\x1b" in seen) == (terminal == "xterm")
    os.close(screen)


def test_ctrl_c_while_a_command_waits_for_the_remote_ends_it_and_its_git(
    tmp_path: Path, hermetic_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path / "served", monkeypatch) as (fleet, _):
        hung = tmp_path / "hung"
        hung.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\nexec sleep 60\n")
        hung.chmod(0o755)
        state = str(fleet.you.state)
        process = _command(fleet.you.path, "status", AQ_STATE_DIR=state, GIT_SSH_COMMAND=str(hung))
        wait_until((tmp_path / "asked").exists, what="the fetch")
        interrupt(process)
        _, err = process.communicate(timeout=20)
        assert process.returncode in INTERRUPTED
        nothing_left(tmp_path, err.decode())


def test_ctrl_c_while_aq_is_still_being_imported_shows_no_traceback(tmp_path: Path) -> None:
    imported = tmp_path / "imported"
    (tmp_path / "typer.py").write_text(
        f"import pathlib, time\npathlib.Path({str(imported)!r}).touch()\ntime.sleep(60)\n"
    )
    process = _command(tmp_path, "status", PYTHONPATH=str(tmp_path))
    wait_until(imported.exists, what="the import")
    interrupt(process)
    out, err = process.communicate(timeout=20)
    assert (process.returncode in INTERRUPTED, out, err) == (True, b"", b"interrupted\n")


def test_ctrl_c_in_the_demo_ends_its_hosts_and_their_engines(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    process = _command(tmp_path, "demo", "--clean", TMPDIR=str(folder), AQ_DEMO_SLEEP="30")
    building = wait_until(lambda: running(folder, "long-build"), 60, "the long build")[0]
    interrupt(process)
    _, err = process.communicate(timeout=40)
    assert process.returncode in INTERRUPTED
    wait_until(lambda: gone(building.pid), 5, "the engine to end")
    nothing_left(folder, err.decode())
    assert list(folder.iterdir()) == [], "--clean leaves nothing"
