"""What a run left in its workspace, as a tree of the runner's own. The agent's repository is never asked:
git works with the runner's git dir and a fresh index, so that nothing that the agent planted is run."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from aq.core.errors import AqError
from aq.core.scope import Change, Kind, is_litter, is_output
from aq.core.value import Value
from aq.host.gitproc import WorkspaceError, git, must, read
from aq.host.repos import Mirror
from aq.host.scope import changes_between, entries_before
from aq.host.seal import Seal, is_content, open_up

_MAX_FILE = 1024**3
_MAX_LINK_FILE = 4096
_SETTINGS = (".gitignore", ".gitattributes", ".gitmodules")
# What git says of a file that does not have the encoding that .gitattributes names.
_ENCODING = re.compile(r"failed to encode |working-tree-encoding| if encoded as ")


class RefusedError(AqError):
    """The agent left something that cannot be taken: its own doing, not the machine's."""


class Left(Value):
    """The tree of what a run left, without what its setup made, and every change from the base. `whole` is
    the tree of all that is there."""

    tree: str
    changes: tuple[Change, ...]
    whole: str = ""


class Desk(Value):
    """A workspace, the runner's git dir pointed at it, and an index out of the agent's reach."""

    mirror: Mirror
    root: Path
    index: Path

    @classmethod
    @contextmanager
    def at(cls, mirror: Mirror, root: Path) -> Iterator[Desk]:
        """One with an empty index, for as long as the block lasts."""
        with tempfile.TemporaryDirectory(prefix=".index-", dir=mirror.path.parent) as place:
            yield cls(mirror, root, Path(place) / "index")

    @property
    def env(self) -> dict[str, str]:
        """Where git finds the three."""
        return {
            "GIT_DIR": str(self.mirror.path),
            "GIT_WORK_TREE": str(self.root),
            "GIT_INDEX_FILE": str(self.index),
        }

    def read(self, *args: str, data: bytes | None = None) -> bytes:
        """A git command on the workspace that has to work."""
        return read(*args, cwd=self.root, env=self.env, data=data)

    def check_out(self, commit: str) -> Seal:
        """Write a commit's files into the empty folder, and seal them."""
        must("read-tree", "--reset", "-u", commit, cwd=self.root, env=self.env)
        return self.sealed()

    def bring(self, before: str, commit: str) -> Seal:
        """Make the files of one commit, which the index knows, those of another, and seal them."""
        if before != commit:
            must("read-tree", "-m", "-u", before, commit, cwd=self.root, env=self.env)
        return self.sealed()

    def sealed(self) -> Seal:
        """The stamps of the files that the index knows."""
        known = self.known()
        links = [path for path, mode in known.items() if mode == "160000"]
        return Seal(self.root, (path for path in known if path not in links), links)

    def known(self) -> dict[str, str]:
        """The paths of the index with their modes."""
        listed = names(self.read("ls-files", "--stage", "-z"))
        return {path: entry[:6] for entry, _, path in (line.partition("\t") for line in listed)}

    def take(
        self, base: str, start: str, seal: Seal, output: frozenset[str] = frozenset(), prepared: str = ""
    ) -> Left:
        """What differs from the base, from the commit `start` on, and the tree that its setup made of it,
        whose files were sealed. `output` are ignored paths that were there before. Raises RefusedError or
        WorkspaceError."""
        prepared = prepared or start
        if not seal.intact():
            raise RefusedError("the workspace was replaced", "the agent must work inside its folder")
        refused = [_refusal(path, "it is neither a file nor a link") for path in self.unblock()]
        self.read("read-tree", prepared)
        touched = seal.touched()
        new, more = self._new()
        refused += more
        wanted, more = _fit(self.root, (*touched.changed, *new))
        refused += more
        self._forget(touched.gone)
        self._add(wanted)
        whole = tree = self._written()
        taken = changes_between(self.mirror, prepared, tree)
        recorded = {change.path for change in taken}
        refused += [
            _refusal(path, "git cannot hold such a path") for path in new if path in wanted - recorded
        ]
        hidden = self._hidden(base, output)
        if prepared != start:
            self._give_back(start, prepared)
            tree = self._written()
        changes = taken if base == prepared else changes_between(self.mirror, base, tree)
        return Left(tree, (*changes, *hidden, *refused, *self._inside(seal.submodules)), whole)

    def _written(self) -> str:
        return self.read("write-tree").decode().strip()

    def _give_back(self, start: str, prepared: str) -> None:
        """Put what the setup did, and nobody touched since, back in the index as it was before."""
        touched = set(
            names(self.read("diff-index", "--cached", "--name-only", "--no-renames", "-z", prepared))
        )
        # A file cannot stand where a folder with somebody's work is, nor the other way round.
        taken = touched.union(*map(_above, touched))
        back = [
            entry
            for path, entry in entries_before(self.mirror, start, prepared).items()
            if path not in taken and not any(above in touched for above in _above(path))
        ]
        if back:
            # What goes makes room for what comes.
            self.read("update-index", "-z", "--index-info", data=b"".join(sorted(back)))

    def unblock(self) -> list[str]:
        """Remove every settings file of git's that is none, such as a pipe: git would wait for it. Comes
        before any other look at what others left here; what was removed."""
        closed: list[OSError] = []
        found = _odd_settings(self.root, closed)
        if closed or found:
            open_up(self.root)
            found = _odd_settings(self.root, [])
        for path in found:
            (self.root / path).unlink()
        return found

    def _add(self, paths: Iterable[str]) -> None:
        args = ("update-index", "--add", "--remove", "--replace", "-z", "--stdin")
        done = git(*args, cwd=self.root, env=self.env, data=joined(paths))
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        if not done.returncode:
            return
        wrong = next((line for line in words if _ENCODING.search(line)), "")
        if wrong:
            raise RefusedError(wrong, "the encodings that .gitattributes names must fit the files")
        raise WorkspaceError(f"git update-index failed: {words[0] if words else done.returncode}")

    def _forget(self, paths: Iterable[str]) -> None:
        data = b"".join(b"0 %s\t%s\0" % (b"0" * 40, os.fsencode(path)) for path in paths)
        if data:
            self.read("update-index", "-z", "--index-info", data=data)

    def _new(self) -> tuple[list[str], list[Change]]:
        """Paths that are not in the index and not ignored. The files of a nested repository are taken
        as plain files; another work tree of the agent's own repository is not taken."""
        found: list[str] = []
        refused: list[Change] = []
        for path in self._others("--exclude-standard"):
            if is_litter(path):
                continue
            if not path.endswith("/"):
                found.append(path)
            elif _is_linked(self.root / path):
                refused.append(_refusal(path, "another work tree of the same repository is not taken"))
            else:
                found += self._unignored(_files_below(self.root, path.rstrip("/")))
        return found, refused

    def _others(self, *how: str) -> list[str]:
        args = ("ls-files", "--others", "-z", *how)
        done = git(*args, cwd=self.root, env=self.env)
        if done.stderr:
            # A folder that was closed to its owner would hide what is in it.
            open_up(self.root)
            return names(self.read(*args))
        return names(done.stdout)

    def _unignored(self, paths: Sequence[str]) -> list[str]:
        done = git(
            "check-ignore", "--no-index", "-z", "--stdin", cwd=self.root, env=self.env, data=joined(paths)
        )
        ignored = set(names(done.stdout))
        return [path for path in paths if path not in ignored]

    def ignored(self) -> list[str]:
        """What git does not look at, whole folders as one."""
        self.unblock()
        paths = self._others("--ignored", "--exclude-standard", "--directory")
        folders = {path for path in paths if path.endswith("/")}
        return [path for path in paths if not any(f"{above}/" in folders for above in _above(path))]

    def _hidden(self, base: str, output: frozenset[str]) -> list[Change]:
        paths = [path for path in self.ignored() if path not in output and not is_litter(path)]
        odd = [path for path in paths if not is_output(path)]
        usual = self._ignored_by_base(base, odd) if odd else set()
        kinds = {path: Kind.OUTPUT if path in usual else Kind.IGNORED for path in odd}
        return [Change(path, kinds.get(path, Kind.OUTPUT)) for path in paths]

    def _ignored_by_base(self, base: str, paths: Sequence[str]) -> set[str]:
        """Those that the base's own rules hide, asked in a folder that holds nothing but these rules."""
        rules = self.index.parent / "rules"
        rules.mkdir()
        with Desk.at(self.mirror, rules) as desk:
            desk.read("read-tree", base)
            found = [path for path in desk.known() if path.rpartition("/")[2] == ".gitignore"]
            desk.read("checkout-index", "-z", "--stdin", data=joined(found))
            # A folder is one for git when it is there, or when something in it is asked for.
            asked = {f"{path}x" if path.endswith("/") else path: path for path in paths}
            left = set(desk._unignored(list(asked)))
        return {path for ask, path in asked.items() if ask not in left}

    def _inside(self, submodules: Iterable[str]) -> list[Change]:
        return [
            _refusal(f"{path}/", "what is in a submodule is not taken")
            for path in submodules
            if os.path.islink(self.root / path) or _holds_files(self.root / path)
        ]


