"""Real sandboxes: what runs in one reaches nothing that it must not, and ends when it is told to."""

from __future__ import annotations

import os
import queue
import secrets
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from aq.core.manifest import Manifest
from aq.host.config import HostConfig
from aq.host.confine import Confinement
from aq.host.escape import try_to_escape
from aq.host.kit import Kit
from aq.host.process import Child
from aq.host.sandbox import Sandbox, Walls, sandbox
from aq.host.sessions import Sessions
from aq.host.tree import marked
from aq.host.workspace import Workspaces
from tests.support.fleet import wait_until
from tests.support.processes import states

FOREVER = "while :; do sleep 0.1; done"


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.delenv("AQ_SANDBOX")
    found = sandbox()
    if not found:
        pytest.skip(f"no sandbox here: {found.why}")
    return found


class Cell:
    """A run's folder, a workspace beside it, and what lies around."""

    def __init__(self, root: Path, box: Sandbox) -> None:
        self.root, self.box = root, box
        self.work, self.run = root / "work", root / "state" / "runs" / "a" / "1"
        for folder in (self.work, self.run / "tmp", root / "state" / "mirrors", root / "home" / ".ssh"):
            folder.mkdir(parents=True)
        (root / "state" / "mirrors" / "canary").write_text("canary")
        (root / "home" / ".ssh" / "canary").write_text("canary")
        (root / "home" / ".netrc").write_text("canary")
        self.env = {"PATH": os.environ["PATH"], "HOME": str(root / "home"), "TMPDIR": str(self.run / "tmp")}
        # The root lies in a temporary folder, which is out of sight: let it in, to see what else holds.
        self.walls = Walls((root / "state",))
        self.run_id = f"test-{secrets.token_hex(6)}"
        self.log = root / "log"

    def child(self, script: str, grace: float = 3.0) -> Child:
        made = Confinement.of(Manifest(), "required", self.box, self.walls)
        argv, env = made.confine(("sh", "-c", script), self.work, self.run, self.env)
        return Child(
            argv,
            cwd=self.work,
            env=env,
            log=self.log,
            run_id=self.run_id,
            grace=grace,
            confined=True,
        )

    def said(self, script: str) -> str:
        self.child(script).wait(60)
        return self.log.read_text()


@pytest.fixture
def cell(tmp_path: Path, box: Sandbox) -> Cell:
    # Beside the temporary folder, for within it everything is out of sight anyway.
    return Cell(tmp_path / "cell", box)


def test_it_writes_to_its_workspace_its_run_and_its_temporary_folders(cell: Cell) -> None:
    script = f'touch a {cell.run}/b /tmp/c /var/tmp/d "$TMPDIR/e" && mktemp >/dev/null && echo fine'
    assert cell.said(script) == "fine\n"
    assert (cell.work / "a").exists()
    assert (cell.run / "b").exists()
    assert {"c", "d", "e"} <= set(os.listdir(cell.run / "tmp"))
    assert not Path("/tmp/c").exists()


@pytest.mark.attack("S17")
@pytest.mark.parametrize("where", ["/", "/etc", "/usr", "/root", "/home", "/opt"])
def test_it_writes_nowhere_else(cell: Cell, where: str) -> None:
    name = f"{where.rstrip('/')}/aq-{cell.run_id}"
    said = cell.said(f"echo x > {name} || echo held; rm -f {name}")
    assert "held" in said
    assert not Path(name).exists()


@pytest.mark.attack("S17", "S18")
def test_it_reads_neither_keys_nor_the_state_nor_other_runs(cell: Cell) -> None:
    said = cell.said(
        f"cat {cell.root}/home/.ssh/canary {cell.root}/home/.netrc {cell.root}/state/mirrors/canary;"
        f"ls -A {cell.root}/home {cell.root}/state"
    )
    assert "canary\n" not in said.replace("/canary", "")
    assert "mirrors\n" not in said


def test_a_cwd_that_holds_keys_hides_them_all_the_same(cell: Cell) -> None:
    walls = Walls((cell.root / "state",))
    made = Confinement.of(Manifest(), "required", cell.box, walls)
    home = cell.root / "home"
    script = "cat .ssh/canary .netrc; touch here; echo x > .netrc; rm -rf .ssh; echo end"
    argv, env = made.confine(("sh", "-c", script), home, cell.run, cell.env)
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert "canary\n" not in done.stdout
    assert done.stdout.endswith("end\n")
    assert (home / "here").exists()
    assert (home / ".ssh" / "canary").read_text() == "canary"
    assert (home / ".netrc").read_text() == "canary"


def test_the_note_of_the_run_is_only_read(cell: Cell) -> None:
    (cell.run / "run.json").write_text("{}")
    said = cell.said(f"cat {cell.run}/run.json; echo; echo x > {cell.run}/run.json || rm {cell.run}/run.json")
    assert said.startswith("{}")
    assert (cell.run / "run.json").read_text() == "{}"


