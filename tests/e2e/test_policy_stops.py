"""Limits of the whole fleet, with real hosts that reach for the same thing: the last dollar, and a queue that
is paused while they claim. Proved from the history on the hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from aq.core.lifecycle import Stage
from tests.e2e.policy import Board, has_decided_on, make_agent, submit
from tests.support.audit import audit
from tests.support.fleet import Fleet, git, wait_until
from tests.support.remotes import Gate

BUDGET = "budgets: {fleet: {usd: 5, per: day}}\n"
PAID = "---\nengine: mytool\nbudget: {usd: 3}\npriority: %s\n---\nDo it.\n"


@pytest.mark.parametrize("settings", [BUDGET], ids=["5 usd a day"])
def test_of_two_hosts_that_claim_the_last_of_the_days_budget_one_starts_and_the_next_when_it_cost_less(
    policy_fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = f"while [ ! -e {tmp_path}/go ]; do sleep 0.1; done"
    make_agent(tmp_path / "config", wait, usd=1.5).used(monkeypatch)
    board, gate = Board(policy_fleet), Gate(policy_fleet.hub)
    submit(policy_fleet, {"low": PAID % "low", "lower": PAID % "low"})
    # Both claims are on their way before either lands: each host saw 5 usd left and took another job.
    gate.close()
    policy_fleet.start("ada", "--slots", "2")
    wait_until(lambda: gate.waiting() == 1, what="the first host's claim")
    monkeypatch.setenv(Gate.PASS, "1")
    submit(policy_fleet, {"high": PAID % "high"})
    monkeypatch.delenv(Gate.PASS)
    policy_fleet.start("bob", "--slots", "2")
    wait_until(lambda: gate.waiting() == 2, what="the second host's claim")
    gate.open()
    everybody = ("ada", "bob")
    wait_until(lambda: list(board.now().jobs(Stage.BUILDING)), what="a claim to land")
    _all_decide_on(policy_fleet, everybody, policy_fleet.tip())
    (first,) = (job.id for job in board.now().jobs(Stage.BUILDING))
    why = policy_fleet.you.aq("why", min({"high", "low"} - {first})).stdout
    assert "the fleet has 2.00 of 5.00 usd left today and this job reserves 3.00" in why
    (tmp_path / "go").touch()
    wait_until(lambda: len(board.settled(Stage.REVIEW)) == 2, what="the next one to end")
    _all_decide_on(policy_fleet, everybody, policy_fleet.tip())
    (spend,) = board.now().spend.values()
    assert (spend.fleet.reserved, spend.fleet.settled) == (0.0, 3.0), (
        "2.00 are left: too little for the third"
    )
    seen = audit(policy_fleet.hub)
    assert [event.op for event in seen.events if event.op in ("claim", "unverified")] == [
        *("claim", "unverified", "claim", "unverified")
    ], "never two at once"
    assert len(seen.claims()) == 2


def test_after_a_pause_lands_by_plain_git_no_claim_lands_and_running_jobs_finish(
    policy_fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = f"while [ ! -e {tmp_path}/go ]; do sleep 0.2; done"
    text = f"---\nengine: shell\n---\n[ ! -e {tmp_path}/slow.$AQ_JOB ] || {{ {slow}; }}\n"
    jobs = [f"job-{number:02}" for number in range(80)]
    for job in jobs[::10]:
        (tmp_path / f"slow.{job}").touch()
    submit(policy_fleet, dict.fromkeys(jobs, text))
    board, gate = Board(policy_fleet), Gate(policy_fleet.hub)
    names = [f"host-{number}" for number in range(8)]
    hosts = [policy_fleet.start(name, "--slots", "2") for name in names]
    wait_until(lambda: sum(line.startswith("claim ") for line in policy_fleet.events()) >= 8, what="claims")
    gate.close()
    # These hosts have planned and built their claims: the stop comes when they cannot see it any more.
    wait_until(lambda: gate.waiting() >= 4, what="hosts that claim and land")
    monkeypatch.setenv(Gate.PASS, "1")
    paused = _pause(policy_fleet.you.path)
    gate.open()
    assert list(board.now().jobs(Stage.BUILDING)), "something runs"
    _all_decide_on(policy_fleet, names, paused)
    (tmp_path / "go").touch()
    wait_until(lambda: not list(board.now().leased()), what="running jobs to finish")
    assert [host.poll() for host in hosts] == [None] * 8, "the hosts themselves go on"
    after = git(policy_fleet.hub, "log", "--format=%s", f"{paused}..main").splitlines()
    assert not [line for line in after if line.startswith(("claim", "verify-claim"))]
    assert [line for line in after if line.startswith("unverified")], "work landed after the pause"
    left = {job.id for job in board.now().jobs(Stage.INBOX)}
    assert 0 < len(left) < len(jobs), "some had run, and the rest waits"
    seen = audit(policy_fleet.hub)
    assert set(seen.claims().values()) == {1}
    assert set(seen.claims()) == set(jobs) - left == set(board.settled(Stage.REVIEW))


def _all_decide_on(fleet: Fleet, hosts: tuple[str, ...] | list[str], tip: str) -> None:
    for host in hosts:
        wait_until(lambda host=host: has_decided_on(fleet, host, tip), what=f"{host} to decide anew")


def _pause(clone: Path) -> str:
    """The kill switch as a person pushes it with plain git, again when a push came first; its commit."""
    while True:
        git(clone, "fetch", "--quiet", "origin")
        git(clone, "reset", "--quiet", "--hard", "origin/main")
        (clone / "queue" / "PAUSED").write_text("by: alice\nwhy: something is wrong\n")
        git(clone, "add", "queue/PAUSED")
        git(clone, "commit", "--quiet", "-m", "pause")
        made = git(clone, "rev-parse", "HEAD")
        git(clone, "push", "--quiet", "origin", "HEAD:main", ok=False)
        if made in git(clone, "ls-remote", "origin", "refs/heads/main"):
            return made
