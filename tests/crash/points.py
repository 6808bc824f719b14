"""Crash points: an operation dies at its Nth file-changing system call (Linux), or before or after its Nth
git process (anywhere), with everything that it started. Then: is the queue whole, and does a restart do?"""

from __future__ import annotations

import random
import shutil
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.cases import CASES, Case
from tests.crash.shim import GitShim
from tests.crash.tracer import Traced, why_not
from tests.crash.world import Template, World, apart, quietly, tell

SYSCALL, GIT = "file-changing call", "git process"


@dataclass
class Found:
    """What a series of points showed."""

    points: int = 0
    trouble: list[str] = field(default_factory=list)


@dataclass
class Series:
    """The points of one operation of one kind."""

    name: str
    kind: str
    root: Path

    def __post_init__(self) -> None:
        self.case: Case = CASES[self.name]
        self.log = self.root / "log"
        self.template = Template(self.root, self.case.prepare)
        self.total = self._count()

    def _count(self) -> int:
        world = self.template.restore()
        step = self._victim(world, 0)
        code, steps, _ = step
        assert code in (0, 1), f"{self.name} exits {code} when nothing happens to it: {self._said()}"
        return steps

    def _victim(self, world: World, at: int) -> tuple[int, int, str]:
        """Exit code, how many steps there were, and what the last was."""
        act = quietly(lambda: self.case.act(world), self.log)
        if self.kind is GIT:
            shim = GitShim(self.root / "shim", at)
            code = shim.run(act)
            return code, shim.calls, shim.last
        traced = Traced(world.root, at)
        code = traced.run(act)
        return code, len(traced.steps), traced.steps[-1] if traced.steps else ""

    def check(self, at: int) -> str | None:
        """One point: what went wrong, an empty text when nothing did, None when it was not reached."""
        world = self.template.restore()
        self.log.unlink(missing_ok=True)
        _, steps, last = self._victim(world, at)
        if steps < at:
            return None
        where = f"{self.name}, {self.kind} {at} of {self.total} ({last})"
        if apart(lambda: self.case.again(world), self.log):
            return f"{where}: the restart: {self._said()}"
        try:
            self.case.holds(world)
        except (AssertionError, KeyError):
            return f"{where}: in the end: {traceback.format_exc(limit=-1)}\n{self._said()}"
        return ""

    def _said(self) -> str:
        return self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""


def check_points(
    root: Path,
    sample: int,
    seed: int,
    only: str = "",
    cases: int = 0,
    kinds: tuple[str, ...] = (SYSCALL, GIT),
) -> Found:
    """So many points of so many operations, chosen by the seed; 0 for all."""
    found, dice = Found(), random.Random(seed)
    root.mkdir(parents=True, exist_ok=True)
    for kind in kinds:
        if kind is SYSCALL and why_not():
            continue
        for name in chosen_cases(dice, only, cases):
            _check_series(Series(name, kind, root), found, dice, sample)
    shutil.rmtree(root, ignore_errors=True)
    return found


def chosen_cases(dice: random.Random, only: str, count: int) -> list[str]:
    """The cases with a word in their name, or so many of them."""
    named = [name for name in CASES if only in name]
    return sorted(dice.sample(named, min(count, len(named))), key=named.index) if count else named


def _check_series(series: Series, found: Found, dice: random.Random, sample: int) -> None:
    points = range(1, series.total + 1)
    before = found.points
    for at in sorted(dice.sample(points, min(sample, series.total))) if sample else points:
        said = series.check(at)
        if said is None:
            continue
        found.points += 1
        if said:
            found.trouble.append(said)
            tell(f"TROUBLE {said}")
    tell(f"{series.name}: {found.points - before} of {series.total} at a {series.kind}")
