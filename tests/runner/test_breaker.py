"""A host on which everything breaks empties no queue: it rests, says so, and then tries one job."""

from __future__ import annotations

import pytest

from aq.core.health import FIRST_REST
from aq.core.lifecycle import Stage
from tests.runner.hosts import Host, host
from tests.support.fleet import Fleet, add

_BREAKS = "---\nengine: shell\nretry: {max: 0}\n---\nkill -KILL $$\n"


def ended(one: Host) -> int:
    return len(one.runner.ledger.snapshot().stages[Stage.DEAD_LETTER])


def test_a_broken_host_touches_three_jobs_then_rests_and_tries_one(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = fleet.you.ledger()
    for n in range(6):
        add(ledger, f"job{n}", _BREAKS)
    with host(fleet, monkeypatch, slots=5) as one:
        one.until(lambda: ended(one) == 3, what="three jobs ended")
        one.until(lambda: not one.runner.held and not one.runner.pending)
        assert one.heard("this host rests: 3 jobs in a row went bad here, the last: crash after")
        one.ticks(5)
        assert ended(one) == 3
        assert not one.runner.held
        beat = one.until(lambda: one.runner.ledger.beats["ada"][1].resting, what="the beat says so")
        assert "3 jobs in a row went bad here" in beat
        one.clock.ahead += FIRST_REST + 1
        one.until(lambda: ended(one) == 4, what="one more job was tried")
        one.ticks(5)
        assert ended(one) == 4
        add(ledger, "good", "---\nengine: shell\npriority: critical\n---\ntrue\n")
        one.clock.ahead += 2 * FIRST_REST + 1
        one.until(lambda: one.runner.breaker.proven, what="a good run lifts it")
        assert one.runner.breaker.rests == 0


def test_scripts_that_fail_at_once_are_their_jobs_own_and_no_reason_to_rest(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = fleet.you.ledger()
    for n in range(4):
        add(ledger, f"job{n}", "---\nengine: shell\nretry: {max: 0}\n---\nexit 1\n")
    with host(fleet, monkeypatch, slots=4) as one:
        one.until(lambda: ended(one) == 4, what="all of them ended")
        assert not one.heard("this host rests")
