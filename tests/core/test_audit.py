"""The audit: a history of operations breaks no law, and every law that is broken is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aq.core.audit.auditor import Auditor, Breach, Commit, legal_by_hand
from aq.core.audit.state import place_of
from aq.core.change import Change
from aq.core.event import Event
from aq.core.fleet import Lapse
from aq.core.lifecycle import Stage, Trigger
from aq.core.manifest import Budget, Deps, ReviewPolicy
from aq.core.operations import (
    AcceptRewind,
    AutoShip,
    PauseFleet,
    PauseJob,
    Promote,
    Reject,
    RemoveStray,
    Repair,
    ResumeJob,
    Ship,
    Unverified,
)
from aq.core.profile import Profile
from aq.core.record import Note
from aq.core.settings import Amount, Spend
from aq.core.snapshot import Problem
from aq.core.value import replace
from tests.support.builders import NOW, Queue, lease, manifest
from tests.support.ledgerless import Texts


def audited(queue: Queue, *more: Commit, texts: Texts | None = None) -> list[Breach]:
    """What is wrong with a queue's history and some commits after it."""
    texts = texts or Texts()
    auditor = Auditor(texts)
    return [breach for commit in [*texts.commits_of(queue.changes), *more] for breach in auditor.step(commit)]


def clauses(breaches: list[Breach]) -> list[str]:
    return [breach.clause for breach in breaches]


def changed(queue: Queue, **fields: Any) -> Queue:
    """The queue with its last change's job changed: record fields by name, and stage, folder, lease, blob."""
    last = queue.changes[-1]
    edit = last.jobs[0]
    own = {
        name: fields.pop(name) for name in ("stage", "folder", "lease", "blob", "manifest") if name in fields
    }
    after = replace(edit.after, record=replace(edit.after.record, **fields), **own)
    queue.changes[-1] = replace(last, jobs=(replace(edit, after=after),))
    return queue


def told(queue: Queue, **fields: Any) -> Queue:
    """The queue with its last commit telling something else."""
    last = queue.changes[-1]
    queue.changes[-1] = replace(last, event=replace(last.event, **fields))
    return queue


@pytest.mark.parametrize("stage", list(Stage))
def test_what_operations_do_breaks_no_law(stage: Stage) -> None:
    queue = Queue()
    queue.in_stage(stage, deps=Deps())
    assert audited(queue) == []


def test_a_job_that_is_reclaimed_and_runs_again_breaks_no_law() -> None:
    queue = Queue()
    queue.do(queue.reclaim_of(queue.started(), by="mac-2"))
    queue.do(queue.verified_of(_landed(queue, queue.claim())))
    queue.do(Ship(**queue.common(), job="a"))
    assert audited(queue) == []


def _landed(queue: Queue, fence: Any) -> Any:
    queue.do(queue.land_of(fence))
    return fence


def _started(**keys: Any) -> Queue:
    queue = Queue()
    queue.started(**keys)
    return queue


def _tested(**keys: Any) -> Queue:
    queue = Queue()
    queue.tested(**keys)
    return queue


def _reclaimed(silent: float, by: str = "mac-2") -> Queue:
    queue = _started()
    queue.do(queue.reclaim_of(queue.fence(), by=by, silent=silent))
    return queue


def _twice_locked() -> Queue:
    queue = _started(lock="db")
    queue.add("b")
    queue.claim("b")
    return changed(queue, manifest=manifest(lock="db"))


def _over_budget() -> Queue:
    queue = _started()
    last = queue.changes[-1]
    queue.changes[-1] = replace(last, spend={NOW[:10]: Spend(Amount(reserved=9.0))})
    return queue


def _claimed_often() -> Queue:
    queue = Queue()
    queue.add()
    for _ in range(13):
        queue.claim()
        queue.do(queue.release_of(queue.fence()))
        queue.put(replace(queue.job(), record=replace(queue.job().record, infra=0)))
    queue.claim()
    return queue


def _overrun() -> Queue:
    queue = _started(budget=Budget(usd=1.0))
    queue.do(queue.fail_of(queue.fence(), "budget", usd=1.5))
    return queue


def _given_more(**fields: Any) -> Queue:
    queue = _overrun()
    queue.do(ResumeJob(**queue.common(), job="a", budget=Budget(usd=2.0)))
    return changed(queue, **fields) if fields else queue


def _same_key() -> Queue:
    queue = Queue()
    queue.add("a", idempotency_key="k")
    queue.do(queue.add_of("b", blob="blob-a", idempotency_key="k2"))
    return changed(queue, manifest=manifest(idempotency_key="k"))


