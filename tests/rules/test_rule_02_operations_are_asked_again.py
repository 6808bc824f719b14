"""Rule 2: an operation is asked on the tip that it is committed on, again after every lost race; an old
diff is never replayed."""

from __future__ import annotations

import time

import pytest

from aq.core.files.jobfile import parse_job
from aq.core.lease import Fence
from aq.core.lifecycle import Stage
from aq.core.operations import Add, Cancel, Land, PauseFleet, Promote, Release, Unverified
from aq.core.results import Landed, Refused
from aq.core.value import replace
from aq.ledger.ledger import Ledger
from tests.support.fleet import HELLO, Fleet, add, claim_of, git, landed, op, perform


def rivals(fleet: Fleet, *jobs: str) -> tuple[Ledger, Ledger]:
    """Two hosts' ledgers on the same tip of a queue with these jobs."""
    ada, bob = fleet.machine("ada").ledger(), fleet.machine("bob").ledger()
    for job in jobs:
        landed(add(ada, job))
    bob.fetch()
    assert ada.tip == bob.tip
    return ada, bob


def linear(fleet: Fleet) -> bool:
    return not git(fleet.hub, "rev-list", "--min-parents=2", "main")


def test_of_two_hosts_that_claim_the_same_job_one_lands_and_one_is_refused(fleet: Fleet) -> None:
    ada, bob = rivals(fleet, "one")
    won, lost = perform(ada, claim_of("one", "ada")), perform(bob, claim_of("one", "bob"))
    assert isinstance(won, Landed)
    assert isinstance(lost, Refused)
    assert "one is in building" in lost.refusal.reason
    assert bob.pusher.lost == 1
    job = fleet.job("one")
    assert job
    assert job.lease
    assert (job.lease.host, job.record.epoch) == ("ada", 1)


def test_two_hosts_that_claim_different_jobs_both_land_on_one_line(fleet: Fleet) -> None:
    ada, bob = rivals(fleet, "one", "two")
    landed(perform(ada, claim_of("one", "ada")))
    landed(perform(bob, claim_of("two", "bob")))
    assert fleet.events()[-2:] == ["claim one on ada (attempt 1)", "claim two on bob (attempt 1)"]
    assert linear(fleet)


def test_an_operation_keeps_the_time_and_id_it_was_asked_with_when_it_lands_later(fleet: Fleet) -> None:
    ada, bob = rivals(fleet, "one", "two")
    early = replace(claim_of("two", "bob"), at="2026-11-01T06:00:00Z")
    landed(perform(ada, claim_of("one", "ada")))
    landed(perform(bob, early))
    assert bob.pusher.lost == 1
    shown = git(fleet.hub, "log", "-1", "--date=iso-strict", "--format=%cd %ad %B", "main")
    assert shown.startswith("2026-11-01T06:00:00+00:00 2026-11-01T06:00:00+00:00")
    assert f"Aq-Op-Id: {early.op_id}" in shown
    job = fleet.job("two")
    assert job
    assert job.lease
    assert job.lease.acquired_at == "2026-11-01T06:00:00Z"


def test_stacked_operations_are_each_asked_on_what_those_before_leave(fleet: Fleet) -> None:
    ada = fleet.machine("ada").ledger()
    claim = claim_of("one", "ada", nonce="n1")
    fence = Fence("one", "ada", 1, claim.nonce)
    blob = ada.write_blob(HELLO.encode())
    manifest = parse_job(HELLO.encode())[0]
    stack = [
        Add(**op(), job="one", blob=blob, manifest=manifest),
        claim,
        Land(**op("ada"), fence=fence),
        Unverified(**op("ada"), fence=fence),
        Promote(**op(), job="one"),
    ]
    results = ada.perform(stack)
    assert [type(result) for result in results] == [Landed] * 5, results
    assert ada.pusher.pushes == 1
    job = fleet.job("one")
    assert job
    assert job.stage is Stage.TESTING


def test_a_refusal_in_a_stack_leaves_the_others_standing(fleet: Fleet) -> None:
    ada, _ = rivals(fleet, "one", "two")
    stack = [claim_of("one", "ada"), claim_of("one", "ada"), claim_of("two", "ada")]
    kinds = {result.operation.op_id: type(result) for result in ada.perform(stack)}
    assert [kinds[operation.op_id] for operation in stack] == [Landed, Refused, Landed]


def test_a_slot_limit_holds_within_one_stack(fleet: Fleet) -> None:
    ada, _ = rivals(fleet, "one", "two")
    stack = [claim_of("one", "ada", slots=1), claim_of("two", "ada", slots=1)]
    kinds = {result.operation.op_id: type(result) for result in ada.perform(stack)}
    assert [kinds[operation.op_id] for operation in stack] == [Landed, Refused]


def test_a_refusal_on_an_old_tip_is_asked_again_on_the_newest_one(fleet: Fleet) -> None:
    ada, bob = rivals(fleet, "other")
    landed(add(bob, "one"))
    landed(perform(ada, claim_of("one", "ada")))
    assert ada.pusher.lost == 0


def test_a_stack_that_loses_its_race_drops_only_what_became_invalid(fleet: Fleet) -> None:
    ada, bob = rivals(fleet, "one", "two", "three")
    landed(perform(ada, claim_of("two", "ada")))
    stack = [claim_of(name, "bob") for name in ("one", "two", "three")]
    kinds = {result.operation.op_id: type(result) for result in bob.perform(stack)}
    assert [kinds[operation.op_id] for operation in stack] == [Landed, Refused, Landed]
    assert linear(fleet)


def test_a_stop_that_came_first_refuses_a_claim_that_had_not_seen_it(fleet: Fleet) -> None:
    ada, bob = rivals(fleet, "one")
    landed(perform(ada, PauseFleet(**op(), why="lunch")))
    refused = perform(bob, claim_of("one", "bob"))
    assert isinstance(refused, Refused)
    assert "lunch" in refused.refusal.reason


def test_what_another_host_changed_meanwhile_is_kept(fleet: Fleet) -> None:
    ada, bob = rivals(fleet, "one", "two")
    lease = landed(perform(ada, claim_of("one", "ada"))).change.jobs[0].after.lease
    assert lease
    bob.fetch()
    landed(perform(bob, Cancel(**op("bob"), job="one")))
    refused = perform(ada, Release(**op("ada"), fence=lease.fence, reason="tired"))
    assert isinstance(refused, Refused)
    job = fleet.job("one")
    assert job
    assert job.stage is Stage.FAILED


def test_many_losses_in_a_row_still_end_in_one_line(fleet: Fleet) -> None:
    names = [f"job-{n}" for n in range(6)]
    ada, bob = rivals(fleet, *names)
    for first, second in zip(names[::2], names[1::2], strict=True):
        landed(perform(ada, claim_of(first, "ada")))
        landed(perform(bob, claim_of(second, "bob")))
    assert ada.pusher.lost + bob.pusher.lost == 5
    assert linear(fleet)
    claims = [event for event in fleet.events() if event.startswith("claim")]
    assert len(claims) == len(set(claims)) == 6


@pytest.mark.parametrize("attempt", [0, 3, 30])
def test_the_pause_after_a_loss_is_random_and_at_most_four_seconds(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, attempt: int
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    pusher = fleet.you.ledger().pusher
    pusher._cycle = 0.1
    for _ in range(200):
        pusher._sleep(attempt)
    bound = min(4.0, 0.1 * 2 ** min(attempt + 1, 8))
    assert 0 <= min(slept) < bound / 4
    assert bound * 3 / 4 < max(slept) <= bound
