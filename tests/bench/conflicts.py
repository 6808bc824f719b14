"""How often two of eight hosts with four slots want the same job: with jobs of no length, as fast as claims
go, and with real runners whose jobs each leave a mark for every run."""

from __future__ import annotations

import multiprocessing
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

from aq.core.files.jobfile import parse_job
from aq.core.instants import instant
from aq.core.lifecycle import Stage
from aq.core.operations import Add, Claim
from aq.core.results import Landed, Refused
from aq.ledger.ledger import Ledger
from tests.bench import contenders
from tests.bench.fixtures import git, make_clone, make_hub, open_ledger
from tests.bench.measure import Table, Target, figure, median

HOSTS, SLOTS = 8, 4
LIMIT = 0.05
_GIVE_UP = 240.0


@dataclass
class Seen:
    """The claims of one host: the tip that each was planned on, its job, and whether it landed. A claim that
    was refused for a host's own limits is not in it."""

    host: str
    claims: list[tuple[str, str, bool]] = field(default_factory=list)


@dataclass(frozen=True)
class Conflicts:
    """What the claims of all hosts came to. `same_view` are claims of a job that another host wanted, too,
    by the very same tip; `lost` all those that came too late, whatever their host had seen."""

    jobs: int
    claims: int
    same_view: int
    lost: int

    @classmethod
    def among(cls, seen: Iterable[Seen], jobs: int) -> Conflicts:
        """Counted over all hosts."""
        claims = [(tip, job, landed) for each in seen for tip, job, landed in each.claims]
        wanted = Counter((tip, job) for tip, job, _ in claims)
        doubled = sum(count - 1 for count in wanted.values())
        return cls(jobs, len(claims), doubled, sum(not landed for *_, landed in claims))


def watch(ledger: Ledger, host: str) -> Seen:
    """Notes every claim that goes through the ledger."""
    seen, perform = Seen(host), ledger.perform
    planned_on: dict[str, str] = {}

    def noting(operations: Any, *args: Any, **more: Any) -> Any:
        for operation in operations:
            planned_on.setdefault(operation.op_id, ledger.tip)
        results = perform(operations, *args, **more)
        for result in results:
            operation = result.operation
            late = isinstance(result, Refused) and " slots" not in result.refusal.reason
            if isinstance(operation, Claim) and (late or isinstance(result, Landed)):
                seen.claims.append((planned_on[operation.op_id], operation.job, isinstance(result, Landed)))
        return results

    ledger.perform = noting  # type: ignore[method-assign]
    return seen


def racer(hub: str, folder: str, name: str, gate: Any, over: Any, report: Callable[[Seen], None]) -> None:
    """A host whose jobs have no length."""
    del over
    ledger = open_ledger(hub, Path(folder), name)
    ledger.fetch()
    me = contenders.join(ledger, Path(folder), name, SLOTS, gate)
    seen = watch(ledger, name)
    gate.wait()
    started = time.monotonic()
    while not me.over and time.monotonic() - started < _GIVE_UP:
        me.round()
    ledger.close()
    report(seen)


def runner(hub: str, folder: str, name: str, gate: Any, over: Any, report: Callable[[Seen], None]) -> None:
    """A host as `aq run` makes it."""
    from aq.wiring import open_runner

    # A job leaves its mark outside of its workspace.
    os.environ.update(AQ_STATE_DIR=f"{folder}.state", AQ_SANDBOX="off")
    with open_runner(make_clone(Path(hub), Path(folder)), name, SLOTS, lambda line: None) as made:
        seen = watch(made.ledger, name)  # type: ignore[arg-type]
        made.start()
        gate.wait()
        while not over.is_set():
            made.tick()
        made.stop()
        while not made.done:
            made.tick()
        made.farewell()
    report(seen)


def _race(target: Callable[..., None], hub: Path, root: Path, until: Callable[[Any], None]) -> list[Seen]:
    context = multiprocessing.get_context("spawn")
    gate, over, queue = context.Barrier(HOSTS + 1), context.Event(), context.Queue()
    names = [f"host-{number}" for number in range(HOSTS)]
    processes = [
        context.Process(target=target, args=(str(hub), str(root / name), name, gate, over, queue.put))
        for name in names
    ]
    for process in processes:
        process.start()
    found: list[Seen] = []
    give_up = time.monotonic() + 2 * _GIVE_UP
    try:
        until(gate)
        over.set()
        while len(found) < HOSTS and time.monotonic() < give_up:
            try:
                found.append(queue.get(timeout=1.0))
            except Empty:
                if any(process.exitcode for process in processes):
                    break
    finally:
        for process in processes:
            if len(found) < HOSTS:
                process.kill()
            process.join()
    if len(found) < HOSTS:
        raise RuntimeError(f"{HOSTS - len(found)} hosts did not finish")
    return found


