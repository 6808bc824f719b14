"""Patterns of paths, and which changes lie outside a job's scope."""

from __future__ import annotations

import pytest

from aq.core.globs import matches
from aq.core.record import Changes
from aq.core.scope import (
    MAX_PATHS,
    Change,
    Kind,
    Totals,
    guard_of,
    is_litter,
    is_output,
    outside,
    recorded,
    totals,
    within,
)

TOKEN = "gh" + "p_" + "a1B2" * 9
COVERED = [
    ("src/**", "src/a", True),
    ("src/**", "src/a/b.py", True),
    ("src/**", "src", False),
    ("src/**", "lib/src/a", False),
    ("src", "src/a/b", True),
    ("src", "lib/src/a", True),
    ("./src", "src/a", True),
    ("./src", "lib/src/a", False),
    ("src/", "src/a", True),
    ("src/", "lib/src/a", True),
    ("src/", "src", False),
    ("src/*", "src/a", True),
    ("src/*", "src/a/b", False),
    ("*.py", "a.py", True),
    ("*.py", "deep/er/a.py", True),
    ("*.py", "a.pyc", False),
    ("src/**/*.py", "src/a.py", True),
    ("src/**/*.py", "src/x/y/a.py", True),
    ("src/**/*.py", "srcs/a.py", False),
    ("**/test_*", "x/test_a", True),
    ("a/**/b/**/c", "a/b/x/y/c", True),
    ("a/**/b/**/c", "a/c", False),
    ("a?c", "abc", True),
    ("a?c", "a/c", False),
    ("a?c", "ac", False),
    ("[ab]x", "bx", True),
    ("[!ab]x", "bx", False),
    ("[^ab]x", "cx", True),
    ("[a-c]x", "bx", True),
    ("[a-c]x", "dx", False),
    ("[a-]x", "-x", True),
    ("[]]x", "]x", True),
    ("[!]]x", "]x", False),
    ("[ab", "[ab", True),
    ("*a*b", "xaybzb", True),
    ("*a*b", "xayz", False),
    ("a*", "a", True),
    ("ab", "a", False),
    ("**", "any/thing", True),
    (".", "any/thing", True),
    ("./.", "any/thing", True),
    ("src/**", "src/gen/", True),
    ("src/gen", "src/gen/", True),
    ("src/gen/**", "src/gen/", True),
    ("src/*", "src/gen/", False),
    ("src/gen/*.o", "src/gen/", False),
]


@pytest.mark.parametrize(("pattern", "path", "covered"), COVERED)
def test_a_pattern_is_read_as_in_a_gitignore(pattern: str, path: str, covered: bool) -> None:
    assert matches(pattern, path) is covered


def test_matching_takes_no_time_whatever_the_words_are() -> None:
    assert not matches("*a" * 60 + "b", "a" * 4000)
    assert not matches("**/a/" * 60 + "b", "a/" * 2000 + "c")


ALLOWED = [
    ("without patterns all is given", "src/a", (), True),
    ("without patterns a guard is not", ".github/workflows/ci.yml", (), False),
    ("a pattern gives what it covers", "src/a", ("src/**",), True),
    ("and nothing else", "lib/a", ("src/**",), False),
    ("the last one that matches decides", "src/gen/a", ("src/**", "!src/gen/**"), False),
    ("in both directions", "src/gen/a", ("src/**", "!src/gen/**", "src/gen/a"), True),
    ("one that only takes back leaves the rest", "src/a", ("!docs/**",), True),
    ("and takes back", "docs/a", ("!docs/**",), False),
    ("a guard must be named", "CLAUDE.md", ("**",), False),
    ("by its name", "CLAUDE.md", ("CLAUDE.md",), True),
    ("or its folder's", ".github/workflows/ci.yml", (".github/**",), True),
    ("in a deeper folder", "app/.claude/settings.json", ("app/**",), False),
    ("also then", "app/.claude/settings.json", ("app/.claude/**",), True),
    ("whatever its letters", "Claude.MD", ("**",), False),
    ("one that takes back a guard takes it back", ".github/x", (".github/**", "!.github/x"), False),
]


@pytest.mark.parametrize(
    ("path", "allowed", "given"), [row[1:] for row in ALLOWED], ids=[row[0] for row in ALLOWED]
)
def test_what_a_job_may_change(path: str, allowed: tuple[str, ...], given: bool) -> None:
    assert within(path, allowed) is given


