"""`aq prompt` shows the very bytes that a run's engine finds in its prompt file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.host.targets import make_target
from tests.support.fleet import Fleet, Machine, git
from tests.support.story import Story
from tests.ui.conftest import Person

PERSONA = "---\n---\nYou are careful.\n"


def printed(machine: Machine, *args: str) -> bytes:
    """What the installed command writes on standard output, byte for byte."""
    return machine.aq("prompt", *args).stdout.encode()


def finish(fleet: Fleet) -> None:
    assert fleet.start("ada", "--until-idle").wait(60) == 0, fleet.machine("ada").log


def test_prompt_prints_the_bytes_that_the_next_run_gets(aq: Person, fleet: Fleet, tmp_path: Path) -> None:
    you = fleet.you.path
    (you / "profiles" / "careful.md").write_text(PERSONA)
    git(you, "add", "profiles")
    git(you, "commit", "--quiet", "-m", "a profile")
    git(you, "push", "--quiet", "origin", "HEAD:main")
    keys = "engine: shell\nprofile: careful\nallowed-scope: ['*.md']\nverify: 'true'\n"
    fleet.you.drop("one", f"---\n{keys}---\ncp $AQ_PROMPT_FILE {tmp_path}/got.$AQ_EPOCH # \u00e9\n")
    aq("status")
    first = printed(fleet.you, "one")
    finish(fleet)
    assert (tmp_path / "got.1").read_bytes() == first
    assert b"You are careful." in first
    aq("reject", "one", "name the file", "--requeue")
    second = printed(fleet.you, "one")
    finish(fleet)
    assert (tmp_path / "got.2").read_bytes() == second
    assert b"name the file" in second
    assert second != first


def test_a_job_that_resumes_is_told_of_the_work_that_its_folder_starts_from(
    aq: Person, fleet: Fleet, tmp_path: Path, hermetic_home: Path
) -> None:
    (hermetic_home / "host.yaml").write_text(f"repos: {{target: {make_target(tmp_path).url}}}\n")
    keys = "engine: shell\nrepo: target\nresume: true\nretry: {max: 0}\n"
    look = f"cp $AQ_PROMPT_FILE {tmp_path}/got.$AQ_EPOCH; ls > {tmp_path}/seen.$AQ_EPOCH"
    fleet.you.drop("one", f"---\n{keys}---\n{look}; touch half; test $AQ_EPOCH = 2\n")
    aq("status")
    finish(fleet)
    aq("requeue", "one")
    second = printed(fleet.you, "one")
    finish(fleet)
    assert (tmp_path / "got.2").read_bytes() == second
    for epoch, there in (("1", False), ("2", True)):
        assert ("half" in (tmp_path / f"seen.{epoch}").read_text()) is there
        assert (b"## What is there already" in (tmp_path / f"got.{epoch}").read_bytes()) is there


def test_prompt_as_json_has_the_hash(aq: Person, told: Story) -> None:
    told.inbox("one", "---\nengine: shell\n---\nDo it.\n")
    facts = aq("prompt", "one", "--json").json
    assert (facts["job"], facts["prompt"]) == ("one", aq("prompt", "one").out)
    assert facts["sha256"] == hashlib.sha256(facts["prompt"].encode()).hexdigest()


def test_prompt_needs_no_remote(aq: Person, fleet: Fleet, told: Story) -> None:
    told.inbox("one", "---\nengine: shell\n---\nDo it.\n")
    shown = aq("prompt", "one").out
    fleet.hub.rename(fleet.hub.with_name("gone.git"))
    assert aq("prompt", "one", "--offline").out == shown
    said = aq("prompt", "one")
    assert said.out == shown
    assert "showing what was seen last" in said.err


def test_a_terminal_gets_no_control_characters_of_a_prompt(
    aq: Person, told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.inbox("one", "---\nengine: shell\n---\nDo \u009b2J it.\n")
    assert "\u009b" in aq("prompt", "one").out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    shown = aq("prompt", "one").out
    assert "\u009b" not in shown
    assert "Do \ufffd2J it." in shown


def test_prompt_of_a_job_that_is_not_there(aq: Person) -> None:
    assert "`aq status --all` lists the jobs" in aq.refused("prompt", "nothing")