def _of_no_length(root: Path, jobs: int) -> Conflicts:
    hub = make_hub(root / "hub.git", jobs)

    def meet(gate: Any) -> None:
        for _ in ("every beat is published", "every host has looked"):
            gate.wait()

    seen = _race(racer, hub, root, meet)
    _claimed_once(hub, jobs)
    return Conflicts.among(seen, jobs)


def _claimed_once(hub: Path, jobs: int) -> None:
    subjects = git(hub, "log", "--format=%s", "main").splitlines()
    claimed = Counter(line.split()[1] for line in subjects if line.startswith("claim "))
    assert len(claimed) == jobs, f"{len(claimed)} of {jobs} jobs were claimed"
    assert set(claimed.values()) == {1}, claimed


def _real(root: Path, jobs: int, group: int) -> Conflicts:
    """Jobs of 0.2 to 1.2 s, in groups that come half a second apart."""
    hub, marks = make_hub(root / "hub.git", 0, cadence="local"), root / "marks"
    marks.mkdir()
    person = open_ledger(hub, root / "person", "person")

    def feed(gate: Any) -> None:
        gate.wait()
        for first in range(0, jobs, group):
            _submit(person, marks, range(first, min(jobs, first + group)))
            time.sleep(0.5)
        give_up = time.monotonic() + _GIVE_UP
        while not _all_done(person, jobs):
            assert time.monotonic() < give_up, "the jobs did not end"
            time.sleep(1.0)

    seen = _race(runner, hub, root, feed)
    person.close()
    runs = Counter(path.name.rsplit(".", 1)[0] for path in marks.iterdir())
    assert runs == {f"job-{number}.1": 1 for number in range(jobs)}, f"not one run each: {runs}"
    _claimed_once(hub, jobs)
    return Conflicts.among(seen, jobs)


def _submit(ledger: Ledger, marks: Path, numbers: Iterable[int]) -> None:
    adds = []
    for number in numbers:
        script = f"sleep {0.2 + number % 11 / 10}\nmktemp {marks}/$AQ_JOB.$AQ_EPOCH.XXXXXXXX\n"
        text = f"---\nengine: shell\n---\n{script}".encode()
        asked = {"at": instant(time.time()), "by": "alice", "op_id": secrets.token_hex(8)}
        blob, manifest = ledger.write_blob(text), parse_job(text)[0]
        adds.append(Add(**asked, job=f"job-{number}", blob=blob, manifest=manifest))
    # Eight hosts may keep a ninth party from its turn for a while.
    while not all(isinstance(result, (Landed, Refused)) for result in ledger.perform(adds)):
        time.sleep(0.1)


def _all_done(ledger: Ledger, jobs: int) -> bool:
    ledger.fetch()
    return sum(job.waits_for_person for job in ledger.snapshot().jobs(Stage.REVIEW)) == jobs


def run(root: Path, *, quick: bool) -> list[Table]:
    """One table."""
    jobs, rounds = (64, 1) if quick else (192, 3)
    cases: dict[str, Callable[[Path], Conflicts]] = {
        "jobs of no length": lambda folder: _of_no_length(folder, jobs),
        "real runs, all jobs at once": lambda folder: _real(folder, jobs, jobs),
        "real runs, 8 jobs each half second": lambda folder: _real(folder, jobs, 8),
    }
    taken: dict[str, list[Conflicts]] = {name: [] for name in cases}
    for number in range(rounds):
        for name, case in cases.items():
            folder = root / f"{number}-{len(name)}"
            folder.mkdir()
            taken[name].append(case(folder))
    rows, targets = [], []
    for name, found in taken.items():
        same, lost = (median([getattr(each, key) / jobs for each in found]) for key in ("same_view", "lost"))
        rows.append([name, str(sum(each.claims for each in found)), figure(same), figure(lost)])
        targets.append(Target(f"{name}: conflicting claims per job", same, LIMIT))
    notes = [
        f"{HOSTS} hosts with {SLOTS} slots, {jobs} jobs, {rounds} rounds, medians; every job was claimed once, and each real run left one mark",
        "`same view`: claims of a job that another host claimed by the same tip; `too late`: claims of a job that another host had taken by then, whatever its host had seen: most are of hosts that lost races for longer than `patience`",
    ]
    header = ["8 hosts x 4 slots", "claims", "same view/job", "too late/job"]
    return [Table("Conflicting claims", header, rows, targets, notes)]