BROKEN: dict[str, tuple[Callable[[], Queue], str]] = {
    "building without a lease": (lambda: changed(_started(), lease=None), "I2"),
    "a lease in testing": (lambda: changed(_tested(), lease=lease("a")), "I2"),
    "a lease of another job": (lambda: changed(_started(), lease=lease("b")), "I2"),
    "a move that is no row of the table": (
        lambda: told(
            changed(_started(), stage=Stage.SHIPPED, folder="shipped/2026/11/21"), target=Stage.SHIPPED
        ),
        "I3",
    ),
    "a commit that says another move": (lambda: told(_started(), target=Stage.REVIEW), "I3"),
    "a lease that the row does not give": (lambda: changed(_tested(), lease=lease("a")), "I3"),
    "a new job that says it was there": (lambda: told(_added(), source=Stage.FAILED), "I3"),
    "an epoch that jumps": (lambda: changed(_started(), epoch=3), "I4"),
    "a lease of an older epoch": (lambda: changed(_started(), lease=lease("a", epoch=7)), "I4"),
    "a result of somebody else": (lambda: told(_tested(), host="mac-9"), "I4"),
    "more claims than the bounds allow": (_claimed_often, "I5"),
    "counters that begin anew by themselves": (lambda: changed(_started(), submission=2), "I5"),
    "a new budget that counts nothing anew": (lambda: _given_more(submission=1), "I5"),
    "a budget that a host changes": (lambda: changed(_started(), budget=Budget(usd=9.0)), "I5"),
    "a host that ships what is a person's": (lambda: told(_shipped(), host="mac-1"), "I6"),
    "a host that promotes": (lambda: told(_promoted(), host="mac-1"), "I6"),
    "a host that ships what nobody verified": (lambda: _forged(verdict=None), "I6"),
    "a host that ships what is on hold": (lambda: _forged(hold=Note("bob", NOW, "wait")), "I6"),
    "a host that ships while the queue is paused": (lambda: _shipped_by_policy(paused=True), "I6"),
    "a host that ships what is risky": (lambda: _forged(tip="e" * 40), "I6"),
    "a hold that is passed in silence": (lambda: _in_silence(_held_and_shipped), "I6"),
    "approvals that are passed over in silence": (lambda: _in_silence(_unapproved), "I6"),
    "a job file that changes after its claim": (lambda: changed(_tested(), blob="blob-other"), "I7"),
    "one key and content twice": (_same_key, "I7"),
    "a claim before its dependency": (
        lambda: changed(_started(), manifest=manifest(deps=Deps(shipped=("b",)))),
        "I8",
    ),
    "a claim before its dependency is tested": (
        lambda: changed(_started(), manifest=manifest(deps=Deps(testing=("a",)))),
        "I8",
    ),
    "two holders of one lock": (_twice_locked, "I8"),
    "a reclaim too early": (lambda: _reclaimed(5), "I9"),
    "a branch without a tip": (lambda: changed(_tested(), tip=""), "I10"),
    "a claim beyond the budget": (_over_budget, "I11"),
}


def test_what_a_record_says_beyond_its_operation_is_named() -> None:
    queue = _tested()
    queue.do(PauseJob(**queue.common(), job="a"))
    (found,) = audited(changed(queue, branch="evil", tip="e" * 40))
    assert (found.clause, found.what) == ("I3", "pause-job changes the record's branch, tip")


def _shipped_by_policy(*, paused: bool = False) -> Queue:
    queue = Queue()
    queue.small(review_policy=ReviewPolicy("auto"))
    if paused:
        queue.do(PauseFleet(**queue.common(), why="fire"))
        queue.now = replace(queue.now, pause=None)
    queue.do(AutoShip(**queue.common("mac-1"), job="a"))
    return queue


def _forged(**record: Any) -> Queue:
    """A ship by policy of a job whose record before it was another."""
    queue = _shipped_by_policy()
    changed(Queue(changes=(before := queue.changes[:-1])), **record)
    queue.changes[:-1] = before
    return queue


def _held_and_shipped() -> Queue:
    queue = Queue()
    queue.shipped(land={"outside": ("x",)})
    return queue


def _in_silence(make: Callable[[], Queue]) -> Queue:
    """A ship without the reason that it had."""
    queue = make()
    kept = tuple(pair for pair in queue.changes[-1].event.extra if pair[0] != "Aq-Reason")
    return told(queue, extra=kept)


def _unapproved() -> Queue:
    queue = Queue()
    queue.shipped(review_policy=ReviewPolicy("manual", ("bob",), 1))
    return queue


def _added() -> Queue:
    queue = Queue()
    queue.add()
    return queue


