"""Our own trees, objects and commits are git's, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aq.core.instants import instant
from aq.core.layout import FileEdit
from aq.ledger.commits import Committer, Identity, PlumbingCommitter, parse_commit
from aq.ledger.objects import MissingObjectError, Objects, PlumbingObjects
from aq.ledger.trees import FILE_MODE, TREE_MODE, Entry, Tree, names_of
from tests.support.fleet import git

WHO = Identity("Alice", "alice@example.invalid")
AT = instant(1_700_000_000)
OID = bytes(range(20))

names = st.from_regex(rb"[a-z][a-z0-9.\-]{0,5}", fullmatch=True)
entries = st.dictionaries(names, st.sampled_from([FILE_MODE, TREE_MODE]), max_size=12)


_opened: list[Objects] = []


def opened(store: Path, kind: type[Objects] = Objects) -> Objects:
    """Objects of a store; closed with it."""
    _opened.append(kind(store))
    return _opened[-1]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Path]:
    git(tmp_path, "init", "--quiet", "--bare", "-b", "main", "store.git")
    yield tmp_path / "store.git"
    while _opened:
        _opened.pop().close()


@pytest.fixture
def base(store: Path) -> str:
    """A first commit with some files."""
    tree = "".join(
        f"100644 blob {git(store, 'hash-object', '-w', '--stdin', data=b'')}\t{n}\n" for n in ("a", "b")
    )
    below = git(store, "mktree", data=tree.encode())
    kept = git(store, "hash-object", "-w", "--stdin", data=b"x")
    root = git(store, "mktree", data=f"040000 tree {below}\tqueue\n100644 blob {kept}\tkept\n".encode())
    return git(store, "commit-tree", root, "-m", "base")


def tree_of(found: dict[bytes, bytes]) -> Tree:
    return Tree([Entry(mode, name, OID) for name, mode in found.items()])


@given(entries, entries, st.lists(names, max_size=4))
def test_a_changed_tree_is_the_tree_made_anew(
    before: dict[bytes, bytes], added: dict[bytes, bytes], removed: list[bytes]
) -> None:
    changed = tree_of(before).changed(removed, [Entry(mode, name, OID) for name, mode in added.items()])
    wanted = {name: mode for name, mode in before.items() if name not in removed} | added
    assert changed.raw == tree_of(wanted).raw


@given(entries)
def test_a_tree_reads_back_as_it_was_written(found: dict[bytes, bytes]) -> None:
    raw = tree_of(found).raw
    assert Tree.parse(raw).raw == raw
    assert {name: mode for mode, name, _ in names_of(raw)} == found
    for name, mode in found.items():
        entry = Tree.parse(raw).get(name)
        assert entry
        assert (entry.mode, entry.name) == (mode, name)


def test_git_sorts_as_we_do(store: Path) -> None:
    blob = git(store, "hash-object", "-w", "--stdin", data=b"")
    empty = git(store, "mktree", data=b"")
    kinds = {"a": TREE_MODE, "a.b": FILE_MODE, "a-b": FILE_MODE, "ab": FILE_MODE, "a0": TREE_MODE}
    lines = [
        f"{'040000 tree ' + empty if mode == TREE_MODE else '100644 blob ' + blob}\t{name}\n"
        for name, mode in kinds.items()
    ]
    wanted = git(store, "mktree", data="".join(lines).encode())
    made = Tree(
        [
            Entry(mode, name.encode(), bytes.fromhex(empty if mode == TREE_MODE else blob))
            for name, mode in kinds.items()
        ]
    )
    assert opened(store).write("tree", made.raw) == wanted
    assert opened(store).tree(wanted) == made.raw


@pytest.mark.parametrize("kind", [Objects, PlumbingObjects])
@pytest.mark.parametrize(
    "content",
    [b"", b"x\n", bytes(range(256)) * 300, "ü€😀\n".encode()],
    ids=["empty", "small", "binary", "unicode"],
)
def test_an_object_of_ours_is_gits(store: Path, kind: type[Objects], content: bytes) -> None:
    ours = opened(store, kind)
    oid = ours.write("blob", content)
    assert oid == git(store, "hash-object", "--stdin", data=content)
    assert ours.read(oid) == content
    assert ours.write("blob", content) == oid
    assert git(store, "cat-file", "-t", oid) == "blob"
    assert git(store, "fsck", "--strict", "--no-dangling", "--no-progress") == ""


def test_many_objects_are_read_in_order_and_a_missing_one_does_not_mix_them_up(store: Path) -> None:
    ours = opened(store)
    oids = [ours.write("blob", b"%d" % n) for n in range(250)]
    assert ours.read_many(oids) == [b"%d" % n for n in range(250)]
    with pytest.raises(MissingObjectError):
        ours.read_many([oids[0], "0" * 40, oids[1]])
    assert ours.read_many(oids[:2]) == [b"0", b"1"]
    assert not ours.has("1" * 40)


def test_the_reader_survives_the_death_of_its_process(store: Path) -> None:
    ours = opened(store)
    oid = git(store, "hash-object", "-w", "--stdin", data=b"x")
    assert ours.read(oid) == b"x"
    assert ours._reader
    ours._reader.kill()
    ours._reader.wait()
    assert ours.read(oid) == b"x"


EDITS = {
    "a new file": [FileEdit("queue/c", content=b"c")],
    "a new folder": [FileEdit("queue/inbox/x.md", content=b"x")],
    "a move": [FileEdit("queue/a"), FileEdit("queue/z/a", blob="e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")],
    "a file that becomes a folder": [FileEdit("kept"), FileEdit("kept2/x", content=b"x")],
    "a change": [FileEdit("kept", content=b"y")],
    "a removal of what is not there": [FileEdit("queue/nothing")],
    "a deep archive": [FileEdit("queue/shipped/2026/01/02/x.md", content=b"x"), FileEdit("queue/b")],
}


@pytest.mark.parametrize("edits", EDITS)
def test_both_committers_write_the_very_same_commit(store: Path, base: str, edits: str) -> None:
    fast = Committer(opened(store)).commit(base, EDITS[edits], "subject\n\nAq-Op: add\n", WHO, AT)
    slow = PlumbingCommitter(opened(store, PlumbingObjects)).commit(
        base, EDITS[edits], "subject\n\nAq-Op: add\n", WHO, AT
    )
    assert fast == slow
    assert (
        git(store, "log", "-1", "--format=%an <%ae> %ct %s", fast)
        == "Alice <alice@example.invalid> 1700000000 subject"
    )
    git(store, "update-ref", "refs/heads/main", fast)
    assert git(store, "fsck", "--strict", "--no-dangling", "--no-progress") == ""


@pytest.mark.parametrize("plumbing", [False, True], ids=["our own writer", "git's plumbing"])
def test_a_folder_that_an_edit_empties_keeps_a_gitkeep(store: Path, base: str, plumbing: bool) -> None:
    make = PlumbingCommitter(opened(store, PlumbingObjects)) if plumbing else Committer(opened(store))
    commit = make.commit(base, [FileEdit("queue/a"), FileEdit("queue/b")], "empty\n", WHO, AT)
    assert git(store, "ls-tree", "-r", "--name-only", commit).splitlines() == ["kept", "queue/.gitkeep"]


def test_a_commit_reads_back(store: Path, base: str) -> None:
    oid = Committer(opened(store)).commit(base, [FileEdit("x", content=b"x")], "words\n\nand more\n", WHO, AT)
    info = parse_commit(opened(store).read(oid))
    assert (info.parents, info.time, info.message) == ((base,), 1_700_000_000, "words\n\nand more\n")
    assert info.tree == git(store, "rev-parse", f"{oid}^{{tree}}")


@pytest.mark.parametrize(
    ("name", "mail", "line"),
    [
        ("Alice", "a@b.invalid", "Alice <a@b.invalid> 1700000000 +0000"),
        ("A <x>\nB", "a b>@c", "A xB <ab@c> 1700000000 +0000"),
        ("", "", "aq <aq@aq.invalid> 1700000000 +0000"),
        ("Ünal", "", "Ünal <unal@aq.invalid> 1700000000 +0000"),
    ],
)
def test_an_identity_is_one_that_git_takes(name: str, mail: str, line: str) -> None:
    assert Identity(name, mail).line(AT) == line
