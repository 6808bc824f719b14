"""What a person sees of a spent budget, and how they give more."""

from __future__ import annotations

from tests.support.story import Story
from tests.ui.conftest import Person

PAID = "---\nengine: shell\nbudget: {usd: 1, tokens: 500}\n---\ntrue\n"


def test_a_spent_budget_says_what_to_do_and_more_is_shown_with_where_it_is_from(
    aq: Person, told: Story
) -> None:
    told.building("x", PAID)
    told.do(told.fail_of("x", "budget", usd=1.5))
    assert "on hold: its budget is spent: no luck (1.5 of 1 usd" in aq("why", "x").out
    assert "aq resume x --budget usd=N" in aq.refused("resume", "x")
    assert "usd=10" in aq.refused("resume", "x", "--budget", "ten")
    assert "does not raise" in aq.refused("resume", "x", "--budget", "usd=1,wall=4h")
    assert "name it" in aq.refused("resume", "--budget", "usd=10", code=2)
    assert aq("resume", "x", "--budget", "usd=10", "--json").json["results"][0]["changed"]
    assert "usd=10,tokens=500 (given by `aq resume --budget`)" in aq("show", "x").out
    shown = aq("show", "x", "--resolved", "--json").json["resolved"]["budget"]
    assert shown == {"value": {"usd": 10.0, "tokens": 500}, "source": "`aq resume --budget`"}
    assert "budget usd=10,tokens=500" in aq("log", "x").out
    assert "not on hold" in aq.refused("resume", "x", "--budget", "usd=20")
