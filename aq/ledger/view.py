"""The person's clone as a view of the queue: moved forward only when nothing of theirs is touched
(DESIGN section 4). Edits that came too late are kept aside, and named."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from aq.core.layout import JOB_SUFFIX, QUEUE
from aq.core.lifecycle import Stage
from aq.core.snapshot import Snapshot
from aq.ledger.gitproc import Finished, last_words, run
from aq.ledger.intake import Intake
from aq.ledger.ledger import Ledger
from aq.ledger.mending import Moving
from aq.ledger.objects import MissingObjectError
from aq.ledger.paths import private_dir
from aq.ledger.space import says_full

_SAFE = [
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "gc.auto=0",
    "-c",
    "submodule.recurse=false",
    "-c",
    "protocol.file.allow=always",
]


@dataclass
class ViewReport:
    """What a refresh did. `behind` says why the view is not at the tip."""

    moved: bool = False
    behind: str = ""
    notes: list[str] = field(default_factory=list)


class View:
    """One clone's work tree on the queue branch."""

    def __init__(self, ledger: Ledger, clone: Path, edited: Path, intake: Intake) -> None:
        self.ledger, self.clone, self.edited, self.intake = ledger, clone, edited, intake
        self.moving = Moving(ledger, clone)

    def _git(self, *args: str) -> Finished:
        return run([*_SAFE, *args], cwd=self.clone)

    def _write_index(self, *args: str) -> bool:
        """A git command that writes the index; whether it worked. Killed, it leaves a lock, and the note of a
        move tells the next command to look for it."""
        with self.moving.alone() as alone:
            if not alone:
                return False
            self.moving.begin(self.head()[1])
            done = self._git(*args)
            if not says_full(done.err):
                self.moving.end()
        return done.code == 0

    def head(self) -> tuple[str, str]:
        """The branch that is checked out and its commit; empty for none."""
        both = self._git("rev-parse", "HEAD", "--symbolic-full-name", "HEAD")
        if both.code:
            # A branch without a commit.
            return self._git("symbolic-ref", "--quiet", "--short", "HEAD").out.decode().strip(), ""
        commit, ref = both.out.decode().split()
        return (ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else ""), commit

    def refresh(self) -> ViewReport:
        """Bring the work tree to the tip when that is safe."""
        report = ViewReport()
        branch, head = self.head()
        tip = self.ledger.tip
        if branch != self.ledger.config.branch:
            report.behind = (
                f"the clone is on {branch or 'no branch'}, the queue is on {self.ledger.config.branch}"
            )
            return report
        if not self.moving.mend():
            return report
        snapshot = self.ledger.snapshot()
        self._tend(snapshot, report)
        if head == tip:
            return report
        if not self._fast_forwards(head, tip):
            report.behind = "the clone has commits that are not pushed: `git push`, or `git pull` first"
            return report
        with self.moving.alone() as alone:
            # Whoever moves it now moves it for us.
            if alone:
                self._move(tip, branch, report)
        return report

    def _move(self, tip: str, branch: str, report: ViewReport) -> None:
        brought = self._git(
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            str(self.ledger.store.git_dir),
            "refs/aq/tip",
        )
        moved = brought
        if brought.code == 0:
            options = ("--ff-only", "--quiet", "--no-overwrite-ignore", "--no-autostash")
            self.moving.begin(tip)
            moved = self._git("merge", *options, tip)
            if not says_full(moved.err):
                self.moving.end()
        if moved.code:
            report.behind = f"the view is behind: {last_words(moved)}"
            return
        self._git("update-ref", f"refs/remotes/{self.ledger.config.remote}/{branch}", tip)
        report.moved = True

    def _fast_forwards(self, head: str, tip: str) -> bool:
        try:
            return self.ledger.history.descends(tip, head)
        except MissingObjectError:
            return False

    def unpushed(self) -> list[str]:
        """Inbox files in local commits that the queue does not have."""
        branch, head = self.head()
        if branch != self.ledger.config.branch or not head or self._fast_forwards(head, self.ledger.tip):
            return []
        base = f"refs/remotes/{self.ledger.config.remote}/{branch}"
        names = self._git(
            "log", "--name-only", "--diff-filter=A", "--format=", f"{base}..HEAD", "--", f"{QUEUE}/inbox"
        ).out.decode()
        return sorted({line for line in names.splitlines() if line.endswith(JOB_SUFFIX)})

    def _tend(self, snapshot: Snapshot, report: ViewReport) -> None:
        listed = self._git(
            "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--", QUEUE
        )
        if listed.code:
            return
        for entry in listed.out.decode("utf-8", "surrogateescape").split("\0"):
            state, path = entry[:2], entry[3:]
            if state == "??":
                self._drop_if_taken(path, snapshot, report)
            elif state == " M":
                self._keep_late_edit(path, snapshot, report)
            elif state == " D":
                self._restore_deleted(path, snapshot, report)

    def _drop_if_taken(self, path: str, snapshot: Snapshot, report: ViewReport) -> None:
        """A dropped file that is in the queue by now is removed: the view shows the job instead."""
        folder, _, name = path.rpartition("/")
        taken = self.intake.taken.get(name) if folder == f"{QUEUE}/inbox" else None
        job = snapshot.find(taken["job"] if taken else name.removesuffix(JOB_SUFFIX))
        file = self.clone / path
        if job is None or not name.lower().endswith(JOB_SUFFIX) or file.is_symlink():
            return
        try:
            # Not if it was edited in this very moment.
            if self.ledger.write_blob(file.read_bytes()) in (job.blob, job.record.blob):
                file.unlink()
        except OSError:
            return
        if not taken and not file.exists():
            report.notes.append(f"{path} is in the queue already, as {job.id} in {job.stage}")

    def _keep_late_edit(self, path: str, snapshot: Snapshot, report: ViewReport) -> None:
        job = self._job_of(path, snapshot)
        if job is None or not path.endswith(JOB_SUFFIX):
            return
        found = snapshot.find(job)
        content = (self.clone / path).read_bytes()
        if found is None or (found.stage is Stage.INBOX and found.record.epoch == 0):
            if found and self.ledger.write_blob(content) == found.blob:
                # The edit was submitted. In the index it no longer stands in the way of the tip that has it.
                self._write_index("add", "--", path)
            return
        kept = private_dir(self.edited) / f"{job}.edited"
        if kept.exists() and kept.read_bytes() != content:
            kept = kept.with_name(f"{job}-{self.ledger.write_blob(content)[:8]}.edited")
        kept.write_bytes(content)
        self._write_index("checkout", "--quiet", "HEAD", "--", path)
        report.notes.append(
            f"the edit of {job} came too late (it is in {found.stage}); it is kept in {kept}: "
            f"`aq add {kept}` submits the new text, `aq requeue {job}` runs the old one again once it ended"
        )

    def _restore_deleted(self, path: str, snapshot: Snapshot, report: ViewReport) -> None:
        job = self._job_of(path, snapshot)
        back = self._write_index("checkout", "--quiet", "HEAD", "--", path)
        if back and job and path.endswith(JOB_SUFFIX):
            report.notes.append(
                f"{path} was deleted or moved in the clone, which does nothing to the queue; it is back: "
                f"`aq cancel {job}` ends a job, `aq ship {job}` ships one"
            )

    @staticmethod
    def _job_of(path: str, snapshot: Snapshot) -> str | None:
        name = path.rsplit("/", 1)[-1].removesuffix(JOB_SUFFIX)
        return name if snapshot.known(name) else None
