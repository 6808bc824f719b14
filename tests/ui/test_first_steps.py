"""What a new user meets first: no identity, a queue half made, a file just dropped, a hub that moved on."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from aq.core.lifecycle import Stage
from aq.ledger.setup import initialize
from tests.support.fleet import HELLO, Fleet, git, wait_until
from tests.support.story import story

NOBODY = """[init]
defaultBranch = main
[user]
useConfigOnly = true
"""


@pytest.fixture
def nobody(hermetic_home: Path) -> None:
    """Somebody who never told git a name."""
    (hermetic_home / ".gitconfig").write_text(NOBODY)


@pytest.mark.usefixtures("nobody")
def test_init_needs_no_git_identity(tmp_path: Path) -> None:
    made = initialize(tmp_path / "q")
    assert made.created
    assert git(made.paths.hub, "log", "-1", "--format=%s", "main") == "init queue"


def test_a_queue_that_was_half_made_is_finished(tmp_path: Path) -> None:
    made = initialize(tmp_path / "q")
    git(made.paths.hub, "update-ref", "-d", "refs/heads/main")
    again = initialize(tmp_path / "q")
    assert again.created, "nobody may say `joined` of a hub without the branch"
    assert git(made.paths.hub, "rev-parse", "main") == git(made.paths.clone, "rev-parse", "HEAD")


def test_until_idle_waits_for_a_file_that_was_just_dropped(fleet: Fleet) -> None:
    (fleet.you.path / "queue/inbox/fresh.md").write_text(HELLO)
    fleet.you.aq("run", "--until-idle", "--host", "ada")
    assert fleet.job("fresh").stage is Stage.TESTING  # type: ignore[union-attr]


def test_a_file_whose_deps_form_a_circle_is_told_once_and_stops_nobody(fleet: Fleet) -> None:
    fleet.you.drop("selfie", "---\nengine: shell\ndeps: [selfie]\n---\ntrue\n")
    fleet.you.drop("good", HELLO)
    done = fleet.you.aq("run", "--until-idle", "--host", "ada", timeout=60)
    assert (done.stdout + done.stderr).count("circle") == 1
    assert fleet.job("good").stage is Stage.TESTING  # type: ignore[union-attr]
    alerts = json.loads(fleet.you.aq("status", "--json").stdout)["alerts"]
    assert any("not taken in: queue/inbox/selfie.md" in alert and "circle" in alert for alert in alerts)


def test_a_refused_file_is_asked_again_when_it_changes(fleet: Fleet) -> None:
    fleet.start("you")
    path = fleet.you.drop("selfie", "---\nengine: shell\ndeps: [selfie]\n---\ntrue\n")
    wait_until(lambda: "circle" in fleet.you.log, what="the refusal")
    path.write_text(HELLO)
    old = time.time() - 9
    os.utime(path, (old, old))
    wait_until(lambda: (job := fleet.job("selfie")) and job.stage is Stage.TESTING, what="the corrected file")


def test_what_the_view_wrote_just_now_is_not_just_written(fleet: Fleet) -> None:
    fleet.you.aq("add", "--engine", "shell", "--name", "a", "true")
    assert "just written" not in fleet.you.aq("status").stdout


def test_a_queue_that_moves_takes_the_newest_commits_along(fleet: Fleet, tmp_path: Path) -> None:
    fleet.you.aq("status")
    story(fleet, "ada").inbox("new")
    git(tmp_path, "init", "--quiet", "--bare", "-b", "main", "other.git")
    fleet.you.aq("remote", "set", str(tmp_path / "other.git"))
    assert git(tmp_path / "other.git", "rev-parse", "main") == fleet.tip()


def test_a_queue_whose_hub_is_gone_moves_as_it_was_seen_last(fleet: Fleet, tmp_path: Path) -> None:
    fleet.you.aq("status")
    tip = fleet.tip()
    fleet.hub.rename(tmp_path / "gone.git")
    git(tmp_path, "init", "--quiet", "--bare", "-b", "main", "other.git")
    done = fleet.you.aq("remote", "set", str(tmp_path / "other.git"))
    assert "moving what was seen last" in done.stderr
    assert git(tmp_path / "other.git", "rev-parse", "main") == tip
    (tmp_path / "gone.git").rename(fleet.hub)


def test_clean_keeps_the_work_of_a_job_that_waits_for_a_person(fleet: Fleet) -> None:
    fleet.you.drop("waits", "---\nengine: shell\n---\necho work > work.txt\n")
    fleet.you.aq("run", "--until-idle", "--host", "ada")
    assert fleet.job("waits").stage is Stage.REVIEW  # type: ignore[union-attr]
    work = next(fleet.you.state.rglob("runs/waits/1/*/work.txt"))
    fleet.you.aq("clean", "--older", "0s")
    assert work.exists(), "it may be nowhere else"
    fleet.you.aq("reject", "waits", "no")
    fleet.you.aq("clean", "--older", "0s")
    assert not work.exists()


@pytest.mark.parametrize("word", ["foo", "HEAD~3", "1m"])
def test_the_board_takes_no_nonsense_for_now(fleet: Fleet, word: str) -> None:
    done = fleet.you.aq("board", "--at", word, ok=False)
    assert done.returncode == 1
    assert "neither a commit nor a time" in done.stderr
