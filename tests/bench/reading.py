"""Reading a one-job change and building a claim commit, while the archive grows a thousandfold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aq.core.change import Change
from aq.core.event import render
from aq.core.layout import file_edits
from aq.ledger.commits import Committer
from aq.ledger.ledger import Ledger
from aq.ledger.reader import Reader
from tests.bench.fixtures import claim, make_hub, open_ledger, waiting_id
from tests.bench.measure import Table, Target, counted_processes, figure, grouped, interleave, median, ratio

_WAITING = 500
_SIZES = (100, 10_000, 100_000)
_QUICK_SIZES = (100, 10_000)


@dataclass
class _Bench:
    """One size: a writer that made a chain of claims, and a reader that has seen none of them."""

    writer: Ledger
    reader: Ledger
    chain: list[str]
    at: int = 0
    processes: int = 0

    def read(self) -> None:
        self.at += 1
        snapshot = self.reader.reader.snapshot(self.chain[self.at])
        # A Folder parses what is looked at: the claimed job is what changed.
        assert snapshot.find(waiting_id(self.at - 1)).lease

    def build(self) -> None:
        with counted_processes() as count:
            _claimed(self.writer, self.chain[0], waiting_id(self.at + _WAITING // 2))
            self.processes += count()


def _claimed(ledger: Ledger, tip: str, job: str) -> str:
    operation = claim(job, "ada")
    change = operation.decide(ledger.reader.snapshot(tip))
    assert isinstance(change, Change), change
    return ledger.committer.commit(tip, file_edits(change), render(change.event), ledger.who, operation.at)


def _bench(root: Path, shipped: int, changes: int) -> _Bench:
    hub = make_hub(root / f"{shipped}.git", _WAITING, shipped)
    writer, reader = (open_ledger(hub, root / str(shipped), role) for role in ("writer", "reader"))
    writer.fetch()
    reader.fetch()
    snapshot = reader.snapshot()
    assert len(snapshot.archive) == shipped
    assert all(job.manifest.engine for job in snapshot.jobs())
    chain = [writer.tip]
    for number in range(changes):
        chain.append(_claimed(writer, chain[-1], waiting_id(number)))
    # The chain stays in the writer's memory, so that the building is timed alone.
    writer.reader = Reader(writer.objects, writer.cache, writer.arrivals.times)
    writer.committer = Committer(writer.objects)
    writer.reader.snapshot(chain[0])
    return _Bench(writer, reader, chain)


def run(root: Path, *, quick: bool) -> list[Table]:
    """Two tables: reading, and building."""
    rounds, warm = (20, 3) if quick else (60, 5)
    sizes = _QUICK_SIZES if quick else _SIZES
    benches = {size: _bench(root, size, rounds + warm) for size in sizes}
    read = interleave({str(size): bench.read for size, bench in benches.items()}, rounds, warm)
    built = interleave({str(size): bench.build for size, bench in benches.items()}, rounds, warm)
    for bench in benches.values():
        bench.writer.close()
        bench.reader.close()
    processes = sum(bench.processes for bench in benches.values())
    return [_reading(read), _building(built, processes)]


def _rows(taken: dict[str, list[float]]) -> tuple[list[list[str]], list[float]]:
    values = [median(times) for times in taken.values()]
    rows = [
        [grouped(int(size)), figure(value), figure(max(taken[size])), ratio(value, values[0])]
        for size, value in zip(taken, values, strict=True)
    ]
    return rows, values


def _reading(taken: dict[str, list[float]]) -> Table:
    rows, values = _rows(taken)
    targets = [
        Target("slowest / fastest size", max(values) / min(values), 2.0, "x"),
        Target("slowest size", max(values), 3.0, " ms"),
    ]
    notes = [f"{_WAITING} waiting jobs; from a fetched tip to a snapshot with the changed job parsed"]
    return Table("Reading a one-job change", ["archived jobs", "ms", "max", "ratio"], rows, targets, notes)


def _building(taken: dict[str, list[float]], processes: int) -> Table:
    rows, values = _rows(taken)
    targets = [Target("slowest size", max(values), 5.0, " ms"), Target("processes started", processes, 0)]
    notes = [f"{_WAITING} waiting jobs; decide, format, splice the trees, write every object"]
    return Table("Building a claim commit", ["archived jobs", "ms", "max", "ratio"], rows, targets, notes)
