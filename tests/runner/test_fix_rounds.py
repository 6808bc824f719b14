"""Fix rounds through a real runner on real git: one claim, every round in the record, and the newest work
is what is verified, delivered and recovered."""

from __future__ import annotations

from pathlib import Path

import pytest

from aq.core.lifecycle import Stage
from aq.core.operations import Cancel
from aq.core.overrun import is_overrun
from tests.host.targets import Target, make_target
from tests.runner.hosts import host
from tests.support.audit import audit
from tests.support.fleet import Fleet, git, landed, op, perform, wait_until

ROUNDS = "fix: {max: 2}\nretry: {max: 0}\n"
# Writes the round it is in; the check wants a certain one.
COUNTS = 'echo "${AQ_FIX_ROUND:-0}" > round\n'


def job(front: str, body: str) -> str:
    return f"---\nengine: shell\n{front}---\n{body}"


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    made = make_target(tmp_path)
    config = tmp_path / "host.yaml"
    config.write_text(f"repos: {{app: '{made.url}'}}\nstop-grace: 1s\n")
    monkeypatch.setenv("AQ_HOST_CONFIG", str(config))
    return made


def test_work_that_passes_after_a_round_is_verified_with_one_claim(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, target: Target
) -> None:
    text = job(f"repo: app\n{ROUNDS}verify: 'echo so far; grep -qx 1 round'\n", COUNTS)
    fleet.you.drop("x", text)
    with host(fleet, monkeypatch) as ada:
        fleet.you.aq("status")
        found = ada.reaches("x", Stage.TESTING)
    record = found.record
    assert (record.attempts, record.epoch, len(record.runs)) == (1, 1, 1)
    (first,) = record.runs[0].rounds
    assert (first.number, first.failed[0].check, first.failed[0].passed) == (
        1,
        "echo so far; grep -qx 1 round",
        False,
    )
    assert (record.branch, first.branch) == ("aq/x/1-fix1", "aq/x/1-fix1")
    assert record.tip == first.tip == target.tip("aq/x/1-fix1")
    assert (target.show("aq/x/1:round"), target.show("aq/x/1-fix1:round")) == ("0", "1")
    assert record.verdict
    assert [check.passed for check in record.verdict.checks] == [True]
    assert git(target.bare, "rev-list", "--count", "main..aq/x/1-fix1") == "1"
    assert "Aq-Fix-Round: 1" in git(target.bare, "log", "-1", "--format=%B", "aq/x/1-fix1")
    assert audit(fleet.hub).of("x") == ["add", "claim", "land", "fix-round", "fix-round", "verified"]


