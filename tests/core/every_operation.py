"""One story in which every operation is done, and most are refused, word for word: what stands in the
commit, in the record and in the lease. `python -m tests.core.every_operation` writes the golden file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import unified_diff
from pathlib import Path

from aq.core.change import Change, Refusal
from aq.core.encoding import encode
from aq.core.event import render
from aq.core.instants import later
from aq.core.job import Job
from aq.core.lease import Fence
from aq.core.lifecycle import Stage
from aq.core.manifest import Budget, Deps, Retry, ReviewPolicy
from aq.core.operations import (
    AcceptCommit,
    AcceptRewind,
    Approve,
    AutoShip,
    Cancel,
    ChangeSigners,
    Delivered,
    Fenced,
    FixRound,
    Hold,
    Operation,
    PauseFleet,
    PauseJob,
    Preempt,
    Promote,
    Reject,
    RemoveStray,
    Repair,
    Requeue,
    ResumeFleet,
    ResumeJob,
    Revise,
    Ship,
    Spawn,
    Unverified,
)
from aq.core.record import Changes
from aq.core.settings import Budgets
from aq.core.signers import Role, Signer, Signers
from aq.core.value import replace
from aq.core.values import plain
from tests.support.builders import FAILED, Queue, manifest

GOLDEN = Path(__file__).with_name("every_operation.golden")
TIP, NEWER = "a" * 40, "b" * 40
Step = tuple[str, Callable[[Queue], Operation]]


def _submitting() -> Iterator[Step]:
    yield "add", lambda q: q.add_of("a", retry=Retry(max=1, infra=2), product="billing", budget=Budget(usd=3))
    yield "add it again", lambda q: q.add_of("a")
    yield "add other content under its id", lambda q: q.add_of("a", blob="other")
    yield "add under a name that is none", lambda q: q.add_of("A b")
    yield "add with a key", lambda q: q.add_of("k", idempotency_key="one")
    yield (
        "add other content with the key",
        lambda q: q.add_of("k", blob="newer", idempotency_key="one", priority="low"),
    )
    yield "revise", lambda q: Revise(**q.common(), job="k", blob="newest", manifest=manifest())
    yield "revise to the same", lambda q: Revise(**q.common(), job="k", blob="newest", manifest=manifest())
    yield "revise what is nowhere", lambda q: Revise(**q.common(), job="z", blob="x", manifest=manifest())
    yield "add what it needs itself", lambda q: q.add_of("c", deps=Deps(shipped=("c",)))
    yield (
        "revise into a circle",
        lambda q: Revise(**q.common(), job="k", blob="y", manifest=manifest(deps=Deps(shipped=("k",)))),
    )
    yield "add a schedule", lambda q: q.add_of("daily", every=3600.0)
    yield "spawn", lambda q: Spawn(**q.common("mac-1"), schedule="daily")
    yield "spawn it again", lambda q: Spawn(**q.common("mac-2"), schedule="daily")
    yield "spawn from no schedule", lambda q: Spawn(**q.common("mac-1"), schedule="k")
    yield "spawn from nothing", lambda q: Spawn(**q.common("mac-1"), schedule="z")


def _running() -> Iterator[Step]:
    yield "claim", lambda q: q.claim_of("a", score="load 1.0")
    yield "claim it again", lambda q: q.claim_of("a", "mac-2")
    yield "claim a schedule", lambda q: q.claim_of("daily")
    yield "claim without a slot", lambda q: q.claim_of("k", slots=1)
    yield "revise what was claimed", lambda q: Revise(**q.common(), job="a", blob="x", manifest=manifest())
    yield (
        "release",
        lambda q: q.release_of(
            q.fence(),
            failure="quota",
            usd=0.25,
            tokens=10,
            branch="aq/a/1",
            tip=TIP,
            model="m",
            version="1.2",
        ),
    )
    yield "release what is not ours", lambda q: q.release_of(replace(_old(q), epoch=9))
    yield "claim after a release", lambda q: q.claim_of("a")
    yield "release a broken host's", lambda q: q.release_of(q.fence(), broken=True)
    yield "claim before its time", lambda q: q.claim_of("a")
    yield "claim later", lambda q: _later(q).claim_of("a")
    yield (
        "preempt",
        lambda q: Preempt(
            **q.common("mac-1"), fence=q.fence(), for_job="urgent", usd=0.5, branch="aq/a/3", tip=TIP
        ),
    )
    yield "claim after preemption", lambda q: _later(q).claim_of("a")
    yield "reclaim", lambda q: q.reclaim_of(q.fence())
    yield "reclaim it again", lambda q: q.reclaim_of(_old(q))
    yield "claim after silence", lambda q: _later(q).claim_of("a")
    yield "land without its branch", lambda q: q.land_of(q.fence(), pushed=False)
    yield (
        "land",
        lambda q: q.land_of(
            q.fence(),
            usd=1.5,
            tokens=1000,
            baseline="pytest",
            model="m",
            version="1.2",
            outside=("ci.yml",),
            warnings=("look",),
        ),
    )
    yield "land it again", lambda q: q.land_of(q.fence())


def _judging() -> Iterator[Step]:
    yield "fix round", lambda q: FixRound(**_by(q), fence=q.fence(), number=1, failed=FAILED, usd=2, tokens=9)
    yield "fix round again", lambda q: FixRound(**_by(q), fence=q.fence(), number=1)
    yield (
        "fix round without its branch",
        lambda q: FixRound(**_by(q), fence=q.fence(), number=1, branch="f", tip=NEWER),
    )
    yield (
        "fix round done",
        lambda q: FixRound(
            **_by(q),
            fence=q.fence(),
            number=1,
            branch="aq/a/5-fix1",
            tip=NEWER,
            pushed=True,
            usd=2.5,
            tokens=1200,
            outside=("x",),
            warnings=("y",),
        ),
    )
    yield "reclaim in review", lambda q: q.reclaim_of(q.fence())
    yield "reject before a verdict", lambda q: Reject(**q.common(), job="a", message="no", requeue=True)
    yield "claim once more", lambda q: _later(q).claim_of("a")
    yield "land once more", lambda q: q.land_of(q.fence())
    yield "approve while it is verified", lambda q: Approve(**q.common(), job="a")
    yield "reject while it is verified", lambda q: Reject(**q.common(), job="a", message="no")
    yield "promote while it is verified", lambda q: Promote(**q.common(), job="a")
    yield "fall silent in review", lambda q: q.reclaim_of(q.fence())
    yield "promote without a verdict", lambda q: Promote(**q.common(), job="a")
    yield "verify-claim", lambda q: q.verify_claim_of("a")
    yield "verify-claim it again", lambda q: q.verify_claim_of("a")
    yield "release a verify", lambda q: q.release_of(q.fence(), reason="no repo")
    yield "verify-claim after that", lambda q: _later(q).verify_claim_of("a")
    yield "verified", lambda q: q.verified_of(q.fence())
    yield "verified again", lambda q: q.verified_of(_old(q))
    yield "a late result", lambda q: _fenced(q, NEWER)
    yield "the late result again", lambda q: _fenced(q, NEWER)
    yield "a result that landed", lambda q: _fenced(q, TIP)


def _fenced(queue: Queue, tip: str) -> Fenced:
    return Fenced(**queue.common("mac-9"), fence=_old(queue, 1), branch="late", tip=tip)


def _deciding() -> Iterator[Step]:
    yield "approve", lambda q: Approve(**q.common(), job="a", message="fine")
    yield "approve again", lambda q: Approve(**q.common(), job="a")
    yield "pause a job", lambda q: PauseJob(**q.common(), job="a", message="lunch")
    yield "pause it again", lambda q: PauseJob(**q.common(), job="a")
    yield "resume a job", lambda q: ResumeJob(**q.common(), job="a")
    yield "resume it again", lambda q: ResumeJob(**q.common(), job="a")
    yield "hold", lambda q: Hold(**q.common("mac-1"), job="a", reason="freeze")
    yield "ship what is on hold", lambda q: Ship(**q.common(), job="a")
    yield "ship all the same", lambda q: Ship(**q.common(), job="a", override="it is Friday")
    yield "ship it again", lambda q: Ship(**q.common(), job="a")
    yield "deliver what nobody wants", lambda q: Delivered(**q.common("mac-1"), job="a", oid=NEWER)
    yield "resume what waits for nothing", lambda q: ResumeJob(**q.common(), job="a")
    yield "requeue what is shipped", lambda q: Requeue(**q.common(), job="a")


def _ending() -> Iterator[Step]:
    two = ReviewPolicy("manual", ("alice", "bob"), 2)
    yield "add a merge", lambda q: q.add_of("m", deliver="merge", review_policy=two, retry=Retry(max=1))
    yield "claim it", lambda q: q.claim_of("m")
    yield (
        "fail",
        lambda q: q.fail_of(
            q.fence("m"), usd=0.5, tokens=7, branch="aq/m/1", tip=TIP, model="m", version="1", checks=FAILED
        ),
    )
    yield "claim the retry", lambda q: _later(q).claim_of("m")
    yield "land the retry", lambda q: q.land_of(q.fence("m"))
    yield "fail in review", lambda q: q.fail_of(q.fence("m"), "verify_failed", checks=FAILED)
    yield "requeue", lambda q: Requeue(**q.common(), job="m", message="try again")
    yield "requeue it again", lambda q: Requeue(**q.common(), job="m")
    yield "claim what was requeued", lambda q: q.claim_of("m")
    yield "land what was requeued", lambda q: q.land_of(q.fence("m"), usd=0.125)
    yield "no verify asked", lambda q: Unverified(**_by(q), fence=q.fence("m"), usd=0.25, tokens=3)
    yield "ship from review", lambda q: Ship(**q.common(), job="m")
    yield "promote", lambda q: Promote(**q.common(), job="m", override="seen")
    yield "promote it again", lambda q: Promote(**q.common(), job="m")
    yield "ship without approvals", lambda q: Ship(**q.common(), job="m")
    yield "approve it", lambda q: Approve(**q.common("bob"), job="m")
    yield "ship with one of two", lambda q: Ship(**q.common(), job="m")
    yield "approve it, too", lambda q: Approve(**q.common("alice"), job="m")
    yield "ship", lambda q: Ship(**q.common(), job="m")
    yield "hold the delivery", lambda q: Hold(**q.common("mac-1"), job="m", reason="conflict")
    yield "resume the delivery", lambda q: ResumeJob(**q.common(), job="m")
    yield "deliver", lambda q: Delivered(**q.common("mac-1"), job="m", oid=NEWER, url="https://x.invalid/1")
    yield "deliver again", lambda q: Delivered(**q.common("mac-1"), job="m", oid=NEWER)
    yield "claim a third", lambda q: q.claim_of("k")
    yield "cancel", lambda q: Cancel(**q.common(), job="k", message="not needed")
    yield "cancel it again", lambda q: Cancel(**q.common(), job="k")
    yield "cancel what is nowhere", lambda q: Cancel(**q.common(), job="z")
    yield "hold what has ended", lambda q: Hold(**q.common("mac-1"), job="k", reason="x")
    yield "requeue what was cancelled", lambda q: Requeue(**q.common(), job="k")
    yield "claim it anew", lambda q: q.claim_of("k")
    yield "land it anew", lambda q: q.land_of(q.fence("k"), branch="", tip="")
    yield (
        "hold under the lease",
        lambda q: Hold(**_by(q), job="k", fence=q.fence("k"), reason="no merge", usd=1, tokens=2),
    )
    yield "promote what is on hold", lambda q: Promote(**q.common(), job="k")
    yield "reject", lambda q: Reject(**q.common(), job="k", message="not good")
    yield "reject it again", lambda q: Reject(**q.common(), job="k", message="no")
    yield "fail for good", lambda q: _started(q, "f") or q.fail_of(q.fence("f"), "denied")
    yield "spend a budget", lambda q: q.fail_of(q.started("g", budget=Budget(usd=1)), "budget", usd=1.5)
    yield "hold what spent its budget", lambda q: Hold(**q.common("mac-1"), job="g", reason="freeze")
    yield "resume what spent its budget", lambda q: ResumeJob(**q.common(), job="g")
    yield "give it more", lambda q: ResumeJob(**q.common(), job="g", budget=Budget(usd=9, wall=3600))
    yield "give it more again", lambda q: ResumeJob(**q.common(), job="g", budget=Budget(usd=9))


def _gates() -> Iterator[Step]:
    auto = ReviewPolicy("auto")
    yield "add a small one", lambda q: q.add_of("s", review_policy=auto)
    yield "ship by policy what is in the inbox", lambda q: AutoShip(**q.common("mac-1"), job="s")
    yield "claim the small one", lambda q: q.claim_of("s")
    yield "land the small one", lambda q: q.land_of(q.fence("s"), changes=Changes(1, 2, 3, ("src/a",)))
    yield "ship by policy what is in review", lambda q: AutoShip(**q.common("mac-1"), job="s")
    yield "verify the small one", lambda q: q.verified_of(q.fence("s"))
    yield "pause before it is shipped", lambda q: PauseFleet(**q.common(), why="a look")
    yield "ship by policy while it is paused", lambda q: AutoShip(**q.common("mac-1"), job="s")
    yield "resume before it is shipped", lambda q: ResumeFleet(**q.common())
    yield "ship by policy", lambda q: AutoShip(**q.common("mac-1"), job="s")
    yield "ship by policy again", lambda q: AutoShip(**q.common("mac-2"), job="s")
    yield "add one that strays", lambda q: q.add_of("o", review_policy=ReviewPolicy("manual", ("bob",), 1))
    yield "claim what strays", lambda q: q.claim_of("o")
    yield "land what strayed", lambda q: q.land_of(q.fence("o"), outside=("a", "b", "c", "d"))
    yield "judge what strayed", lambda q: Unverified(**_by(q), fence=q.fence("o"))
    yield "resume what strayed", lambda q: ResumeJob(**q.common(), job="o")
    yield "promote what strayed", lambda q: Promote(**q.common(), job="o")
    yield "promote it all the same", lambda q: Promote(**q.common(), job="o", override="it must be")
    yield "ship by policy what is a person's", lambda q: AutoShip(**q.common("mac-1"), job="o")
    yield "hold it, too", lambda q: Hold(**q.common("mac-1"), job="o", reason="freeze")
    yield "ship it as it was", lambda q: Ship(**q.common(), job="o", epoch=7)
    yield "ship it in spite of all", lambda q: Ship(**q.common(), job="o", override="it must be")


def _fleet() -> Iterator[Step]:
    yield "resume the fleet", lambda q: ResumeFleet(**q.common())
    yield "pause the fleet", lambda q: PauseFleet(**q.common(), why="release day")
    yield "pause it again, too", lambda q: PauseFleet(**q.common(), why="x")
    yield "claim while it is paused", lambda q: q.claim_of(next(q.now.jobs(Stage.INBOX)).id)
    yield "stop the fleet", lambda q: PauseFleet(**q.common(), why="", stop=True)
    yield "let it go on", lambda q: ResumeFleet(**q.common())
    yield "accept a rewind", lambda q: AcceptRewind(**q.common(), old=TIP, new=q.now.tip)
    yield "accept another rewind", lambda q: AcceptRewind(**q.common(), old=TIP, new=TIP)
    yield "remove no stray", lambda q: RemoveStray(**q.common(), path="queue/inbox/x.txt")
    yield "repair nothing", lambda q: Repair(**q.common(), job="f")
    yield "repair what is nowhere", lambda q: Repair(**q.common(), job="z")
    yield "repair", lambda q: _harmed(q, "f") or Repair(**q.common(), job="f")


def _trusting() -> Iterator[Step]:
    root = Signers({"root": Signer(frozenset({Role.ADMIN}), ("ssh-ed25519 AAAA",))})
    yield "begin with signers", lambda q: ChangeSigners(**q.common(), signers=root, detail="begin with root")
    yield "leave no admin", lambda q: ChangeSigners(**q.common(), signers=Signers(), detail="remove root")
    yield "accept a commit", lambda q: AcceptCommit(**q.common(), commit=TIP, subject="ship f")
    yield (
        "change signers that others changed",
        lambda q: ChangeSigners(**q.common(), signers=root, detail="x", seen=TIP),
    )


def _revising() -> Iterator[Step]:
    yield "add what two people edit", lambda q: q.add_of("w")
    yield "revise what it was made from", lambda q: _edit(q, "first", base="blob-w")
    yield "revise what somebody revised meanwhile", lambda q: _edit(q, "second", base="blob-w")


def _edit(queue: Queue, blob: str, base: str) -> Revise:
    return Revise(**queue.common(), job="w", blob=blob, base=base, manifest=manifest())


def _by(queue: Queue) -> dict[str, object]:
    return queue.common("mac-1")


def _later(queue: Queue) -> Queue:
    queue.at = later(queue.at, 7200)
    return queue


def _old(queue: Queue, epoch: int = 0) -> Fence:
    """The lease of an earlier run of the first job, or of its last."""
    run = next(r for r in reversed(queue.job().record.runs) if epoch in (0, r.epoch))
    return Fence("a", run.host, run.epoch, run.nonce)


def _started(queue: Queue, name: str) -> None:
    queue.started(name)


def _harmed(queue: Queue, name: str) -> None:
    queue.put(replace(queue.job(name), problem="its file is in two folders"))


def told() -> str:
    """The whole story."""
    return "\n".join(line for _, lines in _played() for line in lines) + "\n"


def changes() -> list[Change]:
    """What the story changed."""
    return [*_played()][-1][0].changes


def _played() -> Iterator[tuple[Queue, list[str]]]:
    queue = Queue()
    queue.limit(budgets=Budgets(default_usd=1.0, fleet_usd=50.0, products={"billing": 40.0}))
    chapters = (_submitting, _running, _judging, _deciding, _ending, _fleet, _gates, _trusting, _revising)
    for chapter in chapters:
        for step in chapter():
            yield queue, list(_telling(queue, *step))


def _telling(queue: Queue, name: str, make: Callable[[Queue], Operation]) -> Iterator[str]:
    queue.at = later(queue.at, 1)
    yield f"== {name}"
    answer = queue.ask(make(queue))
    if isinstance(answer, Refusal):
        yield f"refused{' (done)' if answer.done else ''}: {answer}"
    else:
        yield from _written(answer)


def _written(change: Change) -> Iterator[str]:
    yield render(change.event).rstrip()
    for edit in change.jobs:
        before = edit.before
        yield f"-- {edit.after.folder}/{edit.after.id}.md {edit.after.blob}"
        yield from _changed(encode(before.record) if before else b"", encode(edit.after.record))
        yield from _changed(_lease(before), _lease(edit.after))
    for day, spend in change.spend.items():
        yield f"-- spend {day}"
        yield encode(spend).decode().rstrip()
    for path, content in change.files.items():
        yield f"-- {path}"
        yield content.decode().rstrip()
    if change.pause:
        yield f"-- PAUSED {change.pause.value}"


def _lease(job: Job | None) -> bytes:
    return encode({"lease": plain(job.lease)}) if job and job.lease else b""


def _changed(before: bytes, after: bytes) -> Iterator[str]:
    """The lines that came and went, without their surroundings."""
    lines = unified_diff(before.decode().splitlines(), after.decode().splitlines(), lineterm="", n=0)
    return (line for line in lines if not line.startswith(("---", "+++", "@@")))


if __name__ == "__main__":
    GOLDEN.write_text(told(), encoding="utf-8")
