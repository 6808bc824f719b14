"""Child processes: whatever an engine starts ends with its run, however it hides."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from aq.host.process import Child, Exit
from aq.host.tree import alive, end_all, marked, sweep
from tests.support.fleet import wait_until
from tests.support.processes import gone, states

_ENV = {"PATH": os.environ["PATH"]}
FOREVER = "while :; do sleep 0.1; done"


class Bay:
    """Starts children whose marks the fixture looks for afterwards."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "logs" / "child.log"
        self.run_id = f"test-{secrets.token_hex(6)}"

    def child(self, script: str, *, grace: float = 0.3, **more: object) -> Child:
        return Child(
            ("sh", "-c", script),
            cwd=self.root,
            env=_ENV,
            log=self.log,
            run_id=self.run_id,
            grace=grace,
            **more,  # type: ignore[arg-type]
        )

    def pid(self, name: str) -> int:
        """The pid that a script wrote into a file."""
        path = self.root / name
        return int(wait_until(lambda: path.exists() and path.read_text().strip(), 10, f"a pid in {name}"))

    def words(self) -> str:
        return self.log.read_text()


@pytest.fixture
def bay(tmp_path: Path) -> Iterator[Bay]:
    made = Bay(tmp_path)
    yield made
    sweep(made.run_id, 0.1)


HIDERS = {
    "a plain grandchild": f"sh -c 'echo $$ > pid; {FOREVER}' & ",
    "a session of its own": f"setsid sh -c 'echo $$ > pid; {FOREVER}' & ",
    "a double fork": f"(setsid sh -c 'echo $$ > pid; {FOREVER}' > /dev/null 2>&1 &) ; ",
    "deaf to TERM": f"sh -c 'trap \"\" TERM HUP INT; echo $$ > pid; {FOREVER}' & ",
    "a closed pipe": f"sh -c 'echo $$ > pid; exec > /dev/null 2>&1; {FOREVER}' & ",
    "no mark, in our group": f"env -i PATH=\"$PATH\" sh -c 'echo $$ > pid; {FOREVER}' > /dev/null 2>&1 & ",
}
WAIT_FOR_PID = "while [ ! -s pid ]; do sleep 0.02; done; "


@pytest.mark.parametrize("hider", HIDERS.values(), ids=HIDERS)
def test_nothing_outlives_a_run_that_ends_by_itself(bay: Bay, hider: str) -> None:
    child = bay.child(f"{hider}{WAIT_FOR_PID}exit 4")
    assert child.wait(30) == Exit(4)
    assert gone(bay.pid("pid"))
    assert not marked(bay.run_id)


@pytest.mark.parametrize("hider", HIDERS.values(), ids=HIDERS)
def test_nothing_outlives_a_run_that_is_stopped(bay: Bay, hider: str) -> None:
    child = bay.child(f"{hider}{WAIT_FOR_PID}{FOREVER}")
    pid = bay.pid("pid")
    child.stop("enough")
    assert child.wait(30).stopped == "enough"
    assert gone(pid)
    assert not marked(bay.run_id)


def test_wait_returns_soon_though_a_grandchild_holds_the_pipe(bay: Bay) -> None:
    child = bay.child("setsid sleep 300 & echo said")
    assert child.wait(60) == Exit(0)
    assert bay.words() == "said\n"


def test_a_timeout_stops_the_tree_and_is_named(bay: Bay) -> None:
    child = bay.child(f"setsid sh -c 'echo $$ > pid; {FOREVER}' & {WAIT_FOR_PID}echo begun; {FOREVER}")
    pid = bay.pid("pid")
    ended = child.wait(0.1)
    assert ended.stopped == "timeout"
    assert gone(pid)
    assert "begun" in bay.words()


def test_the_first_reason_to_stop_stays(bay: Bay) -> None:
    child = bay.child(FOREVER)
    child.stop("fenced")
    child.stop("stopped by the operator")
    assert child.wait(0.0).stopped == "fenced"


def test_a_stop_wins_over_the_exit_code_of_an_engine_that_says_all_is_well(bay: Bay) -> None:
    child = bay.child(f"trap 'exit 0' TERM; : > ready; {FOREVER}", grace=5)
    wait_until((bay.root / "ready").exists, 10)
    child.stop("fenced")
    assert child.wait(30) == Exit(0, "fenced")


