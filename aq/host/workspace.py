"""Where a run works: a clone of its own for git repositories, the folder itself, or a scratch folder.

The runner writes the files and takes them back with its own git dir; the agent gets a repository beside
them that only reads the mirror's objects. Neither links to files of the other: what the agent writes into
its clone stays there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aq.core.job import Job
from aq.core.prbody import pr_body
from aq.core.scope import Change, Kind, Totals, outside, totals
from aq.core.value import Value, replace
from aq.host.agentlog import own_commits
from aq.host.capture import Desk, Left
from aq.host.checkout import IN_PLACE, in_repository, top_of
from aq.host.delivery import Request, open_request, summary_of
from aq.host.gitproc import WorkspaceError, must
from aq.host.ownfiles import clear_away
from aq.host.repos import ConflictError, Mirror
from aq.host.scope import secret_warnings
from aq.host.seal import Seal
from aq.host.spares import WORTH_FILES, Spare, Spares

# The message of the commit, made from the subjects of the agent's own commits.
Message = Callable[[tuple[str, ...]], str]


class Captured(Value):
    """The work of a run: its branch and tip on the target repository, or nothing when it changed
    nothing. `pushed` when the target repository has it; `outside` are changed paths that the job may not
    change, `warnings` what a person should look at. `whole` is the tree of all that was in the workspace."""

    branch: str = ""
    tip: str = ""
    pushed: bool = False
    outside: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    whole: str = ""

    @property
    def size(self) -> Totals:
        """How large the change is."""
        return totals(self.changes)


class Workspace(Value):
    """A prepared folder. The rest is set for an isolated clone: the `base` that the work is counted
    from, and the commit whose files it started with, which holds earlier work as well for a run that
    goes on. `prepared` is the tree that its setup made of that, and `output` what git ignored before the
    engine began."""

    path: Path
    mirror: Mirror | None = None
    base: str = ""
    start: str = ""
    seal: Seal | None = None
    output: frozenset[str] = frozenset()
    prepared: str = ""

    @property
    def reads(self) -> tuple[Path, ...]:
        """What a process in it must be able to read besides."""
        return (self.mirror.path / "objects",) if self.mirror else ()

    def settled(self) -> Workspace:
        """This workspace, with all that is in it now taken for granted. Raises RefusedError or
        WorkspaceError."""
        if self.mirror is None or self.seal is None:
            return self
        prepared = self.left().whole
        if prepared == self.mirror.must("rev-parse", f"{self.start}^{{tree}}"):
            prepared = ""
        with Desk.at(self.mirror, self.path) as desk:
            desk.read("read-tree", prepared or self.start)
            output = frozenset(desk.ignored())
            seal = desk.sealed() if prepared else self.seal
        return replace(self, seal=seal, output=output, prepared=prepared)

    def left(self) -> Left:
        """What differs from the base now. Raises RefusedError or WorkspaceError."""
        assert self.mirror
        assert self.seal
        with Desk.at(self.mirror, self.path) as desk:
            return desk.take(self.base, self.start, self.seal, self.output, self.prepared)

    def capture(self, branch: str, nonce: str, message: Message, allowed: tuple[str, ...] = ()) -> Captured:
        """Commit what changed on top of the base and push it as a task branch. Raises RefusedError or
        WorkspaceError."""
        mirror = self.mirror
        if mirror is None or self.seal is None:
            return Captured()
        left = self.left()
        found = Captured(outside=outside(left.changes, allowed), changes=left.changes, whole=left.whole)
        if left.tree == mirror.must("rev-parse", f"{self.base}^{{tree}}"):
            return replace(found, warnings=_refusals(left))
        warnings = (*_refusals(left), *secret_warnings(mirror, self.base, left.tree))
        tip = mirror.commit(left.tree, self.base, message(own_commits(mirror, self.path, self.start)))
        found = replace(found, branch=branch, tip=tip, warnings=warnings)
        return self.push(found, nonce)

    def push(self, work: Captured, nonce: str) -> Captured:
        """Push captured work as its branch; with a name of its own where other work has that."""
        assert self.mirror
        for name in (work.branch, f"{work.branch}-{nonce[:4]}"):
            if self.mirror.create(name, work.tip):
                return replace(work, branch=name, pushed=True)
        return work


def _refusals(left: Left) -> tuple[str, ...]:
    return tuple(f"{change.path}: {change.why}" for change in left.changes if change.kind is Kind.REFUSED)


class Wanted(Value):
    """What a run needs. `source` is a repository's URL or path, `cwd` a folder of this host, which is worked
    in as it is when it is in no repository, unless the job asks to be `isolated`. The branches of the jobs
    it depends on (`under`: commits) are merged into its base (rule 9); `start_from` is work of an earlier
    run that it goes on from."""

    source: str = ""
    cwd: str = ""
    base: str = ""
    in_place: bool = False
    isolated: bool = False
    under: tuple[str, ...] = ()
    start_from: str = ""


class Workspaces:
    """Prepares workspaces below one state folder."""

    def __init__(self, state: Path) -> None:
        self.mirrors = state / "mirrors"
        self.spares = Spares(state / "spares")

    def set_aside(self, used: Workspace) -> None:
        """Make a spare checkout for the next run of a large repository, of the commit that this one began
        with. Raises WorkspaceError or OSError."""
        mirror = used.mirror
        if mirror is None or used.seal is None or len(used.seal.stamps) < WORTH_FILES:
            return
        commit = used.base

        def check_out(path: Path, index: Path) -> None:
            with Desk.at(mirror, path) as desk:
                desk.check_out(commit)
                shutil.copyfile(desk.index, index)

        self.spares.make(mirror.path, commit, check_out)

    def source_of(self, wanted: Wanted) -> str:
        """The repository that the work belongs to, or nothing when it is no repository's. Raises
        WorkspaceError for a repository that git will not look at, for a job that asks to be isolated and
        is in none, and for a folder that is gone."""
        if not wanted.cwd:
            return wanted.source
        if not os.path.isdir(wanted.cwd):
            raise WorkspaceError(f"cwd {wanted.cwd} does not exist here")
        if wanted.in_place:
            return ""
        if in_repository(Path(wanted.cwd)):
            return top_of(Path(wanted.cwd))
        if wanted.isolated:
            raise WorkspaceError(f"cwd {wanted.cwd} is in no git repository", IN_PLACE)
        return ""

    def prepare(self, folder: Path, wanted: Wanted, branch: str) -> Workspace:
        """The workspace for a run; without a repository or folder, an empty one. Raises
        WorkspaceError, or ConflictError when the work it builds on does not merge."""
        source = self.source_of(wanted)
        if not source and wanted.cwd:
            return Workspace(Path(wanted.cwd))
        if not source:
            path = folder / "work"
            path.mkdir(exist_ok=True)
            return Workspace(path)
        mirror = Mirror.at(self.mirrors, source)
        base = mirror.fresh_tip(wanted.base)
        for work in wanted.under:
            base = mirror.merged(base, work, f"Merge what {branch} depends on\n")
        start = base
        if wanted.start_from and mirror.has(wanted.start_from):
            base, start = _going_on(mirror, base, wanted.start_from, branch)
        return self._clone(folder, mirror, base, start, branch)

    def at_branch(self, folder: Path, wanted: Wanted, branch: str, tip: str) -> Workspace:
        """A clone at a task branch's tip, to verify it. Raises WorkspaceError."""
        mirror = Mirror.of(self.mirrors, self.source_of(wanted))
        if not mirror.has(tip):
            raise WorkspaceError(f"{mirror.source} has no {branch} at {tip[:12]}")
        return self._clone(folder, mirror, tip, tip, branch)

    def _clone(self, folder: Path, mirror: Mirror, base: str, start: str, branch: str) -> Workspace:
        path = folder / "work"
        clear_away(path)
        spare = self.spares.take(mirror.path, folder)
        path.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(1) as pool, Desk.at(mirror, path) as desk:
            made = pool.submit(_repository, mirror, path, start, branch)
            seal = _checked_out(desk, start, spare)
            made.result()
            # With it the agent's git need not look into every file again.
            shutil.copyfile(desk.index, path / ".git" / "index")
        if spare:
            spare.discard()
        return Workspace(path, mirror, base, start, seal)

    def deliver(self, wanted: Wanted, tip: str, message: str) -> str:
        """Merge a task branch's tip into the base branch on the target repository; the commit that
        the branch has then. Raises ConflictError or WorkspaceError."""
        mirror = Mirror.of(self.mirrors, self.source_of(wanted))
        return mirror.deliver(tip, wanted.base or mirror.default_branch, message)

    def ask_for(self, wanted: Wanted, job: Job) -> str:
        """Open a pull request for a job's branch; its URL. Raises ConflictError or WorkspaceError."""
        mirror = Mirror.of(self.mirrors, self.source_of(wanted))
        record = job.record
        mirror.demand(record.tip)
        body = pr_body(job, summary_of(mirror, record.tip))
        base = wanted.base or mirror.default_branch
        return open_request(mirror, Request(record.branch, record.tip, base, job.title, body))


