"""What is printed cannot harm a terminal, and colour is only where it is wanted."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys

import pytest

from aq.ui.out import clean, columns, is_terminal
from tests.support.fleet import Fleet
from tests.support.story import Story
from tests.ui.conftest import Person

_TITLE = "[red]alert[/red]"
_EVIL = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m\u202e\x9b1m\rgone\x00"
_PROMPT = f"---\nengine: shell\ntitle: '{_TITLE}'\n---\necho hi\n"
_SAFE = set("\n\t")


def harmless(text: str) -> bool:
    return all(c.isprintable() or c in _SAFE for c in text)


class _Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.attack("S20")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("plain, ünï 日本\n\tx", "plain, ünï 日本\n\tx", id="plain text stays"),
        pytest.param("\x1b[1;31mred\x1b[0m", "red", id="colour vanishes"),
        pytest.param("\x1b]0;t\x07", "\ufffd]0;t\ufffd", id="a window title becomes visible"),
        pytest.param("a\r\nb", "a\nb", id="line ends of Windows are line ends"),
        pytest.param("a\rb", "a\ufffdb", id="a lone return cannot overwrite the line"),
        pytest.param("\x1b[\x1b[0m2J", "\ufffd[2J", id="a code inside a code leaves no code"),
        pytest.param("\x9b31m", "\ufffd31m", id="eight-bit codes are codes"),
        pytest.param("a\u202eb", "a\ufffdb", id="reversed reading is marked"),
    ],
)
def test_clean_leaves_nothing_that_a_terminal_obeys(text: str, shown: str) -> None:
    assert clean(text) == shown
    assert harmless(clean(text))


def test_columns_never_exceed_the_width_and_the_flexible_one_gives_way() -> None:
    rows = [["JOB", "NOTE"], ["a-long-name", "a note " * 20]]
    lines = columns(rows, 40, flexible=1)
    assert all(len(line) <= 40 for line in lines)
    assert lines[1].startswith("a-long-name  a note")
    assert lines[1].endswith("…")


@pytest.mark.attack("S20")
def test_titles_and_messages_are_shown_as_they_are_and_never_obeyed(aq: Person, told: Story) -> None:
    told.testing("one", _PROMPT)
    aq("reject", "one", "-m", _EVIL, "--requeue")
    for words in (["status"], ["show", "one"], ["log"], ["log", "one"], ["why", "one"], ["hosts"]):
        said = aq(*words)
        assert harmless(said.out), words
        assert harmless(aq(*words, "--json").out), words
    assert _TITLE in aq("show", "one").out


@pytest.mark.attack("S20")
def test_the_log_of_a_hostile_run_is_printed_harmlessly(aq: Person, told: Story) -> None:
    told.testing("one")
    folder = aq.machine.path / "logs" / "one"
    folder.mkdir(parents=True)
    (folder / "1.log").write_bytes(b"before \x1b]0;x\x07 \xff \x1b[31mred\x1b[0m after\n")
    out = aq("logs", "one").out
    assert harmless(out)
    assert "\x07" not in out
    assert out.endswith("red after\n")


def test_colour_is_off_in_a_pipe_on_when_forced_and_off_when_refused(
    aq: Person, told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.inbox("one")
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b[" not in aq("status").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in aq("status").out
    assert "\x1b[31maq:\x1b[0m there is no job nope" in aq("show", "nope", code=1).err
    assert json.loads(aq("status", "--json").out)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in aq("status").out


@pytest.mark.parametrize(("term", "wanted"), [("xterm", True), ("dumb", False)])
def test_a_terminal_gets_colour_unless_it_is_dumb(
    term: str, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aq.ui.out import colours

    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", term)
    assert colours(_Terminal()) is wanted


def test_the_installed_command_prints_no_colour_through_a_pipe(fleet: Fleet) -> None:
    assert "\x1b" not in fleet.you.aq("status").stdout


def test_a_stream_that_is_missing_is_no_terminal() -> None:
    assert is_terminal(_Terminal())
    assert not is_terminal(io.StringIO())
    assert not is_terminal(None)


@pytest.mark.parametrize("command", ["status", "prompt one", "review", "logs one", "--version"])
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_without_a_stream_does_its_work(
    fleet: Fleet, told: Story, command: str, closed: str
) -> None:
    told.testing("one")
    folder = fleet.you.path / "logs" / "one"
    folder.mkdir(parents=True)
    (folder / "1.log").write_text("the output\n")
    fleet.you.drop("bad", "---\nengine: [\n---\nx\n")
    done = subprocess.run(
        ["sh", "-c", f"exec {shlex.quote(sys.executable)} -m aq {command} {closed}"],
        cwd=fleet.you.path,
        env=fleet.you.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not any(words in done.stderr for words in ("Traceback", "bug in aq", "Exception ignored"))
    assert (done.stdout == "") is (">&-" in closed.split())
