"""When each waiting job arrived: the time of the commit that brought its file into the inbox. Kept on
disk, so that a command looks only at the commits since the last one."""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from aq.core.errors import AqError
from aq.core.event import parse
from aq.core.instants import Instant, instant, require_instant
from aq.core.layout import JOB_SUFFIX, QUEUE
from aq.core.lifecycle import Stage
from aq.core.sealed import summed, unsummed
from aq.ledger.commits import CommitInfo, parse_commit, seconds_of
from aq.ledger.gitproc import check
from aq.ledger.objects import Objects
from aq.ledger.store import write_atomic
from aq.ledger.trees import entries_of

# Walking in process is cheaper than starting git up to about this many commits.
_WALK = 64
_INBOX = (QUEUE, str(Stage.INBOX))


class Arrivals:
    """The arrivals of one store. They live inside it, for they are worth nothing without it."""

    def __init__(self, objects: Objects, git_dir: Path, oid_size: int = 20) -> None:
        self.objects, self.git_dir, self.oid_size = objects, git_dir, oid_size
        self._path = git_dir / "aq-arrivals.json"
        self._known: dict[str, Instant] | None = None
        self._tip = ""
        self._saved = True

    def times(self, tip: str, job: str) -> Instant | None:
        """When this job of the inbox at `tip` arrived; None when no commit tells."""
        known = self._load()
        if job not in known and self._tip != tip:
            found = self._walked(tip)
            known.update(self._logged(tip) if found is None else found)
            self._tip, self._saved = tip, False
        return known.get(job)

    def _load(self) -> dict[str, Instant]:
        if self._known is None:
            self._known = {}
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError, AqError):
                saved = json.loads(unsummed(self._path.read_text("utf-8")))
                known = {str(job): str(at) for job, at in saved["known"].items()}
                require_instant(*known.values())
                if self.objects.has(str(saved["tip"])):
                    self._known, self._tip = known, str(saved["tip"])
        return self._known

    def flush(self) -> None:
        """Write down what is still waiting. Losing it costs only time."""
        if self._saved or self._known is None:
            return
        here = self._inbox(parse_commit(self.objects.read(self._tip)).tree)
        known = {job: at for job, at in self._known.items() if job in here}
        with contextlib.suppress(OSError):
            write_atomic(self._path, summed(json.dumps({"tip": self._tip, "known": known})).encode())
        self._saved = True

    def _walked(self, tip: str) -> dict[str, Instant] | None:
        """Arrivals back to the tip known before, in process. None when it is too far away."""
        if not self._tip:
            return None
        found: dict[str, Instant] = {}
        queue, seen = deque([tip]), {tip}
        while queue:
            oid = queue.popleft()
            if oid == self._tip:
                continue
            if len(seen) > _WALK:
                return None
            info = parse_commit(self.objects.read(oid))
            for job in self._brought(info):
                found.setdefault(job, instant(info.time))
            fresh = [parent for parent in info.parents if parent not in seen]
            seen.update(fresh)
            queue.extend(fresh)
        return found

    def _brought(self, info: CommitInfo) -> set[str]:
        """The jobs that a commit brought into the inbox: as its message says, or, for one by hand, as
        its tree differs from its parents'."""
        event = parse(info.message)
        if event:
            arrived = event.target is Stage.INBOX and event.source is not Stage.INBOX
            return {event.job} if arrived else set()
        before: set[str] = set()
        for parent in info.parents:
            before |= self._inbox(parse_commit(self.objects.read(parent)).tree)
        return self._inbox(info.tree) - before

    def _inbox(self, tree: str) -> set[str]:
        for name in _INBOX:
            tree = entries_of(self.objects.tree(tree), self.oid_size).get(name, (b"", ""))[1] if tree else ""
        names = entries_of(self.objects.tree(tree), self.oid_size) if tree else {}
        return {name.removesuffix(JOB_SUFFIX) for name in names if name.endswith(JOB_SUFFIX)}

    def _logged(self, tip: str) -> Mapping[str, Instant]:
        found: dict[str, Instant] = {}
        wanted = ["--diff-filter=A", "--no-renames", "--format=%x00%ct", "--name-only", tip]
        since = [f"^{self._tip}"] if self._tip else []
        time = 0
        args = ["--git-dir", str(self.git_dir), "log", *wanted, *since, "--", "/".join(_INBOX)]
        for line in check(args).splitlines():
            if line.startswith("\0"):
                time = seconds_of(line[1:])
            elif line.endswith(JOB_SUFFIX):
                found.setdefault(line.rsplit("/", 1)[1].removesuffix(JOB_SUFFIX), instant(time))
        return found
