"""Rule 4: a claim is a commit that nobody else can build, and a push whose answer was lost is settled by
looking: landed once, or dead, and nothing is built while it is neither."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from aq.core.lifecycle import Stage
from aq.core.results import Landed, Refused, Result, Waiting
from aq.core.value import replace
from aq.ledger.ledger import Ledger
from tests.support.fleet import Fleet, add, claim_of, git, landed, perform, wait_until
from tests.support.remotes import Pushes, dawdle, hook, impatient, kill_client_once, served, unhook

SIDE_EFFECT = "---\nengine: shell\n---\necho $AQ_EPOCH >> {}\n"


def claims(fleet: Fleet) -> list[str]:
    return [event for event in fleet.events() if event.startswith("claim")]


def test_two_claims_that_are_alike_but_for_their_nonce_are_different_commits(fleet: Fleet) -> None:
    ada, copy = fleet.machine("ada").ledger(), fleet.machine("ada").ledger()
    landed(add(ada, "one"))
    copy.fetch()
    claim = claim_of("one", "ada", nonce="1" * 16)
    ids = set()
    for ledger, nonce in ((ada, "1" * 16), (copy, "2" * 16)):
        stack, _ = ledger.pusher._build([replace(claim, nonce=nonce)])
        assert stack
        ids.add(stack.tip)
    assert len(ids) == 2


def test_of_two_clones_that_push_the_very_same_claim_only_one_wins(fleet: Fleet) -> None:
    one, two = fleet.machine("ada").ledger(), fleet.machine("copy").ledger()
    two.who = one.who
    landed(add(one, "job"))
    two.fetch()
    claim = claim_of("job", "ada")
    first, second = perform(one, claim), perform(two, claim)
    assert isinstance(first, Landed)
    assert isinstance(second, Refused), "`=` in the push report was taken for a win"
    assert two.tip == first.commit


def test_a_reply_lost_after_the_hub_took_the_claim_is_a_landed_claim(fleet: Fleet) -> None:
    ada = fleet.machine("ada").ledger()
    landed(add(ada, "one"))
    armed = kill_client_once(fleet.hub, "claim one")
    result = landed(perform(ada, claim_of("one", "ada")))
    assert not armed.exists()
    assert result.commit == fleet.tip()
    assert len(claims(fleet)) == 1


def test_a_reply_that_comes_after_our_patience_is_a_landed_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path / "served", monkeypatch) as (fleet, _):
        ada = fleet.machine("ada").ledger()
        landed(add(ada, "one"))
        pushes = dawdle(fleet.hub, 2, "post-receive")
        result = landed(perform(impatient(ada, 1.0), claim_of("one", "ada")))
        assert pushes.of() == [result.commit]
        assert len(claims(fleet)) == 1


def late_claim(ledger: Ledger, hub: Path, seconds: float, pushes: int) -> tuple[Pushes, Result]:
    """A claim whose first push lands long after the client gave up and looked."""
    offered = dawdle(hub, seconds, "pre-receive", pushes)
    return offered, perform(impatient(ledger, 1.0), claim_of("one", "ada"))


@pytest.mark.parametrize(
    "slow", [pytest.param(1, id="the second push overtakes"), pytest.param(3, id="the first push arrives")]
)
def test_a_push_that_lands_seconds_after_a_fetch_did_not_show_it_lands_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: int
) -> None:
    with served(tmp_path / "served", monkeypatch) as (fleet, _):
        ada = fleet.machine("ada").ledger()
        landed(add(ada, "one"))
        offered, result = late_claim(ada, fleet.hub, 2.5, slow)
        if isinstance(result, Waiting):
            result = ada.perform([result.operation])[0]
        assert isinstance(result, Landed)
        assert len(offered.of()) >= 2
        assert set(offered.of()) == {result.commit}, "another commit was built while the outcome was unknown"
        assert fleet.tip() == result.commit
        assert len(claims(fleet)) == 1


def test_nothing_else_is_built_while_an_outcome_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path / "served", monkeypatch) as (fleet, _):
        ada = fleet.machine("ada").ledger()
        landed(add(ada, "one"))
        landed(add(ada, "two"))
        monkeypatch.setattr("aq.ledger.pusher._LOOKS", 1)
        offered = dawdle(fleet.hub, 4, "pre-receive", 9)
        first, second = claim_of("one", "ada"), claim_of("two", "ada")
        (waiting,) = impatient(ada, 0.7).perform([first])
        assert isinstance(waiting, Waiting)
        assert {type(result) for result in ada.perform([first, second])} == {Waiting}
        assert len(set(offered.of())) == 1
        (fleet.hub / "dawdle").write_text("")
        results = impatient(ada, 30).perform([first, second])
        assert [type(result) for result in results] == [Landed, Landed]
        assert claims(fleet) == ["claim one on ada (attempt 1)", "claim two on ada (attempt 1)"]


def test_a_push_is_dead_when_the_tip_moved_past_its_base_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path / "served", monkeypatch) as (fleet, _):
        ada, bob = fleet.machine("ada").ledger(), fleet.machine("bob").ledger()
        landed(add(ada, "one"))
        bob.fetch()
        offered = dawdle(fleet.hub, 2.5, "pre-receive", 1)
        found: list[Result] = []
        claim = claim_of("one", "ada")
        pushing = threading.Thread(target=lambda: found.extend(impatient(ada, 1.0).perform([claim])))
        pushing.start()
        wait_until(offered.of)
        landed(add(bob, "two"))
        pushing.join()
        (result,) = found
        assert isinstance(result, Landed)
        assert offered.of()[0] != result.commit
        assert result.commit == fleet.tip()
        assert fleet.events()[-2:] == ["add two", "claim one on ada (attempt 1)"]


def test_an_unknown_outcome_is_settled_by_a_later_call_when_even_the_look_failed(fleet: Fleet) -> None:
    ada = fleet.machine("ada").ledger()
    landed(add(ada, "one"))
    elsewhere = fleet.hub.with_name("away.git")
    hook(fleet.hub, "post-receive", f"mv '{fleet.hub}' '{elsewhere}'; kill -KILL $(client)")
    claim = claim_of("one", "ada")
    (waiting,) = ada.perform([claim])
    assert isinstance(waiting, Waiting)
    elsewhere.rename(fleet.hub)
    unhook(fleet.hub, "post-receive")
    results = ada.perform([])
    assert [type(result) for result in results] == [Landed]
    assert results[0].operation.op_id == claim.op_id
    assert ada.perform([]) == []
    assert len(claims(fleet)) == 1


def test_an_add_whose_process_dies_after_the_hub_took_it_submits_one_job(fleet: Fleet) -> None:
    (fleet.you.path / "one.md").write_text("do it\n")
    armed = kill_client_once(fleet.hub, "add one", up=2)
    died = fleet.you.aq("add", "one.md", ok=False)
    assert died.returncode < 0
    assert not armed.exists()
    fleet.you.aq("status")
    assert len([event for event in fleet.events() if event.startswith("add")]) == 1
    assert len(list(fleet.snapshot().jobs(Stage.INBOX))) == 1
    assert not list(fleet.you.paths.spool.glob("*.json"))


def test_a_host_whose_git_dies_after_the_hub_took_its_claim_runs_the_job_once(
    fleet: Fleet, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    landed(add(fleet.you.ledger(), "one", SIDE_EFFECT.format(runs)))
    armed = kill_client_once(fleet.hub, "claim one")
    fleet.machine("ada").aq("run", "--host", "ada", "--until-idle")
    assert not armed.exists()
    assert runs.read_text() == "1\n"
    assert len(claims(fleet)) == 1
    job = fleet.job("one")
    assert job
    assert (job.stage, job.lease, job.record.epoch) == (Stage.REVIEW, None, 1)


def test_a_landing_whose_reply_was_lost_lands_once(fleet: Fleet, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    landed(add(fleet.you.ledger(), "one", SIDE_EFFECT.format(runs)))
    armed = kill_client_once(fleet.hub, "unverified one")
    fleet.machine("ada").aq("run", "--host", "ada", "--until-idle")
    assert not armed.exists()
    assert runs.read_text() == "1\n"
    assert [event.split()[0] for event in fleet.events()[-3:]] == ["claim", "land", "unverified"]


def test_a_lease_of_mine_that_no_process_serves_is_released_at_the_next_start(
    fleet: Fleet, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    landed(add(fleet.you.ledger(), "one", SIDE_EFFECT.format(runs)))
    armed = kill_client_once(fleet.hub, "claim one", up=2)
    ada = fleet.machine("ada")
    died = subprocess.run(
        [sys.executable, "-m", "aq", "run", "--host", "ada"],
        cwd=ada.path,
        env=ada.env,
        check=False,
        timeout=60,
    )
    assert died.returncode < 0
    assert not armed.exists()
    assert not runs.exists()
    ada.aq("run", "--host", "ada", "--until-idle")
    assert runs.read_text() == "2\n"
    assert "release one on ada: claimed, but never started" in git(fleet.hub, "log", "--format=%B", "main")
    job = fleet.job("one")
    assert job
    assert (job.record.epoch, job.record.attempts, job.record.infra) == (2, 1, 1)
