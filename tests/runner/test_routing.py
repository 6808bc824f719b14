"""What the router decides, as a real host does it: the score is written down, `accepts` is kept, and the
run has the profile of its claim."""

from __future__ import annotations

import pytest

from aq.core.accepts import Accepts
from aq.core.lifecycle import Stage
from aq.core.value import replace
from aq.runner.decide import decide
from tests.runner.hosts import host
from tests.support.fleet import Fleet, add
from tests.support.story import hand_write, story

_JOB = "---\nengine: shell\n{}\n---\ntrue\n"


def test_the_winning_breakdown_is_in_the_record(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    with host(fleet, monkeypatch) as ada:
        add(fleet.you.ledger(), "job", _JOB.format("prefers: [host:ada]"))
        run = ada.reaches("job", Stage.REVIEW).record.runs[-1]
        assert "affinity +1.00 (prefers host:ada)" in run.score
        assert "load +1.00 (0 of 2 slots in use)" in run.score


def test_a_host_takes_only_what_it_accepts_and_says_so_in_its_beat(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with host(fleet, monkeypatch) as ada:
        ada.runner.me = replace(ada.runner.me, accepts=Accepts(products=("billing",)))
        you = fleet.you.ledger()
        add(you, "other", _JOB.format("product: search"))
        add(you, "mine", _JOB.format("product: billing"))
        ada.reaches("mine", Stage.REVIEW)
        other = ada.job("other")
        assert other is not None
        assert other.record.epoch == 0
        you.fetch()
        assert you.beats["ada"][1].accepts == Accepts(products=("billing",))


def test_a_run_is_told_the_persona_and_has_the_defaults_of_its_profile(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = "---\ndefault-verify: grep -q 'You test.' told\n---\nYou test.\n"
    hand_write(fleet.you.path, "profiles/tester.md", profile)
    with host(fleet, monkeypatch) as ada:
        text = '---\nengine: shell\nprofile: tester\n---\ncp "$AQ_PROMPT_FILE" told\n'
        add(fleet.you.ledger(), "job", text)
        found = ada.reaches("job", Stage.TESTING)
        assert found.record.runs[-1].profile == found.profile.pin != ""


def test_a_verify_that_cannot_run_is_given_back_with_a_wait(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    story(fleet).to_be_verified("job")
    with host(fleet, monkeypatch) as ada:

        def given_back() -> str:
            found = ada.job("job")
            return (found.record.not_before or "") if found and not found.lease else ""

        again = ada.until(given_back, what="the job back in review, with a wait")
        ada.ticks(5)
        assert sum(line.startswith("verify-claim ") for line in fleet.events()) == 1
    assert f"is verified again at {again}" in fleet.you.aq("why", "job").stdout
    assert f"is verified again at {again}" in fleet.you.aq("status").stdout


def test_a_claim_on_its_way_is_not_made_a_second_time(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    with host(fleet, monkeypatch) as ada:
        ada.until(lambda: ada.runner.confirmed_at is not None, what="a confirmed beat")
        you = fleet.you.ledger()
        for name in ("one", "two"):
            add(you, name, _JOB.format(""))
        ada.runner.ledger.fetch()
        first, other = decide(ada.runner)
        # It lost its races for now, and waits for the next push.
        ada.runner.submit(first)
        assert [operation.about for operation in decide(ada.runner)] == [other.about]
