"""`aq add` and `aq check`: exact words for what is wrong, and nothing is submitted by halves."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

from aq.core.errors import EXIT_USAGE
from aq.core.lifecycle import Stage
from aq.core.value import replace
from aq.ui.checker import Question, Source, check
from aq.ui.cli import add as adding
from aq.ui.cli.common import here
from tests.support.fleet import HELLO, Fleet
from tests.support.story import Story, hand_write
from tests.ui.conftest import Person

_CANARY = "ghp_" + "0" * 36
_SETTINGS = "queue/aq.yaml"


def waiting(fleet: Fleet) -> list[str]:
    """The text of every job in the inbox."""
    snapshot = fleet.snapshot()
    ledger = fleet.you.ledger()
    ledger.fetch()
    return sorted(ledger.read_commit_blob(job.blob).decode() for job in snapshot.stages["inbox"].values())


def test_text_becomes_a_job_with_the_keys_that_were_given(aq: Person, fleet: Fleet) -> None:
    aq("add", "--verify", "test -f 'it'", "--priority", "high", "make it")
    assert waiting(fleet) == ["---\nverify: 'test -f ''it'''\npriority: 'high'\n---\nmake it\n"]


def test_a_prompt_that_ends_like_a_file_name_is_a_prompt(aq: Person, fleet: Fleet) -> None:
    aq("add", "update the README.md")
    assert waiting(fleet) == ["update the README.md\n"]


def test_standard_input_is_a_job_file(aq: Person, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(HELLO.encode())))
    (added,) = aq("add", "-", "--name", "Piped In", "--json").json["added"]
    assert added["job"].startswith("piped-in-")
    assert waiting(fleet) == [HELLO]


def test_options_that_a_file_would_not_get_are_refused(aq: Person, fleet: Fleet) -> None:
    path = fleet.root / "one.md"
    path.write_text(HELLO)
    assert "write `engine:` in the file" in aq.refused("add", "--engine", "shell", str(path), code=2)
    assert waiting(fleet) == []


def test_a_secret_is_refused_by_line_and_never_printed_unless_allowed(aq: Person, fleet: Fleet) -> None:
    path = fleet.root / "one.md"
    path.write_text(f"---\nengine: shell\n---\necho {_CANARY}\n")
    said = aq("add", str(path), code=1)
    assert f"{path}:4: this looks like a secret (GitHub token); " in said.err
    assert "--allow-secret" in said.err
    assert _CANARY not in said.out + said.err
    assert waiting(fleet) == []
    aq("add", "--allow-secret", str(path))
    assert waiting(fleet) == [path.read_text()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            "---\nenigne: shell\n---\nx\n", ":2: unknown key 'enigne'; did you mean 'engine'?", id="a key"
        ),
        pytest.param(
            "---\nengine: shell\npriority: urgent\n---\nx\n",
            ":3: priority: 'urgent' is not known; write one of 'critical', 'high', 'medium' or 'low'",
            id="a value",
        ),
    ],
)
def test_check_says_file_line_what_and_what_to_write(aq: Person, fleet: Fleet, text: str, words: str) -> None:
    path = fleet.root / "one.md"
    path.write_text(text)
    assert aq("check", str(path), code=1).out == f"bad  {path}{words}\n"
    assert aq("add", str(path), code=1).err == f"aq: {path}{words}\n"


def test_check_without_a_file_reads_the_inbox_the_settings_and_the_queue(aq: Person, told: Story) -> None:
    told.inbox("good")
    assert aq("check").out == "ok  2 files checked\n"
    (aq.machine.path / "queue/inbox/bad.md").write_text("---\nengine: [\n---\n")
    hand_write(aq.machine.path, _SETTINGS, "wipp: {}\n")
    out = aq("check", code=1).out
    assert "bad  queue/inbox/bad.md:3: " in out
    assert str(aq.machine.path) not in out, "a path is told once"
    assert "bad  queue/aq.yaml:1: unknown key 'wipp'" in out


def test_an_add_that_another_process_submits_from_the_spool_is_told_as_added(
    aq: Person, fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Source("mine", "mine", HELLO.encode())
    with here(intake=False) as queue:
        operations = adding._spooled(queue, [source], check(Question((source,), False)), allow_secret=False)
        aq("status")
        job = operations[0].about
        assert fleet.job(job), "the other process took it from the spool"
        assert adding._submit(queue, operations, as_json=False) == 0
        assert capsys.readouterr().out == f"added {job}\n"
        assert adding._submit(queue, [replace(operations[0], op_id="x")], as_json=False) == 0
        assert "is submitted already" in capsys.readouterr().out


def test_check_of_a_file_that_is_not_there_is_refused(aq: Person) -> None:
    assert "name a file that exists" in aq.refused("check", "nope.md")


@pytest.mark.parametrize("slip", ["queue/inbox", "missing.txt", "notes/fix-login", "job.md.txt"])
def test_a_slip_of_the_hand_is_no_prompt(aq: Person, slip: str) -> None:
    assert slip in aq("add", slip, code=EXIT_USAGE).err


def test_a_prompt_of_one_word_is_a_prompt(aq: Person) -> None:
    assert aq("add", "refactor").out.startswith("added refactor-")


def test_options_go_with_a_prompt_from_standard_input(fleet: Fleet) -> None:
    options = ("--engine", "shell", "--priority", "high", "--verify", "make test")
    fleet.you.aq("add", "-", "--name", "piped", *options, stdin="make the tests pass\n")
    (job,) = fleet.snapshot().jobs(Stage.INBOX)
    assert (job.manifest.engine, str(job.manifest.priority)) == ("shell", "high")
    assert [check.value for check in job.manifest.verify] == ["make test"]
    refused = fleet.you.aq("add", "-", *options, stdin=HELLO, ok=False)
    assert refused.returncode == EXIT_USAGE
    assert "--engine is for a prompt without front matter" in refused.stderr
