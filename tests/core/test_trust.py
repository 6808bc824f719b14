"""Which commit may be obeyed, as a table: the key's role, and whether the commit does what it says."""

from __future__ import annotations

from typing import Any

import pytest

from aq.core.event import FLEET_OPS, Event
from aq.core.layout import PAUSED, SETTINGS, SIGNERS
from aq.core.lifecycle import TRANSITIONS, LeaseRule, Stage, Trigger
from aq.core.record import Record
from aq.core.signers import Role, Signer, Signers
from aq.core.trust import JOB, NEEDED, Changed, Deed, Touch, judge, thing_of
from aq.core.value import replace
from tests.core.test_signers import key
from tests.support.builders import lease

S, T = Stage, Trigger
ROLES = {
    "root": {Role.ADMIN},
    "sue": {Role.SUBMIT},
    "ann": {Role.APPROVE},
    "ada": {Role.HOST},
    "bob": {Role.HOST, Role.APPROVE},
    "idle": set(),
}
SIGNED = Signers({name: Signer(frozenset(roles), (key(name),)) for name, roles in ROLES.items()})
FILES = {S.SHIPPED: "queue/shipped/2026/11/21/x.md"}


def _path(stage: Stage | None) -> str:
    return FILES.get(stage, f"queue/{stage}/x.md") if stage else ""


def _event(op: str, touch: Touch | None = None, **more: Any) -> Event:
    moves = {"job": touch.job, "source": touch.source, "target": touch.target} if touch else {}
    return Event(**{"op": op, "by": "someone", "op_id": "o", **moves, **more})


def deed(op: str, who: str, touch: Touch, **event: Any) -> Deed:
    """A commit of one operation, signed by a principal."""
    changes = []
    if touch.source is not touch.target:
        changes += [Changed(_path(touch.source), "b1", "")] if touch.source else []
        changes += [Changed(_path(touch.target), "", "b1")] if touch.target else []
    else:
        changes.append(Changed(_path(touch.target).replace(".md", ".record.yaml"), "r1", "r2"))
    return Deed("c" * 40, op, _event(op, touch, **event), tuple(changes), key(who), "", touch)


def hand(who: str, *changes: Changed) -> Deed:
    return Deed("c" * 40, "by hand", None, changes, key(who) if who else "", "is not signed")


TESTED = Touch("x", S.TESTING, S.SHIPPED, ran_on="ada")
CLAIM = Touch("x", S.INBOX, S.BUILDING, after=lease("x", "ada"))
LAND = Touch("x", S.BUILDING, S.REVIEW, before=lease("x", "ada"), after=lease("x", "ada"))


def test_every_operation_needs_a_role() -> None:
    assert set(NEEDED) == set(T) | set(FLEET_OPS)
    assert all(NEEDED.values())


def test_what_a_host_does_by_the_table_takes_the_role_host_and_nothing_else_does() -> None:
    by = {row.trigger: row.by for row in TRANSITIONS}
    assert {t for t, who in by.items() if who == "host"} == {t for t in T if NEEDED[t] == {Role.HOST}}


def _rows() -> list[Any]:
    return [pytest.param(row, id=f"{row.trigger} {row.source}-{row.target}") for row in TRANSITIONS]


