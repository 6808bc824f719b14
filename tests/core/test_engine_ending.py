"""How an engine ended: our own stop wins, then its events, then its exit code."""

from __future__ import annotations

import pytest

from aq.core.engine.budget import Stop
from aq.core.engine.classify import Verdict
from aq.core.engine.ending import verdict_on
from aq.core.engine.events import Faulted
from aq.core.engine.report import EngineReport

WELL = EngineReport(finished=True)
LIMITED = EngineReport(finished=False, faults=(Faulted("too many", 429, reset=600.0),), code=1)


@pytest.mark.parametrize("report", [WELL, LIMITED], ids=["it says all is well", "it says something else"])
def test_our_own_stop_wins_over_whatever_the_engine_says(report: EngineReport) -> None:
    stop = Stop("timeout", "no end within 5 s")
    found = verdict_on(report, stop, changed=True, engine="claude", told=True)
    assert found == Verdict("timeout", "no end within 5 s")


RETRIED: dict[str, tuple[Faulted | None, str, str, float | None]] = {
    "a rate limit": (Faulted("slow down", 429, reset=3600.0), "rate_limit", "it waits: slow down", 3600.0),
    "no login": (Faulted("Reconnecting (unexpected status 401)"), "auth", "it waits: Reconnecting", None),
    "too much context": (Faulted("prompt_too_long"), "context", "it waits: prompt_too_long", None),
    "nothing known": (Faulted(""), "network", "it waits", None),
    "no fault at all": (None, "network", "it waits", None),
    "words that name no class": (Faulted("hm", reset=130.0), "network", "it waits: hm", 130.0),
}


@pytest.mark.parametrize(("fault", "failure", "reason", "reset"), RETRIED.values(), ids=RETRIED)
def test_what_an_engine_tried_to_get_over_says_whose_fault_it_is(
    fault: Faulted | None, failure: str, reason: str, reset: float | None
) -> None:
    found = verdict_on(WELL, Stop("", "it waits", fault), changed=True, engine="codex", told=True)
    assert (found.failure, found.reset) == (failure, reset)
    assert found.reason.startswith(reason)


TOLD: dict[str, tuple[EngineReport, bool, bool, str]] = {
    "its events decide": (LIMITED, True, True, "rate_limit"),
    "its success counts": (EngineReport(finished=True, code=7), True, True, ""),
    "no end is no success": (EngineReport(code=0), True, True, "unknown"),
    "by exit code, well": (EngineReport(code=0), False, False, ""),
    "by exit code, failed": (EngineReport(code=3), False, True, "agent"),
    "by exit code, killed": (EngineReport(code=-9), False, True, "crash"),
    "by exit code, with an error told": (LIMITED, False, True, "rate_limit"),
}


@pytest.mark.parametrize(("report", "told", "changed", "failure"), TOLD.values(), ids=TOLD)
def test_the_exit_code_counts_only_for_engines_that_tell_nothing(
    report: EngineReport, told: bool, changed: bool, failure: str
) -> None:
    assert verdict_on(report, None, changed=changed, engine="x", told=told).failure == failure
