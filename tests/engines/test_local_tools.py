"""The five tools of the local agent: each gives back one structured observation, of bounded size."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aq.host.engines.local_agent.address import KEY, URL
from aq.host.engines.local_agent.commands import HALF, Allowed, clip
from aq.host.engines.local_agent.dialects import Call
from aq.host.engines.local_agent.jail import Jail
from aq.host.engines.local_agent.tools import MAX_HITS, TOOLS, Observation, Tools, schemas
from tests.support.fleet import wait_until
from tests.support.processes import gone

CAP = 2 * HALF + 200


@pytest.fixture
def work(tmp_path: Path) -> Path:
    found = tmp_path / "work"
    (found / "src").mkdir(parents=True)
    (found / "src" / "a.py").write_text("one = 1\ntwo = 2\nthree = 3\n")
    (found / "b.md").write_text("# two\n")
    (found / "image").write_bytes(b"\x89PNG\0two")
    return found


def use(
    work: Path, name: str, /, *, allowed: Allowed | None = None, left: float = math.inf, **given: Any
) -> Any:
    return Tools(Jail(work), allowed or Allowed(yolo=True), lambda: left).use(Call(name, given))


def told(seen: Observation) -> Mapping[str, Any]:
    """The observation as the model reads it: always these keys, and no others."""
    found = json.loads(seen.text)
    assert set(found) == {"ok", "tool", "truncated", "data" if found["ok"] else "error"}
    assert found["ok"] is seen.ok
    assert len(seen.text) < 3 * CAP
    assert isinstance(found, dict)
    return found


def test_read_file_gives_the_text_and_how_long_it_is(work: Path) -> None:
    seen = told(use(work, "read_file", path="src/a.py"))
    assert seen == {
        "ok": True,
        "tool": "read_file",
        "data": {"content": "one = 1\ntwo = 2\nthree = 3\n", "first": 1, "lines": 3},
        "truncated": False,
    }


@pytest.mark.parametrize(
    ("given", "content"),
    [
        pytest.param({"offset": 2}, "two = 2\nthree = 3\n", id="from a line on"),
        pytest.param({"offset": 2, "limit": 1}, "two = 2\n", id="one line"),
        pytest.param({"offset": "2", "limit": "1"}, "two = 2\n", id="numbers as texts"),
        pytest.param({"offset": 2.0, "limit": None}, "two = 2\nthree = 3\n", id="a number that is none"),
        pytest.param({"offset": -5, "limit": 0}, "one = 1\n", id="numbers that cannot be"),
        pytest.param({"offset": 99}, "", id="behind the end"),
    ],
)
def test_read_file_gives_a_part(work: Path, given: dict[str, Any], content: str) -> None:
    assert told(use(work, "read_file", path="src/a.py", **given))["data"]["content"] == content


def test_write_file_writes_the_whole_file(work: Path) -> None:
    assert told(use(work, "write_file", path="new/c.txt", content="\u00e4\n"))["data"] == {
        "path": "new/c.txt",
        "new": True,
        "bytes": 3,
    }
    assert (work / "new" / "c.txt").read_text("utf-8") == "\u00e4\n"
    assert told(use(work, "write_file", path="new/c.txt", content=""))["data"]["new"] is False
    assert (work / "new" / "c.txt").read_text() == ""


def test_list_directory_marks_folders_and_links(work: Path) -> None:
    (work / "link").symlink_to("b.md")
    assert told(use(work, "list_directory"))["data"]["entries"] == ["b.md", "image", "link@", "src/"]
    assert told(use(work, "list_directory", path="src"))["data"]["entries"] == ["a.py"]


def test_search_files_names_file_and_line(work: Path) -> None:
    assert told(use(work, "search_files", pattern="tw[o]"))["data"]["matches"] == (
        "b.md:1: # two\nsrc/a.py:2: two = 2"
    )


@pytest.mark.parametrize("glob", ["*.py", "**/*.py", "src/**", "src/*.py", "./src/a.py", "a.py"])
def test_search_files_takes_the_usual_globs(work: Path, glob: str) -> None:
    assert (
        told(use(work, "search_files", pattern="two", glob=glob))["data"]["matches"] == "src/a.py:2: two = 2"
    )


def test_search_files_takes_a_broken_pattern_as_text(work: Path) -> None:
    (work / "b.md").write_text("f(x\n")
    assert told(use(work, "search_files", pattern="f(x"))["data"]["matches"] == "b.md:1: f(x"


def test_a_pattern_that_takes_for_ever_is_given_up(work: Path) -> None:
    (work / "b.md").write_text("a" * 40 + "!\n")
    seen = use(work, "search_files", pattern="(a+)+$", left=1.0)
    assert "takes too long" in told(seen)["error"]


def test_run_command_gives_the_exit_code_and_both_outputs(work: Path) -> None:
    seen = told(use(work, "run_command", command="pwd; echo bad >&2; exit 3"))
    assert seen["data"] == {"exit_code": 3, "output": f"{work.resolve()}\nbad\n"}


LINES = ("pytest -q", "make test && make lint")


@pytest.mark.parametrize(
    ("line", "runs"),
    [
        pytest.param("pytest -q", True, id="an allowed line"),
        pytest.param("  pytest -q\n", True, id="an allowed line with blanks around it"),
        pytest.param("pytest '-q'", False, id="the same words in other quotes"),
        pytest.param("make test && make lint", True, id="a line of several commands"),
        pytest.param("make test", False, id="a part of an allowed line"),
        pytest.param("pytest -q; rm -rf ~", False, id="more than an allowed line"),
        pytest.param("pytest -q && curl evil", False, id="an allowed line and more"),
        pytest.param("pytest -q\nid", False, id="another line"),
        pytest.param("pytest '-q", False, id="an open quote"),
        pytest.param("pytest -q $(id)", False, id="a substitution"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_without_yolo_only_the_lines_that_run_anyway_are_run(line: str, runs: bool) -> None:
    assert Allowed(False, LINES).permits(line) is runs
    assert Allowed(True).permits(line)


def test_a_line_with_other_quoting_is_not_the_line_that_was_allowed() -> None:
    """The same words to one reader may be another command to the shell."""
    assert not Allowed(False, ("echo '$(id)'",)).permits("echo $(id)")
    assert not Allowed(False, ("echo 'a;b'",)).permits("echo a;b")


@pytest.mark.parametrize(
    ("allowed", "part"),
    [(Allowed(), "use the file tools"), (Allowed(False, LINES), "only: pytest -q; make test")],
    ids=["nothing is allowed", "something else is"],
)
def test_a_command_that_is_not_allowed_is_denied_and_says_what_is(
    work: Path, allowed: Allowed, part: str
) -> None:
    seen = use(work, "run_command", command="touch ran", allowed=allowed)
    assert seen.denied
    assert part in told(seen)["error"]
    assert not (work / "ran").exists()


def test_a_command_sees_no_key_of_the_agent(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "made-up" + "-key")
    monkeypatch.setenv(URL, "http://127.0.0.1:1")
    monkeypatch.setenv("SEEN", "yes")
    names = told(use(work, "run_command", command="env"))["data"]["output"]
    assert "SEEN=yes" in names
    assert KEY not in names
    assert URL not in names


def test_a_command_that_does_not_end_is_stopped_with_all_that_it_started(work: Path) -> None:
    deaf = """sh -c 'trap "" TERM; echo $$ > pid; exec sleep 600'"""
    line = f"echo begun; {deaf} & wait"
    seen = told(use(work, "run_command", command=line, timeout=1))
    assert seen["error"].startswith("stopped: no end within 1 s; it said: begun")
    wait_until(lambda: gone(int((work / "pid").read_text())), 10, "the sleeper to end")


def test_what_a_command_leaves_behind_ends_with_it(work: Path) -> None:
    seen = told(use(work, "run_command", command="sleep 600 & echo $!"))
    pid = seen["data"]["output"].strip()
    wait_until(lambda: gone(int(pid)), 10, "the sleeper to end")


def test_a_command_gets_no_more_time_than_the_agent_has(work: Path) -> None:
    seen = told(use(work, "run_command", command="sleep 600", timeout=500, left=1.0))
    assert "no end within 1 s" in seen["error"]


BIG = "x" * 100_000


@pytest.mark.parametrize(
    ("name", "given", "key"),
    [
        pytest.param("read_file", {"path": "big"}, "content", id="a big file"),
        pytest.param("run_command", {"command": "cat big"}, "output", id="much output"),
    ],
)
def test_what_is_long_is_given_by_its_head_and_tail(
    work: Path, name: str, given: dict[str, Any], key: str
) -> None:
    (work / "big").write_text(f"begin {BIG} end")
    seen = told(use(work, name, **given))
    text = seen["data"][key]
    assert seen["truncated"] is True
    assert len(text) < CAP
    assert text.startswith("begin x")
    assert "bytes cut]" in text
    assert text.endswith("x end")


def test_a_long_listing_and_many_hits_are_cut_and_say_so(work: Path) -> None:
    for number in range(1200):
        (work / f"file-{number:04d}.txt").write_text("hit\n" if number <= MAX_HITS else "")
    listing = told(use(work, "list_directory"))
    assert listing["truncated"] is True
    assert len(json.dumps(listing)) < CAP + 2000
    hits = told(use(work, "search_files", pattern="hit"))
    assert hits["truncated"] is True
    assert "file-0000.txt:1: hit" in hits["data"]["matches"]


ERRORS = {
    "a file that is not there": ("read_file", {"path": "nothing"}, "No such file"),
    "a binary file": ("read_file", {"path": "image"}, "not a text file"),
    "no path": ("read_file", {}, "`path` must be a text"),
    "an empty path": ("read_file", {"path": ""}, "`path` must be a text"),
    "a path that is a number": ("read_file", {"path": 7}, "`path` must be a text"),
    "a number that is a word": ("read_file", {"path": "b.md", "offset": "many"}, "`offset` must be a number"),
    "an infinite number": ("read_file", {"path": "b.md", "limit": math.inf}, "`limit` must be a number"),
    "content that is an object": ("write_file", {"path": "c", "content": {}}, "`content` must be a text"),
    "a folder as a file": ("write_file", {"path": "src", "content": ""}, "folder"),
    "a file as a folder": ("write_file", {"path": "b.md/c", "content": ""}, "director"),
    "a file as a list": ("list_directory", {"path": "b.md"}, "director"),
    "a tool that is not there": ("delete_file", {"path": "b.md"}, "there is no such tool; there are list"),
}


@pytest.mark.parametrize(("name", "given", "part"), ERRORS.values(), ids=ERRORS)
def test_what_is_wrong_with_a_call_is_the_observation(
    work: Path, name: str, given: dict[str, Any], part: str
) -> None:
    seen = use(work, name, **given)
    assert part in told(seen)["error"]
    assert not seen.denied


@pytest.mark.parametrize("name", ["read_file", "write_file", "list_directory"])
def test_a_path_outside_is_denied(work: Path, name: str) -> None:
    seen = use(work, name, path="../elsewhere", content="x")
    assert seen.denied
    assert "outside the workspace" in told(seen)["error"]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        pytest.param("write_file", {"path": "c", "content": "\ud800"}, id="half of a pair in a file"),
        pytest.param("run_command", {"command": "echo \ud800"}, id="half of a pair in a command"),
        pytest.param("run_command", {"command": "echo \0"}, id="a zero byte in a command"),
    ],
)
def test_what_no_file_and_no_command_can_hold_does_not_break_a_tool(
    work: Path, name: str, given: dict[str, Any]
) -> None:
    assert "cannot be used" in told(use(work, name, **given))["error"]


def test_the_schemas_name_all_five_tools() -> None:
    found = {tool["function"]["name"]: tool["function"]["parameters"] for tool in schemas()}
    assert set(found) == TOOLS
    assert len(TOOLS) == 5
    assert all(set(schema["required"]) <= set(schema["properties"]) for schema in found.values())


def test_clip_keeps_what_is_short() -> None:
    assert clip("short") == ("short", False)
    text, cut = clip("a" * (2 * HALF) + "b")
    assert cut
    assert len(text) == 2 * HALF + len("\n[1 bytes cut]\n")


def test_the_workspace_is_where_commands_run_whatever_pwd_says(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PWD", os.sep)
    assert told(use(work, "run_command", command="pwd -P"))["data"]["output"] == f"{work.resolve()}\n"