def test_it_sees_no_process_of_the_host(cell: Cell) -> None:
    said = cell.said(f"ls -d /proc/[0-9]* | wc -l; kill -0 {os.getpid()} 2>/dev/null && echo reached; id -u")
    assert int(said.splitlines()[0]) < 10
    assert "reached" not in said


@pytest.mark.attack("S17")
def test_it_cannot_undo_its_walls(cell: Cell) -> None:
    said = cell.said(
        f"umount {cell.root}/state; mount -o remount,rw /; mount --bind / /tmp;"
        f"unshare -Urm sh -c 'umount {cell.root}/state; mount -o remount,rw /; touch /aq-{cell.run_id}';"
        f"cat {cell.root}/state/mirrors/canary; echo 1 > /proc/sys/kernel/core_pattern; echo end"
    )
    assert said.endswith("end\n")
    assert "canary\n" not in said.replace("/canary", "")
    assert not Path(f"/aq-{cell.run_id}").exists()


def test_a_full_exit_code_comes_out_and_a_signal_by_its_name(cell: Cell) -> None:
    assert cell.child("exit 3").wait(60).code == 3
    assert cell.child("kill -SEGV $$").wait(60).signal_name == "SIGSEGV"


def test_a_stopped_tree_may_say_goodbye(cell: Cell) -> None:
    child = cell.child(f"trap 'echo goodbye; exit 0' TERM; echo ready; {FOREVER}")
    wait_until(lambda: "ready" in cell.log.read_text(), 30)
    child.stop("enough")
    assert child.wait(30).stopped == "enough"
    assert "goodbye" in cell.log.read_text()
    assert not marked(cell.run_id)


def test_a_tree_that_ignores_everything_ends_all_the_same(cell: Cell) -> None:
    hidden = f"(trap '' TERM HUP; exec setsid sh -c 'trap \"\" TERM; unset AQ_RUN_ID; touch up; {FOREVER}') &"
    child = cell.child(f"trap '' TERM; {hidden} {FOREVER}", grace=0.5)
    wait_until((cell.work / "up").exists, 30)
    inside = psutil.Process(child.pid).children(recursive=True)
    child.stop("enough")
    child.wait(30)
    assert len(inside) >= 3
    assert not [process for process in inside if process.is_running() and process.status() != "zombie"]


def test_what_is_left_in_a_sandbox_ends_with_its_first_process(cell: Cell) -> None:
    child = cell.child(f"(setsid sh -c 'touch up; {FOREVER}' &) ; while [ ! -e up ]; do sleep 0.05; done")
    child.wait(30)
    wait_until(lambda: not marked(cell.run_id), 10)


def test_it_dies_with_who_started_it(cell: Cell) -> None:
    made = Confinement.of(Manifest(), "required", cell.box, cell.walls)
    argv, env = made.confine(("sh", "-c", f"touch up; {FOREVER}"), cell.work, cell.run, cell.env)
    quoted = " ".join(f"'{part}'" for part in argv)
    parent = subprocess.Popen(["sh", "-c", f"{quoted} & wait"], env={**env, "AQ_RUN_ID": cell.run_id})
    wait_until((cell.work / "up").exists, 30)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not marked(cell.run_id), 10)


def test_a_sleeping_tree_is_frozen_and_goes_on(cell: Cell) -> None:
    child = cell.child("i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo $i; sleep 0.01; done")
    wait_until(lambda: cell.log.exists() and cell.log.read_text().count("\n") > 3, 30)
    child.suspend()
    stopped = {psutil.STATUS_STOPPED}
    wait_until(lambda: set(states(marked(cell.run_id))) == stopped, 10, "all to stop")
    assert cell.log.read_text().count("\n") < 400
    child.resume()
    assert child.wait(60).code == 0
    assert cell.log.read_text().endswith("400\n")


def test_a_host_offers_what_works(box: Sandbox) -> None:
    from aq.host.probe import probe_offers

    assert "sandbox:fs" in probe_offers(HostConfig("ada"))


def test_a_kit_hides_logs_settings_and_the_queue(
    tmp_path: Path, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = HostConfig("ada")
    kit = Kit(
        config,
        Workspaces(tmp_path / "state"),
        tmp_path / "state" / "runs",
        tmp_path / "clone" / "logs",
        (),
        queue.SimpleQueue(),
        Sessions(tmp_path / "sessions.json"),
        private=(tmp_path / "clone" / ".git",),
    )
    made = kit.confinement(Manifest())
    assert made.on
    names = {path.name for path in made.walls.private}
    assert names == {".git", "logs", "host.yaml", "trust", "host", "person"}


def test_an_attempt_to_escape_is_held(box: Sandbox) -> None:
    found = try_to_escape(box)
    assert {trial.held for trial in found} == {True}, found
    assert len(found) >= 5


def test_an_attempt_to_escape_from_nothing_succeeds() -> None:
    found = try_to_escape(Sandbox())
    held = {trial.what for trial in found if trial.held}
    assert not held, "the trials see what they look for"
