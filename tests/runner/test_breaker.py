"""A host on which everything breaks empties no queue: it rests, says so, and then tries one job."""

from __future__ import annotations

import pytest

from aq.core.health import FIRST_REST, LONGEST_REST, Breaker
from aq.core.instants import unix
from aq.core.lifecycle import Stage
from aq.runner.breaker import resting, wake
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


def test_the_rest_survives_a_restart_unless_somebody_says_that_the_host_is_well(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = fleet.you.ledger()
    for n in range(4):
        add(ledger, f"job{n}", _BREAKS)
    with host(fleet, monkeypatch, slots=5) as one:
        one.until(lambda: one.runner.breaker.rests == 1, what="it rests")
        one.until(lambda: not one.runner.held and not one.runner.pending)
    with host(fleet, monkeypatch, slots=5) as again:
        assert again.heard("this host rests: 3 jobs in a row went bad here")
        assert again.heard("`aq run --wake`")
        again.until(lambda: again.runner.confirmed_at is not None)
        again.ticks(5)
        assert (ended(again), again.runner.held) == (3, {})
        again.clock.ahead += FIRST_REST + 1
        assert resting(again.runner) == ""
        assert again.runner.breaker.rests == 1
    with host(fleet, monkeypatch, slots=5, start=False) as well:
        wake(well.runner)
        well.runner.start()
        assert not well.heard("this host rests")
        well.until(lambda: ended(well) == 4, what="the last job was tried")


def test_a_rest_is_never_longer_than_it_can_have_been_meant(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with host(fleet, monkeypatch, start=False) as one:
        far = unix(one.clock.now()) + 1e9
        one.runner.memory.save_breaker(Breaker((), 1, far, "the clock was wrong"))
        one.runner.start()
        assert one.runner.breaker.until <= one.clock.boottime() + LONGEST_REST


def test_scripts_that_fail_at_once_are_their_jobs_own_and_no_reason_to_rest(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = fleet.you.ledger()
    for n in range(4):
        add(ledger, f"job{n}", "---\nengine: shell\nretry: {max: 0}\n---\nexit 1\n")
    with host(fleet, monkeypatch, slots=4) as one:
        one.until(lambda: ended(one) == 4, what="all of them ended")
        assert not one.heard("this host rests")
