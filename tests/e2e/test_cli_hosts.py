"""Commands against hosts that run: what a person does to work in flight, and what each job's file gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aq.core.job import Job
from aq.core.lifecycle import Stage
from tests.support.audit import audit
from tests.support.fleet import Fleet, wait_until
from tests.support.processes import running

CALM = "cadence: {preset: local, poll: 0.4s, beat: 2s, ttl: 90s, grace: 5s, patience: 0.5s}\n"


@pytest.fixture
def calm(tmp_path: Path, hermetic_home: Path) -> Iterator[Fleet]:
    """A fleet in which nobody is given up."""
    (hermetic_home / "host.yaml").write_text("stop-grace: 1s\n")
    made = Fleet(tmp_path / "fleet", CALM)
    yield made
    made.end()


def at(fleet: Fleet, job: str, stage: Stage) -> Callable[[], Job | None]:
    """Condition: the job is there and nobody holds it."""

    def look() -> Job | None:
        found = fleet.job(job)
        return found if found and found.stage is stage and not found.lease else None

    return look


def endless(folder: Path, front: str = "") -> str:
    """A job that says that it started, and never ends by itself."""
    return f"---\nengine: shell\n{front}\n---\ntouch {folder}/$AQ_JOB.started\nsleep 600\n"


def patient(folder: Path) -> str:
    """A job that says that it started, and ends when it is told to go."""
    return (
        f"---\nengine: shell\n---\ntouch {folder}/started\nwhile [ ! -e {folder}/go ]; do sleep 0.1; done\n"
    )


def start(fleet: Fleet, folder: Path, job: str, front: str = "") -> None:
    """A job that runs on ada."""
    fleet.you.drop(job, endless(folder, front))
    fleet.you.aq("status")
    fleet.start("ada")
    wait_until((folder / f"{job}.started").exists, what="the engine")


def test_a_rejection_goes_into_the_next_attempts_prompt(calm: Fleet, tmp_path: Path) -> None:
    copy = f'cp "$AQ_PROMPT_FILE" {tmp_path}/prompt.$AQ_EPOCH'
    calm.you.drop("draft", f"---\nengine: shell\nverify: 'true'\n---\n{copy}\n")
    calm.you.aq("status")
    calm.start("ada")
    wait_until(at(calm, "draft", Stage.TESTING), what="the first attempt")
    calm.you.aq("reject", "draft", "the button is [red] and ünclear", "--requeue")
    wait_until((tmp_path / "prompt.2").exists, what="the second attempt")
    assert "the button is" not in (tmp_path / "prompt.1").read_text()
    second = (tmp_path / "prompt.2").read_text()
    assert second.index(copy) < second.index("the button is [red]")
    assert "the button is [red] and ünclear" in second
    assert audit(calm.hub).of("draft").count("claim") == 2


def test_cancel_stops_the_engine_of_a_running_job(calm: Fleet, tmp_path: Path) -> None:
    start(calm, tmp_path, "doomed")
    said = calm.you.aq("cancel", "doomed", "-m", "wrong repository").stdout
    assert "cancel doomed: building -> failed" in said
    wait_until(lambda: not running(calm.root, "doomed"), 15, "its engine to end")
    calm.you.drop("next", "---\nengine: shell\n---\ntrue\n")
    calm.you.aq("status")
    wait_until(at(calm, "next", Stage.REVIEW), what="the host to go on")
    seen = audit(calm.hub)
    assert seen.of("doomed") == ["add", "claim", "cancel"]
    assert seen.stages()["doomed"] is Stage.FAILED


def test_pause_lets_running_work_end_and_claims_nothing_until_resumed(calm: Fleet, tmp_path: Path) -> None:
    calm.you.drop("first", patient(tmp_path))
    calm.you.aq("status")
    calm.start("ada")
    wait_until((tmp_path / "started").exists, what="the engine")
    calm.you.aq("pause", "--why", "release day")
    calm.you.drop("second", "---\nengine: shell\n---\ntrue\n")
    calm.you.aq("status")
    (tmp_path / "go").touch()
    wait_until(at(calm, "first", Stage.REVIEW), what="the running job")
    assert "the queue is paused by Alice: release day" in calm.you.aq("why", "second").stdout
    calm.you.aq("resume")
    wait_until(at(calm, "second", Stage.REVIEW), what="the waiting job")
    ops = [(event.op, event.job) for event in audit(calm.hub).events]
    assert ops.index(("resume", "")) < ops.index(("claim", "second"))


def test_pause_with_stop_ends_the_engines_and_charges_no_attempt(calm: Fleet, tmp_path: Path) -> None:
    start(calm, tmp_path, "stopped")
    calm.you.aq("pause", "--stop", "--why", "a fire")
    found = wait_until(at(calm, "stopped", Stage.INBOX), what="the release")
    assert not running(calm.root, "stopped")
    assert (found.record.attempts, found.record.infra) == (0, 1)
    assert calm.processes[0].poll() is None


def test_drain_lets_the_host_of_this_machine_finish_and_end(calm: Fleet, tmp_path: Path) -> None:
    calm.machine("ada").drop("last", patient(tmp_path))
    process = calm.start("ada")
    wait_until((tmp_path / "started").exists, what="the engine")
    assert "ada finishes what runs" in calm.machine("ada").aq("drain").stdout
    (tmp_path / "go").touch()
    assert process.wait(30) == 0
    assert audit(calm.hub).stages() == {"last": Stage.REVIEW}
    assert calm.machine("ada").aq("drain", ok=False).returncode == 1


def test_why_names_every_reason_that_keeps_a_job_waiting(calm: Fleet, tmp_path: Path) -> None:
    start(calm, tmp_path, "holder", "lock: database")
    jobs = {
        "prose": ("Write a poem.\n", "ada: lacks engine-class:agentic-coder"),
        "locked": ("---\nengine: shell\nlock: database\n---\ntrue\n", "lock 'database' is held by holder"),
        "needs": (
            "---\nengine: shell\ndeps: [holder, ghost]\n---\ntrue\n",
            "needs holder shipped (it is in building)",
        ),
        "picky": (
            "---\nengine: shell\ncapabilities: [has:warp-drive]\n---\ntrue\n",
            "ada: lacks has:warp-drive",
        ),
        "later": (
            "---\nengine: shell\nnot-before: 2999-01-01T00:00Z\n---\ntrue\n",
            "not before 2999-01-01T00:00:00Z",
        ),
        "full": ("---\nengine: shell\n---\ntrue\n", "ada: no free slot"),
        "lost": (f"---\nengine: shell\ncwd: {tmp_path}/nowhere\n---\ntrue\n", "ada: "),
        "typo": ("---\nengine: shell\nprofil: x\n---\ntrue\n", ""),
    }
    for name, (text, _) in jobs.items():
        calm.you.drop(name, text)
    assert "did you mean 'profile'" in calm.you.aq("status").stdout
    for name, (_, words) in jobs.items():
        if words:
            said = calm.you.aq("why", name).stdout
            assert words in said, said
    assert "needs ghost shipped (no such job)" in calm.you.aq("why", "needs").stdout
    calm.you.aq("pause", "full", "--why", "not today")
    assert "paused by Alice: not today" in calm.you.aq("why", "full").stdout
    assert "there is no job typo" in calm.you.aq("why", "typo", ok=False).stderr


def test_files_of_phase_0_run_unchanged_and_prose_is_never_executed(calm: Fleet, tmp_path: Path) -> None:
    place = tmp_path / "place"
    keys = f"engine: shell\ncwd: {place}\nyolo: true\nlock: place\ntimeout: 30s\nverify: test -f here"
    place.mkdir()
    calm.you.drop("old", f"---\n{keys}\n---\ntouch here\n")
    calm.you.drop("older", f"---\nengine: shell\ncwd: {place}\n---\npwd > there\n")
    calm.you.drop("prose", f"touch {tmp_path}/executed\n")
    calm.you.aq("status")
    calm.start("ada", "--until-idle").wait(90)
    assert audit(calm.hub).stages() == {"old": Stage.TESTING, "older": Stage.REVIEW, "prose": Stage.INBOX}
    assert (place / "here").exists()
    assert (place / "there").read_text().strip() == str(place)
    assert not (tmp_path / "executed").exists()
    assert "lacks engine-class:agentic-coder" in calm.you.aq("why", "prose").stdout


def test_the_log_of_a_run_is_shown_harmlessly_and_its_secrets_never(calm: Fleet, tmp_path: Path) -> None:
    canary = "gh" + "p_" + "X" * 36
    secret = "printf 'gh%s_%s\\n' p $(printf 'X%.0s' $(seq 36))"
    script = f"printf '\\033]0;owned\\007[red]plain\\n'\n{secret}\nexit 3\n"
    calm.machine("ada").drop("loud", f"---\nengine: shell\nretry: {{max: 0}}\n---\n{script}")
    calm.start("ada", "--until-idle").wait(60)
    said = calm.machine("ada").aq("logs", "loud").stdout
    assert "[red]plain" in said
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "[redacted:GitHub token]" in said
    seen = audit(calm.hub)
    assert seen.stages()["loud"] is Stage.DEAD_LETTER
    kept = [path.read_bytes() for path in calm.machine("ada").path.joinpath("logs").rglob("*.log")]
    shown = (
        calm.you.aq("show", "loud").stdout + calm.you.aq("log", "loud").stdout + calm.you.aq("status").stdout
    )
    assert canary not in shown + calm.machine("ada").log
    assert not any(canary.encode() in content for content in kept)
    assert "\x1b" not in shown
