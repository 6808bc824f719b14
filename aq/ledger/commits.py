"""Commits of the queue, built in process: splice the touched trees, write the commit."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

from aq.core.ids import slug
from aq.core.instants import Instant, unix
from aq.core.layout import FileEdit, names_on
from aq.core.value import Value
from aq.ledger.gitproc import check
from aq.ledger.objects import Objects
from aq.ledger.trees import FILE_MODE, TREE_MODE, Entry, Tree

_KEPT_TREES = 32
# Git writes unix seconds; some thousand years fit.
_TIME_DIGITS = 12
Nested = dict[str, "Nested | FileEdit"]


class Identity(Value):
    """Who commits."""

    name: str
    email: str

    def line(self, at: Instant) -> str:
        """The identity as a commit writes it."""
        clean = "".join(c for c in self.name if c.isprintable() and c not in "<>").strip() or "aq"
        mail = (
            "".join(c for c in self.email if c.isprintable() and c not in "<> ")
            or f"{slug(clean)}@aq.invalid"
        )
        return f"{clean} <{mail}> {unix(at)} +0000"


class CommitInfo(Value):
    """The parts of a commit that the queue needs. `time` is unix seconds of the committer."""

    tree: str
    parents: tuple[str, ...]
    time: int
    message: str


def parse_commit(raw: bytes) -> CommitInfo:
    """A commit object's content as values. As git reads it: one tree, then the parents, then who; what has
    those names further down is something else, and must not be another tree for us than for git."""
    head, _, message = raw.partition(b"\n\n")
    lines = head.split(b"\n")
    tree = _value(lines[0], b"tree")
    parents = [_value(line, b"parent") for line in takewhile(lambda line: line[:7] == b"parent ", lines[1:])]
    committer = next((line for line in lines if line.startswith(b"committer ")), b"")
    stamp = committer.rsplit(b" ", 2)[-2:]
    time = seconds_of(stamp[0].decode("ascii", "replace")) if len(stamp) == 2 else 0
    return CommitInfo(tree, tuple(parents), time, message.decode("utf-8", "replace"))


def seconds_of(stamp: str) -> int:
    """The time of a commit as git writes it; 0 for what is none. Whoever writes a commit may write any number
    of digits, and Python takes thousands of them for no number at all."""
    return int(stamp) if stamp.isdigit() and stamp.isascii() and len(stamp) <= _TIME_DIGITS else 0


def _value(line: bytes, name: bytes) -> str:
    found, _, value = line.partition(b" ")
    return value.decode("ascii", "replace") if found == name else ""


class Committer:
    """Builds commits in one store."""

    def __init__(self, objects: Objects, oid_size: int = 20) -> None:
        self.objects = objects
        self.oid_size = oid_size
        # Makes a signed commit of one; the commit as it is where nobody asks for signatures.
        self.sign: Callable[[bytes], bytes] = bytes
        self._trees: OrderedDict[str, Tree] = OrderedDict()

    def commit(self, parent: str, edits: list[FileEdit], message: str, who: Identity, at: Instant) -> str:
        """A commit on `parent` with these edits. Zero processes."""
        root = parse_commit(self.objects.read(parent)).tree
        tree = self._spliced(root, _nested(edits)) or self._write_tree(Tree())
        return self.raw_commit(tree, (parent,), message, who, at)

    def raw_commit(
        self, tree: str, parents: tuple[str, ...], message: str, who: Identity, at: Instant
    ) -> str:
        """A commit object with any tree and parents."""
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
        lines += [f"author {who.line(at)}", f"committer {who.line(at)}", "", message]
        return self.objects.write("commit", self.sign("\n".join(lines).encode()))

    def empty_tree(self) -> str:
        """The id of the empty tree, written once."""
        return self.objects.write("tree", b"")

    def _empty_blob(self) -> bytes:
        return bytes.fromhex(self.objects.write("blob", b""))

    def _write_tree(self, tree: Tree) -> str:
        oid = self.objects.write("tree", tree.raw)
        self._remember(oid, tree)
        return oid

    def _remember(self, oid: str, tree: Tree) -> None:
        # The next commit of a stack starts from the trees of this one.
        self._trees[oid] = tree
        if len(self._trees) > _KEPT_TREES:
            self._trees.popitem(last=False)

    def _tree(self, oid: str) -> Tree:
        tree = self._trees.get(oid)
        if tree is None:
            tree = Tree.parse(self.objects.tree(oid), self.oid_size)
            self._remember(oid, tree)
        return tree

    def _spliced(self, oid: str, nested: Nested) -> str:
        tree = self._tree(oid) if oid else Tree()
        removed: list[bytes] = []
        added: list[Entry] = []
        for name, edit in nested.items():
            entry = self._entry(tree, name.encode("utf-8", "surrogateescape"), edit)
            if entry:
                added.append(entry)
            else:
                removed.append(name.encode("utf-8", "surrogateescape"))
        changed = tree.changed(removed, added)
        return self._write_tree(changed) if changed.lines else ""

    def _entry(self, tree: Tree, name: bytes, edit: Nested | FileEdit) -> Entry | None:
        if isinstance(edit, dict):
            present = tree.get(name)
            below = present.oid.hex() if present and present.mode == TREE_MODE else ""
            # Git drops empty folders, and a `cp` to a missing inbox would create a file of that name.
            oid = self._spliced(below, edit) or self._write_tree(
                Tree([Entry(FILE_MODE, b".gitkeep", self._empty_blob())])
            )
            return Entry(TREE_MODE, name, bytes.fromhex(oid))
        blob = edit.blob if edit.content is None else self.objects.write("blob", edit.content)
        return Entry(FILE_MODE, name, bytes.fromhex(blob)) if blob else None


def _nested(edits: list[FileEdit]) -> Nested:
    root: Nested = {}
    for edit in edits:
        here = root
        *folders, name = names_on(edit.path)
        for folder in folders:
            below = here.setdefault(folder, {})
            assert isinstance(below, dict)
            here = below
        here[name] = edit
    return root


class PlumbingCommitter(Committer):
    """The same commits through git's own plumbing and a private index (five processes)."""

    def commit(self, parent: str, edits: list[FileEdit], message: str, who: Identity, at: Instant) -> str:
        """A commit on `parent` with these edits."""
        git_dir = self.objects.git_dir
        index = Path(git_dir) / f"aq-{os.getpid()}-{id(self)}.index"
        env = {"GIT_INDEX_FILE": str(index)}
        zero = "0" * (2 * self.oid_size)
        lines = []
        for edit in edits:
            blob = edit.blob if edit.content is None else self.objects.write("blob", edit.content)
            lines.append(f"100644 {blob}\t{edit.path}\0" if blob else f"0 {zero}\t{edit.path}\0")
        base = ["--git-dir", str(git_dir)]
        try:
            check([*base, "read-tree", parent], env=env)
            check([*base, "update-index", "-z", "--index-info"], data="".join(lines).encode(), env=env)
            kept = self._kept(base, env, edits)
            check([*base, "update-index", "-z", "--index-info"], data=kept, env=env)
            tree = check([*base, "write-tree"], env=env)
        finally:
            index.unlink(missing_ok=True)
        return self.raw_commit(tree, (parent,), message, who, at)

    def _kept(self, base: list[str], env: dict[str, str], edits: list[FileEdit]) -> bytes:
        """A `.gitkeep` for each folder that these edits leave empty."""
        folders = sorted({edit.path.rpartition("/")[0] for edit in edits})
        empty = [
            name for name in folders if name and not check([*base, "ls-files", "-z", f"{name}/"], env=env)
        ]
        blob = self.objects.write("blob", b"") if empty else ""
        return "".join(f"100644 {blob}\t{name}/.gitkeep\0" for name in empty).encode()