@pytest.mark.parametrize("row", _rows())
def test_each_move_is_obeyed_from_the_right_role_and_no_other(row: Any) -> None:
    held = lease("x", "ada")
    before = held if row.lease in (LeaseRule.KEPT, LeaseRule.DROPPED) else None
    after = held if row.lease in (LeaseRule.KEPT, LeaseRule.TAKEN) else None
    written = row.trigger in (T.ADD, T.REVISE, T.SPAWN)
    touch = Touch("x", row.source, row.target, written=written, copied=row.trigger is T.SPAWN)
    touch = replace(touch, before=before, after=after)
    for who in ("root", "sue", "ann", "ada", "idle"):
        added = (who,) if row.trigger is T.APPROVE else ()
        why = judge(deed(row.trigger, who, replace(touch, approved=added)), SIGNED)
        may = bool(SIGNED.roles(who) & NEEDED[row.trigger])
        assert (why == "") is may, (who, why)
        assert may or f"signed by {who}, who may not {row.trigger} x" in why


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (replace(deed("claim", "ada", CLAIM), key=""), ""),
        (replace(deed("claim", "ada", CLAIM), key="", flaw="is not signed"), "is not signed"),
        (replace(deed("claim", "ada", CLAIM), key=key("eve")), "a key that nobody here knows, SHA256:"),
        (deed("claim", "bob", CLAIM), "signed by bob, and the lease is of ada"),
        (deed("claim", "ada", CLAIM, host="bob"), "signed by ada and speaks for bob"),
        (deed("claim", "ada", replace(CLAIM, after=None)), "the rule is: lease taken"),
        (deed("claim", "ada", replace(CLAIM, written=True)), "says claim, and changes the file of x"),
        (deed("claim", "ada", replace(CLAIM, approved=("eve",))), "adds the approval of eve"),
        (deed("land", "bob", LAND), "the lease is of ada"),
        (deed("land", "ada", CLAIM, target=S.REVIEW), "says land x, and does inbox to building"),
        (deed("ship", "ann", Touch("x", S.BUILDING, S.SHIPPED)), "is illegal: ship may not move"),
        (deed("ship", "ann", replace(TESTED, now=Record(stage=S.SHIPPED, tip="e"))), "the record's tip"),
        (deed("spawn", "ada", Touch("x", None, S.INBOX, written=True)), "changes the file of x"),
        (deed("ship", "ann", replace(TESTED, tangled="its files are in several folders")), "several folders"),
        (deed("ship", "ann", replace(TESTED, target=None)), "the job vanishes"),
        (deed("ship", "bob", replace(TESTED, ran_on="bob")), "signed by bob, whose own run it is"),
        (deed("ship", "ada", TESTED, host="ada"), "who may not ship x (that takes the role approve)"),
        (deed("ship", "ann", TESTED, job="y"), "says ship y and changes x"),
        (deed("approve", "ann", Touch("x", S.TESTING, S.TESTING)), "adds the approval of nobody"),
        (
            deed("approve", "ann", Touch("x", S.TESTING, S.TESTING, approved=("ann", "sue"))),
            "adds the approval of ann, sue",
        ),
    ],
)
def test_a_commit_that_does_not_do_what_its_signer_may_is_not_obeyed(bad: Deed, words: str) -> None:
    assert words in judge(bad, SIGNED)


def test_a_job_operation_may_write_the_days_spend_and_nothing_else() -> None:
    claim = deed("claim", "ada", CLAIM)
    spent = replace(claim, changes=(*claim.changes, Changed("queue/spend/2026-11-21.yaml", "", "s")))
    assert judge(spent, SIGNED) == ""
    other = replace(claim, changes=(*claim.changes, Changed(SETTINGS, "a", "b")))
    assert judge(other, SIGNED) == f"says claim x and changes {SETTINGS}"


def test_a_host_ships_only_where_the_job_says_so_and_others_reject_their_own_runs() -> None:
    assert judge(deed("ship", "ada", replace(TESTED, auto=True), host="ada"), SIGNED) == ""
    assert judge(deed("reject", "bob", Touch("x", S.TESTING, S.FAILED, ran_on="bob")), SIGNED) == ""


def test_a_host_takes_back_the_lease_of_another() -> None:
    touch = Touch("x", S.BUILDING, S.INBOX, before=lease("x", "ada"))
    assert judge(deed("reclaim", "bob", touch, host="bob"), SIGNED) == ""


