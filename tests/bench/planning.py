"""One planning pass over many waiting jobs and hosts: pure, so nothing but the plan is in it."""

from __future__ import annotations

from pathlib import Path

from aq.core.fleet import Beat
from aq.core.instants import later
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.manifest import Deps, Priority
from aq.core.planning.plan import plan
from aq.core.record import Record, Run
from aq.core.snapshot import Snapshot
from tests.bench.measure import Table, Target, figure, interleave
from tests.support.builders import NOW, OFFERS, beat, job, snapshot

_SIZES = ((10_000, 50, 150.0), (1_000, 10, 10.0))
_ASKED: tuple[tuple[str, ...], ...] = (("has:docker",), ("node>=20",), ("gpu",), ())
_PRIORITIES = tuple(Priority)


def _waiting(number: int) -> Job:
    return job(
        f"w{number:05}",
        engine="claude" if number % 3 else "shell",
        priority=_PRIORITIES[number % 4],
        product=f"p{number % 5}",
        repo=("billing", "search")[number % 2],
        capabilities=_ASKED[number % 4],
        prefers=("host:h3",) if number % 2 else (),
        deps=Deps((f"t{number:05}",)) if number % 50 == 0 else Deps(),
        record=Record(queued=later(NOW, -60 * (number % 300))),
    )


def _ran(number: int, hosts: int) -> Job:
    run = Run(1, f"h{number % hosts}", "n", "claude", later(NOW, -600), 1, outcome="passed", usd=0.1)
    return job(f"t{number:05}", Stage.TESTING, repo="billing", record=Record(epoch=1, since=NOW, runs=(run,)))


def _host(number: int) -> Beat:
    special = {"gpu"} if number % 7 == 0 else set()
    offers = OFFERS | {"docker=27", "node=22", f"host:h{number}", "repo:billing", "repo:search"} | special
    engines = {"shell": "shell", "claude": "agentic-coder"}
    return beat(f"h{number}", slots=4, offers=offers, engines=engines)


def fleet_of(jobs: int, hosts: int) -> tuple[Snapshot, dict[str, Beat]]:
    """A queue with so many waiting jobs, a history, and hosts with four free slots each."""
    done = [_ran(number, hosts) for number in range(jobs // 10)]
    beats = [_host(number) for number in range(hosts)]
    return snapshot([*map(_waiting, range(jobs)), *done]), {each.host: each for each in beats}


def run(root: Path, *, quick: bool) -> list[Table]:
    """One table."""
    del root
    made = {(jobs, hosts): fleet_of(jobs, hosts) for jobs, hosts, _ in _SIZES}
    cases = {
        f"{jobs} {hosts}": lambda view=made[jobs, hosts]: plan(*view, NOW)  # type: ignore[misc]
        for jobs, hosts, _ in _SIZES
    }
    taken = interleave(cases, 5 if quick else 25)
    rows, targets = [], []
    for jobs, hosts, limit in _SIZES:
        times = sorted(taken[f"{jobs} {hosts}"])
        middle = times[len(times) // 2]
        given = len(plan(*made[jobs, hosts], NOW).assignments)
        rows.append([str(jobs), str(hosts), str(given), figure(times[0]), figure(middle)])
        targets.append(Target(f"a pass over {jobs} jobs and {hosts} hosts, fastest", times[0], limit, " ms"))
    return [
        Table("planning", ["waiting jobs", "hosts", "assigned", "fastest, ms", "median, ms"], rows, targets)
    ]
