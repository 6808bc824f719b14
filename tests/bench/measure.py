"""Timing and tables: interleaved cases, medians, counted processes, Markdown that reads well as text."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Case = Callable[[], object]


@dataclass(frozen=True)
class Target:
    """A figure and the limit it has to keep."""

    what: str
    value: float
    limit: float
    unit: str = ""
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign, word = (">=" if self.at_least else "<="), ("met" if self.met else "MISSED")
        return (
            f"{self.what}: {figure(self.value)}{self.unit} (target {sign} {self.limit:g}{self.unit}): {word}"
        )


@dataclass
class Table:
    """One result: a table, what it shows, and the targets it is held to."""

    title: str
    header: list[str]
    rows: list[list[str]]
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """The table as aligned Markdown."""
        yield f"## {self.title}"
        yield ""
        widths = [max(len(row[i]) for row in [self.header, *self.rows]) for i in range(len(self.header))]
        rule = ["-" * width if not i else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
        for row in [self.header, rule, *self.rows]:
            cells = [
                cell.ljust(width) if not i else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            yield f"| {' | '.join(cells)} |"
        yield ""
        yield from (f"- {line}" for line in [*self.notes, *map(str, self.targets)])
        yield ""

    def as_json(self) -> dict[str, Any]:
        """The table as plain data."""
        rows = [dict(zip(self.header, row, strict=True)) for row in self.rows]
        targets = [
            {"what": t.what, "value": t.value, "limit": t.limit, "unit": t.unit.strip(), "met": t.met}
            for t in self.targets
        ]
        return {"title": self.title, "rows": rows, "targets": targets, "notes": self.notes}


def interleave(cases: Mapping[str, Case], rounds: int, warm: int = 1) -> dict[str, list[float]]:
    """Milliseconds of each case, run in turn so that a noisy minute hits all of them alike."""
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(rounds + warm):
        for name, case in cases.items():
            started = time.perf_counter()
            case()
            if turn >= warm:
                taken[name].append((time.perf_counter() - started) * 1e3)
    return taken


def median(values: list[float]) -> float:
    return statistics.median(values)


def figure(value: float) -> str:
    """A number with about three figures that mean something."""
    size = abs(value)
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def grouped(number: int) -> str:
    """A whole number for people."""
    return f"{number:,}".replace(",", " ")


def ratio(value: float, base: float) -> str:
    return f"{figure(value / base)}x" if base else "-"


_spawned = 0
_hooked = False


def _count(event: str, args: tuple[Any, ...]) -> None:
    global _spawned
    if event in ("subprocess.Popen", "os.posix_spawn", "os.fork"):
        _spawned += 1


@contextmanager
def counted_processes() -> Iterator[Callable[[], int]]:
    """Yields a function that says how many processes were started inside the block."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_count)
        _hooked = True
    before = _spawned
    yield lambda: _spawned - before
