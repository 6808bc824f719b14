"""Beats as evidence: when a lease has lapsed, and when mass silence is not yet death (rule 6)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aq.core.errors import AqError
from aq.core.fleet import Evidence, Lapse, braked, lapsed, observe
from tests.support.builders import beat


def test_evidence_starts_again_when_the_token_changes_and_counts_while_it_stays() -> None:
    first = observe(None, "x", 10.0, 10.0)
    same = observe(first, "x", 20.0, 20.0)
    assert (first, same) == (Evidence("x", 10.0, 10.0), Evidence("x", 10.0, 20.0))
    assert observe(same, "y", 30.0, 30.0) == Evidence("y", 30.0, 30.0)


def test_a_slow_answer_makes_no_silence_longer() -> None:
    first = observe(None, "x", asked=100.0, answered=130.0)
    second = observe(first, "x", asked=400.0, answered=470.0)
    assert (second.since, second.last) == (130.0, 400.0), "the answers were 340 s apart"
    assert not lapsed(second, ttl=300.0, grace=30.0)
    assert observe(first, "x", asked=120.0, answered=125.0) == first, (
        "asked for before the first was answered"
    )


@pytest.mark.parametrize(
    ("last", "over"),
    [(430.0, False), (430.1, True), (100.0, False)],
    ids=["at TTL + grace", "just over", "seen only once"],
)
def test_a_lease_lapses_only_by_two_fetches_more_than_ttl_and_grace_apart(last: float, over: bool) -> None:
    assert lapsed(Evidence("x", 100.0, last), ttl=300.0, grace=30.0) is over


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0.1, 200)), min_size=1, max_size=12))
def test_a_holder_whose_beat_changed_within_ttl_never_lapses(fetches: list[tuple[str, float]]) -> None:
    clock, changed, last, evidence = 0.0, 0.0, "", None
    for token, pause in fetches:
        clock += pause
        changed = clock if token != last else changed
        last, evidence = token, observe(evidence, token, clock, clock)
        assert lapsed(evidence, 300.0, 30.0) == (clock - changed > 330.0)


def lapses(silent: dict[str, float]) -> dict[str, Lapse]:
    return {
        f"job-{host}": Lapse(f"job-{host}:1:n", host, "oid", seconds, 300.0, 30.0)
        for host, seconds in silent.items()
    }


@pytest.mark.parametrize(
    ("silent", "holders", "acted"),
    [
        ({"a": 331}, "a", "a"),
        ({"a": 331, "b": 331}, "ab", "ab"),
        ({"a": 331}, "abc", "a"),
        ({"a": 331, "b": 331}, "abc", ""),
        ({"a": 331, "b": 331}, "abcd", "ab"),
        ({"a": 331, "b": 331, "c": 331}, "abcd", ""),
        ({"a": 631, "b": 331}, "abc", "a"),
        ({"a": 630, "b": 630}, "abc", ""),
        ({"a": 630.1, "b": 700}, "abc", "ab"),
        ({}, "abc", ""),
    ],
    ids=[
        "one of one",
        "two of two",
        "one of three",
        "two of three",
        "half of four",
        "three of four",
        "one long silent of two",
        "at one more TTL",
        "over one more TTL",
        "none",
    ],
)
def test_when_over_half_of_three_or_more_hosts_fall_silent_wait_one_more_ttl(
    silent: dict[str, float], holders: str, acted: str
) -> None:
    assert {lapse.host for lapse in braked(lapses(silent), frozenset(holders)).values()} == set(acted)


def test_the_brake_counts_hosts_not_leases() -> None:
    many = {f"job-{n}": Lapse(f"job-{n}:1:n", "a", "oid", 331.0, 300.0, 30.0) for n in range(9)}
    assert braked(many, frozenset("abc")) == many


def test_a_beat_needs_a_real_instant() -> None:
    with pytest.raises(AqError, match="is not a time"):
        beat("a", at="now")
