"""The loop: who takes a job, who refuses it, when a host is idle, and what a stop or an outage does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import aq.ledger.intake
from aq.core.errors import TryLaterError
from aq.core.lease import Fence
from aq.core.lifecycle import Stage
from aq.core.operations import Cancel, Release, Requeue
from aq.host.memory import HostMemory
from aq.host.rundir import RunDir, RunNote
from aq.runner.presence import compose
from tests.runner.hosts import engines, host, waiting_job
from tests.support.fleet import HELLO, Fleet, add, claim_of, git, landed, op, perform
from tests.support.remotes import away

PLAIN = "---\nengine: shell\n---\ntouch done\n"


def test_a_job_is_run_verified_and_waits_for_a_person(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    with host(fleet, monkeypatch) as ada:
        add(fleet.you.ledger(), "job", HELLO)
        found = ada.reaches("job", Stage.TESTING)
        assert found.record.verdict
        assert ada.heard("job: claimed (attempt 1, shell)")
        assert ada.heard("job: verified -> testing")


@pytest.fixture
def elsewhere(tmp_path: Path) -> str:
    """A job for a folder that is not there."""
    return f"---\nengine: shell\ncwd: {tmp_path}/nowhere\n---\ntouch done\n"


def test_a_refused_job_is_named_in_the_beat_and_left_waiting(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, elsewhere: str, tmp_path: Path
) -> None:
    with host(fleet, monkeypatch) as ada:
        you = fleet.you.ledger()
        add(you, "job", elsewhere)

        def refused() -> str:
            you.fetch()
            _, seen = you.beats.get("ada", ("", None))
            return seen.refuses.get("job", "") if seen else ""

        assert ada.until(refused) == f"cwd {tmp_path}/nowhere does not exist here"
        assert ada.job("job").record.epoch == 0  # type: ignore[union-attr]
        assert not any(line.startswith("claim ") for line in fleet.events())


def test_a_beat_names_a_claim_by_one_lease_before_and_after_it_landed(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    landed(add(fleet.you.ledger(), "job", PLAIN))
    with host(fleet, monkeypatch, start=False) as ada:
        runner, claim = ada.runner, claim_of("job", "ada")
        runner.ledger.fetch()
        runner.pending[claim.op_id] = claim
        assert compose(runner).leases == (f"job:1:{claim.nonce}",)
        landed(perform(runner.ledger, claim))
        assert compose(runner).leases == (f"job:1:{claim.nonce}",)


def test_a_job_does_not_begin_beside_its_own_earlier_run(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log, linger = tmp_path / "log", "sleep 1.5; echo end.$AQ_EPOCH >> {0}; exit 1"
    script = "trap '" + linger + "' TERM\necho begin.$AQ_EPOCH >> {0}\nwhile :; do sleep 0.05; done\n"
    with host(fleet, monkeypatch) as ada:
        you = fleet.you.ledger()
        landed(add(you, "job", "---\nengine: shell\n---\n" + script.format(log)))
        ada.until(lambda: log.exists() and "begin.1" in log.read_text())
        landed(perform(you, Cancel(**op(), job="job")))
        landed(perform(you, Requeue(**op(), job="job")))
        ada.until(lambda: "begin.2" in log.read_text())
        assert log.read_text().split() == ["begin.1", "end.1", "begin.2"]


def test_a_host_that_can_takes_what_another_refuses(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with host(fleet, monkeypatch, "ada") as ada, host(fleet, monkeypatch, "bob") as bob:
        you = fleet.you.ledger()
        monkeypatch.setattr(ada.runner.bench, "why_not", lambda manifest: "not here")
        for n in range(4):
            add(you, f"job-{n}", f"---\nengine: shell\ncwd: {place}\n---\ntouch {tmp_path}/ran-{n}\n")

        def all_ran() -> bool:
            ada.runner.tick(0.0)
            return all((tmp_path / f"ran-{n}").exists() for n in range(4))

        bob.until(all_ran, what="all jobs on the host that can")
        assert not ada.heard("claimed")


def test_a_host_with_nothing_to_do_is_idle_and_one_with_a_job_is_not(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, elsewhere: str
) -> None:
    with host(fleet, monkeypatch) as ada:
        assert ada.runner.runnable(), "nothing is known before the first confirmed beat"
        ada.until(lambda: not ada.runner.runnable(), what="idle on an empty queue")
        add(fleet.you.ledger(), "job", waiting_job(tmp_path / "gate"))
        ada.until(lambda: engines(fleet), what="the engine")
        assert ada.runner.runnable()
        (tmp_path / "gate").touch()
        ada.reaches("job", Stage.REVIEW)
        ada.until(lambda: not ada.runner.runnable(), what="idle again")
        add(fleet.you.ledger(), "refused", elsewhere)
        add(fleet.you.ledger(), "prose", "Please fix it.\n")
        ada.until(lambda: ada.job("prose") and not ada.runner.runnable(), what="idle with foreign jobs")


ONCE = {
    "nothing to do": ([], ["--once"], 1),
    "one job": (["one"], ["--once"], 0),
    "until idle without work": ([], ["--until-idle"], 0),
    "until idle with work": (["one", "two"], ["--until-idle"], 0),
}


@pytest.mark.parametrize(("jobs", "options", "code"), ONCE.values(), ids=ONCE)
def test_once_and_until_idle_end_by_themselves(
    fleet: Fleet, jobs: list[str], options: list[str], code: int
) -> None:
    for name in jobs:
        add(fleet.you.ledger(), name, PLAIN)
    done = fleet.machine("ada").aq("run", "--host", "ada", *options, ok=False)
    assert done.returncode == code, done.stderr
    ended = {job.id for job in fleet.snapshot().jobs(Stage.REVIEW)}
    assert ended == set(jobs)


def test_once_takes_as_many_as_fit_and_no_more(fleet: Fleet) -> None:
    for name in ("one", "two", "three"):
        add(fleet.you.ledger(), name, PLAIN)
    assert fleet.machine("ada").aq("run", "--host", "ada", "--once", "--slots", "2").returncode == 0
    assert len(list(fleet.snapshot().jobs(Stage.INBOX))) == 1


def test_a_schedule_spawns_one_copy_per_slot_across_two_hosts(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with host(fleet, monkeypatch, "ada") as ada, host(fleet, monkeypatch, "bob") as bob:
        for made in (ada, bob):
            made.until(lambda made=made: made.runner.confirmed_at is not None)
            made.clock.wall = "2027-01-01T10:30:00Z"
        add(fleet.you.ledger(), "nightly", f"---\nengine: shell\nevery: 1h\n---\n{PLAIN.split('---')[-1]}")

        def copies() -> list[str]:
            bob.runner.tick(0.0)
            return sorted(line.split()[1] for line in fleet.events() if line.startswith("spawn"))

        assert len(ada.until(copies, what="a copy")) == 1
        for made in (ada, bob):
            made.clock.wall = "2027-01-01T12:10:00Z"
        ada.until(lambda: len(copies()) == 2, what="the latest slot only")
        for _ in range(6):
            ada.runner.tick(0.0)
            bob.runner.tick(0.0)
        assert len(copies()) == 2
        found = ada.job("nightly")
        assert found
        assert (found.stage, found.record.epoch) == (Stage.INBOX, 0), "the schedule itself is never claimed"


def test_an_unserved_lease_of_ours_is_released(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    with host(fleet, monkeypatch, start=False) as ada:
        you = fleet.you.ledger()
        landed(add(you, "job", PLAIN))
        ada.runner.memory.add_nonce("0123456789abcdef")
        landed(perform(you, claim_of("job", "ada", nonce="0123456789abcdef")))
        ada.runner.start()
        found = ada.reaches("job", Stage.REVIEW)
        assert (found.record.epoch, found.record.infra, found.record.attempts) == (2, 1, 1)
        assert ada.heard("job: released: claimed, but never started -> inbox")


def test_a_lease_in_our_name_with_a_nonce_that_we_never_drew_is_not_ours_to_release(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with host(fleet, monkeypatch, start=False) as ada:
        you = fleet.you.ledger()
        landed(add(you, "job", PLAIN))
        landed(perform(you, claim_of("job", "ada", nonce="fedcba9876543210", ttl=600)))
        ada.runner.start()
        ada.ticks(4)
        ada.until(lambda: ada.runner.confirmed_at is not None)
        ada.ticks(4)
        found = ada.job("job")
        assert found
        assert found.lease
        assert found.lease.nonce == "fedcba9876543210"


def test_an_own_orphan_is_reclaimed_though_the_remote_was_away_at_the_first_start(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    nonce = "0123456789abcdef"
    with host(fleet, monkeypatch, start=False) as ada:
        memory = ada.runner.memory
        assert isinstance(memory, HostMemory)
        you = fleet.you.ledger()
        landed(add(you, "job", PLAIN))
        memory.add_nonce(nonce)
        landed(perform(you, claim_of("job", "ada", nonce=nonce, ttl=600)))
        RunDir(memory.state / "runs", "job", 1).create(RunNote("job", "ada", 1, nonce, "gone"))
        with away(fleet.hub), pytest.raises(TryLaterError):
            ada.runner.start()
        ada.runner.start()
        found = ada.reaches("job", Stage.REVIEW)
        assert (found.record.epoch, found.record.lost, found.record.infra) == (2, 1, 0)
        assert "own-orphan" in git(fleet.hub, "log", "--format=%B", "--grep=^reclaim", "main")


def test_pause_with_stop_ends_engines_and_gives_the_jobs_back(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hermetic_home: Path
) -> None:
    (hermetic_home / "host.yaml").write_text("stop-grace: 1s\n")
    with host(fleet, monkeypatch) as ada:
        add(fleet.you.ledger(), "job", waiting_job(tmp_path / "gate"))
        ada.until(lambda: engines(fleet), what="the engine")
        fleet.you.aq("pause", "--stop", "--why", "the test")
        found = ada.reaches("job", Stage.INBOX)
        assert not engines(fleet)
        assert (found.record.infra, found.record.attempts) == (1, 0)
        assert ada.heard("job: stopped, the queue is paused with --stop")
        ada.ticks(5)
        assert ada.job("job").record.epoch == 1, "nobody claims while it is paused"  # type: ignore[union-attr]
        (tmp_path / "gate").touch()
        fleet.you.aq("resume")
        assert ada.reaches("job", Stage.REVIEW).record.epoch == 2


def test_an_outage_is_no_busy_loop_and_its_result_lands_afterwards(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with host(fleet, monkeypatch) as ada:
        add(fleet.you.ledger(), "job", waiting_job(tmp_path / "gate"))
        ada.until(lambda: engines(fleet), what="the engine")
        with away(fleet.hub):
            (tmp_path / "gate").touch()
            ada.until(lambda: ada.runner.pending and ada.runner.offline, what="a result while offline")
            waits = []
            for _ in range(6):
                waits.append(ada.runner._wait_time())
                ada.runner.tick()
            assert sum(waits) > 0.2, waits
            assert len([line for line in ada.said if "running work goes on" in line]) == 1
            assert not ada.heard("answers again")
        assert ada.reaches("job", Stage.REVIEW).record.epoch == 1
        assert not ada.runner.offline
        ada.ticks(3)
        assert len([line for line in ada.said if "the remote answers again" in line]) == 1


def test_a_first_stop_finishes_what_runs_and_a_second_gives_it_back(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hermetic_home: Path
) -> None:
    (hermetic_home / "host.yaml").write_text("stop-grace: 1s\n")
    with host(fleet, monkeypatch) as ada:
        for name in ("one", "two"):
            add(fleet.you.ledger(), name, waiting_job(tmp_path / name))
        ada.until(lambda: engines(fleet, "one") and engines(fleet, "two"), what="both engines")
        ada.runner.stop()
        (tmp_path / "one").touch()
        assert ada.reaches("one", Stage.REVIEW)
        assert not ada.runner.done
        assert engines(fleet, "two")
        ada.runner.stop()
        found = ada.reaches("two", Stage.INBOX)
        assert (found.record.infra, found.record.attempts) == (1, 0)
        assert ada.runner.done
        ada.runner.farewell()
        you = fleet.you.ledger()
        you.fetch()
        assert you.beats["ada"][1].stopped


def test_a_draining_host_claims_nothing(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    with host(fleet, monkeypatch) as ada:
        ada.runner.draining = True
        add(fleet.you.ledger(), "job", PLAIN)
        ada.until(lambda: ada.job("job"))
        ada.ticks(5)
        assert ada.job("job").record.epoch == 0  # type: ignore[union-attr]
        ada.runner.draining = False
        ada.reaches("job", Stage.REVIEW)


def test_an_exception_in_a_run_is_infrastructure_and_the_job_waits_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with host(fleet, monkeypatch) as ada:
        runs = ada.runner.bench.kit.runs  # type: ignore[attr-defined]
        runs.parent.mkdir(parents=True, exist_ok=True)
        runs.write_text("a file where a folder should be")
        add(fleet.you.ledger(), "job", PLAIN)
        ada.until(lambda: ada.heard("job: released: "), what="a release")
        found = ada.job("job")
        assert found
        assert found.record.infra >= 1
        assert found.record.not_before
        runs.unlink()
        ada.clock.wall = found.record.not_before
        assert ada.reaches("job", Stage.REVIEW).record.attempts == 1


def test_a_path_that_nobody_may_look_at_is_a_refusal_and_others_are_served(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with host(fleet, monkeypatch) as ada:
        for name, cwd in (("long", "/" + "x" * 190 + "/" + "y" * 5), ("circle", tmp_path / "circle")):
            add(fleet.you.ledger(), name, f"---\nengine: shell\ncwd: {cwd}\n---\ntrue\n")
        monkeypatch.setattr("os.path.isdir", _denied("/xxx", os.path.isdir))
        add(fleet.you.ledger(), "plain", PLAIN)
        ada.reaches("plain", Stage.REVIEW)
        assert "cannot look at what the job needs: " in ada.runner.refuses["long"][0]
        assert ada.runner.refuses["circle"][0].endswith("does not exist here")


def _denied(start: str, real: Callable[[str], bool]) -> Callable[[str], bool]:
    """Permission is denied below a path: the superuser, who may run the tests, may look everywhere."""

    def look(path: str) -> bool:
        if str(path).startswith(start):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    return look


def test_a_host_whose_state_cannot_be_written_goes_on_and_claims_nothing(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with host(fleet, monkeypatch) as ada:
        state = ada.runner.memory.state  # type: ignore[attr-defined]
        add(fleet.you.ledger(), "first", waiting_job(tmp_path / "gate"))
        ada.until(lambda: ada.runner.held, what="the first job to run")
        in_the_way = [state / ".nonces.json.tmp", state / ".observations.json.tmp"]
        for path in in_the_way:
            path.mkdir()
        shutil.rmtree(state / "spool", ignore_errors=True)
        (state / "spool").write_text("a file where a folder should be")
        add(fleet.you.ledger(), "second", PLAIN)
        ada.until(
            lambda: ada.heard("this host's claims cannot be written: "), what="the claim to be left out"
        )
        (tmp_path / "gate").touch()
        ada.reaches("first", Stage.REVIEW)
        assert ada.heard("this host's results cannot be written: ")
        assert sum("observations cannot be written" in line for line in ada.said) == 1
        assert ada.job("second").record.epoch == 0  # type: ignore[union-attr]
        for path in in_the_way:
            path.rmdir()
        (state / "spool").unlink()
        ada.reaches("second", Stage.REVIEW)


def test_a_result_that_the_disk_did_not_take_is_written_down_once_it_does(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with host(fleet, monkeypatch) as ada:
        spool = ada.runner.memory.state / "spool"  # type: ignore[attr-defined]
        shutil.rmtree(spool, ignore_errors=True)
        spool.write_text("a file where a folder should be")
        release = Release(**op("ada"), fence=Fence("nobody", "ada", 1, "n"), reason="x")
        ada.runner.submit(release)
        assert ada.runner.pending[release.op_id] is release
        spool.unlink()
        ada.runner._decide()
        assert [entry.op_id for entry in ada.runner.spool.waiting()] == [release.op_id]


def test_a_host_goes_on_at_once_while_dropped_files_are_left_and_brings_all(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aq.ledger.intake, "PORTION", 2)
    with host(fleet, monkeypatch) as ada:
        for number in range(5):
            fleet.machine("ada").drop(f"bad-{number}", "---\nenigne: shell\n---\ntrue\n")
        fleet.machine("ada").drop("good", "---\nengine: nowhere\n---\ntrue\n")
        for _ in range(2):
            ada.ticks(1)
            assert ada.runner.hurry
            assert ada.runner.runnable()
            assert not ada.job("good")
        ada.until(lambda: ada.job("good"))
        assert len([line for line in ada.said if line.startswith("not taken in")]) == 5
