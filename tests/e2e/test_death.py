"""Hosts that die, freeze or come back: their work is taken over, and a late result never lands."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aq.core.job import Job
from aq.core.lifecycle import Stage
from tests.support.audit import Audit, audit
from tests.support.fleet import Fleet, Machine, git, wait_until
from tests.support.processes import left_over
from tests.support.remotes import away, kill_client_once

TTL, GRACE = 6.0, 1.0
MORTAL = f"cadence: {{preset: local, poll: 0.4s, beat: 1s, ttl: {TTL}s, grace: {GRACE}s, patience: 0.5s}}\n"
LASTING = "cadence: {preset: local, poll: 0.2s, beat: 0.5s, ttl: 10m, grace: 10s, patience: 0.5s}\n"


@pytest.fixture
def make_fleet(tmp_path: Path, hermetic_home: Path) -> Iterator[Callable[[str], Fleet]]:
    """Makes a fleet with given settings, ended with the test."""
    made: list[Fleet] = []

    def make(settings: str) -> Fleet:
        made.append(Fleet(tmp_path / "fleet", settings))
        return made[-1]

    yield make
    for fleet in made:
        fleet.end()


@pytest.fixture
def mortal(make_fleet: Callable[[str], Fleet]) -> Fleet:
    """A fleet that gives a silent host up after seconds."""
    return make_fleet(MORTAL)


@pytest.fixture
def target(tmp_path: Path, hermetic_home: Path) -> Path:
    """A bare target repository, known to every host as `target`."""
    bare, seed = tmp_path / "target.git", tmp_path / "seed"
    git(tmp_path, "init", "--quiet", "--bare", "-b", "main", str(bare))
    git(tmp_path, "clone", "--quiet", str(bare), str(seed))
    (seed / "README").write_text("a target\n")
    git(seed, "add", ".")
    git(seed, "commit", "--quiet", "-m", "seed")
    git(seed, "push", "--quiet", "origin", "HEAD:main")
    (hermetic_home / "host.yaml").write_text(f"repos: {{target: {bare}}}\nstop-grace: 1s\n")
    return bare


def first_lingers(traces: Path, *, front: str = "", work: str = "touch done") -> str:
    """A job whose first run leaves a trace and waits for a file that says `go`; later runs do not wait."""
    return f"""---
