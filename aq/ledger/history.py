"""Questions about commits: does one descend from another, when did a file arrive, who wrote what."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

from aq.core.event import Event, parse
from aq.core.instants import Instant, instant
from aq.core.layout import JOB_SUFFIX, QUEUE
from aq.ledger.commits import CommitInfo, parse_commit
from aq.ledger.gitproc import check, run
from aq.ledger.objects import MissingObjectError, Objects
from aq.ledger.trees import names_of

# Walking in process is cheaper than starting git up to about this many commits.
_WALK = 64
_INBOX = f"{QUEUE}/inbox"


class History:
    """The commits of one store."""

    def __init__(self, objects: Objects, git_dir: Path, oid_size: int = 20) -> None:
        self.objects, self.git_dir, self.oid_size = objects, git_dir, oid_size
        self._ages: dict[str, Instant] = {}
        self._aged_tip = ""

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

    def ages(self, tip: str, names: list[str]) -> Mapping[str, Instant]:
        """When the files of these inbox jobs were added: the time of the commit that did it."""
        if any(name not in self._ages for name in names) and self._aged_tip != tip:
            if not self._walk_ages(tip):
                self._log_ages(tip)
            self._aged_tip = tip
        return self._ages

    def _walk_ages(self, tip: str) -> bool:
        """Note arrivals back to the tip known before, in process. False when it is too far away."""
        if not self._aged_tip:
            return False
        queue, seen = deque([tip]), {tip}
        while queue:
            oid = queue.popleft()
            if oid == self._aged_tip:
                continue
            if len(seen) > _WALK:
                return False
            info = self.commit(oid)
            here = self._inbox(info.tree)
            before = set().union(*(self._inbox(self.commit(parent).tree) for parent in info.parents))
            for name in here - before:
                self._ages.setdefault(name, instant(info.time))
            fresh = [parent for parent in info.parents if parent not in seen]
            seen.update(fresh)
            queue.extend(fresh)
        return True

    def _inbox(self, tree: str) -> set[str]:
        for part in _INBOX.split("/"):
            below = {name: oid.hex() for _, name, oid in names_of(self.objects.tree(tree), self.oid_size)}
            tree = below.get(part.encode(), "")
            if not tree:
                return set()
        names = names_of(self.objects.tree(tree), self.oid_size)
        return {
            name.decode("utf-8", "replace").removesuffix(JOB_SUFFIX)
            for _, name, _ in names
            if name.endswith(JOB_SUFFIX.encode())
        }

    def _log_ages(self, tip: str) -> None:
        args = [
            "log",
            "--diff-filter=A",
            "--no-renames",
            "--format=%x00%ct",
            "--name-only",
            tip,
            "--",
            _INBOX,
        ]
        time = 0
        for line in check(["--git-dir", str(self.git_dir), *args]).splitlines():
            if line.startswith("\0"):
                time = int(line[1:])
            elif line.endswith(JOB_SUFFIX):
                self._ages.setdefault(line.rsplit("/", 1)[1].removesuffix(JOB_SUFFIX), instant(time))

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
