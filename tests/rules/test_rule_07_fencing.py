"""Rule 7: a result lands only under the lease that it was made under. What comes too late is kept as a
branch; what cannot know waits, and work that must not run twice stops."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest

from aq.core.lease import Fence
from aq.core.operations import Fail, Land, Operation, Release, Unverified, Verified
from aq.core.results import Refused
from aq.core.value import replace
from tests.support.fleet import Fleet, add, claim_of, git, landed, op, perform, wait_until
from tests.support.processes import running, states
from tests.support.remotes import away


def code_repository(folder: Path) -> Path:
    """A target repository with one commit."""
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "README").write_text("code\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "start")
    return folder


def gated(gate: Path, after: str = "true", *, epochs: str = "1", front: str = "") -> str:
    """A job that waits in these epochs until the gate is there."""
    wait = f"case $AQ_EPOCH in {epochs}) while [ ! -e {gate} ]; do sleep 0.1; done ;; esac"
    return f"---\nengine: shell\n{front}---\n{wait}\n{after}\n"


def engine(fleet: Fleet, job: str) -> list[psutil.Process]:
    return running(fleet.root, job)


def suspended(fleet: Fleet, job: str) -> bool:
    """A shell that was stopped while it started a child shows as `disk-sleep`: its child is stopped."""
    found = states(engine(fleet, job))
    return psutil.STATUS_STOPPED in found and set(found) <= {psutil.STATUS_STOPPED, psutil.STATUS_DISK_SLEEP}


def happened(fleet: Fleet, subject: str) -> bool:
    return any(event.startswith(subject) for event in fleet.events())


WRONG = {
    "another host": {"host": "bob"},
    "another nonce": {"nonce": "0" * 16},
    "an earlier epoch": {"epoch": 0},
    "a later epoch": {"epoch": 2},
}
LANDINGS = {
    "land": lambda fence: Land(**op("ada"), fence=fence),
    "fail": lambda fence: Fail(**op("ada"), fence=fence, failure="crash", reason="x"),
    "release": lambda fence: Release(**op("ada"), fence=fence, reason="x"),
}
VERDICTS = {
    "verified": lambda fence: Verified(**op("ada"), fence=fence),
    "unverified": lambda fence: Unverified(**op("ada"), fence=fence),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_result_under_any_other_lease_is_refused(fleet: Fleet, wrong: dict[str, object]) -> None:
    ada = fleet.machine("ada").ledger()
    landed(add(ada, "one"))
    lease = landed(perform(ada, claim_of("one", "ada"))).change.jobs[0].after.lease
    assert lease
    fence: Fence = replace(lease.fence, **wrong)  # type: ignore[arg-type]
    before = fleet.tip()

    def refused(operation: Operation) -> None:
        result = perform(ada, operation)
        assert isinstance(result, Refused), operation
        assert not result.refusal.done
        assert "fenced" in result.refusal.reason

    for make in LANDINGS.values():
        refused(make(fence))
    assert fleet.tip() == before
    landed(perform(ada, LANDINGS["land"](lease.fence)))
    for make in VERDICTS.values():
        refused(make(fence))
    landed(perform(ada, VERDICTS["unverified"](lease.fence)))


def test_the_epoch_rises_by_one_with_every_claim_and_survives_a_requeue(fleet: Fleet) -> None:
    from aq.core.operations import Requeue

    ada = fleet.machine("ada").ledger()
    landed(add(ada, "one"))
    epochs = []
    for _ in range(3):
        lease = landed(perform(ada, claim_of("one", "ada"))).change.jobs[0].after.lease
        assert lease
        epochs.append(lease.epoch)
        landed(perform(ada, Fail(**op("ada"), fence=lease.fence, failure="denied", reason="no")))
        landed(perform(ada, Requeue(**op(), job="one")))
    assert epochs == [1, 2, 3]


def test_a_zombies_result_is_refused_and_its_branch_kept_and_named(fleet: Fleet, tmp_path: Path) -> None:
    code, gate = code_repository(tmp_path / "code"), tmp_path / "gate"
    text = gated(gate, "echo epoch $AQ_EPOCH > result", front=f"cwd: {code}\nworkspace: isolated\n")
    landed(add(fleet.you.ledger(), "one", text))
    zombie = fleet.start("ada")
    wait_until(lambda: happened(fleet, "claim one on ada") and engine(fleet, "one"))
    zombie.send_signal(signal.SIGSTOP)
    fleet.start("bob")
    wait_until(lambda: happened(fleet, "unverified one on bob"))
    gate.touch()
    wait_until(lambda: not engine(fleet, "one"))
    zombie.send_signal(signal.SIGCONT)
    wait_until(lambda: happened(fleet, "fenced one on ada"))
    job = fleet.job("one")
    assert job
    assert (job.record.branch, job.record.epoch) == ("aq/one/2", 2)
    late = git(code, "rev-parse", "aq/one/1")
    assert job.record.feedback[-1].text == f"late result of ada, epoch 1: aq/one/1 {late}"
    assert git(code, "show", "aq/one/1:result") == "epoch 1"
    assert git(code, "show", "aq/one/2:result") == "epoch 2"
    assert not happened(fleet, "land one on ada")
    assert zombie.poll() is None


def test_a_holder_that_was_fenced_while_its_engine_runs_stops_it_and_keeps_its_work(
    fleet: Fleet, tmp_path: Path
) -> None:
    code = code_repository(tmp_path / "code")
    text = f"---\nengine: shell\ncwd: {code}\nworkspace: isolated\n---\n"
    text += "echo half > result\n[ $AQ_EPOCH != 1 ] || sleep 600\n"
    landed(add(fleet.you.ledger(), "one", text))
    zombie = fleet.start("ada")
    wait_until(lambda: happened(fleet, "claim one on ada") and engine(fleet, "one"))
    zombie.send_signal(signal.SIGSTOP)
    fleet.start("bob")
    wait_until(lambda: happened(fleet, "unverified one on bob"))
    zombie.send_signal(signal.SIGCONT)
    wait_until(lambda: happened(fleet, "fenced one on ada"))
    assert not engine(fleet, "one")
    assert "lease lost, stopping its engine" in fleet.machine("ada").log
    assert git(code, "show", "aq/one/1:result") == "half"


def test_engines_are_suspended_at_two_thirds_of_the_ttl_and_go_on_when_a_beat_is_confirmed(
    fleet: Fleet, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    landed(add(fleet.you.ledger(), "one", gated(gate)))
    fleet.start("ada")
    wait_until(lambda: happened(fleet, "claim one on ada") and engine(fleet, "one"))
    with away(fleet.hub):
        wait_until(lambda: suspended(fleet, "one"), 10, "a suspended engine")
    wait_until(lambda: "engines go on" in fleet.machine("ada").log, 10, "a confirmed beat")
    wait_until(lambda: engine(fleet, "one") and not suspended(fleet, "one"), 10, "an engine that goes on")
    gate.touch()
    wait_until(lambda: happened(fleet, "unverified one on ada"))
    job = fleet.job("one")
    assert job
    assert job.record.epoch == 1


def test_work_goes_on_past_the_ttl_and_a_lapsed_lease_that_nobody_took_still_lands(
    fleet: Fleet, tmp_path: Path
) -> None:
    gate, done = tmp_path / "gate", tmp_path / "done"
    landed(add(fleet.you.ledger(), "one", gated(gate, f"touch {done}")))
    fleet.start("ada")
    wait_until(lambda: happened(fleet, "claim one on ada") and engine(fleet, "one"))
    with away(fleet.hub):
        wait_until(lambda: suspended(fleet, "one"), 10, "a suspended engine")
        wait_until(
            lambda: engine(fleet, "one") and not suspended(fleet, "one"),
            10,
            "an engine that goes on at the TTL",
        )
        gate.touch()
        wait_until(done.exists)
    wait_until(lambda: happened(fleet, "unverified one on ada"))
    assert done.exists()
    job = fleet.job("one")
    assert job
    assert (job.record.epoch, job.record.lost) == (1, 0)


MUST_STOP = {
    "on-partition: stop": "on-partition: stop\n",
    "a lock": "lock: db\n",
    "in-place": "cwd: {cwd}\nworkspace: in-place\n",
}


@pytest.mark.parametrize("front", MUST_STOP.values(), ids=MUST_STOP)
def test_work_that_must_not_run_twice_stops_at_the_ttl(fleet: Fleet, tmp_path: Path, front: str) -> None:
    gate = tmp_path / "gate"
    landed(add(fleet.you.ledger(), "one", gated(gate, front=front.format(cwd=tmp_path))))
    host = fleet.start("ada")
    wait_until(lambda: happened(fleet, "claim one on ada") and engine(fleet, "one"))
    with away(fleet.hub):
        wait_until(lambda: not engine(fleet, "one"), 20, "a stopped engine")
    wait_until(lambda: happened(fleet, "release one on ada"))
    reason = git(fleet.hub, "log", "--grep=Aq-Op: release", "--format=%B", "main")
    assert "the queue could not be reached for a whole TTL" in reason
    wait_until(lambda: happened(fleet, "unverified one on ada"))
    job = fleet.job("one")
    assert job
    assert (job.record.epoch, job.record.infra) == (2, 1)
    assert host.poll() is None


def test_nothing_is_claimed_after_two_thirds_of_the_ttl_without_a_confirmed_beat(fleet: Fleet) -> None:
    from tests.support.remotes import decline_refs, unhook

    fleet.start("ada")
    wait_until(lambda: git(fleet.hub, "for-each-ref", "refs/aq/hosts/ada"))
    decline_refs(fleet.hub, "refs/aq/hosts/", f"echo x >> '{fleet.hub}/tries'")
    tries = fleet.hub / "tries"
    # Ten tries are at least 2.5 s apart from the last beat that was taken, and 2 s are two thirds.
    wait_until(lambda: tries.exists() and len(tries.read_text()) >= 2 * 22)
    landed(add(fleet.you.ledger(), "one", "---\nengine: shell\n---\ntrue\n"))
    seen = len(tries.read_text())
    wait_until(lambda: len(tries.read_text()) >= seen + 2 * 8)
    assert not happened(fleet, "claim one")
    unhook(fleet.hub, "update")
    wait_until(lambda: happened(fleet, "claim one on ada"))
