"""Questions about commits: does one descend from another, when did a file arrive, who wrote what."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

from aq.core.event import Event, parse
from aq.core.layout import QUEUE
from aq.ledger.commits import CommitInfo, parse_commit
from aq.ledger.gitproc import check, run
from aq.ledger.objects import MissingObjectError, Objects

# Walking in process is cheaper than starting git up to about this many commits.
_WALK = 64


class History:
    """The commits of one store."""

    def __init__(self, objects: Objects, git_dir: Path, oid_size: int = 20) -> None:
        self.objects, self.git_dir, self.oid_size = objects, git_dir, oid_size

    def commit(self, oid: str) -> CommitInfo:
        """A commit's parts. Raises MissingObjectError."""
        return parse_commit(self.objects.read(oid))

    def descends(self, new: str, old: str) -> bool:
        """Whether `old` is `new` or one of its ancestors. Raises MissingObjectError when a commit is
        not in the store."""
        if new == old:
            return True
        queue, seen = deque([new]), {new}
        while queue and len(seen) <= _WALK:
            for parent in self.commit(queue.popleft()).parents:
                if parent == old:
                    return True
                if parent not in seen:
                    seen.add(parent)
                    queue.append(parent)
        if not queue:
            return False
        if not self.objects.has(old):
            raise MissingObjectError(f"commit {old} is not in the store")
        return run(["--git-dir", str(self.git_dir), "merge-base", "--is-ancestor", old, new]).code == 0

    def between(self, old: str, new: str) -> Iterator[tuple[str, CommitInfo]]:
        """The commits reachable from `new` but not from `old`, newest first."""
        for oid in check(
            ["--git-dir", str(self.git_dir), "rev-list", new, *([f"^{old}"] if old else []), "--"]
        ).split():
            yield oid, self.commit(oid)

    def events(self, tip: str, job: str = "", limit: int = 0) -> list[tuple[str, CommitInfo, Event | None]]:
        """Commits about one job (or all), newest first, with their event; None for a commit by hand."""
        args = ["log", "--format=%H", *([f"--max-count={limit}"] if limit else [])]
        if not job:
            found = check(["--git-dir", str(self.git_dir), *args, tip, "--"]).split()
        else:
            grep = ["--fixed-strings", f"--grep=Aq-Job: {job}"]
            named = check(["--git-dir", str(self.git_dir), *args, *grep, tip, "--"]).split()
            touched = check(
                ["--git-dir", str(self.git_dir), *args, tip, "--", f":(glob){QUEUE}/*/{job}.*"]
            ).split()
            order = (
                {
                    oid: at
                    for at, oid in enumerate(
                        check(["--git-dir", str(self.git_dir), "rev-list", tip, "--"]).split()
                    )
                }
                if touched
                else {}
            )
            found = sorted(set(named) | set(touched), key=lambda oid: order.get(oid, 0)) if touched else named
        commits = [(oid, self.commit(oid)) for oid in found]
        events = [(oid, info, parse(info.message)) for oid, info in commits]
        return [
            (oid, info, event) for oid, info, event in events if not job or event is None or event.job == job
        ]
