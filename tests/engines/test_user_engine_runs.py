"""An engine declared in YAML, driven through `aq run`: nothing but a small script and a few lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from aq.core.lifecycle import Stage
from tests.engines.streams import CLAUDE
from tests.host.targets import Target, make_target
from tests.support.audit import State, audit
from tests.support.fleet import Fleet, wait_until

CALM = "cadence: {preset: local, poll: 0.4s, beat: 2s, ttl: 90s, grace: 5s, patience: 0.5s}\n"
ENGINE = """
argv: [mytool, run, --model, "{model}"]
parser: claude_jsonl
env: [MYTOOL_SEEN]
set: {MYTOOL_MODE: quiet}
yolo: [--yes]
exit-map: {7: quota}
"""
TOOL = """#!/bin/sh
if [ "$1" = --version ]; then echo 1.2.3; exit; fi
cat > prompt.txt
printf '%s\\n' "$@" "$MYTOOL_MODE" "$MYTOOL_SEEN" "$MYTOOL_UNSEEN" > arguments.txt
{}
"""
JOB = "---\nengine: mytool\nmodel: m-1\nyolo: true\nrepo: target\nretry: {max: 0}\n---\nWrite it down.\n"


@pytest.fixture
def target(tmp_path: Path, hermetic_home: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    (hermetic_home / "engines").mkdir()
    (hermetic_home / "engines" / "mytool.yaml").write_text(ENGINE)
    (hermetic_home / "engines" / "broken.yaml").write_text("argv: []\n")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("MYTOOL_SEEN", "seen")
    monkeypatch.setenv("MYTOOL_UNSEEN", "unseen")
    made = make_target(tmp_path)
    (hermetic_home / "host.yaml").write_text(f"repos: {{target: {made.url}}}\nstop-grace: 1s\n")
    return made


def play(root: Path, script: str) -> State:
    """The job from the inbox to the end of its run."""
    tool = root / "bin" / "mytool"
    tool.write_text(TOOL.format(script))
    tool.chmod(0o755)
    fleet = Fleet(root / "fleet", CALM)
    try:
        fleet.you.drop("one", JOB)
        fleet.you.aq("status")
        fleet.start("ada")

        def ended() -> bool:
            job = fleet.job("one")
            return bool(job and job.record.runs and job.record.runs[0].ended and not job.lease)

        wait_until(ended, 60, "the end of the run")
        return audit(fleet.hub).jobs["one"]
    finally:
        fleet.end()


def test_a_declared_engine_does_a_job(target: Target, tmp_path: Path) -> None:
    stream = "\n".join(CLAUDE)
    state = play(tmp_path, f"cat <<'END'\n{stream}\nEND")
    assert state.stage is Stage.REVIEW
    run = state.record.last_run
    assert run
    assert (run.engine, run.tokens, run.usd) == ("mytool", 468 + 2000 + 112, 0.25)
    assert "Write it down." in target.show("aq/one/1:prompt.txt")
    assert target.show("aq/one/1:arguments.txt").split() == [
        *("run", "--model", "m-1", "--yes", "quiet", "seen"),
    ]


def test_without_its_terminal_event_the_job_fails_although_it_exits_with_0(
    target: Target, tmp_path: Path
) -> None:
    state = play(tmp_path, "true")
    run = state.record.last_run
    assert run
    assert state.stage is Stage.DEAD_LETTER
    assert run.outcome == "unknown"
    assert state.record.attempts == 1


def test_an_exit_code_of_its_map_gives_the_job_back_without_spending_an_attempt(
    target: Target, tmp_path: Path
) -> None:
    state = play(tmp_path, "exit 7")
    assert state.stage is Stage.INBOX
    assert (state.record.attempts, state.record.infra) == (0, 1)
    assert "exit code 7" in state.record.runs[0].reason