engine: shell
verify: test -e done
{front}
---
echo "$AQ_EPOCH" >> {traces}/runs
{work}
touch done
[ "$AQ_EPOCH" -gt 1 ] || while [ ! -e {traces}/go ]; do sleep 0.1; done
"""


def runs(traces: Path) -> list[str]:
    """The epochs that ran, in order."""
    path = traces / "runs"
    return path.read_text().split() if path.exists() else []


def start_on(fleet: Fleet, host: str, job: str, text: str) -> int:
    """The job dropped and taken up by this host; the pid of its `aq run`."""
    fleet.machine(host).drop(job, text)
    process = fleet.start(host)
    return process.pid


def in_stage(fleet: Fleet, job: str, stage: Stage, epoch: int) -> Callable[[], Job | None]:
    """Condition: the job is there, without a lease, in this epoch."""

    def look() -> Job | None:
        found = fleet.job(job)
        return (
            found
            if found and found.stage is stage and found.record.epoch == epoch and not found.lease
            else None
        )

    return look


def ops_by(seen: Audit, job: str, host: str) -> list[str]:
    """What one host did to a job."""
    return [event.op for event in seen.events if event.job == job and host in (event.host, event.by)]


def dead(fleet: Fleet, host: str) -> None:
    """SIGKILL for the host, and nothing of it lives five seconds later."""
    process = fleet.processes[-1]
    assert left_over(fleet.machine(host).state), "the engine runs"
    process.kill()
    process.wait()
    wait_until(lambda: not left_over(fleet.machine(host).state), 5, "the engine of the killed host to end")


def come_back(machine: Machine) -> None:
    """The host is restarted, and ends by itself when nothing is left for it."""
    assert machine.aq("run", "--host", machine.name, "--until-idle", timeout=60).returncode == 0


def test_a_killed_hosts_job_is_reclaimed_after_ttl_and_the_host_returns_without_a_hand(
    mortal: Fleet, tmp_path: Path
) -> None:
    start_on(mortal, "ada", "fragile", first_lingers(tmp_path))
    wait_until(lambda: runs(tmp_path) == ["1"], what="the first run")
    dead(mortal, "ada")
    mortal.start("bob")
    wait_until(in_stage(mortal, "fragile", Stage.TESTING, 2), what="the second run to be verified")
    come_back(mortal.machine("ada"))
    assert runs(tmp_path) == ["1", "2"]
    seen = audit(mortal.hub)
    assert ops_by(seen, "fragile", "ada") == ["claim"]
    assert seen.of("fragile") == ["add", "claim", "reclaim", "claim", "land", "verified"]
    reclaim = next(event for event in seen.events if event.op == "reclaim")
    assert int(reclaim.get("Aq-Observed").split()[1]) >= int(TTL + GRACE)
    record = seen.jobs["fragile"].record
    assert (record.lost, record.attempts) == (1, 1)


def test_a_result_that_its_killed_host_had_spooled_never_lands(
    mortal: Fleet, tmp_path: Path, target: Path
) -> None:
    work = "echo work of epoch $AQ_EPOCH > work.txt"
    start_on(mortal, "ada", "late", first_lingers(tmp_path, front="repo: target", work=work))
    wait_until(lambda: runs(tmp_path) == ["1"], what="the first run")
    with away(mortal.hub):
        (tmp_path / "go").touch()
        spooled = mortal.machine("ada").state
        wait_until(
            lambda: any("Land" in path.read_text() for path in spooled.rglob("spool/*.json")),
            what="the spooled result",
        )
        mortal.processes[-1].kill()
        mortal.processes[-1].wait()
        # A push that it had begun would arrive once the hub is back.
        wait_until(lambda: not left_over(spooled), what="its git processes to end")
    mortal.start("bob")
    wait_until(in_stage(mortal, "late", Stage.TESTING, 2), what="the second run to be verified")
    come_back(mortal.machine("ada"))
    seen = audit(mortal.hub)
    assert ops_by(seen, "late", "ada") == ["claim", "fenced"]
    assert seen.jobs["late"].record.branch == "aq/late/2"
    assert git(target, "show", "aq/late/1:work.txt") == "work of epoch 1"
    assert git(target, "show", "aq/late/2:work.txt") == "work of epoch 2"


@pytest.mark.parametrize(
    "finished",
    [pytest.param(False, id="its engine still runs"), pytest.param(True, id="its engine has ended")],
)
def test_a_host_frozen_past_its_ttl_cannot_land_and_its_branch_is_kept(
    mortal: Fleet, tmp_path: Path, target: Path, finished: bool
) -> None:
    work = "echo work of epoch $AQ_EPOCH > work.txt"
    frozen = start_on(mortal, "ada", "zombie", first_lingers(tmp_path, front="repo: target", work=work))
    wait_until(lambda: runs(tmp_path) == ["1"], what="the first run")
    os.kill(frozen, signal.SIGSTOP)
    if finished:
        (tmp_path / "go").touch()
    mortal.start("bob")
    wait_until(in_stage(mortal, "zombie", Stage.TESTING, 2), what="the second run to be verified")
    os.kill(frozen, signal.SIGCONT)
    wait_until(
        lambda: "fenced zombie on ada" in " ".join(mortal.events()), what="the late branch to be named"
    )
    wait_until(lambda: not _engine_of(mortal, "ada"), 10, "the late engine to end")
    seen = audit(mortal.hub)
    assert ops_by(seen, "zombie", "ada") == ["claim", "fenced"]
    fenced = next(event for event in seen.events if event.op == "fenced")
    assert fenced.get("Aq-Branch") == "aq/zombie/1"
    assert seen.jobs["zombie"].stage is Stage.TESTING
    assert seen.jobs["zombie"].record.branch == "aq/zombie/2"
    assert git(target, "show", "aq/zombie/1:work.txt") == "work of epoch 1"
    assert mortal.processes[0].poll() is None, "the frozen host goes on with other work"


def _engine_of(fleet: Fleet, host: str) -> list[str]:
    """The processes that work in a run directory of the host."""
    folder = str(fleet.machine(host).state)
    return [str(process) for process in left_over(Path(folder)) if process.cwd().startswith(folder)]


def test_a_restarted_host_recovers_its_own_orphan_long_before_the_ttl(
    make_fleet: Callable[[str], Fleet], tmp_path: Path
) -> None:
    lasting = make_fleet(LASTING)
    start_on(lasting, "ada", "orphan", first_lingers(tmp_path))
    wait_until(lambda: runs(tmp_path) == ["1"], what="the first run")
    dead(lasting, "ada")
    lasting.start("ada")
    wait_until(in_stage(lasting, "orphan", Stage.TESTING, 2), 90, "the second run to be verified")
    seen = audit(lasting.hub)
    assert seen.of("orphan") == ["add", "claim", "reclaim", "claim", "land", "verified"]
    assert "own-orphan" in next(e.get("Aq-Observed") for e in seen.events if e.op == "reclaim")


def test_a_host_killed_while_it_verifies_leaves_a_branch_that_another_verifies(
    mortal: Fleet, tmp_path: Path, target: Path
) -> None:
    verify = f"'echo $AQ_EPOCH >> {tmp_path}/checks; test $AQ_EPOCH = 2 || sleep 300'"
    front = f"engine: shell\nrepo: target\nverify: {verify}"
    text = f"---\n{front}\n---\necho $AQ_EPOCH >> {tmp_path}/runs\necho x > work.txt\n"
    start_on(mortal, "ada", "judged", text)
    wait_until((tmp_path / "checks").exists, what="the first verify")
    dead(mortal, "ada")
    mortal.start("bob")
    wait_until(in_stage(mortal, "judged", Stage.TESTING, 2), what="the second verify")
    seen = audit(mortal.hub)
    assert seen.of("judged") == ["add", "claim", "land", "reclaim", "verify-claim", "verified"]
    assert runs(tmp_path) == ["1"]
    assert seen.jobs["judged"].record.attempts == 1


def test_a_claim_whose_reply_was_lost_runs_once(mortal: Fleet, tmp_path: Path) -> None:
    armed = kill_client_once(mortal.hub, "claim once")
    mortal.machine("ada").drop("once", f"---\nengine: shell\n---\necho $AQ_EPOCH >> {tmp_path}/runs\n")
    mortal.start("ada")
    mortal.start("bob")
    wait_until(in_stage(mortal, "once", Stage.REVIEW, 1), what="the run to land")
    assert not armed.exists(), "the reply was lost"
    assert runs(tmp_path) == ["1"]
    assert audit(mortal.hub).of("once") == ["add", "claim", "land", "unverified"]
