"""Any sequence of operations keeps the invariants: hosts, people and late results, in any order.

Each walk favours some moves over others, so that deep corners are reached and not only refusals."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aq.core.change import Change, Refusal
from aq.core.gates import auto_blockers, gates
from aq.core.instants import later
from aq.core.job import Job
from aq.core.lease import Fence
from aq.core.lifecycle import LIVE, TRANSITIONS, Stage, Trigger
from aq.core.manifest import Budget, Deps, Retry, ReviewPolicy
from aq.core.operations import (
    Approve,
    AutoShip,
    Cancel,
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
    Requeue,
    ResumeFleet,
    ResumeJob,
    Revise,
    Ship,
    Spawn,
    Unverified,
)
from aq.core.planning.eligible import job_blockers
from aq.core.record import Changes
from aq.core.retry import MAX_LOST, MAX_PREEMPTED
from aq.core.settings import Budgets
from aq.core.value import replace
from aq.core.writes import strays
from tests.core.test_writes import rewrites
from tests.support.builders import FAILED, Queue, manifest

KINDS: dict[str, dict[str, Any]] = {
    "a": {"retry": Retry(max=0), "budget": Budget(usd=1.0)},
    "b": {
        "lock": "db",
        "retry": Retry(max=2, infra=1),
        "deliver": "merge",
        "review_policy": ReviewPolicy("auto"),
    },
    "c": {"deps": Deps(testing=("a1",)), "retry": Retry(max=9), "budget": Budget(usd=3.0)},
    "d": {"every": 3600.0},
}
KEYS = {f"{kind}{n}": keys for kind, keys in KINDS.items() for n in (1, 2, 3)}
HOSTS = ("mac-1", "mac-2")
SLOTS = 2
LIMIT = 30.0
STEPS = 300
LEGAL = {(row.trigger, row.source, row.target) for row in TRANSITIONS}
REPEATABLE = (Hold,)


class Walk:
    """A queue, the leases that were ever held on it, and the moves that hosts and people may try."""

    def __init__(self, random: Random, queue: Queue | None = None) -> None:
        self.random = random
        self.keys = random.sample(sorted(KEYS), random.randint(1, 8))
        self.queue = queue or Queue()
        self.queue.limit(budgets=Budgets(default_usd=1.0, fleet_usd=LIMIT))
        self.fences: list[Fence] = []
        self.claims: dict[tuple[str, int], int] = {}
        self.blobs: dict[str, str] = {}
        self.added: set[str] = set()
        moves = {**self.of_a_host(), **self.of_a_run(), **self.of_a_person()}
        self.moves = list(moves.values())
        weights = {name: random.choice((0.0, 0.0, 0.2, 2.0)) for name in moves}
        onward = {
            "claim": 9,
            "land": 5,
            "verify-claim": 5,
            "verified": 1,
            "ship": 1,
            "delivered": 1,
            "add": 2,
            "resume": 2,
            "resume all": 2,
        }
        onward[random.choice(("crash", "release", "preempt", "reclaim"))] = 9
        self.weights = list({**weights, **onward}.values())

    def of_a_host(self) -> dict[str, Callable[[], Operation]]:
        queue = self.queue
        return {
            "claim": lambda: queue.claim_of(self.ready(), self.host(), slots=SLOTS),
            "verify-claim": lambda: queue.verify_claim_of(self.name(Stage.REVIEW), self.host(), slots=SLOTS),
            "spawn": lambda: Spawn(**queue.common("mac-1"), schedule="d1"),
            "delivered": lambda: Delivered(**self.about(Stage.SHIPPED), oid="d" * 40),
            "hold": lambda: Hold(**self.about(*Stage), reason="freeze"),
        }

    def of_a_run(self) -> dict[str, Callable[[], Operation]]:
        queue = self.queue
        return {
            "land": lambda: queue.land_of(
                self.fence(),
                usd=0.5,
                changes=self.random.choice((None, Changes(1, 1, 0, ("src/a",)))),
                outside=self.random.choice(((), (), ("lib/a",))),
            ),
            "land bare": lambda: queue.land_of(self.fence(), branch="", tip=""),
            "verified": lambda: queue.verified_of(self.fence()),
            "unverified": lambda: Unverified(**self.proven()),
            "fix": lambda: FixRound(**self.proven(), number=self.random.randint(1, 3), failed=FAILED),
            "fixed": lambda: FixRound(
                **self.proven(), number=1, branch="b", tip=self.random.choice("cd") * 40, pushed=True
            ),
            "crash": lambda: queue.fail_of(self.fence()),
            "overrun": lambda: queue.fail_of(self.fence(), "budget", usd=0.7),
            "denied": lambda: queue.fail_of(self.fence(), "denied"),
            "verify failed": lambda: queue.fail_of(self.fence(), "verify_failed", checks=FAILED),
            "release": lambda: queue.release_of(self.fence()),
            "preempt": lambda: Preempt(**self.proven(), for_job="z"),
            "reclaim": lambda: queue.reclaim_of(self.fence()),
            "stop": lambda: Hold(**(proven := self.proven()), job=proven["fence"].job, reason="conflict"),
            "fenced": lambda: Fenced(**self.proven(), tip="f" * 40, branch="kept"),
        }

    def of_a_person(self) -> dict[str, Callable[[], Operation]]:
        queue = self.queue
        return {
            "add": lambda: queue.add_of(
                name := self.random.choice(self.keys), blob=self.blob(), **KEYS[name]
            ),
            "revise": lambda: Revise(
                **(about := self.about(Stage.INBOX)),
                blob=self.blob(),
                manifest=manifest(**KEYS.get(about["job"], {})),
            ),
            "promote": lambda: Promote(**self.about(Stage.REVIEW), override=self.random.choice(("", "seen"))),
            "ship by policy": lambda: AutoShip(**self.about(Stage.TESTING)),
            "ship": lambda: Ship(**self.about(Stage.TESTING), override=self.random.choice(("", "fine"))),
            "reject": lambda: Reject(**self.about(Stage.REVIEW, Stage.TESTING), message="no"),
            "again": lambda: Reject(**self.about(Stage.REVIEW, Stage.TESTING), message="no", requeue=True),
            "requeue": lambda: Requeue(**self.about(Stage.FAILED, Stage.DEAD_LETTER)),
            "cancel": lambda: Cancel(**self.about(*LIVE)),
            "approve": lambda: Approve(**self.about(Stage.REVIEW, Stage.TESTING)),
            "pause": lambda: PauseJob(**self.about(*LIVE)),
            "resume": lambda: ResumeJob(**self.about(*Stage)),
            "more": lambda: ResumeJob(
                **self.about(Stage.INBOX), budget=Budget(usd=self.random.choice((1.0, 4.0)))
            ),
            "pause all": lambda: PauseFleet(**queue.common(), why=""),
            "resume all": lambda: ResumeFleet(**queue.common()),
        }

    def name(self, *stages: Stage) -> str:
        """Mostly a job of a stage where the move makes sense."""
        found = sorted(name for name in self.added if self.queue.job(name).stage in stages)
        return (
            self.random.choice(found)
            if found and self.random.random() < 0.9
            else self.random.choice(self.keys)
        )

    def ready(self) -> str:
        """Mostly a job that a claim would take."""
        now = self.queue.now
        found = sorted(job.id for job in now.jobs(Stage.INBOX) if not job_blockers(job, now, self.queue.at))
        return self.random.choice(found) if found and self.random.random() < 0.8 else self.name(Stage.INBOX)

    def about(self, *stages: Stage) -> dict[str, Any]:
        return {**self.queue.common(), "job": self.name(*stages)}

    def host(self) -> str:
        return self.random.choice(HOSTS)

    def blob(self) -> str:
        return self.random.choice(("one", "two"))

    def fence(self) -> Fence:
        """Mostly a lease that is held; else an old one, or a forged one."""
        held = [job.lease.fence for job in self.queue.now.leased() if job.lease]
        if held and self.random.random() < 0.8:
            return self.random.choice(held)
        fence = self.random.choice([*self.fences, Fence("a1", "mac-9", 1, "never")])
        forged = self.random.choice(({}, {"nonce": "forged"}, {"epoch": 99}, {"host": "mac-9"}))
        return replace(fence, **forged)

    def proven(self) -> dict[str, Any]:
        fence = self.fence()
        return {**self.queue.common(fence.host), "fence": fence}

    def step(self) -> None:
        """One move, checked, and some time that passes."""
        if self.random.random() < 0.5:
            self.queue.at = later(self.queue.at, self.random.choice((60, 7200, 86400)))
        (move,) = self.random.choices(self.moves, self.weights)
        operation = self.prepared(move())
        before = self.queue.now
        answer = self.queue.ask(operation)
        if isinstance(answer, Refusal):
            assert answer.reason
            assert self.queue.now is before
            return
        self.check(operation, answer)
        self.check_queue()
        assert isinstance(operation, REPEATABLE) or isinstance(operation.decide(self.queue.now), Refusal)

    def prepared(self, operation: Operation) -> Operation:
        """The operation as it is asked."""
        return operation

    def check(self, operation: Operation, change: Change) -> None:
        """The laws of one step."""
        assert [found for each in rewrites([change]) if (found := strays(each))] == []
        for edit in change.jobs:
            old, new, op = edit.before, edit.after, Trigger(change.event.op)
            assert (op, old.stage if old else None, new.stage) in LEGAL
            taken = op in (Trigger.CLAIM, Trigger.VERIFY_CLAIM)
            assert new.record.epoch == (old.record.epoch if old else 0) + taken
            if old is None:
                self.added.add(new.id)
            if new.stage is Stage.SHIPPED:
                assert op is Trigger.SHIP or (old is not None and old.stage is Stage.SHIPPED)
            if op is Trigger.SHIP:
                self.check_ship(old, change)
            if (
                old
                and old.lease
                and op not in (Trigger.RECLAIM, Trigger.CANCEL)
                and operation.proof
                and op is not Trigger.FENCED
            ):
                assert operation.proof == old.lease.fence
            if taken:
                self.check_claim(new)

    def check_ship(self, job: Job | None, change: Change) -> None:
        """Nobody passes a gate in silence, and no host passes one."""
        assert job
        settings, event = self.queue.now.settings, change.event
        assert event.get("Aq-Override").split() == [str(gate.name) for gate in gates(job, settings)]
        assert not event.host or auto_blockers(job, settings) == ()

    def check_claim(self, job: Job) -> None:
        assert job.lease
        self.fences.append(job.lease.fence)
        key, retry = (job.id, job.record.submission), job.manifest.retry
        self.claims[key] = self.claims.get(key, 0) + 1
        assert self.claims[key] <= retry.max + 1 + retry.infra + MAX_LOST + MAX_PREEMPTED
        assert job.record.attempts <= retry.max + 1
        assert self.blobs.setdefault(job.id, job.blob) == job.blob == job.record.blob
        assert self.queue.now.pause is None

    def check_queue(self) -> None:
        """The laws of every snapshot: I1, I2, I8, I11."""
        now = self.queue.now
        jobs = list(now.jobs())
        assert len({job.id for job in jobs}) == len(jobs) == len(self.added) - len(now.archive)
        held = [job for job in jobs if job.lease]
        assert all(job.stage in (Stage.BUILDING, Stage.REVIEW) for job in held)
        assert all(job.lease for job in now.jobs(Stage.BUILDING))
        locks = [job.manifest.lock for job in held if job.manifest.lock]
        assert len(locks) == len(set(locks))
        assert all(sum(job.lease.host == host for job in held if job.lease) <= SLOTS for host in HOSTS)
        for job in jobs:
            assert [run.epoch for run in job.record.runs if not run.ended] == (
                [job.record.epoch] if job.lease else []
            )
            assert not job.lease or job.lease.fence == Fence(
                job.id, job.lease.host, job.record.epoch, job.record.runs[-1].nonce
            )
        reserved = sum(job.record.runs[-1].reserved for job in held)
        assert abs(sum(spend.fleet.reserved for spend in now.spend.values()) - reserved) < 1e-6
        assert all(spend.fleet.total <= LIMIT for spend in now.spend.values())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_no_sequence_of_operations_breaks_an_invariant(seed: int) -> None:
    walk = Walk(Random(seed))
    for _ in range(STEPS):
        walk.step()


def test_walks_reach_every_trigger_and_every_stage() -> None:
    """Or else the law above would hold for want of trying."""
    seen: set[tuple[str, str]] = set()
    given = 0
    for seed in range(60):
        walk = Walk(Random(seed))
        for _ in range(STEPS):
            walk.step()
        seen |= {
            (change.event.op, str(edit.after.stage)) for change in walk.queue.changes for edit in change.jobs
        }
        given += sum(job.record.budget is not None for job in walk.queue.now.jobs())
    assert {op for op, _ in seen} == set(Trigger) - {Trigger.REPAIR}
    assert {stage for _, stage in seen} == set(Stage)
    assert ("reclaim", "dead_letter") in seen
    assert ("reclaim", "review") in seen
    assert given, "a person gave more to a job whose budget was spent"
