"""Every row of the transition table, made to happen on a real hub."""

from __future__ import annotations

import pytest

from aq.core.lifecycle import TRANSITIONS, LeaseRule, Stage, Transition, Trigger
from aq.core.operations import Operation
from aq.core.value import replace
from tests.support.fleet import Fleet, git
from tests.support.scenarios import SCENARIOS, X
from tests.support.story import Story, story

# These change the file itself, or bring it in: they are no renames.
NEW_CONTENT = {Trigger.ADD, Trigger.SPAWN, Trigger.REVISE}


def _id(transition: Transition) -> str:
    return f"{transition.trigger} {transition.source or 'new'}->{transition.target}"


def test_every_row_of_the_table_has_a_scenario_and_every_scenario_a_row() -> None:
    assert set(SCENARIOS) == {(row.trigger, row.source, row.target) for row in TRANSITIONS}


@pytest.mark.parametrize("transition", TRANSITIONS, ids=_id)
def test_row(transition: Transition, fleet: Fleet) -> None:
    tale = story(fleet)
    operation = SCENARIOS[transition.trigger, transition.source, transition.target](tale, fleet)
    name = X if transition.trigger is not Trigger.SPAWN else ""
    before = tale.snapshot.find(name)
    base = fleet.tip()

    landed = tale.do(operation)

    after = landed.change.jobs[0].after
    assert fleet.tip() == landed.commit
    assert git(fleet.hub, "rev-parse", "main^") == base, "one operation is one commit"
    _event_says(tale, transition, after.id, operation)
    _lease_obeys(transition.lease, bool(before and before.lease), after.lease is not None)
    _files_are_in_one_place(tale, transition, after.id, bool(after.lease))
    _the_move_is_a_pure_rename(fleet, tale, transition, after.id)
    read = tale.job(after.id)
    decided = replace(after, manifest=read.manifest) if transition.trigger is Trigger.REPAIR else after
    assert read == decided, "what the hub has reads back as what was decided"
    tale.fsck()


def _event_says(tale: Story, transition: Transition, job: str, operation: Operation) -> None:
    lines = git(tale.hub, "log", "-1", "--format=%(trailers:only,unfold)", "main").splitlines()
    trailers = dict(line.split(": ", 1) for line in lines)
    wanted = {
        "Aq-Job": job,
        "Aq-Op": str(transition.trigger),
        "Aq-From": str(transition.source or "new"),
        "Aq-To": str(transition.target),
        "Aq-By": operation.by,
        "Aq-Op-Id": operation.op_id,
    }
    assert {name: trailers.get(name) for name in wanted} == wanted
    epoch = tale.job(job).record.epoch
    assert trailers.get("Aq-Epoch") == (str(epoch) if epoch else None)
    if transition.by == "host" and transition.trigger is not Trigger.HOLD:
        assert trailers["Aq-Host"] == operation.by
    assert git(tale.hub, "log", "-1", "--format=%s", "main").startswith(f"{transition.trigger} {job}")


def _lease_obeys(rule: LeaseRule, before: bool, after: bool) -> None:
    legal = {
        LeaseRule.NONE: {(False, False)},
        LeaseRule.TAKEN: {(False, True)},
        LeaseRule.KEPT: {(True, True)},
        LeaseRule.DROPPED: {(True, False)},
        LeaseRule.ANY: {(True, False), (False, False)},
        LeaseRule.AS_IS: {(True, True), (False, False)},
    }
    assert (before, after) in legal[rule]


def _files_are_in_one_place(tale: Story, transition: Transition, job: str, leased: bool) -> None:
    folder = tale.job(job).folder
    assert folder.split("/")[0] == transition.target
    wanted = {f"{folder}/{job}.md"}
    if transition.trigger not in (Trigger.ADD, Trigger.REVISE):
        wanted.add(f"{folder}/{job}.record.yaml")
    if leased:
        wanted.add(f"{folder}/{job}.lease.yaml")
    assert tale.files_of(job) == wanted
    kept = {f"queue/{stage}/.gitkeep" for stage in Stage}
    assert kept <= set(tale.tree()), "every stage folder keeps its .gitkeep"


def _the_move_is_a_pure_rename(fleet: Fleet, tale: Story, transition: Transition, job: str) -> None:
    lines = git(
        fleet.hub, "diff-tree", "-r", "-M100%", "--no-commit-id", "--name-status", "main", "--", "queue"
    ).splitlines()
    changes = [line.split("\t") for line in lines if line.endswith(f"/{job}.md")]
    target = f"queue/{tale.job(job).folder}/{job}.md"
    if transition.trigger in NEW_CONTENT:
        assert changes == [["M" if transition.source else "A", target]]
    elif transition.trigger is Trigger.REPAIR and transition.source is not Stage.SHIPPED:
        intact = "main^" if transition.source is Stage.INBOX else "main~2"
        before = tale.tree(intact).values()
        assert tale.tree()[target] in before, "a repair brings the job's own file back"
    elif transition.source is transition.target:
        assert changes == []
    else:
        assert changes == [["R100", changes[0][1], target]]
