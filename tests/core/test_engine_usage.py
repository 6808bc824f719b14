"""What an engine says that it used: in one form, and never a number that cannot be."""

from __future__ import annotations

import math

import pytest

from aq.core.engine.usage import MOST, Usage, counted, money

NUMBERS: dict[str, tuple[object, int | None]] = {
    "a count": (12, 12),
    "a whole float": (12.0, 12),
    "nothing used": (0, 0),
    "negative": (-3, None),
    "not a number": (math.nan, None),
    "infinite": (math.inf, None),
    "minus infinite": (-math.inf, None),
    "a truth value": (True, None),
    "a text": ("12", None),
    "nothing": (None, None),
    "absurd": (10**400, MOST),
    "absurd as a float": (1e300, MOST),
}


@pytest.mark.parametrize(("said", "taken"), NUMBERS.values(), ids=NUMBERS)
def test_a_number_that_cannot_be_is_unknown_and_an_absurd_one_is_cut(said: object, taken: int | None) -> None:
    assert counted(said) == taken
    assert money(said) == taken


def test_money_has_fractions_and_counts_have_none() -> None:
    assert money(0.25) == 0.25
    assert counted(2.9) == 2


def test_unknown_is_not_zero() -> None:
    assert Usage().tokens is None
    assert Usage(output=0).tokens == 0
    assert Usage(1, 20, 300, 4000).tokens == 4321


ONE, OTHER = Usage(input=5, output=3, usd=0.5), Usage(input=2, cached=7, output=4)
SUMS = {
    "together": (ONE.plus(OTHER), Usage(7, 7, 7, None, 0.5)),
    "what came on top": (ONE.less(OTHER), Usage(3, None, 0, None, 0.5)),
    "the larger of each": (ONE.most(OTHER), Usage(5, 7, 4, None, 0.5)),
    "what is known first": (ONE.known_over(OTHER), Usage(5, 7, 3, None, 0.5)),
    "what can be": (Usage(-1, 2, 3, 4, math.nan).possible(), Usage(None, 2, 3, 4, None)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("made", "wanted"), SUMS.values(), ids=SUMS)
def test_usages_are_put_together_number_by_number(made: Usage, wanted: Usage) -> None:
    assert made == wanted