def _promoted() -> Queue:
    queue = Queue()
    queue.do(Unverified(**queue.common("mac-1"), fence=queue.landed()))
    queue.do(Promote(**queue.common(), job="a"))
    return queue


def _shipped(**keys: Any) -> Queue:
    queue = Queue()
    queue.shipped(**keys)
    return queue


@pytest.mark.parametrize(("make", "clause"), BROKEN.values(), ids=BROKEN)
def test_a_broken_law_is_named_at_its_commit(make: Callable[[], Queue], clause: str) -> None:
    texts, queue = Texts(), make()
    first = [Commit("s", "settings", {"queue/aq.yaml": texts.put(b"budgets: {fleet: {usd: 5}}\n")})]
    auditor = Auditor(texts)
    found = [breach for commit in first + texts.commits_of(queue.changes) for breach in auditor.step(commit)]
    assert clause in clauses(found), found
    # A record that was forged on the way is named there, too.
    last = f"c{len(queue.changes) - 1}"
    assert {breach.commit for breach in found if breach.clause == clause} == {last}
    assert {breach.clause for breach in found if breach.commit != last} <= {"I3"}
    assert all(breach.subject and breach.what for breach in found)


def _with_deps() -> Queue:
    queue = Queue()
    queue.shipped("s")
    queue.tested("t")
    queue.started("a", deps=Deps(shipped=("s",), testing=("t",)))
    return queue


def _two_locks() -> Queue:
    queue = _started(lock="db")
    queue.started("b", lock="other")
    return queue


def _within() -> Queue:
    queue = _started()
    queue.changes[-1] = replace(queue.changes[-1], spend={NOW[:10]: Spend(Amount(reserved=1.0))})
    return queue


def _up_to_the_limit() -> Queue:
    queue = _started()
    # Twenty times 0.2 and then 1 are a little more than 5 in floating point.
    amount = Amount(reserved=1.0, settled=sum([0.2] * 20))
    queue.changes[-1] = replace(queue.changes[-1], spend={NOW[:10]: Spend(amount)})
    return queue


def _rejected_again() -> Queue:
    queue = _tested()
    for _ in range(14):
        queue.do(Reject(**queue.common(), job="a", message="no", requeue=True))
        queue.do(queue.verified_of(_landed(queue, queue.claim())))
    return queue


FINE: dict[str, Callable[[], Queue]] = {
    "a host that ships by policy": _shipped_by_policy,
    "a reason that lets a hold pass": _held_and_shipped,
    "a reclaim by the holder itself": lambda: _reclaimed(0, by="mac-1"),
    "dependencies that are far enough": _with_deps,
    "locks of others": _two_locks,
    "a budget that a person raises": _given_more,
    "a job that is rejected and runs again": _rejected_again,
    "a claim within the budget": _within,
    "a claim that takes the last of the budget": _up_to_the_limit,
}


@pytest.mark.parametrize("make", FINE.values(), ids=FINE)
def test_what_looks_like_a_breach_and_is_none(make: Callable[[], Queue]) -> None:
    texts = Texts()
    settings = Commit("s", "settings", {"queue/aq.yaml": texts.put(b"budgets: {fleet: {usd: 5}}\n")})
    auditor = Auditor(texts)
    found = [b for commit in [settings, *texts.commits_of(make().changes)] for b in auditor.step(commit)]
    assert found == []


def test_a_claim_after_a_visible_stop_is_a_breach_and_a_verify_claim_too() -> None:
    texts, queue = Texts(), Queue()
    queue.add()
    queue.do(PauseFleet(**queue.common(), why="stop"))
    queue.now = replace(queue.now, pause=None)
    queue.claim()
    assert clauses(audited(queue, texts=texts)) == ["I11"]


def test_a_verify_claim_is_bounded_by_no_budget_but_by_the_stop() -> None:
    queue = Queue()
    queue.do(queue.reclaim_of(queue.landed(), by="mac-2"))
    queue.do(queue.verify_claim_of())
    assert audited(queue) == []


def test_requeue_begins_to_count_claims_anew() -> None:
    queue = Queue()
    queue.failed()
    texts = Texts()
    auditor = Auditor(texts)
    for commit in texts.commits_of(queue.changes):
        assert auditor.step(commit) == []
    assert auditor._past["a"].claims == 1


