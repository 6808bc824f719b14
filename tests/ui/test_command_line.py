"""Every command explains itself, and every ending has its exit code and its hint."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aq.ui.cli import command_line
from aq.ui.cli.table import COMMANDS
from tests.support.beats import writer_of
from tests.support.fleet import Fleet, git
from tests.support.story import Story
from tests.ui.conftest import Person

_HEAVY = {"git", "rich", "pydantic", "typer", "yaml", "psutil", "frontmatter", "filelock", "platformdirs"}
_MADE_UP = "made-up-secret-value"
# What a later look at the same thing tells anew.
_TIMES = re.compile(r"\d+s|in [\d.]+ s")


@pytest.mark.parametrize("command", list(COMMANDS))
def test_help_names_the_command_and_its_options(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"Usage: aq {command}" in out
    assert "--help" in out


def test_the_general_help_lists_every_command_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["--help"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    for name, entry in COMMANDS.items():
        assert f"{name} {entry.help}" in words


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_is_told_without_importing_anything_heavy(option: str) -> None:
    script = "import sys\nfrom aq.__main__ import main\nmain()\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script, option], capture_output=True, text=True, check=True)
    version, modules = done.stdout.splitlines()
    assert re.fullmatch(r"aq \d\S*", version)
    assert not _HEAVY & set(modules.split())


@pytest.mark.parametrize(
    ("words", "part"),
    [
        pytest.param(["shp"], "Did you mean 'ship'?", id="an unknown command names the near one"),
        pytest.param(["frobnicate"], "`aq --help` lists them", id="a far command points to the list"),
        pytest.param(["ship"], "Missing argument", id="a missing argument"),
        pytest.param(["status", "--frob"], "No such option", id="an unknown option"),
        pytest.param(["log", "-n", "many"], "not a valid int", id="a word where a number belongs"),
        pytest.param(["run", "--slots", "0"], "range", id="a number out of range"),
        pytest.param(["status", "--stage", "limbo"], "write one of inbox", id="an unknown stage"),
        pytest.param(["reject", "x"], '`aq reject x "what is wrong"`', id="a rejection without a message"),
        pytest.param(["pause", "x", "--stop"], "`aq cancel x`", id="stop of one job"),
        pytest.param(["add"], "name a file", id="nothing to add"),
        pytest.param(["add", "fix", "the", "login"], "put a prompt in quotes", id="a prompt without quotes"),
        pytest.param(["remote", "set"], "aq remote set URL", id="a hub without a name"),
        pytest.param(["completion", "tcsh"], "name one of bash", id="a shell that we do not know"),
    ],
)
def test_a_command_line_without_sense_ends_with_2_and_says_what_to_write(
    aq: Person, words: list[str], part: str
) -> None:
    said = aq(*words, code=2)
    assert part in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    "words",
    [
        ["show", "nope"],
        ["why", "nope"],
        ["log", "nope"],
        ["logs", "nope"],
        ["ship", "nope"],
        ["cancel", "nope"],
        ["requeue", "nope"],
        ["resume", "nope"],
        ["add", "nope.md"],
        ["clean", "--older", "soon"],
        ["drain"],
        ["drain", "--host", "nope"],
    ],
    ids=" ".join,
)
def test_what_is_refused_ends_with_1_and_a_hint(aq: Person, words: list[str]) -> None:
    aq.refused(*words)


def test_c_acts_in_another_folder(aq: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "inbox 0" in aq("-C", str(aq.machine.path), "status").out


@pytest.mark.parametrize("words", [["ship", "one"], ["add", "text"], ["clean"], ["pause"]], ids=" ".join)
def test_a_command_that_changes_something_ends_with_75_while_the_hub_is_away(
    aq: Person, told: Story, fleet: Fleet, words: list[str]
) -> None:
    told.testing("one")
    aq("status")
    fleet.hub.rename(fleet.hub.with_suffix(".away"))
    aq.refused(*words, code=75)


_READING = (
    *(["show", "one"], ["log"], ["log", "one"], ["why", "one"], ["board"], ["hosts"], ["review"], ["graph"]),
    *(["profiles"], ["plan"], ["audit"], ["check"], ["prompt", "one"]),
)


@pytest.mark.parametrize("words", _READING, ids=" ".join)
def test_a_reading_command_shows_what_was_seen_last_while_the_hub_is_away(
    aq: Person, told: Story, fleet: Fleet, words: list[str]
) -> None:
    told.testing("one")
    told.ledger.perform([], writer_of(told.ledger, fleet.you.state, "eve"))
    shown = aq(*words)
    fleet.hub.rename(fleet.hub.with_suffix(".away"))
    away = aq(*words)
    assert away.err.count("showing what was seen last") == 1
    assert _TIMES.sub("", away.out) == _TIMES.sub("", shown.out)


@pytest.mark.parametrize("words", _READING, ids=" ".join)
def test_a_reading_command_of_a_clone_that_saw_nothing_yet_ends_with_75(
    aq: Person, fleet: Fleet, words: list[str]
) -> None:
    shutil.rmtree(fleet.you.paths.store)
    fleet.hub.rename(fleet.hub.with_suffix(".away"))
    aq.refused(*words, code=75)


def test_a_file_that_was_dropped_while_the_hub_was_away_is_submitted_once_it_is_back(
    aq: Person, fleet: Fleet
) -> None:
    aq("status")
    fleet.hub.rename(fleet.hub.with_suffix(".away"))
    fleet.you.drop("late")
    assert "not submitted yet: late.md" in aq("log").err
    fleet.hub.with_suffix(".away").rename(fleet.hub)
    assert "submitted late" in aq("log").err
    assert fleet.job("late")


def test_what_was_added_while_the_hub_was_away_is_submitted_once_it_is_back(aq: Person, fleet: Fleet) -> None:
    aq("status")
    fleet.hub.rename(fleet.hub.with_suffix(".away"))
    assert "is kept here" in aq.refused("add", "--name", "late", "text", code=75)
    board = aq("status")
    assert "not submitted yet: " in board.out
    assert "showing what was seen last" in board.out
    fleet.hub.with_suffix(".away").rename(fleet.hub)
    aq("status")
    assert [name for name in fleet.snapshot().stages["inbox"] if name.startswith("late-")]


def test_a_rewound_history_ends_with_4_until_a_person_accepts_it(
    aq: Person, told: Story, fleet: Fleet
) -> None:
    base = fleet.tip()
    told.inbox("one")
    aq("status")
    git(fleet.hub, "update-ref", "refs/heads/main", base)
    assert "--accept-rewind" in aq.refused("status", code=4)
    assert "BAD" in aq("doctor", code=1).out
    assert "accepted" in aq("doctor", "--accept-rewind").out
    assert "inbox 0" in aq("status").out
    assert "nothing was rewound" in aq("doctor", "--accept-rewind").out


def test_a_bug_ends_with_3_and_leaves_a_report_without_what_was_typed(
    aq: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("an inner matter")

    monkeypatch.setattr("aq.ledger.ledger.Ledger.perform", broken)
    said = aq("add", _MADE_UP, code=3)
    found = re.search(r"the report is in (\S+);", said.err)
    assert found
    report = Path(found[1]).read_text()
    os.unlink(found[1])
    assert "ZeroDivisionError: an inner matter" in report
    assert "Traceback" in report
    assert "command: add\n" in report
    assert _MADE_UP not in report
    assert "Traceback" not in said.err
    assert said.out == ""


def test_an_interrupt_ends_with_130_without_a_traceback(aq: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("aq.ledger.ledger.Ledger.fetch", interrupted)
    said = aq("status", code=130)
    assert (said.out, "Traceback" in said.err) == ("", False)


def test_a_reader_that_goes_away_is_no_error(fleet: Fleet) -> None:
    command = f"{sys.executable} -m aq schema | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=fleet.you.path,
        env=fleet.you.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