GUARDS = [
    ".gitignore",
    "x/.gitattributes",
    ".gitmodules",
    ".GitHub/x",
    ".mcp.json",
    "a/AGENTS.md",
    "Jenkinsfile",
]


@pytest.mark.attack("S15")
@pytest.mark.parametrize("path", GUARDS)
def test_what_steers_agents_and_checks_is_a_guard(path: str) -> None:
    assert guard_of(path)


@pytest.mark.parametrize("path", ["src/a.py", "docs/.gitkeep", "gitignore", "agents/md"])
def test_other_files_are_none(path: str) -> None:
    assert guard_of(path) == ""


@pytest.mark.attack("S15")
def test_both_ends_of_a_move_count_and_build_output_does_not() -> None:
    changes = (
        Change("src/new", Kind.RENAMED, source="lib/old"),
        Change("lib/made", Kind.IGNORED),
        Change("lib/build/", Kind.OUTPUT),
        Change("lib/pipe", Kind.REFUSED),
        Change("lib/made", Kind.ADDED),
        Change("src/fine", Kind.ADDED),
    )
    assert outside(changes, ("src/**",)) == ("lib/old", "lib/made", "lib/pipe")
    assert outside(changes, ()) == ()


def test_the_size_of_a_change_is_that_of_its_commit() -> None:
    changes = (
        Change("a", Kind.ADDED, added=3, removed=0),
        Change("b", Kind.MODIFIED, added=1, removed=2),
        Change("picture", Kind.MODIFIED),
        Change("c", Kind.OUTPUT, added=9, removed=9),
        Change("d", Kind.REFUSED),
        Change("e", Kind.IGNORED),
    )
    assert totals(changes) == Totals(files=3, added=4, removed=2)


def test_a_record_has_the_size_and_both_ends_of_every_move() -> None:
    changes = (
        Change("new", Kind.RENAMED, source="old", mode="100644", added=0, removed=0),
        Change("a", Kind.MODIFIED, mode="100644", added=3, removed=1),
        Change("build/", Kind.OUTPUT),
        Change("hidden", Kind.IGNORED),
        Change("pipe", Kind.REFUSED),
    )
    assert recorded(changes) == Changes(2, 3, 1, ("old", "new", "a"))


ODD = {
    "a link": Change("a", Kind.MODIFIED, mode="120000", added=1, removed=1),
    "executable": Change("a", Kind.MODE, mode="100755", added=0, removed=0),
    "a commit of another repository": Change("a", Kind.MODIFIED, mode="160000", added=1, removed=1),
    "not text": Change("a", Kind.DELETED),
}


@pytest.mark.parametrize("what", ODD)
def test_a_record_names_what_is_no_plain_text(what: str) -> None:
    assert recorded([ODD[what]]).odd == (f"a: {what}",)


@pytest.mark.parametrize(
    "change",
    [
        Change("a", Kind.MODIFIED, mode="100755", added=1, removed=0),
        Change("a", Kind.MODE, mode="100644", added=0, removed=0),
    ],
    ids=["a script that stays one", "a script no more"],
)
def test_what_was_there_before_is_not_odd(change: Change) -> None:
    assert recorded([change]).odd == ()


def test_a_record_holds_only_so_many_names() -> None:
    found = recorded([Change(f"f{n:03}", Kind.ADDED) for n in range(MAX_PATHS + 7)])
    assert (found.files, len(found.paths), found.more) == (MAX_PATHS + 7, MAX_PATHS, 7)
    assert (found.odd[0], len(found.odd), found.odd[-1]) == ("f000: not text", 21, "and 87 more")


@pytest.mark.parametrize("path", ["x" * 300 + "/package.json", "a\nb", "a\udcff", f"k/{TOKEN}"])
def test_a_path_that_cannot_be_shown_as_it_is_is_only_counted(path: str) -> None:
    found = recorded([Change(path, Kind.ADDED, added=1, removed=0)])
    assert (found.files, found.paths, found.more) == (1, (), 1)


def test_what_engines_and_tools_leave_is_known() -> None:
    assert is_litter(".aider.tags.cache.v4/cache.db")
    assert not is_litter(".aider.conf.yml")
    assert is_output("src/__pycache__/")
    assert is_output("a.pyc")
    assert not is_output("src/a.py")