def names(data: bytes) -> list[str]:
    """Paths that git ended with a zero each."""
    return [os.fsdecode(name) for name in data.split(b"\0") if name]


def joined(paths: Iterable[str]) -> bytes:
    """Paths as git reads them."""
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


def _above(path: str) -> Iterator[str]:
    """The folders that a path is in."""
    above = path.rstrip("/").rpartition("/")[0]
    while above:
        yield above
        above = above.rpartition("/")[0]


def _refusal(path: str, why: str) -> Change:
    return Change(path, Kind.REFUSED, why=why)


def _fit(root: Path, paths: Iterable[str]) -> tuple[set[str], list[Change]]:
    """The paths that can be read and recorded, and the others with the reason."""
    fit, refused = set(), []
    for path in paths:
        why = _unfit(root / path)
        if why:
            refused.append(_refusal(path, why))
        else:
            fit.add(path)
    return fit, refused


def _unfit(path: Path) -> str:
    try:
        found = path.lstat()
        if not is_content(found.st_mode):
            return "it is neither a file nor a link"
        if not stat.S_ISREG(found.st_mode):
            return ""
        if found.st_size > _MAX_FILE:
            return f"it is larger than {_MAX_FILE >> 30} GiB"
        if not os.access(path, os.R_OK):
            path.chmod(found.st_mode | stat.S_IRUSR)
    except OSError as error:
        return error.strerror or "it cannot be read"
    return ""


