"""What distrusted commits leave behind, and how it is put right."""

from __future__ import annotations

from typing import Any

import pytest

from aq.core.change import Change, Refusal
from aq.core.distrust import NOTHING, Distrust
from aq.core.event import Event
from aq.core.layout import PAUSED, SETTINGS, SIGNERS
from aq.core.lifecycle import Stage
from aq.core.manifest import Deps
from aq.core.operations import Repair
from aq.core.planning.eligible import dep_blockers
from aq.core.signers import Signers
from aq.core.standing import ACCEPTED, Standing
from aq.core.trust import Changed, Deed
from aq.core.value import replace
from aq.core.values import plain, revive
from tests.core.test_signers import ROOT, TWO
from tests.support.builders import NOW, job, manifest, snapshot

A, B, C = ("a" * 40, "b" * 40, "c" * 40)
JOB = "queue/inbox/x.md"
BAD = "is not signed"


def deed(commit: str, *changes: Changed, op: str = "", **extra: str) -> Deed:
    named = tuple((name.replace("_", "-"), value) for name, value in extra.items())
    event = Event(op, "root", "o", extra=named) if op else None
    return Deed(commit, f"subject of {commit[:4]}", event, changes)


def accept(commit: str) -> Deed:
    event = Event("accept", "root", "o", extra=((ACCEPTED, commit),))
    return Deed("e" * 40, "accept", event, ())


def standing(*steps: tuple[Deed, str]) -> Standing:
    here = Standing(ROOT)
    for step, why in steps:
        here = here.after(step, why)
    return here


def test_while_everything_is_trusted_nothing_is_kept() -> None:
    here = standing((deed(A, Changed(JOB, "", "1")), ""), (deed(B, Changed(SETTINGS, "", "1")), ""))
    assert here == Standing(ROOT)
    assert here.distrust() == NOTHING


def test_a_job_that_a_distrusted_commit_touched_is_out_of_play_with_the_reason() -> None:
    here = standing((deed(A, Changed(JOB, "", "1"), Changed("README.md", "", "1")), BAD))
    assert here.distrust().jobs == {
        "x": "commit aaaaaaaaaaaa is not signed; an admin's `aq trust accept aaaaaaaaaaaa` takes it as it is"
    }
    assert list(here.open_flaws()) == [A]


def test_a_trusted_commit_on_such_a_job_does_not_wash_it() -> None:
    bad, good = deed(A, Changed(JOB, "1", "2")), deed(B, Changed(JOB, "2", "3"))
    assert "x" in standing((bad, BAD), (good, "")).distrust().jobs


def test_a_job_that_is_again_what_it_was_is_trusted_whoever_put_it_back() -> None:
    moved = (Changed("queue/testing/x.md", "1", ""), Changed("queue/shipped/2026/01/01/x.md", "", "1"))
    back = tuple(Changed(each.path, each.new, each.old) for each in moved)
    here = standing((deed(A, *moved), BAD), (deed(B, *back), "changes it by hand"))
    assert (here.distrust(), dict(here.open_flaws()), list(here.flawed)) == (NOTHING, {}, [A, B])


def test_later_changes_are_measured_against_the_last_trusted_state() -> None:
    here = standing(
        (deed(A, Changed(JOB, "1", "2")), BAD),
        (deed(B, Changed(JOB, "2", "3"), Changed("queue/inbox/x.record.yaml", "", "r")), BAD),
    )
    (doubt,) = here.doubts.values()
    assert (doubt.was[JOB], doubt.now[JOB], doubt.commits) == ("1", "3", (A, B))
    assert "(and 1 more)" in doubt.text


def test_every_commit_that_a_job_hangs_on_must_be_accepted() -> None:
    steps = [(deed(A, Changed(JOB, "1", "2")), BAD), (deed(B, Changed(JOB, "2", "3")), BAD)]
    assert "x" in standing(*steps, (accept(A), "")).distrust().jobs
    here = standing(*steps, (accept(A), ""), (accept(B), ""))
    assert (here.distrust(), here.flawed) == (NOTHING, {})


def test_a_distrusted_acceptance_accepts_nothing() -> None:
    assert "x" in standing((deed(A, Changed(JOB, "1", "2")), BAD), (accept(A), BAD)).distrust().jobs


def test_settings_fall_back_to_the_last_trusted_ones_until_a_trusted_key_writes_them() -> None:
    bad = (deed(A, Changed(SETTINGS, "1", "2")), BAD)
    assert standing(bad).distrust().instead == {SETTINGS: "1"}
    assert list(standing(bad).distrust().files) == [SETTINGS]
    assert standing(bad, (deed(B, Changed(SETTINGS, "2", "3")), "")).distrust() == NOTHING


def test_a_stop_counts_whoever_asks_and_goes_on_until_somebody_trusted_lifts_it() -> None:
    assert standing((deed(A, Changed(PAUSED, "", "p")), BAD)).distrust().instead == {}
    assert standing((deed(A, Changed(PAUSED, "p", "")), BAD)).distrust().instead == {PAUSED: "p"}


def test_signers_come_from_the_commit_that_brought_them() -> None:
    here = Standing(ROOT).after(deed(A, Changed(SIGNERS, "", "s"), op="signers"), "", TWO)
    assert (here.signers, here.rotated) == (TWO, A)


def test_bad_signers_are_not_taken_not_even_when_accepted() -> None:
    bad = (deed(A, Changed(SIGNERS, "s", "t")), BAD)
    here = standing(bad, (accept(A), ""))
    assert (here.signers, list(here.distrust().files), here.distrust().instead) == (ROOT, [SIGNERS], {})


def test_a_standing_survives_being_written_down() -> None:
    here = standing((deed(A, Changed(JOB, "1", "2")), BAD)).after(deed(B, Changed(SIGNERS, "", "s")), "", TWO)
    again: Any = revive(Standing, plain(here))
    assert again == here
    assert isinstance(again.signers, Signers)


@pytest.mark.parametrize("deps", [Deps(shipped=("x",)), Deps(testing=("x",))], ids=["shipped", "testing"])
def test_nothing_starts_on_the_strength_of_a_job_that_is_not_trusted(deps: Deps) -> None:
    here = snapshot([job("x", Stage.TESTING)])
    assert "needs x, which is not trusted" not in dep_blockers(manifest(deps=deps), here)
    forged = replace(here, distrust=Distrust({"x": "commit aa is not signed"}))
    assert "needs x, which is not trusted" in dep_blockers(manifest(deps=deps), forged)


def test_a_repair_does_not_make_a_strangers_job_look_like_ones_own() -> None:
    here = snapshot([job("x", problem="commit aa is not signed")])
    asked = Repair(at=NOW, by="alice", op_id="o", job="x")
    assert isinstance(asked.decide(here), Change)
    refused = asked.decide(replace(here, distrust=Distrust({"x": "commit aa is not signed"})))
    assert isinstance(refused, Refusal)
    assert "is not trusted" in refused.reason
