"""Why a job may not start: in words, the same for plan, claim and `aq why`."""

from __future__ import annotations

import math

import pytest

from aq.core.errors import AqError
from aq.core.lifecycle import Stage
from aq.core.manifest import Budget, Deps, Manifest
from aq.core.planning.eligible import (
    budget_blockers,
    confinement,
    delivery_blockers,
    dep_blockers,
    engine_wanted,
    fleet_blockers,
    host_blockers,
    job_blockers,
    lock_holder,
    reservation,
    resolve_engine,
    work_below,
)
from aq.core.record import Note, Record
from aq.core.settings import Amount, Budgets, Pause, Settings, Spend
from aq.core.value import replace
from tests.support.builders import NOW, OFFERS, job, manifest, snapshot

LATER = "2026-11-21T10:00:01Z"
TIP = "f" * 40


def test_a_ready_job_has_no_blockers() -> None:
    assert job_blockers(job("a"), snapshot([job("a")]), NOW) == []


def test_every_blocker_is_named_the_worst_first() -> None:
    record = Record(pause=Note("bob", NOW, ""), hold=Note("alice", NOW, "conflict"), not_before=LATER)
    found = job(
        "a", problem="edited", record=record, every=60.0, not_before=LATER, deps=Deps(("x",)), lock="db"
    )
    seen = snapshot([found, job("b", host="mac-1", lock="db")])
    assert job_blockers(found, seen, NOW) == [
        "edited",
        "is a schedule: copies of it run",
        "paused by bob: no reason given",
        "on hold: conflict",
        f"not before {LATER}",
        f"retries at {LATER}",
        "needs x shipped (no such job)",
        "lock 'db' is held by b",
    ]
    assert f"not before {LATER}" not in job_blockers(found, seen, LATER)


def delivered(deliver: str, delivery: str) -> Record:
    return replace(Record(), delivery=delivery)


@pytest.mark.parametrize(
    ("deps", "others", "reasons"),
    [
        (Deps(("x",)), [], ["needs x shipped (no such job)"]),
        (Deps(("x",)), [job("x", Stage.TESTING)], ["needs x shipped (it is in testing)"]),
        (Deps(("x",)), [job("x", Stage.SHIPPED)], []),
        (
            Deps(("x",)),
            [job("x", Stage.SHIPPED, deliver="merge", record=Record(delivery="wanted"))],
            ["needs x delivered (it is shipped)"],
        ),
        (Deps(("x",)), [job("x", Stage.SHIPPED, deliver="pr", record=Record(delivery="delivered"))], []),
        (Deps(testing=("x",)), [job("x", Stage.REVIEW)], ["needs x in testing (it is in review)"]),
        (Deps(testing=("x",)), [], ["needs x in testing (no such job)"]),
        (Deps(testing=("x",)), [job("x", Stage.TESTING)], []),
        (Deps(testing=("x",)), [job("x", Stage.SHIPPED)], []),
        (
            Deps(("x", "y"), ("z",)),
            [job("y", Stage.SHIPPED)],
            ["needs x shipped (no such job)", "needs z in testing (no such job)"],
        ),
    ],
)
def test_a_dep_says_how_far_it_is(deps: Deps, others: list, reasons: list[str]) -> None:
    assert dep_blockers(manifest(deps=deps), snapshot(others)) == reasons


def test_a_shipped_dep_whose_record_cannot_be_read_counts() -> None:
    class Names:
        def __contains__(self, name: object) -> bool:
            return True

        def __len__(self) -> int:
            return 1

        def get(self, name: str) -> None:
            return None

        def undelivered(self) -> list:
            return []

    assert dep_blockers(manifest(deps=Deps(("x",))), snapshot(archive=Names())) == []


def test_a_lock_is_held_only_by_another_job_with_a_lease() -> None:
    mine = job("a", host="mac-1", lock="db")
    assert lock_holder(mine, snapshot([mine, job("b", lock="db"), job("c", host="mac-2", lock="x")])) == ""
    assert lock_holder(mine, snapshot([mine, job("b", Stage.REVIEW, host="mac-2", lock="db")])) == "b"
    assert lock_holder(job("a"), snapshot([job("b", host="mac-2", lock="")])) == ""


def test_what_keeps_every_job_from_starting() -> None:
    jobs = [
        job("a", host="mac-1"),
        job("b", Stage.TESTING),
        job("c", Stage.REVIEW, record=Record(hold=Note("x", NOW))),
    ]
    seen = snapshot(
        jobs, settings=Settings(wip_building=1, wip_people=2), settings_error="line 1: no", pause=Pause()
    )
    assert fleet_blockers(seen) == [
        "queue settings are invalid: line 1: no",
        "the queue is paused by someone: no reason given",
        "1 jobs are building (wip.building)",
        "2 jobs wait for a person (wip.people is 2)",
    ]
    assert fleet_blockers(snapshot(jobs, settings=Settings(wip_building=2, wip_people=3))) == []
    assert fleet_blockers(snapshot(pause=Pause("alice", "release"))) == [
        "the queue is paused by alice: release"
    ]


def test_a_reservation_is_the_budget_or_the_default_where_a_limit_applies() -> None:
    limited = snapshot(settings=Settings(budgets=Budgets(0.5, products={"billing": 5.0})))
    assert reservation(manifest(budget=Budget(usd=3)), snapshot()) == 3
    assert reservation(manifest(product="billing"), limited) == 0.5
    assert reservation(manifest(product="search"), limited) == 0.0


