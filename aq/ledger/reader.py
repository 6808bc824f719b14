"""The queue at a commit as a Snapshot, incrementally: a folder whose tree did not change is reused,
a job whose files did not change is reused, a blob that was parsed is not parsed again."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations

from aq.core.distrust import NOTHING, Distrust
from aq.core.layout import PROFILES, QUEUE, SPEND
from aq.core.lifecycle import Stage
from aq.core.settings import Amount, Pause, Settings, Spend
from aq.core.snapshot import OPEN_STAGES, Problem, Snapshot
from aq.ledger.archive import TreeArchive, Without
from aq.ledger.commits import parse_commit
from aq.ledger.jobs import Arrived, Folder, JobParser
from aq.ledger.listing import Listing
from aq.ledger.manifests import ParseCache
from aq.ledger.objects import Objects
from aq.ledger.order import OrderIndex
from aq.ledger.profiles import Profiles
from aq.ledger.settled import Settled
from aq.ledger.trees import FILE_MODE, TREE_MODE, entries_of, names_of

_SPEND_FILE = re.compile(r"\d{4}-\d\d-\d\d\.yaml")


def _seniority(folder: Folder, name: str) -> tuple[bool, bool, bool]:
    recorded = bool(folder.files[name].record)
    return recorded, recorded and folder[name].record.stage is folder.stage, folder.stage is Stage.INBOX


def _instead(
    entries: dict[str, tuple[bytes, str]], folder: str, distrust: Distrust
) -> dict[str, tuple[bytes, str]]:
    """The entries of a folder, with the last trusted blob where the present one is not to be obeyed."""
    for path, blob in distrust.instead.items():
        above, _, name = path.rpartition("/")
        if above == folder:
            entries = {**entries, name: (FILE_MODE if " " not in blob else b"", blob)}
            if not blob:
                del entries[name]
    return entries


class Reader:
    """Reads snapshots from one store, remembering the last one."""

    def __init__(
        self,
        objects: Objects,
        cache: ParseCache,
        arrived: Arrived,
        oid_size: int = 20,
        order: OrderIndex | None = None,
        settled: Settled | None = None,
    ) -> None:
        self.objects, self.cache, self.oid_size = objects, cache, oid_size
        self.parser = JobParser(objects, cache, arrived, order or OrderIndex(), settled or Settled())
        # What a host that trusts signed commits only does not obey, and where its signers are from.
        self.distrust: Callable[[str], tuple[Distrust, str]] = lambda _: (NOTHING, "")
        self._last: Snapshot | None = None
        self._oids: dict[str, str] = {}

    def snapshot(self, tip: str) -> Snapshot:
        """The queue at a commit. Raises MissingObjectError when the store is damaged."""
        if self._last and self._last.tip == tip:
            return self._last
        distrust, signers = self.distrust(tip)
        root = self._entries(parse_commit(self.objects.read(tip)).tree)
        queue = _instead(self._below(root, QUEUE), QUEUE, distrust)
        self.parser.tip = tip
        settings, settings_error = self._settings(queue)
        self._profiles(_instead(self._below(root, PROFILES), PROFILES, distrust))
        archive = self._archive(queue)
        self.parser.archive = archive
        before, self.parser.distrusted = self.parser.distrusted, distrust.jobs
        stages = self._stages(queue)
        self._forget(stages, before.items() ^ distrust.jobs.items())
        shipped = {name: job for name in distrust.jobs if (job := archive.get(name))}
        problems = tuple(problem for folder in stages.values() for problem in folder.problems)
        problems += tuple(
            Problem(f"{QUEUE}/{s}", "a file has the name of a stage folder: remove it")
            for s in Stage
            if s in queue and queue[s][0] != TREE_MODE
        )
        self._last = Snapshot(
            tip,
            {**stages, Stage.SHIPPED: {**stages.get(Stage.SHIPPED, {}), **shipped}} if shipped else stages,
            Without(archive, frozenset(shipped)) if shipped else archive,
            problems,
            settings,
            settings_error,
            self._pause(queue),
            self._spend(queue, distrust),
            self.parser.profiles,
            distrust,
            signers,
        )
        return self._last

    @staticmethod
    def _forget(stages: Mapping[Stage, Folder], changed: set[tuple[str, str]]) -> None:
        """Look again at the jobs that are trusted now, or are no more."""
        for folder in stages.values():
            for name, _ in changed:
                folder.forget(name)

    def _entries(self, tree: str) -> dict[str, tuple[bytes, str]]:
        return entries_of(self.objects.tree(tree), self.oid_size) if tree else {}

    def _below(self, entries: Mapping[str, tuple[bytes, str]], name: str) -> dict[str, tuple[bytes, str]]:
        """The entries of a folder; none when something else has its name, such as a submodule."""
        mode, oid = entries.get(name, (b"", ""))
        return self._entries(oid) if mode == TREE_MODE else {}

    def _stages(self, queue: Mapping[str, tuple[bytes, str]]) -> dict[Stage, Folder]:
        stages: dict[Stage, Folder] = {}
        for stage in OPEN_STAGES:
            mode, oid = queue.get(stage, (TREE_MODE, ""))
            stages[stage] = self._folder(stage, oid if mode == TREE_MODE else "")
        misplaced = self._misplaced(queue)
        if misplaced:
            stages[Stage.SHIPPED] = misplaced
        old = self._last.stages if self._last else {}
        if any(old.get(stage) is not folder for stage, folder in stages.items()):
            self._find_duplicates(list(stages.values()))
        return stages

    def _misplaced(self, queue: Mapping[str, tuple[bytes, str]]) -> Folder | None:
        """What a person put straight into `shipped`, outside the day folders."""
        mode, oid = queue.get(Stage.SHIPPED, (b"", ""))
        found = names_of(self.objects.tree(oid), self.oid_size) if oid and mode == TREE_MODE else []
        flat = [line for line in found if not line[1].startswith(b".") and not line[1].isdigit()]
        if not flat:
            return None
        raw = b"".join(b"%s %s\0%s" % line for line in flat)
        return Folder(self.parser, Stage.SHIPPED, Stage.SHIPPED, Listing().after(raw, self.oid_size))

    def _folder(self, stage: Stage, tree: str) -> Folder:
        old = self._last.stages.get(stage) if self._last else None
        before = old if isinstance(old, Folder) else None
        if before and before.tree == tree:
            return before
        listing = before.listing if before else Listing()
        raw = self.objects.tree(tree) if tree else b""
        return Folder(self.parser, stage, str(stage), listing.after(raw, self.oid_size), before, tree)

    def _find_duplicates(self, folders: list[Folder]) -> None:
        """The same id in two folders: the older copy stays in play. It is the one whose record says that
        it is there, or without any record the one in the inbox."""
        names: set[str] = set()
        for one, other in combinations(folders, 2):
            names |= one.files.keys() & other.files.keys()
        found: dict[str, str] = {}
        for name in names:
            copies = [folder for folder in folders if name in folder]
            keeper = max(copies, key=lambda copy: _seniority(copy, name))
            why = f"the id is also in {keeper.stage}: this copy is out of play"
            found.update({f"{copy.path}/{name}": why for copy in copies if copy is not keeper})
        if found != self.parser.duplicates:
            by_path = {folder.path: folder for folder in folders}
            for key in set(found) ^ set(self.parser.duplicates):
                path, name = key.rsplit("/", 1)
                if path in by_path:
                    by_path[path].forget(name)
            self.parser.duplicates = found

    def _archive(self, queue: Mapping[str, tuple[bytes, str]]) -> TreeArchive:
        mode, oid = queue.get(Stage.SHIPPED, (TREE_MODE, ""))
        last = self._last.archive if self._last else None
        old = last if isinstance(last, TreeArchive) else None
        if old is not None and old.oid == oid:
            return old
        return TreeArchive(self.parser, self.oid_size, oid if mode == TREE_MODE else "", old)

    def _blob(self, queue: Mapping[str, tuple[bytes, str]], name: str) -> tuple[str, bytes | None]:
        mode, oid = queue.get(name, (b"", ""))
        return (oid, self.objects.read(oid)) if oid and mode == FILE_MODE else ("", None)

    def _settings(self, queue: Mapping[str, tuple[bytes, str]]) -> tuple[Settings, str]:
        mode, oid = queue.get("aq.yaml", (b"", ""))
        if self._last and self._oids.get("aq.yaml") == oid:
            return self._last.settings, self._last.settings_error
        self._oids["aq.yaml"] = oid
        found = self.cache.settings(oid) if mode == FILE_MODE else Settings()
        error = found if isinstance(found, str) else ""
        # An invalid file counts as paused; the last good settings serve what runs.
        fallback = self._last.settings if self._last else Settings()
        settings = fallback if isinstance(found, str) else found
        if settings.defaults != self.parser.defaults:
            self.parser.defaults = settings.defaults
            self._oids = {"aq.yaml": oid}
            self._last = None
        return settings, error

    def _profiles(self, entries: Mapping[str, tuple[bytes, str]]) -> None:
        """The profiles of the tip. When one changes, so may every job: they are put together anew."""
        files = {
            name.removesuffix(".md"): oid
            for name, (mode, oid) in entries.items()
            if name.endswith(".md") and name != "README.md" and mode == FILE_MODE
        }
        if files != self.parser.profiles.files:
            self.parser.profiles = Profiles(self.cache, files)
            self._last = None

    def _pause(self, queue: Mapping[str, tuple[bytes, str]]) -> Pause | None:
        if "PAUSED" not in queue:
            return None
        oid, content = self._blob(queue, "PAUSED")
        if content is None or not content.strip():
            return Pause(why="queue/PAUSED is there")
        value = self.cache.value(Pause, oid, content, f"{QUEUE}/PAUSED")
        return Pause(why=f"queue/PAUSED cannot be read: {value}") if isinstance(value, str) else value

    def _spend(self, queue: Mapping[str, tuple[bytes, str]], distrust: Distrust) -> Mapping[str, Spend]:
        days = _instead(self._below(queue, "spend"), SPEND, distrust)
        files = {name.removesuffix(".yaml"): e for name, e in days.items() if _SPEND_FILE.fullmatch(name)}
        return _SpendDays(self.cache, files)


class _SpendDays(Mapping[str, Spend]):
    """The spend of each day, read when it is asked for. What cannot be read counts as everything
    spent: a limit must not be lifted by a broken file."""

    def __init__(self, cache: ParseCache, files: Mapping[str, tuple[bytes, str]]) -> None:
        self._cache, self._files = cache, files

    def __getitem__(self, day: str) -> Spend:
        mode, oid = self._files[day]
        path = f"{QUEUE}/spend/{day}.yaml"
        value = self._cache.value(Spend, oid, None, path) if mode == FILE_MODE else "not a plain file"
        return Spend(Amount(settled=math.inf)) if isinstance(value, str) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)
