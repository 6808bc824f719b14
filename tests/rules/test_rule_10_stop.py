"""Rule 10: a stop that is on the tip binds every claim, whatever its host saw when it planned."""

from __future__ import annotations

import threading

import pytest

from aq.core.instants import day
from aq.core.lifecycle import Stage
from aq.core.manifest import Budget
from aq.core.operations import Cancel, Operation, PauseFleet, ResumeFleet, ResumeJob, Verified
from aq.core.results import Landed, Refused, Result
from aq.core.settings import Amount
from tests.support.fleet import FAST, Fleet, git, landed, op, perform
from tests.support.story import Story, hand_write, story

PAID = "---\nengine: shell\nbudget: {{usd: {usd}}}\n{more}---\ntrue\n"


def paid(usd: float, more: str = "") -> str:
    return PAID.format(usd=usd, more=more)


def settings(fleet: Fleet, text: str) -> None:
    hand_write(fleet.you.path, "queue/aq.yaml", FAST + text)


def fleet_spend(tale: Story) -> Amount:
    days = tale.snapshot.spend
    assert len(days) <= 1
    return next(iter(days.values())).fleet if days else Amount()


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        ("queue/PAUSED", "{by: alice, why: deploy}\n", "paused by alice: deploy"),
        ("queue/PAUSED", "", "the queue is paused"),
        ("queue/aq.yaml", FAST + "wip: {building: 0}\n", "wip.building"),
        ("queue/aq.yaml", FAST + "wip: {people: 0}\n", "wip.people"),
        ("queue/aq.yaml", FAST + "budgets: {fleet: {usd: 0}}\n", "0.00 of 0.00 usd left"),
        ("queue/aq.yaml", "cadense: lan\n", "settings are invalid"),
    ],
    ids=["PAUSED", "an empty PAUSED", "wip.building", "wip.people", "a budget", "invalid settings"],
)
def test_a_claim_planned_before_a_stop_is_refused_on_the_tip_that_has_it(
    fleet: Fleet, path: str, text: str, why: str
) -> None:
    tale = story(fleet)
    tale.inbox("x")
    seen = tale.ledger.tip
    hand_write(fleet.you.path, path, text)
    assert tale.ledger.tip == seen, "the host has not fetched the stop"
    assert why in str(tale.refusal(tale.claim_of("x")))
    assert fleet.job("x").stage is Stage.INBOX  # type: ignore[union-attr]


