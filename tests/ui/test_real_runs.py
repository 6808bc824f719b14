"""What people type while a real host runs: messages reach the next attempt, stops stop, drains drain."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aq.core.lifecycle import Stage
from aq.ledger.paths import host_state
from aq.ledger.store import load_config
from tests.support.fleet import Fleet, wait_until
from tests.support.story import Story
from tests.ui.conftest import Person

_LONG = "---\nengine: shell\n---\ntouch {0}/started\nsleep 600 & echo $! > {0}/pid\nwait\n"


def finish(fleet: Fleet, *args: str) -> None:
    """A host that works until nothing is left."""
    assert fleet.start("ada", "--until-idle", *args).wait(60) == 0, fleet.machine("ada").log


def stage_of(fleet: Fleet, job: str) -> Stage | None:
    found = fleet.job(job)
    return found.stage if found else None


def gone(pid: Path) -> bool:
    return not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_a_rejection_reaches_the_prompt_of_the_next_attempt(aq: Person, fleet: Fleet, tmp_path: Path) -> None:
    copy = f"cp $AQ_PROMPT_FILE {tmp_path}/prompt.$AQ_EPOCH\n"
    fleet.you.drop("one", f"---\nengine: shell\n---\n{copy}")
    aq("status")
    finish(fleet)
    assert "accept it with `aq promote one`" in aq.refused("ship", "one")
    assert aq("reject", "one", "name", "the", "file", "--requeue").out == "reject one: review -> inbox\n"
    finish(fleet)
    assert "name the file" not in (tmp_path / "prompt.1").read_text()
    prompt = (tmp_path / "prompt.2").read_text()
    assert "## Feedback on earlier attempts" in prompt
    assert "Alice" in prompt
    assert "name the file" in prompt


@pytest.mark.parametrize(
    ("words", "stage"),
    [
        pytest.param(["cancel", "one", "-m", "no need"], Stage.FAILED, id="cancel ends the job"),
        pytest.param(["pause", "--stop", "-m", "fire"], Stage.INBOX, id="pause --stop releases it"),
    ],
)
def test_what_stops_a_job_stops_its_engine(
    aq: Person, fleet: Fleet, tmp_path: Path, words: list[str], stage: Stage
) -> None:
    fleet.you.drop("one", _LONG.format(tmp_path))
    aq("status")
    process = fleet.start("ada")
    wait_until((tmp_path / "started").exists, what="the engine")
    aq(*words)
    wait_until(lambda: gone(tmp_path / "pid"), 30, "the engine to end")
    wait_until(lambda: stage_of(fleet, "one") is stage, 30, f"the job to be in {stage}")
    assert process.poll() is None


def test_drain_however_often_finishes_what_runs_and_ends_the_host(
    aq: Person, fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = f"touch {tmp_path}/started\nwhile [ ! -e {tmp_path}/go ]; do sleep 0.05; done\n"
    fleet.you.drop("one", f"---\nengine: shell\n---\n{work}")
    aq("status")
    process = fleet.start("ada")
    wait_until((tmp_path / "started").exists, what="the engine")
    ada = fleet.machine("ada")
    monkeypatch.chdir(ada.path)
    monkeypatch.setenv("AQ_STATE_DIR", str(ada.state))
    for _ in range(2):
        assert aq("drain").out == "ada finishes what runs and takes no more\n"
    fleet.you.drop("two")
    (tmp_path / "go").touch()
    assert process.wait(30) == 0
    assert stage_of(fleet, "one") is Stage.REVIEW
    assert "no host runs here" in aq.refused("drain")


def test_drain_never_signals_a_stranger_that_got_the_number_of_a_dead_host(aq: Person, fleet: Fleet) -> None:
    config = load_config(fleet.you.paths)
    state = host_state(config.url, config.branch, "ghost")
    state.mkdir(parents=True)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        pid = state / "pid"
        pid.write_text(str(stranger.pid))
        os.utime(pid, (1_000_000_000, 1_000_000_000))
        aq.refused("drain")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_files_of_phase_0_run_unchanged_and_prose_is_never_executed(
    aq: Person, fleet: Fleet, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    front = f"engine: shell\ncwd: {place}\nyolo: true\nlock: place\ntimeout: 1m\nverify: test -f old"
    fleet.you.drop("old", f"---\n{front}\n---\ntouch old\n")
    fleet.you.drop("prose", f"touch {tmp_path}/executed\n")
    aq("status")
    finish(fleet)
    assert (place / "old").exists()
    assert stage_of(fleet, "old") is Stage.TESTING
    assert stage_of(fleet, "prose") is Stage.INBOX
    assert not (tmp_path / "executed").exists()
    assert "ada: " in (said := aq("why", "prose").out)
    assert "lacks engine-class:agentic-coder" in said


def test_logs_follow_until_the_run_is_over_or_ctrl_c(
    aq: Person, told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.building("one")
    log = aq.machine.path / "logs" / "one" / "1.log"
    log.parent.mkdir(parents=True)
    log.write_text("begun\n")
    sleep = time.sleep

    def ends(seconds: float) -> None:
        if told.job("one").lease:
            log.write_text("begun\nended\n")
            told.do(told.fail_of("one"))
        sleep(seconds / 10)

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("aq.ui.cli.logs.time.sleep", interrupted)
    said = aq("logs", "one", "--follow", code=130)
    assert said.out == "begun\n"
    assert "Traceback" not in said.err
    monkeypatch.setattr("aq.ui.cli.logs.time.sleep", ends)
    assert aq("logs", "one", "--follow").out == "begun\nended\n"


def test_logs_say_where_a_run_was_and_end_with_it(
    aq: Person, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.you.drop("one", "---\nengine: shell\n---\necho from the run\n")
    fleet.you.drop("two", "---\nengine: shell\ndeps: [nothing]\n---\ntrue\n")
    aq("status")
    finish(fleet)
    assert "it ran on ada: look there" in aq.refused("logs", "one")
    assert "it never ran: `aq why two`" in aq.refused("logs", "two")
    assert "`aq show one` lists its runs" in aq.refused("logs", "one", "--epoch", "7")
    ada = fleet.machine("ada")
    monkeypatch.chdir(ada.path)
    assert "from the run" in aq("logs", "one").out
    assert "from the run" in aq("logs", "one", "--follow").out