@pytest.mark.parametrize(
    ("op", "path", "who", "words"),
    [
        ("pause", PAUSED, "idle", "who may not pause"),
        ("pause", PAUSED, "ada", ""),
        ("resume", PAUSED, "ada", "who may not resume"),
        ("resume", PAUSED, "ann", ""),
        ("signers", SIGNERS, "root", ""),
        ("signers", SIGNERS, "bob", "who may not change the signers"),
        ("signers", SETTINGS, "root", f"says signers and changes {SETTINGS}"),
        ("accept", "", "root", ""),
        ("accept", "", "sue", "who may not accept"),
        ("accept", PAUSED, "root", f"says accept and changes {PAUSED}"),
        ("accept-rewind", "", "ada", "who may not accept-rewind"),
        ("init", SETTINGS, "root", ""),
    ],
)
def test_what_concerns_the_whole_queue(op: str, path: str, who: str, words: str) -> None:
    changes = (Changed(path, "", "b"),) if path else ()
    why = judge(Deed("c" * 40, op, _event(op), changes, key(who)), SIGNED)
    assert (words in why) if words else why == ""


STRAY = Changed("queue/inbox/a.md", "b", "")


@pytest.mark.parametrize(
    ("changes", "who", "words"),
    [
        ((STRAY,), "sue", ""),
        ((STRAY,), "ada", "who may not repair"),
        ((STRAY, Changed("queue/inbox/b.md", "b", "")), "sue", "says repair and touches no one job"),
        ((Changed("queue/inbox/a.md", "b", "c"),), "sue", "touches no one job"),
    ],
)
def test_a_repair_that_names_no_job_takes_one_file_away(
    changes: tuple[Changed, ...], who: str, words: str
) -> None:
    why = judge(Deed("c" * 40, "repair", _event("repair"), changes, key(who)), SIGNED)
    assert (words in why) if words else why == ""


@pytest.mark.parametrize(
    ("path", "old", "new", "who", "words"),
    [
        ("queue/inbox/a.md", "", "b", "sue", ""),
        ("queue/inbox/a.md", "", "b", "ada", "who may not change queue/inbox/a.md"),
        ("queue/inbox/a.md", "b", "", "root", "changes queue/inbox/a.md by hand"),
        ("queue/inbox/a.lease.yaml", "", "b", "root", "by hand"),
        ("queue/testing/a.md", "b", "c", "root", "by hand"),
        ("queue/spend/2026-11-21.yaml", "b", "c", "root", "by hand"),
        (SETTINGS, "b", "c", "sue", "takes the role admin"),
        (SETTINGS, "b", "c", "root", ""),
        ("profiles/dev.md", "b", "c", "sue", "takes the role admin"),
        (SIGNERS, "b", "c", "sue", "takes the role admin"),
        (PAUSED, "", "b", "ada", ""),
        (PAUSED, "b", "", "ada", "takes the role admin or approve"),
        (PAUSED, "b", "", "ann", ""),
        ("README.md", "", "b", "idle", ""),
    ],
)
def test_what_people_may_do_with_plain_git(path: str, old: str, new: str, who: str, words: str) -> None:
    why = judge(hand(who, Changed(path, old, new)), SIGNED)
    assert (words in why) if words else why == ""


def test_what_means_nothing_to_a_queue_needs_no_signature_and_all_else_does() -> None:
    assert judge(hand("", Changed("README.md", "", "b"), Changed("queue/README.md", "", "b")), SIGNED) == ""
    assert judge(hand("", Changed("queue/inbox/a.md", "", "b")), SIGNED) == "is not signed"


def test_paths_belong_to_jobs_and_to_files_that_are_obeyed() -> None:
    assert thing_of("queue/shipped/2026/11/21/x.record.yaml") == f"{JOB}x"
    assert thing_of("queue/inbox/x.md") == f"{JOB}x"
    assert [
        thing_of(path) for path in (SETTINGS, PAUSED, SIGNERS, "profiles/a.md", "queue/spend/d.yaml")
    ] == [
        SETTINGS,
        PAUSED,
        SIGNERS,
        "profiles/a.md",
        "queue/spend/d.yaml",
    ]
    assert [thing_of(path) for path in ("README.md", "queue/README.md", "queue/inbox/.gitkeep")] == [
        "",
        "",
        "",
    ]