HANDS: dict[str, tuple[dict[str, str], bool]] = {
    "a job dropped": ({"queue/inbox/a.md": "b"}, True),
    "an odd name dropped": ({"queue/inbox/My Job.md": "b"}, True),
    "an odd name taken away": ({"queue/inbox/My Job.md": ""}, True),
    "settings": ({"queue/aq.yaml": "b"}, True),
    "a stop lifted": ({"queue/PAUSED": ""}, True),
    "a profile": ({"profiles/dev.md": "b"}, True),
    "a README": ({"README.md": "b", "queue/README.md": "b"}, True),
    "a stage kept": ({"queue/testing/.gitkeep": "b"}, True),
    "a job taken away": ({"queue/inbox/a.md": ""}, False),
    "a job shipped by hand": ({"queue/shipped/2026/11/21/a.md": "b"}, False),
    "a record forged": ({"queue/inbox/a.record.yaml": "b"}, False),
    "a lease forged": ({"queue/inbox/a.lease.yaml": "b"}, False),
    "spend": ({"queue/spend/2026-11-21.yaml": "b"}, False),
}


@pytest.mark.parametrize(("changes", "legal"), HANDS.values(), ids=HANDS)
def test_what_a_person_may_do_with_plain_git(changes: dict[str, str], legal: bool) -> None:
    assert legal_by_hand(changes) is legal
    found = Auditor(Texts())
    found.step(Commit("0", "first", {}))
    assert (clauses(found.step(Commit("1", "by hand", changes))) == []) is legal
    assert found.by_hand == 2


def test_the_first_commit_may_hold_anything() -> None:
    assert Auditor(Texts()).step(Commit("0", "", {"queue/spend/x.yaml": "b"})) == []


def by_hand(changes: dict[str, str]) -> Commit:
    return Commit("h", "by hand", changes)


def test_a_job_that_vanishes_or_is_in_two_folders_breaks_i1() -> None:
    gone = audited(_added(), by_hand({"queue/inbox/a.md": ""}))
    assert clauses(gone) == ["I1", "I3"]
    twice = audited(_added(), by_hand({"queue/testing/a.md": "blob-a"}))
    assert clauses(twice) == ["I1", "I3"]
    assert "inbox and in testing" in twice[0].what


def test_a_hand_edit_is_legal_before_the_first_claim_and_not_after() -> None:
    edit = by_hand({"queue/inbox/a.md": "blob-new"})
    assert audited(_added(), edit) == []
    queue = _started()
    queue.do(queue.release_of(queue.fence()))
    assert clauses(audited(queue, edit)) == ["I7"]


def test_an_operation_touches_its_own_job_only() -> None:
    def operation(event: Event, *paths: str) -> list[Breach]:
        texts = Texts()
        commit = texts.commit_of(Change(event))
        return Auditor(texts).step(replace(commit, changes=dict.fromkeys(paths, "b")))

    claim = Event(Trigger.CLAIM, "ada", "1", "a", Stage.INBOX, Stage.BUILDING)
    assert clauses(operation(claim, "queue/inbox/b.md")) == ["I3"]
    assert clauses(operation(claim, "queue/inbox/a.md", "queue/aq.yaml")) == ["I3"]
    assert clauses(operation(claim)) == ["I3"]
    assert clauses(operation(claim, "queue/inbox/a.record.yaml")) == ["I3"]
    assert clauses(operation(Event(Trigger.CLAIM, "ada", "1"))) == ["I3"]
    assert clauses(operation(Event("pause", "ada", "1"), "queue/aq.yaml")) == ["I3"]
    assert clauses(operation(Event("accept-rewind", "ada", "1"), "queue/PAUSED")) == ["I3"]
    assert clauses(operation(Event("init", "ada", "1"), "queue/inbox/a.md")) == ["I3"]
    assert operation(Event("init", "ada", "1"), "queue/aq.yaml", ".gitattributes") == []
    assert clauses(operation(Event(Trigger.REPAIR, "ada", "1"), "queue/x", "queue/y")) == ["I3"]


def test_an_operation_may_bring_a_stage_folder_back() -> None:
    texts, queue = Texts(), _added()
    commit = texts.commits_of(queue.changes)[0]
    both = {**commit.changes, "queue/inbox/.gitkeep": "b"}
    assert Auditor(texts).step(replace(commit, changes=both)) == []


def test_fleet_operations_and_repairs_break_no_law() -> None:
    queue = Queue()
    queue.do(PauseFleet(**queue.common(), why="stop"))
    queue.do(AcceptRewind(**queue.common(), old="1" * 40, new=queue.now.tip))
    queue.now = replace(queue.now, problems=(Problem("queue/x", "stray"),))
    queue.do(RemoveStray(**queue.common(), path="queue/x"))
    assert audited(queue) == []


