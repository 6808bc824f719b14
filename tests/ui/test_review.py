"""`aq review`: what waits for a person, as text, as JSON, and one key for each at a terminal."""

from __future__ import annotations

from typing import Any

from aq.core.lifecycle import Stage
from aq.core.operations import Hold, Reject, Verified
from aq.core.record import Changes
from tests.support.fleet import Fleet, op
from tests.support.story import TIP, Story, hand_write
from tests.support.terminal import Terminal
from tests.ui.conftest import Person

SMALL = Changes(1, 2, 3, ("src/a",))
AUTO = "---\nengine: shell\nverify: test -f done\nreview-policy: auto\n---\ntouch done\n"
KEYS = "q quit "


def verified(told: Story, name: str, text: str = AUTO, **land: Any) -> None:
    """A job in testing whose work is known."""
    told.building(name, text)
    told.do(told.land_of(name, TIP, **{"changes": SMALL, **land}))
    told.do(Verified(**op("ada"), fence=told.fence(name)))


def test_review_shows_size_checks_cost_risk_and_gates(aq: Person, told: Story) -> None:
    verified(told, "strayed", outside=("lib/\x1bx",), usd=0.25, tokens=1200)
    verified(told, "risky", changes=Changes(2, 9, 1, ("src/a", "go.mod")))
    told.judged("plain")
    told.inbox("waiting")
    said = aq("review").out
    assert "\x1b" not in said
    parts = (part.splitlines() for part in said.strip().split("\n\n"))
    strayed, risky, plain = sorted(parts, reverse=True)
    assert strayed[0].startswith("strayed  testing  risk high  ")
    gate = "  gate      scope: it is on hold: outside its scope: lib/\ufffdx; send it back with "
    for line in (
        "  work      1 file +2 -3",
        f"  branch    aq/strayed/1 {TIP[:12]}",
        "  verify    passed",
        "  scope     outside: lib/\ufffdx",
        "  cost      0.25 usd, 1200 tokens in 1 run",
        f"{gate}`aq reject strayed MESSAGE`",
    ):
        assert line in strayed
    assert "  risk      dependencies: go.mod" in risky
    assert "  auto      not shipped by its policy: its risk is medium (dependencies: go.mod)" in risky
    assert "  verify    no check was asked for" in plain
    assert "  gate      review: it is in review: no check was asked for; `aq promote plain`" in plain
    waiting = {packet["job"]: packet for packet in aq("review", "--json").json["waiting"]}
    assert set(waiting) == {"strayed", "risky", "plain"}
    assert waiting["strayed"]["gates"][0]["name"] == "scope"
    assert waiting["risky"]["risk"] == {"level": "medium", "reasons": ["dependencies: go.mod"]}


def test_review_of_some_jobs_shows_these_and_refuses_others(aq: Person, told: Story) -> None:
    assert aq("review").out == "Nothing waits for a person.\n"
    verified(told, "one")
    verified(told, "two")
    told.inbox("three")
    assert [packet["job"] for packet in aq("review", "two", "--json").json["waiting"]] == ["two"]
    assert "three is in inbox and waits for nobody" in aq.refused("review", "three")
    assert "there is no job four" in aq.refused("review", "one", "four")


def test_show_and_status_say_what_a_job_waits_for(aq: Person, fleet: Fleet, told: Story) -> None:
    verified(told, "risky", changes=Changes(2, 9, 1, ("src/a", "go.mod")))
    verified(told, "strayed", outside=("x",))
    said = aq("show", "risky").out
    assert "  auto      not shipped by its policy: its risk is medium (dependencies: go.mod)\n" in said
    assert "    changed 2 files +9 -1\n    risk medium; dependencies: go.mod\n" in said
    assert aq("show", "strayed", "--json").json["gates"][0]["why"] == "is on hold: outside its scope: x"
    notes = {row["job"]: row["note"] for row in aq("status", "--json").json["rows"]}
    assert notes["risky"] == "waits for `aq ship risky`, its risk is medium (dependencies: go.mod)"
    assert notes["strayed"] == "on hold: outside its scope: x"
    hand_write(fleet.you.path, "queue/aq.yaml", "trust: {approvers: 1}\n")
    assert "has 0 of 1 approvals: `aq approve risky`" in aq("status").out


def test_status_shows_shipped_work_whose_delivery_waits_for_a_person(aq: Person, told: Story) -> None:
    merge = AUTO.replace("review-policy: auto", "deliver: merge")
    told.shipped("stuck", merge, TIP)
    told.shipped("fine", merge, TIP)
    told.do(Hold(**op("ada"), job="stuck", reason="delivery: conflict in new"))
    said = aq("status")
    assert "shipped (2)" in said.out
    assert "on hold: delivery: conflict in new" in said.out
    assert "… 1 more: `aq status --stage shipped`" in said.out
    assert [row["job"] for row in aq("status", "--json").json["rows"]] == ["stuck"]
    assert "stuck" not in aq("status", "--stage", "testing").out


def test_at_a_terminal_one_key_decides_each_about_what_was_seen_and_leaving_loses_none(
    told: Story, fleet: Fleet
) -> None:
    verified(told, "a", outside=("lib/x",))
    verified(told, "b")
    told.judged("c")
    verified(told, "d")
    seat = Terminal.running(fleet.you, "review")
    assert "a  testing" in seat.until(KEYS)
    seat.press("s")
    seat.until("why in spite of scope: ")
    seat.type("")
    seat.until("nothing was done")
    seat.until(KEYS)
    seat.press("s")
    seat.until("why in spite of scope: ")
    seat.type("the schema moved")
    seat.until("ship a: testing -> shipped")
    assert "b  testing" in seat.until(KEYS)
    seat.press("a")
    assert "approved  Alice" in seat.until(KEYS)
    seat.press("d")
    assert "  src/a\n" in seat.until(KEYS)
    seat.press("r")
    seat.until("what is wrong: ")
    seat.type("not like this")
    seat.until("reject b: testing -> failed")
    assert "c  review" in seat.until(KEYS)
    seat.press("p")
    seat.until("promote c: review -> testing")
    seat.until(KEYS)
    seat.press("n")
    assert "d  testing" in seat.until(KEYS)
    told.ledger.fetch()
    told.do(Reject(**op(), job="d", message="once more", requeue=True))
    verified(told, "d")
    seat.press("s")
    seat.until("d was run again since you looked")
    seat.until(KEYS)
    seat.press("\x03")
    assert seat.ended() == 130
    found = {name: job for name in "abcd" if (job := fleet.job(name))}
    assert {name: job.stage for name, job in found.items()} == {
        "a": Stage.SHIPPED,
        "b": Stage.FAILED,
        "c": Stage.TESTING,
        "d": Stage.TESTING,
    }
    (override,) = found["a"].record.overrides
    assert (override.by, override.reason, override.gates) == ("Alice", "the schema moved", ("scope",))
