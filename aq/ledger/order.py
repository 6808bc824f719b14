"""Where each waiting job stands in the queue, by the ids of its files: kept on disk, so that showing the
first few of ten thousand jobs does not mean to parse them all."""

from __future__ import annotations

import contextlib
import heapq
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from aq.core.instants import Instant
from aq.core.job import Job
from aq.core.sealed import summed, unsummed
from aq.ledger.listing import Files
from aq.ledger.store import write_atomic

# Job file, record, rank of the priority, time of arrival.
_Place = tuple[str, str, int, Instant]


class OrderIndex:
    """The places of one inbox. `path` is None for one that is not kept."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._priority = ""
        self._places: dict[str, _Place] | None = None
        self._saved = True

    def first(
        self, count: int, files: Mapping[str, Files], priority: str, parse: Callable[[list[str]], list[Job]]
    ) -> list[str]:
        """The first jobs in order. `priority` is the fleet's default; `parse` gets the jobs whose files
        are not known yet."""
        places = self._load() if self._places is None else self._places
        if priority != self._priority:
            places, self._priority = {}, priority
        fresh = [name for name, each in files.items() if places.get(name, ())[:2] != (each.job, each.record)]
        for job in parse(fresh):
            rank, queued, name = job.order
            places[name] = (files[name].job, files[name].record, rank, queued)
        if fresh or len(places) != len(files):
            places, self._saved = {name: places[name] for name in files}, False
        self._places = places
        return heapq.nsmallest(count, places, key=lambda name: (*places[name][2:], name))

    def _load(self) -> dict[str, _Place]:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            saved = json.loads(unsummed(self.path.read_text("utf-8"))) if self.path else {}
            places = {
                name: (job, record, int(rank), at) for name, (job, record, rank, at) in saved["jobs"].items()
            }
            self._priority = str(saved["priority"])
            return places
        return {}

    def flush(self) -> None:
        """Write the places down. Losing them costs only time."""
        if self.path and not self._saved:
            self._saved = True
            content = json.dumps({"priority": self._priority, "jobs": self._places}, separators=(",", ":"))
            with contextlib.suppress(OSError):
                write_atomic(self.path, summed(content).encode())