def test_a_polite_engine_gets_its_grace_period(bay: Bay) -> None:
    child = bay.child(f"trap 'sleep 0.3; echo saved; exit 0' TERM; : > ready; {FOREVER}", grace=10)
    wait_until((bay.root / "ready").exists, 10)
    child.stop("enough")
    child.wait(30)
    assert "saved" in bay.words()


def _stands_still(bay: Bay) -> bool:
    # A shell whose new child was stopped before it ran its program waits for it: "disk sleep".
    found = set(states(marked(bay.run_id)))
    return psutil.STATUS_STOPPED in found and found <= {psutil.STATUS_STOPPED, psutil.STATUS_DISK_SLEEP}


def test_a_suspended_tree_makes_no_step_until_it_is_resumed(bay: Bay) -> None:
    tick = "while :; do echo x >> ticks; sleep 0.05; done"
    child = bay.child(f"setsid sh -c '{tick}' & wait")
    ticks = bay.root / "ticks"
    wait_until(ticks.exists, 10)
    child.suspend()
    wait_until(lambda: _stands_still(bay), 10, "the tree to stand still")
    before = ticks.stat().st_size
    time.sleep(0.3)
    assert ticks.stat().st_size == before
    child.resume()
    wait_until(lambda: ticks.stat().st_size > before, 10, "the tree to go on")
    child.stop("enough")
    assert child.wait(30).stopped == "enough"


def test_a_suspended_tree_can_be_stopped(bay: Bay) -> None:
    child = bay.child(f": > ready; {FOREVER}")
    wait_until((bay.root / "ready").exists, 10)
    child.suspend()
    child.stop("fenced")
    assert child.wait(30).stopped == "fenced"
    assert not marked(bay.run_id)


def test_a_stop_by_another_thread_ends_the_wait(bay: Bay) -> None:
    child = bay.child(FOREVER)
    threading.Timer(0.2, child.stop, args=("enough",)).start()
    assert child.wait(60).stopped == "enough"


EXITS: dict[str, tuple[str, Exit, str]] = {
    "an exit code": ("exit 7", Exit(7), ""),
    "a signal": ("kill -s SEGV $$", Exit(-signal.SIGSEGV), "SIGSEGV"),
}


@pytest.mark.parametrize(("script", "ended", "name"), EXITS.values(), ids=EXITS)
def test_how_a_child_ended_is_told(bay: Bay, script: str, ended: Exit, name: str) -> None:
    found = bay.child(script).wait(30)
    assert found == ended
    assert found.signal_name == name


def test_a_signal_without_a_name_is_told_by_number() -> None:
    assert Exit(-250).signal_name == "signal 250"


def test_a_program_that_cannot_start_raises_and_leaves_nothing(bay: Bay) -> None:
    before = {p.pid for p in psutil.Process().children()}
    with pytest.raises(FileNotFoundError):
        Child(("/no/such/program",), cwd=bay.root, env=_ENV, log=bay.log, run_id=bay.run_id)
    assert {p.pid for p in psutil.Process().children()} == before


def test_the_child_reads_its_input_and_sees_only_the_given_environment(bay: Bay) -> None:
    source = bay.root / "in"
    source.write_text("from a file\n")
    assert bay.child("cat; env", stdin=source).wait(30).code == 0
    lines = bay.words().splitlines()
    assert lines[0] == "from a file"
    names = {line.split("=")[0] for line in lines[1:]}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", "AQ_RUN_ID"}


def test_the_start_is_told_with_pid_and_start_time(bay: Bay) -> None:
    told: list[tuple[int, float]] = []
    child = bay.child(FOREVER, on_start=lambda pid, started: told.append((pid, started)))
    assert told[0][0] == child.pid
    assert alive(*told[0])
    assert not alive(told[0][0], told[0][1] - 5), "a pid that was used again is another process"
    child.stop("enough")
    child.wait(30)
    assert not alive(*told[0])


def _orphan(bay: Bay) -> subprocess.Popen[bytes]:
    """What an earlier process of ours left."""
    env = {**_ENV, "AQ_RUN_ID": bay.run_id}
    return subprocess.Popen(("sh", "-c", FOREVER), env=env, start_new_session=True)