def _going_on(mirror: Mirror, base: str, work: str, branch: str) -> tuple[str, str]:
    """The base, and earlier work on top of it. Where the two contradict each other the work stays on
    the base that it was made on: whoever delivers it sees the conflict."""
    try:
        return base, mirror.merged(base, work, f"Merge earlier work into {branch}\n")
    except ConflictError:
        return mirror.must("rev-parse", f"{work}^1"), work


def _checked_out(desk: Desk, commit: str, spare: Spare | None) -> Seal:
    """The commit's files in the desk's folder: those of a spare checkout brought up to date, or all anew."""
    if spare:
        try:
            shutil.copyfile(spare.index, desk.index)
            return desk.bring(spare.commit, commit)
        except (WorkspaceError, OSError):
            _empty(desk.root)
            desk.index.unlink(missing_ok=True)
    return desk.check_out(commit)


def _empty(folder: Path) -> None:
    """Remove what is in a folder, but for the agent's repository that is being made there."""
    for entry in folder.iterdir():
        if entry.name == ".git":
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _repository(mirror: Mirror, path: Path, start: str, branch: str) -> None:
    """A repository of the agent's own, on its branch, that reads the mirror's objects. They are not
    linked into it: a link could be written through."""
    must("init", "--quiet", "--template=", f"--initial-branch={branch}", str(path))
    repository = path / ".git"
    (repository / "objects" / "info").mkdir(parents=True, exist_ok=True)
    objects = f"{(mirror.path / 'objects').resolve().as_posix()}\n"
    (repository / "objects" / "info" / "alternates").write_text(objects, encoding="utf-8", newline="\n")
    ref = repository / "refs" / "heads" / branch
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_text(f"{start}\n", encoding="utf-8", newline="\n")