def test_when_no_round_helps_the_job_fails_with_all_of_them_in_the_record(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.you.drop("x", job(f"{ROUNDS}verify: 'cat round; exit 3'\n", COUNTS))
    with host(fleet, monkeypatch) as ada:
        fleet.you.aq("status")
        found = ada.reaches("x", Stage.DEAD_LETTER)
    (run,) = found.record.runs
    assert (run.outcome, run.reason) == (
        "verify_failed",
        "cat round; exit 3: exit code 3: 1; after 2 fix rounds".replace(": 1;", ": 2;"),
    )
    assert [(one.number, one.failed[0].detail) for one in run.rounds] == [
        (1, "exit code 3: 0"),
        (2, "exit code 3: 1"),
    ]
    assert audit(fleet.hub).of("x") == ["add", "claim", "land", "fix-round", "fix-round", "fail"]


def test_a_script_gets_no_round_that_its_job_did_not_ask_for(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.you.drop("x", job("retry: {max: 0}\nverify: 'false'\n", "echo x >> ran\n"))
    with host(fleet, monkeypatch) as ada:
        fleet.you.aq("status")
        assert ada.reaches("x", Stage.DEAD_LETTER).record.runs[0].rounds == ()


def test_a_round_that_spends_the_budget_puts_the_job_on_hold(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = "fix: {max: 5}\nbudget: {wall: 3s}\nverify: 'false'\n"
    fleet.you.drop("x", job(front, COUNTS + '[ "$AQ_FIX_ROUND" ] && sleep 600; true\n'))
    with host(fleet, monkeypatch) as ada:
        fleet.you.aq("status")
        record = ada.until(lambda: (found := ada.job("x")) and is_overrun(found.record) and found.record)
    (run,) = record.runs
    assert [one.number for one in run.rounds] == [1]
    assert "fix round 1: budget" in run.reason


def test_a_host_that_dies_in_a_round_leaves_a_job_that_another_finishes(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, target: Target, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    body = f'{COUNTS}if [ "$AQ_FIX_ROUND" ] && [ ! -e {begun} ]; then touch {begun}; sleep 60; fi\n'
    front = "repo: app\nfix: {max: 1}\nretry: {max: 2, backoff: 0s}\nverify: grep -qx 1 round\n"
    fleet.you.drop("x", job(front, body))
    fleet.you.aq("status")
    process = fleet.start("ada")
    wait_until(begun.exists, 40, "the fix round")
    process.kill()
    process.wait()
    fleet.start("ada")
    done = wait_until(
        lambda: (found := fleet.job("x")) and found.stage is Stage.TESTING and found, 60, "the job in testing"
    )
    assert done.record.lost == 1
    assert done.record.tip == target.tip(done.record.branch)
    assert target.show(f"{done.record.branch}:round") == "1"
    history = audit(fleet.hub)
    assert history.of("x").count("reclaim") == 1


def test_a_round_of_a_cancelled_job_is_stopped_and_its_work_kept(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, target: Target, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    body = f'{COUNTS}if [ "$AQ_FIX_ROUND" ]; then touch {begun}; while :; do sleep 0.1; done; fi\n'
    fleet.you.drop("x", job(f"repo: app\n{ROUNDS}verify: 'false'\n", body))
    with host(fleet, monkeypatch) as ada:
        fleet.you.aq("status")
        ada.until(begun.exists)
        landed(perform(fleet.you.ledger(), Cancel(**op(), job="x")))
        ada.until(lambda: not ada.runner.held and not ada.runner.pending)
    found = fleet.job("x")
    assert found
    assert found.stage is Stage.FAILED
    assert "aq/x/1-fix1" in found.record.feedback[-1].text
    assert target.show("aq/x/1-fix1:round") == "1"


def test_an_operators_stop_in_a_round_gives_the_job_back_to_be_verified(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, target: Target, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    body = f'{COUNTS}if [ "$AQ_FIX_ROUND" ]; then touch {begun}; while :; do sleep 0.1; done; fi\n'
    fleet.you.drop("x", job(f"repo: app\n{ROUNDS}verify: 'false'\n", body))
    with host(fleet, monkeypatch) as ada:
        fleet.you.aq("status")
        ada.until(begun.exists)
        ada.runner.stop()
        ada.runner.stop()
        ada.until(lambda: ada.runner.done)
    found = fleet.job("x")
    assert found
    assert (found.stage, found.lease, found.to_be_verified) == (Stage.REVIEW, None, True)
    assert (found.record.branch, found.record.runs[-1].outcome) == ("aq/x/1", "released")


def test_a_base_that_was_red_in_the_same_way_leaves_the_work_to_a_person(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, target: Target
) -> None:
    front = "repo: app\nbaseline: true\nretry: {max: 3}\nverify: [test -f README, 'echo red; exit 1']\n"
    fleet.you.drop("x", job(front, "echo work > work\n"))
    with host(fleet, monkeypatch) as ada:
        fleet.you.aq("status")
        found = ada.reaches("x", Stage.REVIEW)
        assert ada.runner.held == {}
    assert found.record.hold
    assert found.record.hold.text.startswith("echo red; exit 1: exit code 1: red; it failed before")
    assert found.record.hold.text.endswith("accepts the work all the same")
    assert (found.record.attempts, found.record.runs[0].baseline) == (1, "echo red; exit 1")
    assert (found.waits_for_person, found.to_be_verified) == (True, False)
    assert target.show("aq/x/1:work") == "work"


def test_a_red_base_that_the_work_makes_green_passes(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, target: Target
) -> None:
    fleet.you.drop("x", job("repo: app\nbaseline: true\nverify: test -f work\n", "echo work > work\n"))
    with host(fleet, monkeypatch) as ada:
        fleet.you.aq("status")
        assert ada.reaches("x", Stage.TESTING).record.runs[0].baseline == "test -f work"
