"""What a failure class means for the job and for the engine on this host."""

from __future__ import annotations

import math

import pytest

from aq.core.engine.classify import CLASSES
from aq.core.engine.policy import LONGEST_REST, POLICIES, policy, rest
from aq.core.manifest import FAILURE_CLASSES

CHARGED = {"context", "timeout", "budget", "denied", "agent", "crash", "verify_failed", "unknown"}


def test_every_class_that_exists_has_a_row() -> None:
    assert set(CLASSES) | set(FAILURE_CLASSES) <= set(POLICIES)


@pytest.mark.parametrize("failure", POLICIES)
def test_infrastructure_is_given_back_and_rests_the_rest_is_charged(failure: str) -> None:
    assert policy(failure).released == (failure not in CHARGED)
    assert bool(rest(failure, 1, None, 0.5)) == (failure not in CHARGED)


def test_a_class_that_nobody_knows_is_charged() -> None:
    assert not policy("made up").released


@pytest.mark.parametrize(
    ("failure", "minutes"),
    [("auth", [5, 15, 60, 60]), ("rate_limit", [5, 15, 60, 60]), ("network", [1, 5, 15, 15])],
)
def test_an_engine_that_fails_again_rests_longer(failure: str, minutes: list[int]) -> None:
    assert [rest(failure, times, None, 0.5) / 60 for times in (1, 2, 3, 9)] == minutes
    assert rest(failure, 0, None, 0.5) / 60 == minutes[0]


def test_jitter_spreads_the_ladder_by_a_quarter() -> None:
    assert (rest("quota", 1, None, 0.0), rest("quota", 1, None, 1.0)) == (225.0, 375.0)


RESETS = {
    "known": (3600.0, 0.0, 3600.0),
    "known, spread afterwards": (3600.0, 1.0, 3660.0),
    "a short one, spread little": (60.0, 1.0, 66.0),
    "within a minute: waited for in vain": (1.0, 0.5, 300.0),
    "absurd": (1e300, 0.0, LONGEST_REST),
    "infinite": (math.inf, 1.0, LONGEST_REST + 60),
    "negative": (-5.0, 0.5, 300.0),
    "not a number": (math.nan, 0.5, 300.0),
}


@pytest.mark.parametrize(("reset", "jitter", "seconds"), RESETS.values(), ids=RESETS)
def test_a_known_reset_is_waited_for_and_never_undercut(reset: float, jitter: float, seconds: float) -> None:
    assert rest("rate_limit", 1, reset, jitter) == seconds
