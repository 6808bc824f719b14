"""The changes between two trees, as the runner sees them."""

from __future__ import annotations

from pathlib import Path

import pytest

from aq.core.scope import Change, Kind
from aq.host.gitproc import WorkspaceError
from aq.host.repos import Mirror
from aq.host.scope import changes_between, secret_warnings
from tests.host.targets import Target

TOKEN = "gh" + "p_" + "a1B2" * 9
Files = dict[str, tuple[str, str]]


@pytest.fixture
def mirror(tmp_path: Path, target: Target) -> Mirror:
    return Mirror.of(tmp_path / "mirrors", target.url)


def tree(mirror: Mirror, files: Files) -> str:
    """A tree of files: name to mode and text."""
    index = {"GIT_INDEX_FILE": str(mirror.path / "test-index")}
    mirror.must("read-tree", "--empty", env=index)
    for name, (mode, text) in files.items():
        blob = text if mode == "160000" else mirror.must("hash-object", "-w", "--stdin", data=text.encode())
        mirror.must("update-index", "--add", "--cacheinfo", f"{mode},{blob},{name}", env=index)
    return mirror.must("write-tree", env=index)


FILE, LINK, RUN, SUB = "100644", "120000", "100755", "160000"
CASES: dict[str, tuple[Files, Files, tuple[Change, ...]]] = {
    "a new file": ({}, {"a": (FILE, "1\n2\n")}, (Change("a", Kind.ADDED, "", FILE, 2, 0),)),
    "a deleted file": ({"a": (FILE, "1\n")}, {}, (Change("a", Kind.DELETED, "", "", 0, 1),)),
    "a changed file": (
        {"a": (FILE, "1\n")},
        {"a": (FILE, "2\n3\n")},
        (Change("a", Kind.MODIFIED, "", FILE, 2, 1),),
    ),
    "another mode": ({"a": (FILE, "1\n")}, {"a": (RUN, "1\n")}, (Change("a", Kind.MODE, "", RUN, 0, 0),)),
    "a file that becomes a link": (
        {"a": (FILE, "1\n")},
        {"a": (LINK, "b")},
        (Change("a", Kind.MODIFIED, "", LINK, 1, 1),),
    ),
    "a file that moved": (
        {"old": (FILE, "1\n")},
        {"new": (FILE, "1\n")},
        (Change("new", Kind.RENAMED, "old", FILE, 0, 0),),
    ),
    "a copy is a new file": (
        {"a": (FILE, "1\n")},
        {"a": (FILE, "1\n"), "b": (FILE, "1\n")},
        (Change("b", Kind.ADDED, "", FILE, 1, 0),),
    ),
    "bytes": ({}, {"a": (FILE, "\0\1")}, (Change("a", Kind.ADDED, "", FILE, None, None),)),
    "a submodule that moved on": (
        {"s": (SUB, "1" * 40)},
        {"s": (SUB, "2" * 40)},
        (Change("s", Kind.MODIFIED, "", SUB, 1, 1),),
    ),
}


@pytest.mark.parametrize(("before", "after", "changes"), CASES.values(), ids=CASES)
def test_every_difference_has_a_kind(
    mirror: Mirror, before: Files, after: Files, changes: tuple[Change, ...]
) -> None:
    assert changes_between(mirror, tree(mirror, before), tree(mirror, after)) == changes


def test_a_link_to_a_commit_that_was_not_there_is_refused(mirror: Mirror) -> None:
    with pytest.raises(WorkspaceError, match="s is a link to another repository's commit"):
        changes_between(mirror, tree(mirror, {}), tree(mirror, {"s": (SUB, "1" * 40)}))


def test_secrets_are_warned_of_line_by_line_and_not_for_ever(mirror: Mirror) -> None:
    before = tree(mirror, {"a": (FILE, f"{TOKEN}\n")})
    lines = f"+++ b/other\n{TOKEN}\nplain\n{TOKEN}\n"
    after = tree(mirror, {"b c": (FILE, lines), "many": (FILE, f"{TOKEN}\n" * 50)})
    found = secret_warnings(mirror, before, after)
    assert [words.split(" looks")[0] for words in found[:2]] == ["b c:2", "b c:4"]
    assert len(found) <= 11
    assert not any(TOKEN in words for words in found)
    assert secret_warnings(mirror, after, tree(mirror, {})) == ()
