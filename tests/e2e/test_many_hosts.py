"""Many real hosts that share only a bare remote: every job runs exactly once and ends where it should."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from aq.core.files.jobfile import parse_job
from aq.core.lifecycle import Stage
from aq.core.operations import Add
from aq.core.results import Landed
from tests.support.audit import audit
from tests.support.fleet import Fleet, op, wait_until

FULL = os.environ.get("AQ_FULL") == "1"
# No host dies here: a busy machine must not look like a dead one.
CALM = "cadence: {preset: local, poll: 1s, beat: 4s, ttl: 90s, grace: 5s, patience: 2s}\n"
ENDED = (Stage.REVIEW, Stage.TESTING, Stage.DEAD_LETTER, Stage.FAILED)


@pytest.fixture
def calm(tmp_path: Path, hermetic_home: Path) -> Iterator[Fleet]:
    """A fleet whose leases outlive any stall of the machine."""
    made = Fleet(tmp_path / "fleet", CALM)
    yield made
    made.end()


def _job(kind: int, traces: Path, seed: int) -> tuple[str, Stage, int]:
    """A job's text, where it must end, and how often it must run."""
    nap = random.Random(seed).uniform(0, 0.3)
    script = f"sleep {nap:.2f}\ntouch done\nmktemp {traces}/$AQ_JOB.$AQ_EPOCH.XXXXXXXX\n"
    if kind == 0:
        return f"---\nengine: shell\n---\n{script}", Stage.REVIEW, 1
    if kind == 1:
        front = "engine: shell\nretry: {max: 1, backoff: 0s}"
        return f"---\n{front}\n---\n{script}exit 3\n", Stage.DEAD_LETTER, 2
    return f"---\nengine: shell\nverify: test -f done\n---\n{script}", Stage.TESTING, 1


def _submit(fleet: Fleet, texts: dict[str, str]) -> None:
    ledger = fleet.you.ledger()
    adds = []
    for name, text in texts.items():
        content = text.encode()
        adds.append(Add(**op(), job=name, blob=ledger.write_blob(content), manifest=parse_job(content)[0]))
    assert all(isinstance(result, Landed) for result in ledger.perform(adds))


def _settled(fleet: Fleet, count: int) -> bool:
    snapshot = fleet.snapshot()
    rest = sum(job.to_be_verified or job.lease is not None for job in snapshot.jobs(Stage.REVIEW))
    return not rest and sum(len(snapshot.stages[stage]) for stage in ENDED) == count


def _race(fleet: Fleet, traces: Path, hosts: int, jobs: int, slots: int) -> None:
    """All jobs through all hosts, then the laws."""
    traces.mkdir()
    made = {f"job-{n:03d}": _job(n % 5, traces, n) for n in range(jobs)}
    _submit(fleet, {name: text for name, (text, _, _) in made.items()})
    names = [f"host-{n}" for n in range(hosts)]
    processes = [fleet.start(name, "--slots", str(slots)) for name in names]
    wait_until(lambda: _settled(fleet, jobs), 120 + jobs * 4, "every job to end")
    assert [process.poll() for process in processes] == [None] * hosts
    for process in processes:
        process.terminate()
    assert [process.wait(30) for process in processes] == [0] * hosts
    runs = Counter(path.name.rsplit(".", 1)[0] for path in traces.iterdir())
    wanted = {f"{name}.{epoch}": 1 for name, (_, _, often) in made.items() for epoch in range(1, often + 1)}
    assert dict(runs) == wanted
    seen = audit(fleet.hub)
    assert seen.stages() == {name: stage for name, (_, stage, _) in made.items()}
    assert dict(seen.claims()) == {name: often for name, (_, _, often) in made.items()}
    used = {event.host for event in seen.events if event.op == "claim"}
    assert len(used) > 1, "the work is shared"
    assert not any("Traceback" in fleet.machine(name).log for name in names)


@pytest.mark.parametrize(
    ("hosts", "jobs"), [pytest.param(2, 16, id="two hosts"), pytest.param(8, 24, id="eight hosts")]
)
def test_every_job_runs_exactly_once_and_history_is_linear_and_legal(
    calm: Fleet, tmp_path: Path, hosts: int, jobs: int
) -> None:
    _race(calm, tmp_path / "traces", hosts, jobs, slots=1 if hosts > 2 else 2)


@pytest.mark.slow
@pytest.mark.skipif(not FULL, reason="full size runs with AQ_FULL=1")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("hosts", [pytest.param(2, id="two hosts"), pytest.param(8, id="eight hosts")])
def test_two_hundred_jobs_run_exactly_once(calm: Fleet, tmp_path: Path, hosts: int) -> None:
    _race(calm, tmp_path / "traces", hosts, 200, slots=4)