def test_a_repair_may_put_back_another_file_and_starts_from_there() -> None:
    queue = Queue()
    queue.failed()
    queue.put(replace(queue.job(), stage=Stage.TESTING, folder="testing", problem="changed by hand"))
    queue.do(Repair(**queue.common(), job="a"))
    texts = Texts()
    auditor = Auditor(texts)
    *before, repair = texts.commits_of(changed(queue, blob="blob-older").changes)
    folders = {"queue/failed/a.md": "", "queue/failed/a.record.yaml": "", "queue/testing/a.md": "blob-a"}
    for commit in [*before, by_hand(folders), repair]:
        found = auditor.step(commit)
    assert "I7" not in clauses(found)
    assert auditor._past["a"].claimed == "blob-older"


def test_a_garbled_record_is_a_breach_of_i3() -> None:
    texts, queue = Texts(), _started()
    commits = texts.commits_of(queue.changes)
    last = commits[-1]
    changes = {
        path: "garbled" if path.endswith("record.yaml") else blob for path, blob in last.changes.items()
    }
    auditor = Auditor(texts)
    found = [b for commit in [*commits[:-1], replace(last, changes=changes)] for b in auditor.step(commit)]
    assert "I3" in clauses(found)
    assert any("garbled" in breach.what for breach in found)


def test_an_observation_that_is_no_number_proves_no_silence() -> None:
    queue = _started()
    fence = queue.fence()
    queue.do(replace(queue.reclaim_of(fence), lapse=Lapse(fence.key, fence.host, "o", 400.0, 300.0, 30.0)))
    queue = told(queue, extra=(("Aq-Observed", "oid minus-one"),))
    assert clauses(audited(queue)) == ["I9"]


def test_garbled_spend_and_settings_are_left_to_the_doctor() -> None:
    texts, queue = Texts(), _over_budget()
    commits = texts.commits_of(queue.changes)
    last = commits[-1]
    changes = {path: "garbled" if "/spend/" in path else blob for path, blob in last.changes.items()}
    auditor = Auditor(texts)
    first = Commit("s", "settings", {"queue/aq.yaml": "garbled"})
    found = [b for c in [first, *commits[:-1], replace(last, changes=changes)] for b in auditor.step(c)]
    assert found == []


def test_an_audit_may_begin_in_the_middle() -> None:
    texts, queue = Texts(), _started()
    commits = texts.commits_of(queue.changes)
    whole = Auditor(texts)
    for commit in commits:
        whole.step(commit)
    files = dict(commits[-1].changes)
    later = Auditor(texts)
    later.begin({path: blob for path, blob in files.items() if blob} | {"queue/inbox/new.md": "n"})
    done = len(queue.changes)
    queue.do(queue.verified_of(_landed(queue, queue.fence())))
    rest = texts.commits_of(queue.changes)[done:]
    assert [breach for commit in rest for breach in later.step(commit)] == []
    assert later._past["a"].claimed == "blob-a"


def test_only_stage_folders_hold_jobs() -> None:
    assert place_of("queue/inbox/a.md") == ("inbox", "a", "md")
    assert place_of("queue/shipped/2026/11/21/a.lease.yaml") == ("shipped/2026/11/21", "a", "lease")
    assert place_of("queue/elsewhere/a.md") is None
    assert place_of("queue/inbox/A.md") is None
    assert place_of("queue/inbox/--help.md") is None


def test_a_repair_may_take_a_stray_file_away_that_looks_like_a_job() -> None:
    texts, auditor = Texts(), Auditor(Texts())
    auditor.step(by_hand({"queue/inbox/link.md": "b"}))
    repair = texts.commit_of(Change(Event(Trigger.REPAIR, "ada", "1"), removed=("queue/inbox/link.md",)))
    assert auditor.step(repair) == []


def test_a_policy_that_the_claim_s_profile_gives_counts_and_no_later_one() -> None:
    """The file that the claim wrote down: what the profile says now is no matter."""
    queue, texts = Queue(), Texts(contents={"auto": b"---\nreview-policy: auto\n---\nx\n"})
    given = manifest(review_policy=ReviewPolicy("auto"), given=("review_policy",))
    queue.now = replace(queue.now, profiles={"p": Profile("p", defaults=given, blobs=("auto",))})
    queue.small(profile="p")
    queue.do(AutoShip(**queue.common("mac-1"), job="a"))
    commits = texts.commits_of(queue.changes)
    texts.manifests["blob-a"] = manifest(profile="p")
    for content, broken in ((texts.contents["auto"], []), (b"---\nmodel: m\n---\nx\n", ["I6"])):
        texts.contents["auto"] = content
        auditor = Auditor(texts)
        assert clauses([breach for commit in commits for breach in auditor.step(commit)]) == broken
