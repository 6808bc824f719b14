"""Many host processes on one hub: claims per second and wasted pushes, beside the naive loop."""

from __future__ import annotations

import contextlib
import multiprocessing
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

from tests.bench import contenders
from tests.bench.contenders import Tally
from tests.bench.fixtures import git, make_hub
from tests.bench.measure import Table, Target, figure, median, ratio

_HOSTS = (1, 2, 4, 8, 16)
_CLAIM = re.compile(r"^claim (\S+) on (\S+)")
_GIVE_UP = 120.0
_WAITING = 600


@dataclass(frozen=True)
class Race:
    """One configuration. `free` is 0 for the naive loop."""

    hosts: int
    free: int = 0
    finish: bool = False

    @property
    def name(self) -> str:
        if not self.free:
            return "naive"
        return (
            f"{self.free} slot{'s' * (self.free > 1)}, with landing" if self.finish else f"{self.free} free"
        )


@dataclass(frozen=True)
class Outcome:
    """What one race came to."""

    rate: float
    wasted: float
    per_push: float
    least: int
    most: int


def _start(race: Race, hub: Path, root: Path, seconds: float) -> list[Tally]:
    context = multiprocessing.get_context("spawn")
    gate, queue = context.Barrier(race.hosts), context.Queue()
    processes = []
    for number in range(race.hosts):
        name = f"host-{number:02d}"
        common = (str(hub), str(root / name), name)
        target: Callable[..., None] = contenders.host if race.free else contenders.naive
        extra: tuple[Any, ...] = (race.free, race.finish) if race.free else ()
        processes.append(context.Process(target=target, args=(*common, *extra, seconds, gate, queue.put)))
    for process in processes:
        process.start()
    tallies: list[Tally] = []
    give_up = time.monotonic() + _GIVE_UP
    try:
        while len(tallies) < len(processes):
            with contextlib.suppress(Empty):
                tallies.append(queue.get(timeout=1.0))
            if any(process.exitcode for process in processes) or time.monotonic() > give_up:
                raise RuntimeError(f"a host of the race {race.hosts} x {race.name} did not finish")
    finally:
        for process in processes:
            if len(tallies) < len(processes):
                process.kill()
            process.join()
    return tallies


def _check(hub: Path, tallies: list[Tally]) -> None:
    """The hub's own history: no job twice, and every claim that a host counts is its own there."""
    claims = [
        match.groups()
        for line in git(hub, "log", "--format=%s", "main").splitlines()
        if (match := _CLAIM.match(line))
    ]
    twice = [job for job, count in Counter(job for job, _ in claims).items() if count > 1]
    assert not twice, f"claimed twice: {twice}"
    owner = dict(claims)
    for tally in tallies:
        wrong = [job for _, job in tally.claims if owner.get(job) != tally.host]
        assert not wrong, f"{tally.host} counts claims that are not its own: {wrong}"


def run_race(race: Race, template: Path, root: Path, seconds: float) -> Outcome:
    """One race on a fresh copy of the hub."""
    hub = root / "hub.git"
    shutil.copytree(template, hub)
    tallies = _start(race, hub, root, seconds)
    _check(hub, tallies)
    shutil.rmtree(root)
    times = [at for tally in tallies for at, _ in tally.claims]
    in_time = sum(at <= seconds for at in times)
    span = max(times) if len(times) == _WAITING else seconds
    pushes, lost = sum(t.pushes for t in tallies), sum(t.lost for t in tallies)
    each = [len(tally.claims) for tally in tallies]
    count = max(1, len(times))
    return Outcome(in_time / span, lost / count, count / max(1, pushes - lost), min(each), max(each))


def run(root: Path, *, quick: bool) -> list[Table]:
    """One table of all configurations, each run in turn, several times."""
    seconds, rounds = (4.0, 1) if quick else (6.0, 3)
    hosts = (1, 2, 8) if quick else _HOSTS
    template = make_hub(root / "template.git", _WAITING)
    races = [
        race
        for count in hosts
        for race in (Race(count), Race(count, 1), Race(count, 8), Race(count, 8, finish=True))
    ]
    outcomes: dict[Race, list[Outcome]] = {race: [] for race in races}
    for _ in range(rounds):
        for race in races:
            outcomes[race].append(run_race(race, template, root / "race", seconds))
    return [_table(outcomes, rounds, seconds)]


def _middle(found: list[Outcome]) -> Outcome:
    values = [
        median([getattr(outcome, name) for outcome in found]) for name in ("rate", "wasted", "per_push")
    ]
    return Outcome(*values, min(o.least for o in found), max(o.most for o in found))


def _table(outcomes: dict[Race, list[Outcome]], rounds: int, seconds: float) -> Table:
    found = {race: _middle(each) for race, each in outcomes.items()}
    rows = []
    for race, outcome in found.items():
        base = found[Race(race.hosts)].rate
        fair = f"{outcome.least}..{outcome.most}"
        rows.append(
            [
                f"{race.hosts} x {race.name}",
                figure(outcome.rate),
                ratio(outcome.rate, base),
                figure(outcome.wasted),
                figure(outcome.per_push),
                fair,
            ]
        )
    best = found[Race(8, 8)]
    times = best.rate / found[Race(8)].rate
    # Either will do: how much a machine can push in a second is not ours to say.
    fast = Target("8 hosts x 8 free slots, claims/s", best.rate, 60, at_least=True)
    faster = Target("8 hosts x 8 free slots / naive", times, 5, "x", at_least=True)
    wasted = Target("8 hosts x 8 free slots, wasted pushes per claim", best.wasted, 0.3)
    targets = [fast if fast.met else faster, wasted]
    notes = [
        f"{rounds} rounds of {seconds:g} s; claims of the whole fleet; no job was claimed twice in the history of any hub",
        "`free`: every host has that many free slots at any time, as in a burst. `with landing`: jobs of no length on real slots, which come free when the landing is pushed",
        "all hosts and the hub share this machine's cores",
    ]
    header = ["hosts x slots", "claims/s", "to naive", "wasted/claim", "claims/won push", "per host"]
    return Table("Claims under contention", header, rows, targets, notes)