def test_the_stop_is_lifted_by_resume(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.inbox("x")
    tale.do(PauseFleet(**op(), why="deploy"))
    assert tale.tree()["queue/PAUSED"]
    assert "deploy" in tale.refusal(tale.claim_of("x")).reason
    tale.do(ResumeFleet(**op()))
    assert "queue/PAUSED" not in tale.tree()
    tale.do(tale.claim_of("x"))


def test_running_work_lands_while_the_queue_is_paused(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.building("x")
    tale.do(PauseFleet(**op(), why="deploy"))
    tale.do(tale.land_of("x"))
    tale.do(Verified(**op("ada"), fence=tale.fence("x")))
    assert tale.job("x").stage is Stage.TESTING


def race(fleet: Fleet, claims: dict[str, str]) -> list[Result]:
    """Each host claims its job at the same time, from a ledger that saw the same tip."""
    tales = {host: story(fleet, host, host) for host in claims}
    for tale in tales.values():
        tale.ledger.fetch()
    results: list[Result] = []
    gate = threading.Barrier(len(claims))

    def go(host: str, job: str) -> None:
        gate.wait()
        results.append(perform(tales[host].ledger, tales[host].claim_of(job)))

    threads = [threading.Thread(target=go, args=pair) for pair in claims.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize(
    ("limit", "text"),
    [("budgets: {fleet: {usd: 5}}\n", paid(3)), ("wip: {building: 1}\n", paid(3))],
    ids=["a budget of 5 and two that reserve 3", "one building slot for two claims"],
)
def test_of_two_claims_that_race_for_the_last_of_a_limit_exactly_one_lands(
    fleet: Fleet, limit: str, text: str
) -> None:
    settings(fleet, limit)
    tale = story(fleet)
    tale.inbox("one", text)
    tale.inbox("two", text)
    results = race(fleet, {"ada": "one", "bob": "two"})
    assert len(results) == 2
    assert {type(result) for result in results} == {Landed, Refused}
    tale.ledger.fetch()
    assert len(list(tale.snapshot.leased())) == 1


def test_of_two_jobs_that_a_person_gave_more_exactly_one_gets_the_last_of_the_days_money(
    fleet: Fleet,
) -> None:
    settings(fleet, "budgets: {fleet: {usd: 5}}\n")
    tale = story(fleet)
    for name in ("one", "two"):
        tale.building(name, paid(0.5))
        tale.do(tale.fail_of(name, "budget", usd=0.5))
        tale.do(ResumeJob(**op(), job=name, budget=Budget(usd=3.0)))
    results = race(fleet, {"ada": "one", "bob": "two"})
    assert {type(result) for result in results} == {Landed, Refused}
    tale.ledger.fetch()
    assert fleet_spend(tale) == Amount(3.0, 1.0)


def test_a_claim_reserves_and_a_landing_settles_to_the_actual_cost(fleet: Fleet) -> None:
    settings(fleet, "budgets: {fleet: {usd: 5}}\n")
    tale = story(fleet)
    tale.building("x", paid(3))
    assert fleet_spend(tale) == Amount(3.0, 0.0)
    today = day(tale.job("x").record.runs[-1].started)
    assert f"queue/spend/{today}.yaml" in tale.tree()
    tale.do(tale.land_of("x", usd=0.75))
    tale.do(Verified(**op("ada"), fence=tale.fence("x")))
    assert fleet_spend(tale) == Amount(0.0, 0.75)
    assert tale.job("x").record.runs[-1].usd == 0.75


def test_a_failed_run_settles_at_what_it_cost(fleet: Fleet) -> None:
    settings(fleet, "budgets: {fleet: {usd: 5}}\n")
    tale = story(fleet)
    tale.building("x", paid(3))
    tale.do(tale.fail_of("x", usd=1.25))
    assert fleet_spend(tale) == Amount(0.0, 1.25)


def _end(tale: Story, how: str) -> Operation:
    return {
        "reclaim": lambda: tale.reclaim_of("x"),
        "release of unknown cost": lambda: tale.release_of("x"),
        "failure of unknown cost": lambda: tale.fail_of("x"),
        "cancel": lambda: Cancel(**op(), job="x"),
    }[how]()


@pytest.mark.parametrize("how", ["reclaim", "release of unknown cost", "failure of unknown cost", "cancel"])
def test_an_unknown_cost_settles_at_the_reservation(fleet: Fleet, how: str) -> None:
    settings(fleet, "budgets: {fleet: {usd: 5}}\n")
    tale = story(fleet)
    tale.building("x", paid(3))
    tale.do(_end(tale, how))
    assert fleet_spend(tale) == Amount(0.0, 3.0)
    tale.inbox("y", paid(3))
    assert "2.00 of 5.00 usd left" in tale.refusal(tale.claim_of("y")).reason


def test_a_job_without_a_budget_reserves_the_default_where_a_limit_applies(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.building("free")
    assert fleet_spend(tale) == Amount()
    settings(fleet, "budgets: {default-usd: 2, fleet: {usd: 5}}\n")
    tale.ledger.fetch()
    tale.building("x")
    assert fleet_spend(tale) == Amount(2.0, 0.0)


def test_a_product_limit_binds_only_that_product(fleet: Fleet) -> None:
    settings(fleet, "budgets: {fleet: {usd: 50}, products: {billing: {usd: 4}}}\n")
    tale = story(fleet)
    tale.building("a", paid(3, "product: billing\n"))
    tale.inbox("b", paid(3, "product: billing\n"))
    tale.inbox("c", paid(3, "product: search\n"))
    assert "billing has 1.00 of 4.00" in tale.refusal(tale.claim_of("b")).reason
    tale.do(tale.claim_of("c"))
    spend = next(iter(tale.snapshot.spend.values()))
    assert spend.of("billing") == Amount(3.0, 0.0)
    assert spend.fleet == Amount(6.0, 0.0)


def test_a_run_that_was_landed_and_lost_is_settled_once(fleet: Fleet) -> None:
    settings(fleet, "budgets: {fleet: {usd: 50}}\n")
    tale = story(fleet)
    tale.to_be_verified("x", paid(3))
    assert fleet_spend(tale) == Amount(0.0, 3.0)
    tale.do(Cancel(**op(), job="x"))
    assert fleet_spend(tale) == Amount(0.0, 3.0)


def test_invalid_settings_pause_with_file_and_line_and_running_work_goes_on(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.building("running")
    tale.inbox("x")
    hand_write(fleet.you.path, "queue/aq.yaml", "cadence: lan\nwip: {people: many}\n")
    shown = fleet.you.aq("status").stdout
    assert "PAUSED, the settings are invalid: queue/aq.yaml:2:" in shown
    tale.ledger.fetch()
    assert "queue/aq.yaml:2:" in tale.refusal(tale.claim_of("x")).reason
    tale.do(tale.land_of("running"))
    settings(fleet, "")
    tale.ledger.fetch()
    tale.do(tale.claim_of("x"))
    assert git(fleet.hub, "rev-parse", "main") == tale.ledger.tip


def test_wip_for_people_counts_testing_and_judged_review(fleet: Fleet) -> None:
    settings(fleet, "wip: {people: 2}\n")
    tale = story(fleet)
    tale.inbox("next")
    tale.testing("one")
    tale.to_be_verified("machine")
    tale.judged("two")
    assert "2 jobs wait for a person" in tale.refusal(tale.claim_of("next")).reason
    landed(perform(tale.ledger, Cancel(**op(), job="two")))
    tale.do(tale.claim_of("next"))