def test_sweep_ends_what_an_earlier_process_left(bay: Bay) -> None:
    orphan = _orphan(bay)
    wait_until(lambda: marked(bay.run_id), 10)
    assert sweep(bay.run_id, 0.2) >= 1
    orphan.wait(10)
    assert sweep(bay.run_id) == 0


@pytest.mark.parametrize("grace", [0.2, None], ids=["asked", "killed"])
@pytest.mark.parametrize("begins_in", [0, 1], ids=["first look", "second look"])
def test_what_begins_while_we_look_is_ended_too(bay: Bay, grace: float | None, begins_in: int) -> None:
    orphans, looks = [_orphan(bay)], 0

    def look() -> set[psutil.Process]:
        nonlocal looks
        found = marked(bay.run_id)
        if looks == begins_in:
            orphans.append(_orphan(bay))
        looks += 1
        return found

    wait_until(lambda: marked(bay.run_id), 10)
    assert end_all(look, grace) >= 2
    assert not marked(bay.run_id)
    for orphan in orphans:
        orphan.wait(10)


def test_a_process_that_ended_is_not_waited_for_although_nobody_collects_it(bay: Bay) -> None:
    careless = subprocess.Popen(
        ("sh", "-c", 'AQ_RUN_ID="$0" sleep 300 & exec sleep 300', bay.run_id),
        env=_ENV,
        start_new_session=True,
    )
    wait_until(lambda: marked(bay.run_id), 10)
    swept = threading.Thread(target=sweep, args=(bay.run_id, 3600.0), daemon=True)
    swept.start()
    wait_until(lambda: not swept.is_alive(), 10, "the sweep to end")
    assert not marked(bay.run_id)
    careless.kill()
    careless.wait(10)


_STRANGER_TO_ITS_RUN = "env -i PATH=\"$PATH\" setsid sh -c 'echo $$ > pid; while :; do sleep 0.1; done' & "


def test_sweep_ends_what_carries_no_mark_but_was_started_by_what_does(bay: Bay) -> None:
    env = {**_ENV, "AQ_RUN_ID": bay.run_id}
    script = f"{_STRANGER_TO_ITS_RUN}{FOREVER}"
    orphan = subprocess.Popen(("sh", "-c", script), cwd=bay.root, env=env, start_new_session=True)
    stranger = bay.pid("pid")
    sweep(bay.run_id, 0.2)
    orphan.wait(10)
    assert gone(stranger)


def test_nothing_of_a_daemon_outlives_its_run(bay: Bay) -> None:
    daemon = f"{_STRANGER_TO_ITS_RUN}{FOREVER}"
    (bay.root / "daemon.sh").write_text(daemon)
    child = bay.child(f"setsid sh daemon.sh > /dev/null 2>&1 < /dev/null & {WAIT_FOR_PID}exit 0")
    assert child.wait(30) == Exit(0)
    assert gone(bay.pid("pid"))


BUSY = "for i in 1 2 3 4; do sh -c 'while :; do sleep 3 & sleep 0.01; done' & done; echo $$ > pid; wait"


def test_a_suspended_run_stands_still_whatever_it_was_about_to_start(bay: Bay) -> None:
    child = bay.child(BUSY)
    bay.pid("pid")
    for _ in range(5):
        child.suspend()
        wait_until(lambda: _stands_still(bay), 2, "all of it to stand still")
        child.resume()
        wait_until(lambda: not _stands_still(bay), 5, "it to go on")
    child.stop("enough", at_once=True)
    child.wait(30)


def test_two_threads_may_look_at_the_processes_of_a_run_at_once(bay: Bay) -> None:
    child = bay.child(f"for i in 1 2 3; do sh -c 'while :; do sleep 0.02 & wait; done' & done; {FOREVER}")

    def suspend_and_resume(_: int) -> None:
        for _ in range(15):
            child.suspend()
            child.resume()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(suspend_and_resume, range(4)))
    child.stop("enough", at_once=True)
    assert child.wait(30).stopped == "enough"


