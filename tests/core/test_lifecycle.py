"""The transition table: every row, every rule about leases, and nothing beside them."""

from __future__ import annotations

from itertools import product

import pytest

from aq.core.errors import IllegalTransitionError
from aq.core.lifecycle import TRANSITIONS, LeaseRule, Stage, Transition, Trigger, lease_allowed, transition
from aq.core.operations import PauseFleet
from aq.core.value import replace
from tests.support.builders import Queue, job, lease

# DESIGN section 5, by hand: trigger, moves, rule.
TABLE = """
add          new>inbox                                                                  no lease
revise       inbox>inbox                                                                no lease
spawn        new>inbox                                                                  no lease
claim        inbox>building                                                             lease taken
release      building>inbox building>dead_letter                                        lease dropped
release      review>review review>inbox review>dead_letter                              lease dropped
preempt      building>inbox building>dead_letter                                        lease dropped
reclaim      building>inbox building>dead_letter                                        lease dropped
reclaim      review>review review>inbox review>dead_letter                              lease dropped
land         building>review                                                            same lease
verified     review>testing                                                             lease dropped
unverified   review>review                                                              lease dropped
hold         inbox>inbox testing>testing shipped>shipped                                no lease
hold         review>review                                                              lease dropped if held
fail         building>failed building>inbox building>dead_letter                        lease dropped
fail         review>failed review>inbox review>dead_letter                              lease dropped
verify-claim review>review                                                              lease taken
promote      review>testing                                                             no lease
ship         testing>shipped                                                            no lease
reject       review>failed review>inbox testing>failed testing>inbox                    no lease
requeue      failed>inbox dead_letter>inbox                                             no lease
cancel       inbox>failed building>failed review>failed testing>failed                  lease dropped if held
approve      review>review testing>testing                                              no lease
pause-job    inbox>inbox building>building review>review testing>testing                lease untouched
resume-job   inbox>inbox building>building review>review testing>testing shipped>shipped  lease untouched
fix-round    review>review                                                              same lease
delivered    shipped>shipped                                                            no lease
"""


def _expected() -> set[tuple[str, str, str, str]]:
    rows = set()
    for line in TABLE.strip().splitlines():
        words = line.split()
        moves = [word for word in words if ">" in word]
        rule = " ".join(words[1 + len(moves) :])
        rows |= {(words[0], *move.split(">"), rule) for move in moves}
    rows |= {("fenced", stage, stage, "lease untouched") for stage in Stage}
    rows |= {("repair", stage, "inbox", "lease dropped if held") for stage in Stage}
    return rows


def test_the_table_is_the_one_of_the_design_and_no_more() -> None:
    assert {(row.trigger, row.source or "new", row.target, row.lease) for row in TRANSITIONS} == _expected()
    assert len(TRANSITIONS) == len(_expected())


def test_every_trigger_has_a_row_a_doer_and_a_meaning() -> None:
    assert {row.trigger for row in TRANSITIONS} == set(Trigger)
    assert all(row.meaning and row.by in ("person", "host", "person or host") for row in TRANSITIONS)


def test_nothing_is_shipped_but_from_testing_by_ship() -> None:
    into = {
        (row.trigger, row.source)
        for row in TRANSITIONS
        if row.target is Stage.SHIPPED and row.source is not Stage.SHIPPED
    }
    assert into == {(Trigger.SHIP, Stage.TESTING)}


def test_a_job_is_over_where_nobody_waits_for_it() -> None:
    over = {stage for stage in Stage if job("a", stage).over}
    assert over == {Stage.SHIPPED, Stage.FAILED, Stage.DEAD_LETTER}


def test_only_claims_take_a_lease() -> None:
    assert {row.trigger for row in TRANSITIONS if row.lease is LeaseRule.TAKEN} == {
        Trigger.CLAIM,
        Trigger.VERIFY_CLAIM,
    }


@pytest.mark.parametrize(
    "row", TRANSITIONS, ids=lambda row: f"{row.trigger} {row.source or 'new'} to {row.target}"
)
def test_a_row_is_found_by_its_move(row: Transition) -> None:
    assert transition(row.trigger, row.source, row.target) is row


def test_every_move_that_the_table_does_not_hold_is_illegal() -> None:
    legal = {(row.trigger, row.source, row.target) for row in TRANSITIONS}
    refused = [move for move in product(Trigger, (None, *Stage), Stage) if move not in legal]
    for move in refused:
        with pytest.raises(IllegalTransitionError, match="may not move a job from"):
            transition(*move)
    assert len(refused) + len(legal) == len(Trigger) * (len(Stage) + 1) * len(Stage)


def test_an_illegal_move_says_what_it_was() -> None:
    with pytest.raises(IllegalTransitionError) as caught:
        transition(Trigger.SHIP, None, Stage.SHIPPED)
    assert str(caught.value) == "ship may not move a job from nowhere to shipped"


# Which of (before, after, same) each rule allows.
LEASES = {
    LeaseRule.NONE: {(False, False, True)},
    LeaseRule.TAKEN: {(False, True, False)},
    LeaseRule.KEPT: {(True, True, True)},
    LeaseRule.DROPPED: {(True, False, False)},
    LeaseRule.ANY: {(True, False, False), (False, False, True)},
    LeaseRule.AS_IS: {(True, True, True), (False, False, True)},
}
CASES = (
    (False, False, True),
    (False, True, False),
    (True, False, False),
    (True, True, True),
    (True, True, False),
)


@pytest.mark.parametrize("rule", LeaseRule)
def test_a_lease_obeys_its_rule(rule: LeaseRule) -> None:
    allowed = {case for case in CASES if lease_allowed(rule, before=case[0], after=case[1], same=case[2])}
    assert allowed == LEASES[rule]


@pytest.mark.parametrize(
    "row", TRANSITIONS, ids=lambda row: f"{row.trigger} {row.source or 'new'} to {row.target}"
)
def test_a_change_is_built_only_when_its_row_and_its_lease_rule_agree(row: Transition) -> None:
    """`Operation.change` is the one door: no operation can write what the table forbids."""
    asker = PauseFleet(**Queue().common(), why="")
    for had, has, same in [case for case in CASES if row.source or not case[0]]:
        before = replace(job("a", row.source), lease=lease("a") if had else None) if row.source else None
        after = replace(job("a", row.target), lease=lease("a", nonce="n1" if same else "n2") if has else None)
        if (had, has, same) in LEASES[row.lease]:
            change = asker.change(row.trigger, before, after)
            assert (change.event.op, change.event.source, change.event.target) == (
                row.trigger,
                row.source,
                row.target,
            )
            assert change.jobs[0].after is after
        else:
            with pytest.raises(IllegalTransitionError, match=f"{row.trigger} of a: {row.lease} is the rule"):
                asker.change(row.trigger, before, after)