def test_the_money_left_is_told_and_a_limit_may_be_spent_to_the_last_cent() -> None:
    budgets = Budgets(0.1, fleet_usd=0.3, products={"billing": 0.2})
    seen = snapshot(
        settings=Settings(budgets=budgets),
        spend={NOW[:10]: Spend(Amount(0.1, 0.1), {"billing": Amount(0.2, 0.0)})},
    )
    assert budget_blockers(manifest(), seen, NOW) == []
    assert budget_blockers(manifest(product="billing"), seen, NOW) == [
        "billing has 0.00 of 0.20 usd left today and this job reserves 0.10"
    ]
    assert budget_blockers(manifest(budget=Budget(usd=0.2)), seen, NOW) == [
        "the fleet has 0.10 of 0.30 usd left today and this job reserves 0.20"
    ]
    assert budget_blockers(manifest(product="billing"), seen, "2026-11-22T00:00:00Z") == []


@pytest.mark.parametrize("amounts", [(math.nan, 0.0), (0.0, math.nan), (-0.1, 0.0), (0.0, -math.inf)])
def test_what_is_no_amount_never_counts_against_a_limit_as_one(amounts: tuple[float, float]) -> None:
    with pytest.raises(AqError, match="no amounts in usd"):
        Amount(*amounts)


ENGINES = {"shell": "shell", "codex": "agentic-coder", "claude": "agentic-coder"}


@pytest.mark.parametrize(
    ("keys", "engine", "wanted"),
    [
        ({"engine": "shell"}, "shell", "engine:shell"),
        ({"engine": "other"}, "", "engine:other"),
        ({}, "codex", "engine-class:agentic-coder"),
        ({"engine_class": "shell"}, "shell", "engine-class:shell"),
        ({"engine_class": "painter"}, "", "engine-class:painter"),
    ],
)
def test_an_engine_is_named_or_the_first_agent_never_the_shell_by_default(
    keys: dict[str, str], engine: str, wanted: str
) -> None:
    asked = Manifest(**keys)  # type: ignore[arg-type]
    assert (resolve_engine(asked, ENGINES), engine_wanted(asked)) == (engine, wanted)
    assert resolve_engine(Manifest(), {"shell": "shell"}) == ""


def test_a_host_is_told_each_clause_that_it_lacks() -> None:
    asked = Manifest(capabilities=("os:linux", "has:docker"), repo="billing")
    assert host_blockers(asked, OFFERS, {}) == [
        "lacks has:docker",
        "lacks engine-class:agentic-coder",
        "lacks repo:billing",
    ]
    assert host_blockers(asked, OFFERS | {"docker=27", "repo:billing"}, ENGINES) == []


def test_a_job_builds_on_the_branches_of_its_deps_in_the_same_place() -> None:
    def dep(name: str, stage: Stage = Stage.SHIPPED, tip: str = TIP, delivery: str = "", **keys: str):  # type: ignore[no-untyped-def]
        return job(
            name,
            stage,
            record=Record(tip=tip and f"{name}-tip", delivery=delivery),
            **{"repo": "billing", **keys},
        )

    others = [
        dep("a"),
        dep("b", tip=""),
        dep("c", delivery="delivered"),
        dep("d", repo="search"),
        dep("e", Stage.TESTING),
        dep("f", delivery="delivered", deliver="pr"),
    ]
    asked = job("x", repo="billing", deps=Deps(("a", "b", "c", "d", "f", "gone"), ("e",)))
    assert work_below(asked, snapshot(others)) == ("a-tip", "f-tip", "e-tip")
    nowhere = job("x", deps=Deps(("a",)))
    assert work_below(nowhere, snapshot([job("a", Stage.SHIPPED, record=Record(tip=TIP))])) == ()


def test_a_job_that_requires_a_sandbox_waits_for_a_host_that_offers_one() -> None:
    asked = Manifest(engine="shell", sandbox="required")
    assert host_blockers(asked, frozenset(), {"shell": "shell"}) == ["lacks sandbox:fs"]
    assert host_blockers(asked, frozenset({"sandbox:fs"}), {"shell": "shell"}) == []
    assert host_blockers(Manifest(engine="shell", sandbox="auto"), frozenset(), {"shell": "shell"}) == []


CONFINED = {
    ("", "auto"): "auto",
    ("", "off"): "off",
    ("auto", "off"): "auto",
    ("off", "auto"): "auto",
    ("off", "off"): "off",
    ("required", "off"): "required",
    ("off", "required"): "required",
}


@pytest.mark.parametrize(("said", "wanted"), CONFINED.items(), ids=str)
def test_the_stricter_of_job_and_owner_confines(said: tuple[str, str], wanted: str) -> None:
    assert confinement(*said) == wanted


@pytest.mark.parametrize(
    ("keys", "offers", "lacks"),
    [
        ({"deliver": "merge"}, (), []),
        ({"deliver": "merge", "repo": "app"}, (), ["lacks repo:app"]),
        ({"deliver": "pr", "repo": "app"}, ("repo:app", "glab=1.2"), []),
        ({"deliver": "pr"}, (), ["lacks has:gh and has:glab"]),
    ],
)
def test_a_host_delivers_only_where_and_with_what_it_has(
    keys: dict[str, str], offers: tuple[str, ...], lacks: list[str]
) -> None:
    assert delivery_blockers(manifest(**keys), frozenset(offers)) == lacks