@pytest.mark.skipif(not os.access("/proc/sys/kernel/ns_last_pid", os.W_OK), reason="needs to choose a pid")
def test_who_got_the_pid_of_an_engine_that_ended_is_left_alone(bay: Bay) -> None:
    child = bay.child("exit 0")
    child.wait(30)
    other = _with_pid(child.pid)
    try:
        wait_until(lambda: psutil.Process(other.pid).children(), 10, "it to start something")
        started = psutil.Process(other.pid).children()
        child.suspend()
        child.stop("fenced")
        assert set(states([psutil.Process(other.pid), *started])) <= {"sleeping", "running"}
    finally:
        end_all(lambda: [psutil.Process(other.pid), *psutil.Process(other.pid).children()], None)
        other.wait(10)


def _with_pid(pid: int) -> subprocess.Popen[bytes]:
    """A process with this pid and a child; other programs may take the pid meanwhile."""
    for _ in range(200):
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        other = subprocess.Popen(("sh", "-c", "sleep 300 & exec sleep 300"), start_new_session=True)
        if other.pid == pid:
            return other
        end_all(lambda found=other: [psutil.Process(found.pid), *psutil.Process(found.pid).children()], None)  # type: ignore[misc]
        other.wait(10)
    pytest.skip("the pid is in use")


PARENT = """
import os, sys, time
from pathlib import Path
from aq.host.process import Child
root = Path(sys.argv[1])
env = {"PATH": os.environ["PATH"]}
Child(("sh", "-c", sys.argv[3]), cwd=root, env=env, log=root / "log", run_id=sys.argv[2])
(root / "watched").touch()
time.sleep(300)
"""
DEAF = "trap '' TERM HUP; sh -c 'echo $$ > pid; while :; do sleep 0.1; done'"


@pytest.mark.parametrize("script", [f"echo $$ > pid; {FOREVER}", DEAF], ids=["plain", "deaf to TERM"])
def test_the_engine_dies_with_a_parent_that_was_killed(bay: Bay, script: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(bay.root), bay.run_id, script])
    pid = bay.pid("pid")
    # An engine that is a moment old is not watched yet: then the next start of the host ends it.
    wait_until((bay.root / "watched").exists, what="the engine to be watched")
    assert not gone(pid)
    parent.kill()
    parent.wait()
    wait_until(lambda: gone(pid) and not marked(bay.run_id), 10, "the engine to end with its parent")


def _lifelines() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "read -r group" in " ".join(p.cmdline())]


def test_no_lifeline_is_left_after_a_run(bay: Bay) -> None:
    watched: Callable[[], list[psutil.Process]] = _lifelines
    child = bay.child("sleep 0.2")
    assert len(watched()) == 1
    child.wait(30)
    assert watched() == []


def test_a_process_that_cannot_be_followed_does_not_live_on(bay: Bay) -> None:
    started: list[int] = []

    def fail(pid: int, _: float) -> None:
        started.append(pid)
        bay.pid("pid")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        bay.child(f"{HIDERS['a double fork']}{FOREVER}", on_start=fail)
    assert gone(started[0])
    assert gone(bay.pid("pid"))
    assert not marked(bay.run_id)


def test_what_cannot_be_started_leaves_no_watcher(bay: Bay) -> None:
    before = set(psutil.Process().children())
    with pytest.raises(ValueError, match="null byte"):
        bay.child("echo \0")
    with pytest.raises(FileNotFoundError):
        bay.child("true", stdin=bay.root / "none")
    assert set(psutil.Process().children()) <= before


ESCAPED = """
import os, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
open("pid", "w").write(str(os.getpid()))
try:
    while True:
        os.write(1, b"still here\\n")
        time.sleep(0.1)
except OSError:
    pass
"""


def test_what_got_away_and_goes_on_writing_is_not_listened_to_for_good(
    bay: Bay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aq.host.process._DRAIN_MOST", 1.0)
    (bay.root / "escaped.py").write_text(ESCAPED)
    child = bay.child(f"env -i {sys.executable} escaped.py; {WAIT_FOR_PID}exit 3")
    try:
        assert child.wait(30) == Exit(3)
        wait_until(lambda: gone(bay.pid("pid")), 10, "its pipe closed")
    finally:
        if not gone(bay.pid("pid")):
            os.kill(bay.pid("pid"), signal.SIGKILL)