def _is_linked(nested: Path) -> bool:
    """Whether a nested repository is another work tree of a repository."""
    try:
        mark = nested / ".git"
        if not stat.S_ISREG(mark.lstat().st_mode):
            return False
        with mark.open("rb") as file:
            return b"/worktrees/" in file.read(_MAX_LINK_FILE)
    except OSError:
        return False


def _files_below(root: Path, folder: str) -> list[str]:
    """Every file and link in a folder, without the git folders in it."""
    found = []
    for place, folders, files in os.walk(root / folder):
        below = os.path.relpath(place, root).replace(os.sep, "/")
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        folders[:] = [name for name in folders if name != ".git" and name not in links]
        found += [f"{below}/{name}" for name in (*files, *links) if name != ".git"]
    return found


def _odd_settings(root: Path, closed: list[OSError]) -> list[str]:
    """The settings files of git's that are neither file nor link nor folder; `closed` gets what could not
    be looked into."""
    found = []
    for folder, folders, files in os.walk(root, onerror=closed.append):
        folders[:] = [name for name in folders if name != ".git"]
        for name in _SETTINGS:
            path = Path(folder, name)
            try:
                if name in files and not is_content(path.lstat().st_mode):
                    found.append(path.relative_to(root).as_posix())
            except OSError as error:
                closed.append(error)
    return found


def _holds_files(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:
        return False
