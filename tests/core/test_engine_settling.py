"""What a failure class costs the job: given back for infrastructure, charged otherwise; and what the
record keeps of the engine."""

from __future__ import annotations

from typing import Any

import pytest

from aq.core.engine.policy import POLICIES, policy
from aq.core.errors import AqError
from aq.core.fleet import Cooling
from aq.core.lifecycle import Stage
from aq.core.manifest import Budget, Retry
from aq.core.operations import Fail, Land, Release
from aq.core.settings import Budgets
from aq.core.settle import Ending, Outcome, settle
from tests.support.builders import NOW, Queue

FACTS: dict[str, Any] = {"usd": 0.5, "tokens": 9, "model": "m-1", "version": "2.1.0"}
TIP = "e" * 40


@pytest.mark.parametrize("failure", POLICIES)
def test_a_failed_engine_is_given_back_or_charged_by_its_class(failure: str) -> None:
    queue = Queue()
    fence = queue.started(retry=Retry(max=0), budget=Budget(usd=1.0))
    outcome = Outcome(Ending.FAILED, failure, "too many", **FACTS)
    (operation,) = settle(fence, outcome, NOW, ("op-a", "op-b"))
    assert isinstance(operation, Release if policy(failure).released else Fail)
    queue.do(operation)
    record = queue.job().record
    assert (record.attempts, record.infra) == ((0, 1) if policy(failure).released else (1, 0))
    held = failure == "budget"
    assert (queue.job().stage is Stage.INBOX) == (policy(failure).released or held)
    assert (queue.job().record.hold is not None) == held


def test_a_release_names_its_class_and_keeps_cost_and_engine() -> None:
    queue = Queue()
    queue.limit(budgets=Budgets(default_usd=2.0, fleet_usd=5.0))
    fence = queue.started()
    outcome = Outcome(Ending.FAILED, "rate_limit", "too many", branch="aq/a/1", tip=TIP, **FACTS)
    change = queue.do(settle(fence, outcome, NOW, ("op-a", "op-b"))[0])
    run = queue.job().record.runs[-1]
    assert (run.outcome, run.reason) == ("released", "rate_limit: too many")
    assert (run.usd, run.tokens, run.model, run.version) == (0.5, 9, "m-1", "2.1.0")
    assert (run.branch, run.tip) == ("aq/a/1", TIP)
    extra = dict(change.event.extra)
    assert (extra["Aq-Class"], extra["Aq-Reason"]) == ("rate_limit", "rate_limit: too many")
    assert queue.now.spend[NOW[:10]].fleet.settled == 0.5


def test_a_landing_and_what_follows_keep_what_the_engine_was() -> None:
    queue = Queue()
    fence = queue.started()
    queue.do(
        settle(fence, Outcome(Ending.DONE, branch="b", tip=TIP, pushed=True, **FACTS), NOW, ("x", "y"))[0]
    )
    assert (queue.job().record.runs[-1].model, queue.job().record.runs[-1].version) == ("m-1", "2.1.0")
    queue.do(queue.fail_of(fence))
    run = queue.job().record.runs[-1]
    assert (run.outcome, run.model, run.version, run.tokens) == ("crash", "m-1", "2.1.0", 9)


def test_a_release_in_review_keeps_what_the_landing_told() -> None:
    queue = Queue()
    fence = queue.started()
    queue.do(settle(fence, Outcome(Ending.DONE, **FACTS), NOW, ("x", "y"))[0])
    queue.do(queue.release_of(fence, version="2.2.0"))
    run = queue.job().record.runs[-1]
    assert (run.tokens, run.model, run.version, run.reason) == (9, "m-1", "2.2.0", "disk full")


def test_a_landing_is_settled_with_all_its_facts() -> None:
    fence = Queue().started()
    (made,) = settle(fence, Outcome(Ending.DONE, baseline="lint", pushed=True, **FACTS), NOW, ("x", "y"))
    assert made == Land(at=NOW, by="mac-1", op_id="x", fence=fence, pushed=True, baseline="lint", **FACTS)


def test_a_resting_engine_says_until_when_and_why() -> None:
    assert Cooling(NOW, "quota").words == f"rests until {NOW} (quota)"
    with pytest.raises(AqError, match="is not a time"):
        Cooling("soon", "quota")
